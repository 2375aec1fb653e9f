"""The averaged spectrogram as microcontrollers computed it: frames come in, uint8 buckets go out.

Before the micro frontend, micro_speech ran a plain discrete Fourier transform on the device and
averaged its power over six bins, 43 buckets; a step of the result is 0.5. There were two portable
versions, both here. They use n / 2 bins where training has n / 2 + 1, and so the last bucket, which
in training is the mean of five bins, is here the sum of four, divided by six. On speech there is
next to nothing at 8 kHz, and the difference does not show.

A third version, for Cortex-M with CMSIS, cannot be computed without that vendor's FFT: it stores
the last bin in the wrong place, reads past its buffer and does not clamp.

Source: tensorflow/lite/experimental/micro/examples/micro_speech, simple_features_generator and
fixed_point/simple_features_generator.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from minikws._typing import Float, Float32, Int16, Int32

UInt8 = NDArray[np.uint8]
LARGEST = 255


def _float_window(window_samples: int) -> Float32:
    """Return the periodic Hann window with each step in float32."""
    position = np.arange(window_samples, dtype=np.float32)
    angle = position * np.float32(2) * np.float32(math.pi) / np.float32(window_samples)
    cosine = np.cos(angle.astype(np.float64)).astype(np.float32)
    return np.float32(0.5) - np.float32(0.5) * cosine


@lru_cache(maxsize=4)
def _turns(fft_size: int) -> tuple[Float32, Float32]:
    """Return cos and sin of 2 pi i / fft_size for i < fft_size."""
    angle = 2 * np.pi * np.arange(fft_size) / fft_size
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def _round_away(values: Float) -> Float:
    """Round halves away from zero, as C does."""
    return np.copysign(np.floor(np.abs(values) + np.float32(0.5)), values)


def average_float(frames: Int16, *, fft_size: int, bucket_bins: int) -> UInt8:
    """Return the buckets of the floating-point version, (T, W) int16 -> (T, F) uint8.

    In units of 0.5: the power's mean over `bucket_bins` bins, doubled, rounded and clamped.
    """
    window = _float_window(frames.shape[1])
    sound = frames.astype(np.float32) * window / np.float32(32768)
    cosines, sines = _turns(fft_size)
    turn = np.outer(np.arange(frames.shape[1]), np.arange(fft_size // 2)) % fft_size
    re, im = sound @ cosines[turn], sound @ sines[turn]
    power = re * re + im * im
    starts = np.arange(0, fft_size // 2, bucket_bins)
    means = np.add.reduceat(power, starts, axis=1) / np.float32(bucket_bins)
    return np.clip(_round_away(means * np.float32(2)), 0, LARGEST).astype(np.uint8)


def average_fixed(frames: Int16, *, fft_size: int, bucket_bins: int) -> UInt8:
    """Return the buckets of the fixed-point version, (T, W) int16 -> (T, F) uint8.

    Sound and window are q1.15, their product q2.30, cosines q2.30; the sums are q12.20 and wrap
    like int32. Each term of a sum is shortened by itself, as on the device.
    """
    n_window = frames.shape[1]
    window = np.minimum(32767, _round_away(np.float32(32768) * _float_window(n_window)))
    product = frames.astype(np.int64) * window.astype(np.int64)  # q2.30
    sound = product >> 15
    cosines, sines = (
        _round_away(table * np.float32(1 << 30)).astype(np.int64) >> 15
        for table in _turns(fft_size)
    )
    position = np.arange(n_window)
    power = np.empty((len(frames), fft_size // 2), np.int32)
    for k in range(fft_size // 2):
        turn = position * k % fft_size
        re = ((sound * cosines[turn]) >> 8).sum(axis=1).astype(np.int32).astype(np.int64)
        im = -((sound * sines[turn]) >> 8).sum(axis=1).astype(np.int32).astype(np.int64)
        power[:, k] = ((re >> 11) * (re >> 11) + (im >> 11) * (im >> 11)).astype(np.int32)
    shares = _divide(power, bucket_bins)
    starts = np.arange(0, fft_size // 2, bucket_bins)
    means = np.add.reduceat(shares, starts, axis=1, dtype=np.int64)
    return np.asarray(np.clip((means + (1 << 20)) >> 21, 0, LARGEST), np.uint8)


def _divide(values: Int32, by: int) -> Int32:
    """Divide and drop the fraction, as C does."""
    quotient = np.abs(values.astype(np.int64)) // by
    return np.asarray(np.sign(values) * quotient, np.int32)
