"""The float64 FFT behind TensorFlow's spectrogram: frames come in, equal bins go out, to the bit.

Any float64 FFT is exact to about 16 digits, but the last ones depend on the order of its sums, and
where a bin is a millionth of the frame's loudest they decide how it rounds to float32: with
`numpy.fft` a dozen of the 7.5 million bins of 300 recorded words differ from TensorFlow's. This
one adds in the same order, so none does. To learn how an FFT works, read `minikws.dsp.radix2`; here
is the same idea with four branches:

    whole   y[k] = sum over j of x[j] exp(2 pi i j k / n)            bins k
    half    y[k] = sum over j of x[j] exp(2 pi i j (k + 1/2) / n)    bins k + 1/2

A block of n values becomes four blocks of n / 4, for k = 0, 2, 1 and 3 modulo 4. From a whole
block, the second one must be a half block: its bins 4 k + 2 lie halfway between those of n / 4.
From a half block, the second and the fourth. The last pass is one of 4, or of 2 where n is no power
of 4. A real frame of 2n samples is a complex one of n, even samples the real parts, odd ones the
imaginary parts; `real_fft` takes them apart at the end.

Source: the order of operations and the rounding of the twiddles are those of T. Ooura's fftsg,
which tensorflow/core/kernels/spectrogram.cc calls (rdft, isgn = 1).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minikws._typing import Float64, Int32
from minikws.errors import ShapeError

SQRT_HALF = math.cos(math.atan(1.0))  # cosine and sine of an eighth of a circle
QUARTER_OF_BIN = (0, 2, 1, 3)  # the quarter that bin k goes on in, by k modulo 4

NO_TURN, EIGHTH_TURN, THREE_EIGHTHS_TURN = (1, 0, 1), (1, 1, SQRT_HALF), (-1, 1, SQRT_HALF)

# Rows of `FftPlan.twiddles`: of a whole block's third and fourth result, and of what a half block
# makes from its first and third input, and from its second and fourth.
WHOLE_3, WHOLE_4, HALF_1, HALF_2, HALF_3, HALF_4 = range(6)


class FftPlan(NamedTuple):
    """What the transform of one size, 2n real samples, needs.

    sizes : (P,) int32, how many values a block of each pass has: n, n / 4, … 4 or 2.
    halves : (P, n) int32, 1 where block b of a pass is a half block, else 0.
    twiddles : (P, 6, 3, n / 4) float64, real part, imaginary part and scale for j < size / 4; an
        eighth of a circle is (1, 1, sqrt(1/2)), scaled last, as in fftsg.
    order : (n,) int32, where the passes leave bin k.
    post_twiddles : (3, n) float64, the same, with which even and odd samples are taken apart.
    """

    sizes: Int32
    halves: Int32
    twiddles: Float64
    order: Int32
    post_twiddles: Float64


@lru_cache(maxsize=16)
def fft_plan(fft_size: int) -> FftPlan:
    """Return the plan for frames of `fft_size` samples, a power of two from 2 on.

    Raises
    ------
    ShapeError : not a power of two.
    """
    if fft_size < 2 or fft_size & (fft_size - 1):
        raise ShapeError(
            f"expected an FFT size that is a power of two from 2 on, found {fft_size}; "
            "pad the frames with zeros to 512"
        )
    n = fft_size // 2
    sizes: list[int] = []
    while n >> 2 * len(sizes) > 1:
        sizes.append(n >> 2 * len(sizes))
    halves = np.zeros((len(sizes), n), np.int32)
    twiddles = np.zeros((len(sizes), 6, 3, max(n // 4, 1)), np.float64)
    for i, size in enumerate(sizes):
        if i > 0:
            before = halves[i - 1, : n // sizes[i - 1]]
            kinds = np.stack((0 * before, 0 * before + 1, 0 * before, before), axis=1)
            halves[i, : n // size] = kinds.reshape(-1)
        if size >= 4:
            twiddles[i, :HALF_1, :, : size // 4] = _whole_twiddles(size, outermost=i == 0)
            twiddles[i, HALF_1:, :, : size // 4] = _half_twiddles(size)
    return FftPlan(
        np.array(sizes, np.int32),
        halves,
        twiddles,
        np.array([_position(k, n) for k in range(n)], np.int32),
        _post_twiddles(n),
    )


def _position(k: int, n: int) -> int:
    if n <= 2:
        return k
    return QUARTER_OF_BIN[k % 4] * (n // 4) + _position(k // 4, n // 4)


Angle = tuple[float, float, float, float]  # cosine, sine, and those of three times the angle


def _first_eighth(size: int) -> list[Angle]:
    """Return the angles 2 pi j / size for j = 0 … size / 8, each step rounded as in fftsg."""
    step = math.atan(1.0) / (size // 8)
    table = [
        (math.cos(step * j), math.sin(step * j), math.cos(3 * step * j), math.sin(3 * step * j))
        for j in range(size // 8)
    ]
    return [*table, (SQRT_HALF, SQRT_HALF, -SQRT_HALF, SQRT_HALF)]


def _whole_twiddles(size: int, *, outermost: bool) -> Float64:
    """Return exp(i a) and exp(3 i a), a = 2 pi j / size, for j < size / 4: (2, 3, size // 4)."""
    twiddles = np.zeros((2, 3, size // 4), np.float64)
    twiddles[:, :, 0] = NO_TURN
    if size < 8:
        return twiddles
    table = _first_eighth(size)
    if size == 16:
        c, s, _, _ = table[1]
        table[1] = c, s, s, c
    elif outermost and size >= 32:
        # fftsg's table holds every second angle; the others are means of their two neighbors,
        # (cos(a - d) + cos(a + d)) / (2 cos d).
        step = math.atan(1.0) / (size // 8)
        scale, scale_3 = 0.5 / math.cos(step), 0.5 / math.cos(3 * step)
        for j in range(1, size // 8, 2):
            c, s, c3, s3 = (a + b for a, b in zip(table[j - 1], table[j + 1], strict=True))
            table[j] = scale * c, scale * s, scale_3 * c3, scale_3 * s3
    for j in range(1, size // 8):
        c, s, c3, s3 = table[j]
        twiddles[:, :, j] = (c, s, 1), (c3, s3, 1)
        twiddles[:, :, size // 4 - j] = (s, c, 1), (-s3, -c3, 1)  # a quarter circle less the angle
    twiddles[:, :, size // 8] = EIGHTH_TURN, THREE_EIGHTHS_TURN
    return twiddles


def _half_twiddles(size: int) -> Float64:
    """Return exp(i a), exp(i b), exp(3 i a), exp(3 i b), a = pi j / size, b = a + pi / 4.

    Returns
    -------
    (4, 3, size // 4) float64, for j < size / 4.
    """
    quarter = size // 4
    twiddles = np.ones((4, 3, quarter), np.float64)
    twiddles[:, :, 0] = NO_TURN, EIGHTH_TURN, NO_TURN, THREE_EIGHTHS_TURN
    table = _first_eighth(2 * size)
    for j in range(1, quarter):
        (c, s, c3, s3), (d, t, d3, t3) = table[j], table[quarter - j]
        if 2 * j == quarter:
            twiddles[:, :2, j] = (c, s), (s, c), (s, c), (-c, -s)
        elif size == 16:
            (e, f), (g, h) = ((c3, s3), (-c, s)) if j == 1 else ((-t, d), (-s, -c))
            twiddles[:, :2, j] = (c, s), (t, d), (e, f), (g, h)
        else:
            twiddles[:, :2, j] = (c, s), (t, d), (c3, s3), (-t3, -d3)
    return twiddles


def _post_twiddles(n: int) -> Float64:
    """Return (1 - sin a) / 2, (cos a) / 2 and scale, a = pi k / n, for k < n, rounded as fftsg."""
    halves = np.ones((3, n), np.float64)
    eighth = n // 4
    for k in range(1, (n + 1) // 2):
        if k <= eighth:
            angle = math.atan(1.0) / eighth * k
            c, s = 0.5 * math.cos(angle), 0.5 * math.sin(angle)
        else:
            angle = math.atan(1.0) / eighth * (n // 2 - k)
            c, s = 0.5 * math.sin(angle), 0.5 * math.cos(angle)
        if k == eighth:
            c = s = 0.5 * SQRT_HALF
        halves[:2, k] = 0.5 - s, c
    return halves


# A complex number is a pair of float64 arrays, z[0] + i z[1]: NumPy's complex product rounds once
# less on processors with fused operations.


def _times_i(z: Float64) -> Float64:
    return np.stack((-z[1], z[0]))


def _times(z: Float64, twiddle: Float64) -> Float64:
    c, s, scale = twiddle[..., None]
    return np.asarray(scale * np.stack((c * z[0] - s * z[1], c * z[1] + s * z[0])), np.float64)


def _whole_pass(x: Float64, twiddles: Float64) -> Float64:
    """Turn whole blocks, (2, blocks, 4, quarter, T), into their four blocks, the same shape."""
    total, difference = x[:, :, 0] + x[:, :, 2], x[:, :, 0] - x[:, :, 2]
    total_2, difference_2 = x[:, :, 1] + x[:, :, 3], _times_i(x[:, :, 1] - x[:, :, 3])
    y = np.empty_like(x)
    y[:, :, 0] = total + total_2
    y[:, :, 1] = total - total_2
    y[:, :, 2], y[:, :, 3] = difference + difference_2, difference - difference_2
    if x.shape[3] > 1:
        y[:, :, 2] = _times(y[:, :, 2], twiddles[WHOLE_3])
        y[:, :, 3] = _times(y[:, :, 3], twiddles[WHOLE_4])
    return y


def _half_pass(x: Float64, twiddles: Float64) -> Float64:
    """Turn half blocks, (2, blocks, 4, quarter, T), into their four blocks, the same shape."""
    first, second = _times_i(x[:, :, 2]), _times_i(x[:, :, 3])
    first, third = x[:, :, 0] + first, x[:, :, 0] - first
    second, fourth = x[:, :, 1] + second, x[:, :, 1] - second
    a, b = _times(first, twiddles[HALF_1]), _times(second, twiddles[HALF_2])
    c, d = _times(third, twiddles[HALF_3]), _times(fourth, twiddles[HALF_4])
    return np.stack((a + b, a - b, c + d, c - d), axis=2)


def real_fft(frames: Float64) -> Float64:
    """Transform real frames, adding in the order of TensorFlow's spectrogram.

    Parameters
    ----------
    frames : (N, T) float64, a frame in each column; N a power of two from 2 on.

    Returns
    -------
    (2, N // 2 + 1, T) float64, real and imaginary parts of sum over j of x[j] exp(2 pi i j k / N):
        the conjugates of what `numpy.fft.rfft` returns.

    Raises
    ------
    ShapeError : N is not a power of two.

    >>> real_fft(np.array([[4.0], [0.0], [-4.0], [0.0]]))[0, :, 0].tolist()
    [0.0, 8.0, 0.0]
    """
    plan = fft_plan(len(frames))
    n, n_frames = len(frames) // 2, frames.shape[1]
    z = np.stack((frames[0::2], frames[1::2]))
    for size, halves, twiddles in zip(plan.sizes.tolist(), plan.halves, plan.twiddles, strict=True):
        n_blocks = n // size
        half = halves[:n_blocks].astype(bool)
        y = np.empty_like(z)
        if size == 2:
            x, out = z.reshape(2, n_blocks, 2, n_frames), y.reshape(2, n_blocks, 2, n_frames)
            second = x[:, :, 1].copy()
            second[:, half] = _times_i(second[:, half])
            out[:, :, 0], out[:, :, 1] = x[:, :, 0] + second, x[:, :, 0] - second
        else:
            shape = 2, n_blocks, 4, size // 4, n_frames
            x, out = z.reshape(shape), y.reshape(shape)
            w = twiddles[..., : size // 4]
            out[:, ~half] = _whole_pass(x[:, ~half], w)
            if half.any():
                out[:, half] = _half_pass(x[:, half], w)
        z = y
    return _split_real(z[:, plan.order], plan.post_twiddles)


def _split_real(z: Float64, post_twiddles: Float64) -> Float64:
    """Turn the transform of even + i odd samples, (2, n, T), into bins 0 … n of the real frame."""
    n = z.shape[1]
    out = np.empty((2, n + 1, z.shape[2]), np.float64)
    out[:, :n] = z
    low, high = slice(1, (n + 1) // 2), slice(n - 1, n // 2, -1)
    x = np.stack((z[0, low] - z[0, high], z[1, low] + z[1, high]))
    y = _times(x, post_twiddles[:, low])
    out[:, low] = z[:, low] - y
    out[0, high] = z[0, high] + y[0]
    out[1, high] = z[1, high] - y[1]
    out[0, 0], out[0, n] = z[0, 0] + z[1, 0], z[0, 0] - z[1, 0]
    out[1, 0], out[1, n] = 0.0, 0.0
    return out
