"""Window, power spectrum and buckets against the formulas and the published values."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws._jit import ENABLED
from minikws.dsp.spectrum import (
    average_buckets,
    bucket_edges,
    hann_window,
    power_spectrum,
    spectral_features,
)
from minikws.frontend import make_frontend


def frames_of(samples: np.ndarray, window: int, hop: int) -> np.ndarray:
    sound = samples.astype(np.float64) / 32768
    return np.lib.stride_tricks.sliding_window_view(sound, window)[::hop] * hann_window(window)


def test_the_window_is_periodic() -> None:
    window = hann_window(480)
    np.testing.assert_allclose(window, np.hanning(481)[:-1], rtol=0, atol=1e-15)


# speech_commands.md 3.5, made with AudioSpectrogram of TensorFlow 2.21.
TONE = np.rint(16384 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).astype(np.int16)
RAMP = ((7919 * np.arange(16000)) % 65536 - 32768).astype(np.int16)


@pytest.mark.parametrize(
    ("samples", "first", "expected"),
    [
        (TONE, 12, [0.29930878, 866.5749, 3573.989, 1310.3962, 7.75252]),
        (RAMP, 0, [0.77935791, 0.91930139, 1.16781855, 1.01562214]),
    ],
)
def test_published_powers(samples: np.ndarray, first: int, expected: list[float]) -> None:
    power = power_spectrum(frames_of(samples, 480, 160), 512)
    assert power.shape == (98, 257)
    assert power.dtype == np.float32
    np.testing.assert_array_equal(
        power[0, first : first + len(expected)], np.array(expected, np.float32)
    )


@given(st.integers(1, 9), st.integers(1, 700), st.integers(0, 2**32 - 1))
def test_power_is_that_of_the_sound(n_frames: int, window: int, seed: int) -> None:
    # Parseval: the bins' power, the inner ones counted twice, is fft_size times the samples' power.
    frames = np.random.default_rng(seed).normal(size=(n_frames, window))
    fft_size = max(2, 1 << (window - 1).bit_length())
    power = power_spectrum(frames, fft_size).astype(np.float64)
    total = 2 * power.sum(axis=1) - power[:, 0] - power[:, -1]
    np.testing.assert_allclose(total, fft_size * np.square(frames).sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize(
    ("n_bins", "width", "n_buckets", "first", "last"),
    # speech_commands.md 3.6 and micro_speech.md 1.1: padding is left out of the mean.
    [(257, 6, 43, 6, 5), (129, 3, 43, 3, 3), (257, 7, 37, 6, 6), (5, 5, 1, 5, 5), (5, 1, 5, 1, 1)],
)
def test_buckets(n_bins: int, width: int, n_buckets: int, first: int, last: int) -> None:
    edges = bucket_edges(n_bins, width)
    counts = np.diff(edges)
    assert len(counts) == n_buckets
    assert (counts[0], counts[-1]) == (first, last)
    assert (edges[0], edges[-1]) == (0, n_bins)
    assert (counts[1:-1] == width).all()


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_means(n_bins: int, width: int, seed: int) -> None:
    power = np.random.default_rng(seed).uniform(0, 9, (3, n_bins)).astype(np.float32)
    edges = bucket_edges(n_bins, min(width, n_bins))
    means = average_buckets(power, edges)
    expected = [power[:, a:b].mean(axis=1, dtype=np.float64) for a, b in pairwise(edges)]
    np.testing.assert_allclose(means, np.stack(expected, axis=1), rtol=1e-4)
    assert means.dtype == np.float32


def test_published_average() -> None:
    # speech_commands.md 3.6: samples cycling 0, -1, 0, 1, window and hop 100, buckets of 6 bins.
    samples = np.tile([0, -32768, 0, 32767], 400).astype(np.int16)
    power = power_spectrum(frames_of(samples, 100, 100), 128)
    means = average_buckets(power, bucket_edges(65, 6))
    assert means.shape == (16, 11)
    np.testing.assert_allclose(means[0, [4, 5, 6]], [0.0776, 199.9125, 0.0036], rtol=1e-2)


@pytest.mark.skipif(not ENABLED, reason="compiled twins are off: MINIKWS_JIT=0 or no Numba")
@pytest.mark.parametrize("kind", ["spectrogram", "mfcc", "average"])
@pytest.mark.parametrize(
    ("window_ms", "hop_ms"),
    # FFTs of 32 to 1024 samples, an odd and an even number of passes; hops beyond the window.
    [(3.0, 1.0), (7.1, 9.0), (30.0, 10.0), (31.9, 3.3), (60.0, 70.0)],
)
def test_the_twin_has_the_same_bits(kind: str, window_ms: float, hop_ms: float) -> None:
    few = {
        "spectrogram": {"magnitude_squared": False},
        "mfcc": {"n_mels": 5, "n_mfcc": 3},
        "average": {"feature_bin_count": 7},
    }[kind]
    stored = {"kind": kind, "window_ms": window_ms, "hop_ms": hop_ms, **few}
    settings = make_frontend(stored)._kernel_settings  # type: ignore[attr-defined]
    clips = np.random.default_rng(0).integers(-32768, 32768, (3, 3000)).astype(np.int16)
    n_frames = 1 + (3000 - len(settings.window)) // settings.hop_samples
    shape = 3, n_frames, len(settings.dct) or len(settings.edges) - 1
    plain = spectral_features.reference(clips, settings, np.empty(shape, np.float32))
    twin = spectral_features.compiled()(clips, settings, np.empty(shape, np.float32))
    if kind == "mfcc":  # the twin's logarithm is its own, within a unit in the last place
        np.testing.assert_allclose(twin, plain, rtol=4e-7, atol=1e-12)
    else:
        np.testing.assert_array_equal(twin, plain)


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    frontend = make_frontend({"kind": "average", "hop_ms": 2.0})
    clips = np.random.default_rng(0).integers(-32768, 32768, (7, 16000)).astype(np.int16)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    expected = frontend.extract(clips)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")
    np.testing.assert_array_equal(frontend.extract(clips), expected)
