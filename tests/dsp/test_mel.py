from __future__ import annotations

import zlib

import numpy as np
import pytest

from minikws.dsp.mel import MicroFilterbank, mel_of_hz, micro_filterbank
from minikws.errors import SettingsError

PUBLISHED = {
    "sample_rate_hz": 16000,
    "fft_size": 512,
    "n_mels": 40,
    "lower_hz": 125.0,
    "upper_hz": 7500.0,
}


def stored(bank: MicroFilterbank, values: np.ndarray) -> np.ndarray:
    """Lay per-bin values out as the C library stores them: each band from an even bin on, padded
    with zeros to a multiple of four (no band is empty here).
    """
    rows = []
    for band in range(bank.bands.max() + 1):
        bins = np.flatnonzero(bank.bands == band)
        before = (bank.first_bin + bins[0]) % 2
        width = -(-(before + len(bins)) // 4) * 4
        row = np.zeros(width, "<i2")
        row[before : before + len(bins)] = values[bins]
        rows.append(row)
    return np.concatenate(rows)


def test_the_published_bank() -> None:
    bank = micro_filterbank(**PUBLISHED)
    assert (bank.first_bin, bank.first_bin + len(bank.bands)) == (5, 241)
    weights, unweights = stored(bank, bank.weights), stored(bank, bank.unweights)
    assert len(weights) == 316
    assert zlib.crc32(weights.tobytes()) == 0x84138D28
    assert zlib.crc32(unweights.tobytes()) == 0x7609495D
    # Index 297: exact arithmetic gives 209; the library's float32 steps give 208, and so do ours.
    assert (weights[297], unweights[297]) == (208, 3888)
    assert np.bincount(bank.bands)[:10].tolist() == [1, 2, 1, 2, 2, 2, 2, 2, 3, 2]


def test_the_preprocessor_model_truncates() -> None:
    bank = micro_filterbank(**PUBLISHED, variant="preprocessor")
    assert zlib.crc32(stored(bank, bank.weights).tobytes()) == 0x0993DB9C
    assert zlib.crc32(stored(bank, bank.unweights).tobytes()) == 0x321DD6EB
    assert set((bank.weights + bank.unweights).tolist()) == {4095, 4096}


def test_pymicro_features_differs_in_two_listed_weights() -> None:
    bank = micro_filterbank(**PUBLISHED, variant="pymicro")
    weights, unweights = stored(bank, bank.weights), stored(bank, bank.unweights)
    weights[[211, 293]] -= 1
    unweights[[211, 293]] += 1
    assert zlib.crc32(weights.tobytes()) == 0x099B70CA  # exact arithmetic throughout
    assert zlib.crc32(unweights.tobytes()) == 0x6282BD8A


def test_triangles_are_the_banks_sums() -> None:
    bank = micro_filterbank(**PUBLISHED)
    energy = np.random.default_rng(0).integers(0, 2**31, len(bank.bands))
    for channel in range(40):
        falling = bank.bands == channel + 1
        rising = bank.bands == channel
        expected = (energy * bank.weights)[falling].sum() + (energy * bank.unweights)[rising].sum()
        assert energy.astype(np.float64) @ bank.triangles[:, channel] == expected


def test_more_channels_than_bins_leaves_empty_channels() -> None:
    bank = micro_filterbank(
        sample_rate_hz=8000, fft_size=64, n_mels=60, lower_hz=125, upper_hz=3800
    )
    assert bank.triangles.shape[1] == 60
    assert (bank.triangles.sum(axis=0) == 0).any()


def test_an_upper_limit_at_the_last_bin_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"upper_hz=8000 reaches the last of 257 FFT bins"):
        micro_filterbank(**{**PUBLISHED, "upper_hz": 8000})


def test_mels() -> None:
    # 1127 ln(1 + f / 700); published values of the first and the last center.
    hz = np.array([0, 700, 7500], np.float32)
    np.testing.assert_allclose(mel_of_hz(hz), [0, 1127 * np.log(2), 2773.3318], rtol=1e-6)
