"""The int16 real FFT of microcontrollers: scaled frames come in, N/2 + 1 integer bins go out.

kissfft's fixed-point arithmetic to the last bit. Integers are held in complex128, where every
product and sum below is exact, so the code reads like the formulas; what makes it fixed-point are
`_round` (a Q15 product is rounded, halves up) and `_wrap` (a sum that leaves int16 comes back in at
the other end). Each stage scales by about 1/radix, so the whole is about DFT / N.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minikws._typing import Int16, Int32
from minikws.errors import ShapeError

Complex = NDArray[np.complex128]

Q15 = 32768.0
HALF = 16383 / Q15  # 32767 // 2: kissfft divides by two and by four with a rounded Q15 product
QUARTER = 8191 / Q15  # 32767 // 4

# Matrices of the transforms of two and of four values; their products are exact too.
SMALL_DFT = {
    2: np.array([[1, 1], [1, -1]], np.complex128),
    4: np.array([[1, 1, 1, 1], [1, -1j, -1, 1j], [1, -1, 1, -1], [1, 1j, -1, -1j]]),
}


class FftTables(NamedTuple):
    """What the transform of one size needs, as integers.

    order : (n,) int32, where each complex input comes from (mixed-radix digit reversal).
    twiddles : (2, n) int32, real and imaginary parts of exp(-2 pi j i / n) * 32767.
    post_twiddles : (2, n // 2) int32, those of exp(-pi j ((i + 1) / n + 1/2)) * 32767.
    """

    order: Int32
    twiddles: Int32
    post_twiddles: Int32


def radices(n: int) -> list[int]:
    """Return the factors of n = 2**k, outermost first: fours as long as they divide, then a two.

    >>> radices(256), radices(128)
    ([4, 4, 4, 4], [4, 4, 4, 2])
    """
    factors = []
    while n > 1:
        factors.append(4 if n % 4 == 0 else 2)
        n //= factors[-1]
    return factors


@lru_cache(maxsize=16)
def fft_tables(fft_size: int) -> FftTables:
    """Return the tables of a real transform of `fft_size` = 2n samples, a power of two, 4 or more.

    Source: kissfft 1.3.0, kiss_fft.c (kiss_fft_alloc, kf_factor) and kiss_fftr.c.

    Raises
    ------
    ShapeError : not a power of two, or below 4.
    """
    if fft_size < 4 or fft_size & (fft_size - 1):
        raise ShapeError(
            f"expected an FFT size that is a power of two from 4 on, found {fft_size}; "
            "pad the frames with zeros to 512"
        )
    n = fft_size // 2
    order = np.zeros(1, np.int32)
    for radix in reversed(radices(n)):
        order = np.concatenate([j + radix * order for j in range(radix)])
    return FftTables(
        order.astype(np.int32),
        _q15_phasors(-2 * np.pi * np.arange(n) / n),
        _q15_phasors(-np.pi * (np.arange(1, n // 2 + 1) / n + 0.5)),
    )


def _q15_phasors(phase: NDArray[np.float64]) -> Int32:
    return np.floor(0.5 + 32767 * np.stack((np.cos(phase), np.sin(phase)))).astype(np.int32)


class _Stage(NamedTuple):
    """One pass: n / radix butterflies on the results of the passes before, `block` values each."""

    radix: int
    block: int
    scale: float
    twiddles: Complex  # (radix - 1, n // radix), divided by 2**15


@lru_cache(maxsize=16)
def _plan(fft_size: int) -> tuple[list[_Stage], Complex]:
    """Return the stages, innermost first, and the post twiddles, divided by 2**15."""
    tables = fft_tables(fft_size)
    phasors = (tables.twiddles[0] + 1j * tables.twiddles[1]) / Q15
    stages: list[_Stage] = []
    n = block = fft_size // 2
    for radix in radices(n):
        n_groups = n // block
        block //= radix
        steps = np.arange(1, radix)[:, None] * np.arange(block) * n_groups
        scale = QUARTER if radix == 4 else HALF
        stages.append(_Stage(radix, block, scale, np.tile(phasors[steps], n_groups)))
    return stages[::-1], (tables.post_twiddles[0] + 1j * tables.post_twiddles[1]) / Q15


def _round(product: Complex) -> Complex:
    """Round both parts to integers in place, halves up."""
    parts = product.view(np.float64)
    parts += 0.5
    np.floor(parts, out=parts)
    return product


def _wrap(total: Complex) -> Complex:
    """Return a copy with both parts brought back into int16, as a store to int16 does."""
    parts = total.view(np.float64).astype(np.int32, order="C").astype(np.int16)
    return parts.astype(np.float64).view(np.complex128)


def real_fft(samples: Int16) -> Complex:
    """Transform frames as kissfft does in 16-bit fixed point.

    Parameters
    ----------
    samples : (..., N) int16, N a power of two from 4 on.

    Returns
    -------
    (..., N // 2 + 1) complex128 holding int16 values, about the discrete Fourier transform / N.

    Raises
    ------
    ShapeError : N is not a power of two.

    Source: kissfft 1.3.0 with FIXED_POINT=16, kiss_fft.c and kiss_fftr.c.

    >>> real_fft(np.array([400, 0, -400, 0], np.int16)).tolist()
    [0j, (200+0j), 0j]
    """
    stages, post_twiddles = _plan(samples.shape[-1])
    n = samples.shape[-1] // 2
    values = samples.astype(np.float64, order="C").reshape(-1, 2 * n)
    f = values.view(np.complex128)  # (T, n): even samples are the real parts, odd the imaginary
    for stage in stages:
        inputs = _round(f.reshape(-1, stage.radix, n // stage.radix) * stage.scale)
        _round(np.multiply(inputs[:, 1:], stage.twiddles, out=inputs[:, 1:]))
        outputs = SMALL_DFT[stage.radix] @ inputs
        # The leading digit of the index was the one to sum over; the results go behind the other
        # groups, next to their own block, and so the order comes out right at the end.
        outputs = outputs.reshape(-1, stage.radix, n // stage.radix // stage.block, stage.block)
        f = _wrap(outputs.swapaxes(1, 2)).reshape(-1, n)
    return _split_real(f, post_twiddles).reshape(*samples.shape[:-1], n + 1)


def _split_real(f: Complex, post_twiddles: Complex) -> Complex:
    """Turn the transform of even + j odd samples, (T, n), into the real one's bins, (T, n + 1)."""
    n = f.shape[1]
    out = np.empty((len(f), n + 1), np.complex128)
    mirrored = np.ascontiguousarray(f[:, : n // 2 - 1 : -1])  # bins n - 1 … n / 2
    mirrored = _wrap(np.conj(mirrored))  # -(-32768) does not fit
    halved = _round(f[:, : n // 2 + 1] * HALF)
    first, a, b = halved[:, 0], halved[:, 1:], _round(mirrored * HALF)
    total, difference = a + b, a - b
    turned = _wrap(_round(difference * post_twiddles))
    upper = _floor(np.conj(total - turned) * complex(0.5))
    out[:, 1 : n // 2 + 1] = _floor((total + turned) * 0.5)
    out[:, n // 2 : n] = upper[:, ::-1]  # kissfft writes the middle bin twice
    out[:, 0] = first.real + first.imag
    out[:, n] = first.real - first.imag
    return out


def _floor(values: Complex) -> Complex:
    parts = values.view(np.float64)
    np.floor(parts, out=parts)
    return values
