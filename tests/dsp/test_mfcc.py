"""Filterbank, logarithm and cosine transform against the published values."""

from __future__ import annotations

import numpy as np
import pytest

from minikws.dsp.mfcc import (
    MelBank,
    dct,
    dct_matrix,
    empty_channels,
    log_energies,
    mel_bank,
    mel_energies,
    mel_of_hz,
    mfcc,
)
from minikws.dsp.spectrum import hann_window, power_spectrum


def default_bank(**changes: float) -> MelBank:
    given = {
        "sample_rate_hz": 16000,
        "n_bins": 257,
        "n_mels": 40,
        "lower_hz": 20.0,
        "upper_hz": 4000.0,
    }
    return mel_bank(**(given | changes))  # type: ignore[arg-type]


# speech_commands.md 3.5, made with TensorFlow's own mfcc_op tests and TensorFlow 2.21.
RISING = np.arange(1, 514, dtype=np.float32)[None]
COEFFICIENTS = [29.1397, -6.415686, -0.6190301, -0.9677865, -0.2681988, -0.40907028, -0.15614748]
COEFFICIENTS += [-0.2320312, -0.10481487, -0.1543029, -0.0769791, -0.10806114, -0.06047613]
ENERGIES = [7.38894574, 10.30330648, 13.72703292, 17.24158686, 21.35253118, 25.77781089]
ENERGIES += [31.30624108, 37.05877236, 43.9436536, 51.80306637, 60.79867148, 71.14363376]
ENERGIES += [82.90910141, 96.50069158, 112.08428368, 129.96721968, 150.4277597, 173.74997634]
ENERGIES += [200.86037462, 231.59802942]


def test_the_default_bank() -> None:
    bank = default_bank()
    assert (bank.first_bin, len(bank.bands)) == (2, 127)
    assert bank.bands[:14].tolist() == [0, 1, 1, 2, 3, 4, 5, 5, 6, 7, 7, 8, 8, 9]
    assert bank.bands[-7:].tolist() == [39] * 7
    assert bank.weights[-1] == 0
    np.testing.assert_allclose(
        bank.weights[:4], [0.74663, 0.86883, 0.02494, 0.21242], rtol=0, atol=1e-5
    )


def test_published_energies() -> None:
    bank = default_bank(sample_rate_hz=22050, n_bins=513, n_mels=20)
    np.testing.assert_allclose(mel_energies(RISING, bank)[0], ENERGIES, rtol=1e-9)


def test_published_coefficients() -> None:
    bank = default_bank(sample_rate_hz=22050, n_bins=513)
    found = mfcc(RISING, bank, dct_matrix(40, 13))
    np.testing.assert_array_equal(found[0], np.array(COEFFICIENTS, np.float32))


def test_published_coefficients_of_sound() -> None:
    samples = (7919 * np.arange(16000)) % 65536 - 32768
    frames = np.lib.stride_tricks.sliding_window_view(samples / 32768, 480)[::160]
    power = power_spectrum(frames * hann_window(480), 512)
    found = mfcc(power, default_bank(), dct_matrix(40, 40))
    first = [16.061008, -4.9981098, -0.53138685, -0.31701624, -1.0653832, -0.83115566]
    np.testing.assert_array_equal(found[0, :6], np.array(first, np.float32))
    last = [15.7919846, -5.0900569, -0.57525104, -0.30916372]
    np.testing.assert_array_equal(found[97, :4], np.array(last, np.float32))
    np.testing.assert_allclose(found.sum(dtype=np.float64), 697.76776707, rtol=1e-9)


def test_digital_silence() -> None:
    found = mfcc(np.zeros((2, 257), np.float32), default_bank(), dct_matrix(40, 40))
    np.testing.assert_array_equal(found[:, 0], np.float32(-247.13936))
    np.testing.assert_allclose(found[:, 1:], 0, atol=1e-12)


def test_each_bin_is_shared_out_whole() -> None:
    bank = default_bank()
    inner = np.flatnonzero((bank.bands >= 0) & (bank.bands < 39))
    for i in inner:
        power = np.zeros((1, 257), np.float32)
        power[0, bank.first_bin + i] = 9.0
        np.testing.assert_allclose(mel_energies(power, bank).sum(), 3.0, rtol=1e-12)


def test_channels_between_two_bins() -> None:
    assert empty_channels(default_bank()) == []
    # speech_commands.md 3.5: weak channels, but none without a bin.
    assert empty_channels(default_bank(n_bins=129)) == []
    # Channels 0 and 3 span 20 to 89 and 126 to 205 Hz: no multiple of 125.
    assert empty_channels(default_bank(n_bins=65))[:2] == [0, 3]


def test_a_limit_above_the_last_bin_silences_everything() -> None:
    bank = default_bank(upper_hz=9000.0)
    assert len(bank.bands) == 0
    assert not mel_energies(np.ones((3, 257), np.float32), bank).any()


def test_mel_scale_and_transform() -> None:
    assert mel_of_hz(0) == 0
    np.testing.assert_allclose(mel_of_hz(1000.0), 1000.0, rtol=1e-3)
    matrix = dct_matrix(40, 40)
    matrix[0] /= np.sqrt(2)  # then it is orthonormal
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(40), rtol=0, atol=1e-14)
    values = np.random.default_rng(0).normal(size=(5, 40))
    np.testing.assert_allclose(
        dct(values, dct_matrix(40, 7)), values @ dct_matrix(40, 7).T, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("energy", [0.0, 1e-13, 1e-12])
def test_the_logarithm_has_a_floor(energy: float) -> None:
    np.testing.assert_allclose(log_energies(np.array([[energy]])), -27.63102, rtol=1e-6)
