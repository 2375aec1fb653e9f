"""Ask a model about several copies of a sound and average its answers (test-time augmentation).

In: clips, and the names of the copies to make: moved in time, louder or quieter, slower or
faster. Out: the mean of the model's probabilities over the clips as they are and the copies.
NumPy alone: a device may do it, at the price of one more run of the model for each copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minikws._typing import Array, Float64, Samples

SHIFT_MS = 93.75  # 1,500 samples at 16 kHz
GAIN = 1.2
STRETCH = 1.05

SINC_ZEROS = 8  # zero crossings of the interpolating sinc on either side


def averaged(
    probabilities: Callable[[Samples], Array], copies: Sequence[str], *, sample_rate_hz: int
) -> Callable[[Samples], Float64]:
    """Return a function that averages `probabilities` over the clips and their copies.

    Parameters
    ----------
    probabilities : from samples (B, N) int16 to real numbers (B, L).
    copies : names of `copies.COPIES`; the clips as they are always count beside them.
    """

    def mean(samples: Samples) -> Float64:
        total = probabilities(samples).astype(np.float64)
        for name in copies:
            total += probabilities(make_copy(samples, name, sample_rate_hz=sample_rate_hz))
        return total / (1 + len(copies))

    return mean


def make_copy(samples: Samples, name: str, *, sample_rate_hz: int) -> Samples:
    """Return samples (B, N) int16 moved, made louder or stretched, clamped to 16 bits.

    name : ``left`` and ``right`` move by 93.75 ms, ``louder`` and ``quieter`` multiply and
        divide by 1.2, ``slower`` and ``faster`` stretch by 5 % about the middle, as a tape does
        (the pitch moves along). What comes in from outside the clip is zero.
    """
    shift_samples = round(SHIFT_MS * sample_rate_hz / 1000)
    if name == "left":
        return shift(samples, -shift_samples)
    if name == "right":
        return shift(samples, shift_samples)
    if name in ("louder", "quieter"):
        return _to_int16(samples * np.float64(GAIN if name == "louder" else 1 / GAIN))
    return stretch(samples, STRETCH if name == "slower" else 1 / STRETCH)


def shift(samples: Samples, by: int) -> Samples:
    """Return samples (B, N) that come `by` samples later (below 0: earlier), zeros in the gap."""
    n = samples.shape[1]
    moved = np.zeros_like(samples)
    moved[:, max(0, by) : max(0, n + by)] = samples[:, max(0, -by) : max(0, n - by)]
    return moved


def stretch(samples: Samples, factor: float) -> Samples:
    """Return samples (B, N) that last `factor` times as long, cut or padded to N again.

    Sample i of the copy is the sound at c + (i - c) / factor, c the middle of the clip, read
    between the samples by a sinc of 16 taps under a Hann window. For a few percent: a factor far
    below 1 would fold the highest frequencies back.
    """
    n = samples.shape[1]
    middle = (n - 1) / 2
    position = middle + (np.arange(n) - middle) / factor
    # Outside the clip lies silence; beyond `position`, the sinc's taps.
    padding = SINC_ZEROS + max(0, int(np.ceil(-position[0])))
    padded = np.pad(samples, ((0, 0), (padding, padding))).astype(np.float32)
    before = np.floor(position).astype(np.int64)
    out = np.zeros(samples.shape, np.float32)
    for tap in range(1 - SINC_ZEROS, SINC_ZEROS + 1):
        distance = position - (before + tap)  # in -SINC_ZEROS to SINC_ZEROS
        weight = np.sinc(distance) * np.cos(np.pi * distance / (2 * SINC_ZEROS)) ** 2
        out += weight.astype(np.float32) * padded[:, before + tap + padding]
    return _to_int16(out)


def _to_int16(sound: Array) -> Samples:
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
