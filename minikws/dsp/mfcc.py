"""Mel-frequency cepstral coefficients, to the bit of TensorFlow's Mfcc op.

    power (T, K) float32 -> channels -> natural logarithm -> cosine transform -> (T, D) float32

In between all is float64, and every sum runs in one fixed order, bins and channels ascending: that
is what makes the last bits equal. `numpy.cumsum` and `numpy.bincount` keep the order, `sum` and
matrix products do not.

Source: tensorflow/core/kernels/mfcc.cc, mfcc_mel_filterbank.cc, mfcc_dct.cc.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from minikws._typing import Float32, Float64, Int32

MEL_FLOOR = 1e-12  # a channel is not taken to be quieter than this


class MelBank(NamedTuple):
    """Triangles over the FFT bins first_bin, first_bin + 1, …; each bin feeds two neighbors.

    first_bin : index of the first used bin; 0 is never used.
    bands : (K,) int32, the channel whose triangle falls at a bin, -1 before the first center; the
        triangle of the next channel rises there.
    weights : (K,) float64, the falling triangle's share of the bin; the rising one has the rest.
    n_mels : channels.
    """

    first_bin: int
    bands: Int32
    weights: Float64
    n_mels: int


# For the kernel's settings of a frontend without channels.
NO_BANK = MelBank(0, np.zeros(0, np.int32), np.zeros(0, np.float64), 0)
NO_DCT = np.zeros((0, 0), np.float64)


def mel_of_hz(hz: float) -> float:
    """Return 1127 ln(1 + hz / 700)."""
    return 1127.0 * math.log1p(hz / 700.0)


def mel_bank(
    *, sample_rate_hz: int, n_bins: int, n_mels: int, lower_hz: float, upper_hz: float
) -> MelBank:
    """Make the filterbank of `n_mels` triangles, evenly spaced in mel, over `n_bins` FFT bins.

    Limits are rounded to float32, as the op's attributes are. A bank whose upper limit lies above
    the last bin is empty: every channel is 0.

    Source: mfcc_mel_filterbank.cc, MfccMelFilterbank::Initialize.
    """
    lower_hz, upper_hz = float(np.float32(lower_hz)), float(np.float32(upper_hz))
    low, high = mel_of_hz(lower_hz), mel_of_hz(upper_hz)
    spacing = (high - low) / (n_mels + 1)
    centers = np.array([low + spacing * (i + 1) for i in range(n_mels + 1)], np.float64)
    hz_per_bin = 0.5 * sample_rate_hz / (n_bins - 1)
    first_bin, last_bin = int(1.5 + lower_hz / hz_per_bin), int(upper_hz / hz_per_bin)
    if last_bin >= n_bins:
        first_bin, last_bin = 1, 0
    used = range(first_bin, last_bin + 1)
    mels = np.array([mel_of_hz(i * hz_per_bin) for i in used], np.float64)
    # The first center that is not below the bin, less one; the last edge belongs to the last band.
    bands = np.minimum(np.searchsorted(centers, mels, side="left"), n_mels) - 1
    edges = np.concatenate(([low], centers))
    weights = (edges[bands + 2] - mels) / (edges[bands + 2] - edges[bands + 1])
    return MelBank(first_bin, bands.astype(np.int32), weights, n_mels)


def empty_channels(bank: MelBank) -> list[int]:
    """Return the channels that no bin feeds: too narrow for the distance between two bins."""
    falling, rising = bank.weights > 0, bank.weights < 1
    fed = {*bank.bands[falling].tolist(), *(bank.bands[rising] + 1).tolist()}
    return sorted(set(range(bank.n_mels)) - fed)


def mel_energies(power: Float32, bank: MelBank) -> Float64:
    """Return each channel's sum of weighted magnitudes, (T, bins) float32 -> (T, n_mels) float64.

    Source: mfcc_mel_filterbank.cc, MfccMelFilterbank::Compute.
    """
    n_frames = len(power)
    used = power[:, bank.first_bin : bank.first_bin + len(bank.bands)]
    magnitude = np.sqrt(used.astype(np.float64))
    falling = magnitude * bank.weights
    rising = magnitude - falling
    has_next, has_band = bank.bands + 1 < bank.n_mels, bank.bands >= 0
    # A channel rises first and falls then, so in this order its sum runs over ascending bins.
    parts = np.concatenate((rising[:, has_next], falling[:, has_band]), axis=1)
    # bincount takes indices of the machine's own width alone: 32 bits on a 32-bit Raspberry Pi.
    channels = np.concatenate((bank.bands[has_next] + 1, bank.bands[has_band])).astype(np.intp)
    places = np.arange(n_frames, dtype=np.intp)[:, None] * bank.n_mels + channels
    sums = np.bincount(
        places.reshape(-1), weights=parts.reshape(-1), minlength=n_frames * bank.n_mels
    )
    return sums.astype(np.float64).reshape(n_frames, bank.n_mels)


def log_energies(energies: Float64) -> Float64:
    """Return the natural logarithm, not below that of 1e-12."""
    return np.log(np.maximum(energies, MEL_FLOOR))


def dct_matrix(n_mels: int, n_mfcc: int) -> Float64:
    """Return sqrt(2 / C) cos(i pi / C (j + 1/2)), rows i < n_mfcc, columns j < C = n_mels.

    Row 0 is not divided by the square root of 2, so the matrix is not orthonormal.

    Source: mfcc_dct.cc, MfccDct::Initialize.
    """
    scale, step = math.sqrt(2.0 / n_mels), math.pi / n_mels
    return np.array(
        [[scale * math.cos(i * step * (j + 0.5)) for j in range(n_mels)] for i in range(n_mfcc)],
        np.float64,
    )


def dct(values: Float64, matrix: Float64) -> Float32:
    """Return the cosine transform of each frame, (T, C) float64 -> (T, D) float32."""
    products = values.T[:, :, None] * matrix.T[:, None, :]  # (C, T, D)
    return np.asarray(np.add.accumulate(products, axis=0)[-1], np.float32)


def mfcc(power: Float32, bank: MelBank, matrix: Float64) -> Float32:
    """Return the coefficients of squared magnitudes, (T, bins) float32 -> (T, D) float32."""
    return dct(log_energies(mel_energies(power, bank)), matrix)
