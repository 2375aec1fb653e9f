"""Which clips are nearly the same sound: shifted, louder, with noise, or a little faster.

In come samples; out comes a coarse picture of each clip, and the pairs whose pictures are
alike. Between different people saying the same word the likeness stays below 0.97 (600 speakers
of "yes" and "no" in Speech Commands); a copy that was moved, amplified or mixed with soft noise
has 0.99, one whose pitch moved by 3 % has 0.97.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from minikws._typing import Array, Float32, Samples
from minikws.audio import to_float

N_FRAMES, N_BANDS = 40, 24
DYNAMIC_RANGE = 9.0  # natural logarithm of power: 39 dB below the loudest cell
ALIKE = 0.975
MAX_LAG_FRAMES = 2  # what centring leaves
ROWS_AT_ONCE = 256


def fingerprint(samples: Samples, sample_rate_hz: int, clip_samples: int) -> Float32:
    """Return a clip's picture: (N_FRAMES, N_BANDS) float32 of mean 0 and length 1.

    Mel energies in logarithm, cut off below DYNAMIC_RANGE, centred in time on the energy's
    middle: neither loudness nor soft noise nor the word's place in the clip changes it much.
    """
    hop = max(1, clip_samples // N_FRAMES)
    n_fft = 1 << (hop - 1).bit_length()
    padded = np.pad(to_float(samples), (n_fft, n_fft))
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(n_fft).astype(np.float32))) ** 2
    energy = spectrum.astype(np.float32) @ _mel_bands(sample_rate_hz, n_fft) + np.float32(1e-12)
    times = np.arange(energy.shape[0])
    middle = round(float(energy.sum(1) @ times / energy.sum()))
    loudness = np.log(energy)
    loudness = np.maximum(loudness, loudness.max() - DYNAMIC_RANGE)
    first = middle - N_FRAMES // 2
    start, stop = max(0, first), min(loudness.shape[0], first + N_FRAMES)
    picture = np.full((N_FRAMES, N_BANDS), loudness.min(), np.float32)
    picture[start - first : stop - first] = loudness[start:stop]
    picture -= picture.mean()
    length = np.linalg.norm(picture)
    # Of silence only rounding is left, and nothing is like silence.
    return picture / length if length > 1 else np.zeros_like(picture)


def nearest_across(pictures: Float32, groups: Array) -> Iterator[tuple[int, int, float]]:
    """Yield (clip, nearest clip of another group, likeness) for likeness of ALIKE or more.

    Parameters
    ----------
    pictures : (B, N_FRAMES, N_BANDS); groups : (B,) any labels, such as partitions.
    """
    flat = pictures.reshape(pictures.shape[0], -1)
    for start in range(0, pictures.shape[0], ROWS_AT_ONCE):
        rows = pictures[start : start + ROWS_AT_ONCE]
        likeness = np.full((rows.shape[0], flat.shape[0]), -1, np.float32)
        for lag in range(-MAX_LAG_FRAMES, MAX_LAG_FRAMES + 1):
            moved = np.roll(rows, lag, axis=1).reshape(rows.shape[0], -1)
            likeness = np.maximum(likeness, moved @ flat.T)
        likeness[groups[start : start + ROWS_AT_ONCE, None] == groups[None]] = -1
        nearest = likeness.argmax(1)
        for row, column in enumerate(nearest):
            if likeness[row, column] >= ALIKE:
                yield start + row, int(column), float(likeness[row, column])


@lru_cache(maxsize=8)
def _mel_bands(sample_rate_hz: int, n_fft: int) -> Float32:
    """Return triangles over the bins, (K, N_BANDS), even on the mel scale up to 7 kHz."""
    ends = np.log1p(np.array([100.0, min(7000.0, sample_rate_hz / 2)]) / 700)
    edges = 700 * np.expm1(np.linspace(ends[0], ends[1], N_BANDS + 2))
    bins = (np.arange(n_fft // 2 + 1) * sample_rate_hz / n_fft)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bands: Float32 = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    return bands
