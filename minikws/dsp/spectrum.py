"""The power spectrum of sound and what is made of it: clips come in, features go out.

    int16 -> / 32768 -> frames * Hann window -> real FFT -> re² + im² -> float32     (T, K)
        -> as it is, or its square root          the spectrogram
        -> means of neighboring bins             the average
        -> mel channels, logarithm, cosines      the MFCC, `minikws.dsp.mfcc`

`spectral_features` runs a line for a batch of clips; its compiled twin, in `minikws.dsp.fast`, does
the same arithmetic in the same order, a few frames side by side.

Source: tensorflow/core/kernels/spectrogram.cc, spectrogram_op.cc; tf.nn.avg_pool.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from minikws._jit import ENABLED, kernel
from minikws._typing import Features, Float32, Float64, Int32, Samples
from minikws.dsp.fast.spectrum import spectral_features_loops
from minikws.dsp.framing import frame
from minikws.dsp.mfcc import MelBank, mfcc
from minikws.dsp.ordered_fft import FftPlan, real_fft

FULL_SCALE = 32768.0
SMALLEST_NORMAL = np.float32(2.0**-126)
JIT_FRAMES = 1000  # below, loading Numba takes longer than it saves
THREAD_FRAMES = 1000  # below, starting a thread does
BLOCK_FRAMES = 128  # frames of a pass of the plain form: their work fits into a processor's cache


def hann_window(window_samples: int) -> Float64:
    """Return the periodic Hann window, 0.5 - 0.5 cos(2 pi i / n), (window_samples,) float64.

    >>> hann_window(4).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    return np.array(
        [0.5 - 0.5 * math.cos(2 * math.pi * i / window_samples) for i in range(window_samples)],
        np.float64,
    )


def power_spectrum(frames: Float64, fft_size: int) -> Float32:
    """Return the squared magnitude of each bin, (T, W) float64 -> (T, fft_size // 2 + 1) float32.

    Frames are windowed already; zeros are put behind them up to `fft_size`.
    """
    padded = np.zeros((fft_size, len(frames)), np.float64)
    padded[: frames.shape[1]] = frames.T
    bins = real_fft(padded)
    power = np.square(bins).sum(axis=0)  # two terms: one order
    return _flush(np.ascontiguousarray(power.T, np.float32))


def _flush(values: Float32) -> Float32:
    """Set subnormal numbers to 0 in place, as the processor does in TensorFlow's threads."""
    values[values < SMALLEST_NORMAL] = 0
    return values


def bucket_edges(n_bins: int, width: int) -> Int32:
    """Return the edges of average pooling with that width and stride, SAME padding.

    What is missing to whole buckets is split between both ends, the larger half at the high one;
    a bucket there holds fewer bins.

    Returns
    -------
    (F + 1,) int32, F = ceil(n_bins / width).

    >>> bucket_edges(257, 6)[[0, 1, 41, 42, 43]].tolist()
    [0, 6, 246, 252, 257]
    >>> bucket_edges(257, 7)[[0, 1, 36, 37]].tolist()
    [0, 6, 251, 257]
    """
    n_buckets = -(-n_bins // width)
    before = (n_buckets * width - n_bins) // 2
    edges = np.arange(n_buckets + 1, dtype=np.int64) * width - before
    return np.clip(edges, 0, n_bins).astype(np.int32)


def average_buckets(power: Float32, edges: Int32) -> Float32:
    """Return each bucket's mean, (T, bins) float32 -> (T, F); summed in float32, bins ascending."""
    counts = np.diff(edges)
    out = power[:, edges[:-1]]
    for i in range(1, int(counts.max())):
        out[:, counts > i] += power[:, edges[:-1][counts > i] + i]
    return _flush(np.divide(out, counts.astype(np.float32), dtype=np.float32))


class SpectralSettings(NamedTuple):
    """What `spectral_features` needs beside the sound.

    window : (W,) float64.
    edges : (F + 1,) int32, the buckets that are averaged; single bins for a spectrogram.
    magnitude : take the square root of each bin before.
    bank, dct : the filterbank and the (D, C) cosines of MFCC; dct is (0, 0) for the others.
    """

    hop_samples: int
    window: Float64
    fft: FftPlan
    magnitude: bool
    edges: Int32
    bank: MelBank
    dct: Float64


@kernel
def spectral_features(clips: Samples, settings: SpectralSettings, out: Features) -> Features:
    """Compute the features of each clip, (B, N) int16, N >= one window, into `out`, (B, T, F)."""
    s = settings
    frames = frame(clips, window_samples=len(s.window), hop_samples=s.hop_samples)
    n_clips, n_frames, _ = frames.shape
    fft_size = 2 * len(s.fft.order)
    clips_at_once = max(1, BLOCK_FRAMES // n_frames)
    for i in range(0, n_clips, clips_at_once):
        for t in range(0, n_frames, BLOCK_FRAMES):
            block = np.s_[i : i + clips_at_once, t : t + BLOCK_FRAMES]
            sound = frames[block] / FULL_SCALE * s.window
            power = power_spectrum(sound.reshape(-1, len(s.window)), fft_size)
            if len(s.dct):
                features = mfcc(power, s.bank, s.dct)
            else:
                features = average_buckets(np.sqrt(power) if s.magnitude else power, s.edges)
            out[block] = features.reshape(out[block].shape)
    return out


# Threads are Python's (`batch_features`): with numba's own the twin takes three times as long to
# compile, and idle ones cost whoever else computes.
spectral_features.jit(nogil=True, error_model="numpy")(spectral_features_loops)


def n_threads() -> int:
    """Return how many threads kernels may use: NUMBA_NUM_THREADS, or the cores of this machine."""
    return int(os.environ.get("NUMBA_NUM_THREADS") or os.cpu_count() or 1)


def batch_features(clips: Samples, settings: SpectralSettings) -> Features:
    """Return `spectral_features`, on all cores where there is enough to do."""
    n_clips, n_samples = clips.shape
    n_frames = 1 + (n_samples - len(settings.window)) // settings.hop_samples
    n_features = len(settings.dct) or len(settings.edges) - 1
    out = np.empty((n_clips, n_frames, n_features), np.float32)
    work = n_clips * n_frames
    run = spectral_features.for_work(work, at_least=JIT_FRAMES)
    n_parts = min(n_threads(), n_clips, work // THREAD_FRAMES)
    if n_parts < 2 or run is spectral_features.reference or not ENABLED:
        return run(clips, settings, out)
    if spectral_features.for_work(0, at_least=1) is spectral_features.reference:
        # Compiled here, not in every thread; on arrays of the same kind, or it is compiled again.
        one_frame = np.ascontiguousarray(clips[:1, : len(settings.window)])
        run(one_frame, settings, np.empty((1, 1, n_features), np.float32))
    ends = [n_clips * i // n_parts for i in range(n_parts + 1)]
    pool = _pool(n_parts - 1)
    others = [pool.submit(run, clips[a:b], settings, out[a:b]) for a, b in pairwise(ends[1:])]
    run(clips[: ends[1]], settings, out[: ends[1]])
    for other in others:
        other.result()
    return out


@cache
def _pool(n_workers: int) -> ThreadPoolExecutor:
    """Return waiting threads, made once: starting them costs 0.15 ms a batch."""
    return ThreadPoolExecutor(n_workers)
