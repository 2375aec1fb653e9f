"""kissfft in its three number types, forward and back, to the last bit.

TFLite Micro transforms sound with kissfft, compiled for 16-bit, 32-bit and floating point numbers.
In come rows of samples or of bins; out come the values that the C library stores. The steps are
the same for all three, and a `Numbers` says how each adds, multiplies and halves. A complex array
is a pair: real parts, imaginary parts.

`minikws.dsp.fft` does the 16-bit forward transform several times faster, for the frontend.

Source: kissfft 1.3.0, kiss_fft.c, kiss_fftr.c and _kiss_fft_guts.h.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

import numpy as np

from minikws._typing import Array, Float64

Pair: TypeAlias = tuple[Array, Array]


class Numbers(ABC):
    """How one number type computes."""

    dtype: str

    @abstractmethod
    def load(self, values: Array) -> Array:
        """Make values ready to compute with."""

    @abstractmethod
    def store(self, values: Array) -> Array:
        """Bring results back into the type, as a store to memory does."""

    @abstractmethod
    def phasors(self, phase: Float64) -> Pair:
        """Return cosine and sine."""

    @abstractmethod
    def multiply(self, a: Array, b: Array, c: Array, d: Array) -> Array:
        """Return a b + c d as one part of a complex product."""

    @abstractmethod
    def divide(self, values: Array, by: int) -> Array:
        """Scale down before a sum of `by` values, where the type must not overflow."""

    @abstractmethod
    def half(self, total: Array) -> Array:
        """Halve a sum."""

    def times(self, x: Pair, y: Pair) -> Pair:
        """Return the complex product."""
        return self.multiply(x[0], y[0], -x[1], y[1]), self.multiply(x[0], y[1], x[1], y[0])

    def add(self, x: Pair, y: Pair) -> Pair:
        """Return the sum."""
        return self.store(x[0] + y[0]), self.store(x[1] + y[1])

    def subtract(self, x: Pair, y: Pair) -> Pair:
        """Return the difference."""
        return self.store(x[0] - y[0]), self.store(x[1] - y[1])

    def conjugate(self, x: Pair) -> Pair:
        """Return real minus j imaginary; the lowest integer stays itself."""
        return x[0], self.store(-x[1])


class Integers(Numbers):
    """Fractions of 15 or 31 bits that wrap; products are rounded, halves up."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.dtype = f"int{bits}"
        self.one = 2 ** (bits - 1) - 1

    def load(self, values: Array) -> Array:
        """Make int64 of them."""
        return values.astype(np.int64)

    def store(self, values: Array) -> Array:
        """Wrap."""
        return values.astype(self.dtype).astype(np.int64)

    def phasors(self, phase: Float64) -> Pair:
        """Return cosine and sine times the largest number, rounded."""
        real, imaginary = (np.floor(0.5 + self.one * f(phase)) for f in (np.cos, np.sin))
        return real.astype(np.int64), imaginary.astype(np.int64)

    def multiply(self, a: Array, b: Array, c: Array, d: Array) -> Array:
        """Return the rounded sum of products."""
        return self._round(a * b + c * d)

    def divide(self, values: Array, by: int) -> Array:
        """Multiply by the fraction 1 / by, rounded."""
        return self._round(values * (self.one // by))

    def half(self, total: Array) -> Array:
        """Shift; C adds 16-bit numbers in 32 bits, so only 32-bit ones wrap before."""
        return self.store((total if self.bits == 16 else self.store(total)) >> 1)

    def _round(self, products: Array) -> Array:
        shift = self.bits - 1
        return self.store((products + (1 << (shift - 1))) >> shift)


class Floats(Numbers):
    """float32; nothing is scaled."""

    dtype = "float32"

    def load(self, values: Array) -> Array:
        """Leave them."""
        return values

    def store(self, values: Array) -> Array:
        """Leave them."""
        return values

    def phasors(self, phase: Float64) -> Pair:
        """Return cosine and sine, rounded to float32."""
        return np.cos(phase).astype(np.float32), np.sin(phase).astype(np.float32)

    def multiply(self, a: Array, b: Array, c: Array, d: Array) -> Array:
        """Return the sum of products."""
        return np.asarray(a * b + c * d)

    def divide(self, values: Array, by: int) -> Array:
        """Leave them."""
        return values

    def half(self, total: Array) -> Array:
        """Halve."""
        return np.asarray(total * np.float32(0.5))


NUMBERS: dict[str, Numbers] = {"int16": Integers(16), "int32": Integers(32), "float32": Floats()}


def real_transform(samples: Array) -> Array:
    """Transform real samples.

    Parameters
    ----------
    samples : (R, N) int16, int32 or float32; N a power of two from 4 on.

    Returns
    -------
    (R, N + 2) of the same type: real and imaginary part of N / 2 + 1 bins in turn; about the
        discrete Fourier transform, divided by N for the integers.
    """
    numbers = NUMBERS[samples.dtype.name]
    values = numbers.load(samples)
    n = samples.shape[1] // 2
    z = _complex_transform((values[:, ::2], values[:, 1::2]), numbers, -1)
    first_re, first_im = numbers.divide(z[0][:, 0], 2), numbers.divide(z[1][:, 0], 2)
    low, mirrored = _halves(z, n, numbers)
    total, difference = numbers.add(low, mirrored), numbers.subtract(low, mirrored)
    turned = numbers.times(difference, numbers.phasors(_post_phase(n, -1)))
    bins = np.zeros((len(values), n + 1, 2), values.dtype)
    k = np.arange(1, n // 2 + 1)
    bins[:, k, 0] = numbers.half(total[0] + turned[0])
    bins[:, k, 1] = numbers.half(total[1] + turned[1])
    bins[:, n - k, 0] = numbers.half(total[0] - turned[0])  # writes the middle bin again
    bins[:, n - k, 1] = numbers.half(turned[1] - total[1])
    bins[:, 0, 0] = numbers.store(first_re + first_im)
    bins[:, n, 0] = numbers.store(first_re - first_im)
    return bins.reshape(len(values), -1).astype(samples.dtype)


def inverse_transform(bins: Array) -> Array:
    """Make real samples of bins.

    Parameters
    ----------
    bins : (R, N + 2), as `real_transform` returns.

    Returns
    -------
    (R, N) of the same type: the inverse transform times N / 2 for float32, and divided by 2 for
        the integers.
    """
    numbers = NUMBERS[bins.dtype.name]
    values = numbers.load(bins)
    n = bins.shape[1] // 2 - 1
    re, im = values[:, ::2], values[:, 1::2]
    low, mirrored = _halves((re, im), n, numbers)
    total, difference = numbers.add(low, mirrored), numbers.subtract(low, mirrored)
    turned = numbers.times(difference, numbers.phasors(_post_phase(n, 1)))
    upper = numbers.conjugate(numbers.subtract(total, turned))
    lower = numbers.add(total, turned)
    z = np.zeros((2, len(values), n), values.dtype)
    k = np.arange(1, n // 2 + 1)
    for part in range(2):
        z[part][:, k] = lower[part]
        z[part][:, n - k] = upper[part]
    z[0][:, 0] = numbers.divide(numbers.store(re[:, 0] + re[:, n]), 2)
    z[1][:, 0] = numbers.divide(numbers.store(re[:, 0] - re[:, n]), 2)
    out = _complex_transform((z[0], z[1]), numbers, 1)
    return np.stack(out, axis=-1).reshape(len(values), -1).astype(bins.dtype)


def _post_phase(n: int, sign: int) -> Float64:
    return sign * np.pi * (np.arange(1, n // 2 + 1) / n + 0.5)


def _halves(z: Pair, n: int, numbers: Numbers) -> tuple[Pair, Pair]:
    """Return the values 1 … n / 2, and the conjugates of those that mirror them, scaled down."""
    k = np.arange(1, n // 2 + 1)
    mirrored = numbers.conjugate((z[0][:, n - k], z[1][:, n - k]))
    low = numbers.divide(z[0][:, k], 2), numbers.divide(z[1][:, k], 2)
    return low, (numbers.divide(mirrored[0], 2), numbers.divide(mirrored[1], 2))


def _complex_transform(z: Pair, numbers: Numbers, sign: int) -> Pair:
    """(R, n) -> (R, n): sum over j of z[j] exp(sign 2 pi i j k / n), fours and a last two."""
    n_rows, n = z[0].shape
    if n == 1:
        return z
    radix = 4 if n % 4 == 0 else 2
    m = n // radix

    def split(part: Array) -> Array:
        return part.reshape(n_rows, m, radix).swapaxes(1, 2).reshape(-1, m)

    parts = _complex_transform((split(z[0]), split(z[1])), numbers, sign)
    re, im = (numbers.divide(part.reshape(n_rows, radix, m), radix) for part in parts)
    turns = np.arange(1, radix)[:, None] * np.arange(m) / n
    turned = numbers.times((re[:, 1:], im[:, 1:]), numbers.phasors(sign * 2 * np.pi * turns))
    first = re[:, 0], im[:, 0]
    if radix == 2:
        second = turned[0][:, 0], turned[1][:, 0]
        outputs = [numbers.add(first, second), numbers.subtract(first, second)]
    else:
        a, b, c = ((turned[0][:, j], turned[1][:, j]) for j in range(3))
        even, odd = numbers.add(first, b), numbers.subtract(first, b)
        total, across = numbers.add(a, c), numbers.subtract(a, c)
        quarter = -sign * across[1], sign * across[0]  # a quarter of a circle on
        outputs = [
            numbers.add(even, total),
            numbers.add(odd, quarter),
            numbers.subtract(even, total),
            numbers.subtract(odd, quarter),
        ]
    return (
        np.concatenate([output[0] for output in outputs], axis=1),
        np.concatenate([output[1] for output in outputs], axis=1),
    )
