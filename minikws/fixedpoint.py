"""Real numbers as small integers, and the integer arithmetic of TFLite Micro, exact to the bit.

In come scales, zero points and int32 sums; out come the same integers that the C++ reference
kernels compute. A real factor becomes a Q31 `multiplier` and a `shift`; products are rounded
twice, as the double-rounding build of TFLite Micro does. The converter, the interpreter's
operators and the frontends' int8 form call this file.

Functions marked *int or array* work on Python integers and on int64 arrays alike: a single
value is several times faster as a Python integer.

Source: tensorflow/lite/kernels/internal (common.h, quantization_util.cc), gemmlowp fixedpoint.h.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from minikws._typing import Array, Float32, Int64
from minikws.errors import SettingsError, nearest

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6")

N = TypeVar("N", int, Int64)


def round_half_away(values: ArrayLike) -> Array:
    """Round to whole numbers, halves away from zero (C's `round`), as float64.

    >>> round_half_away([0.5, -0.5, 1.4, -2.5]).tolist()
    [1.0, -1.0, 1.0, -3.0]
    """
    exact = np.asarray(values, np.float64)
    return np.asarray(np.trunc(exact + np.copysign(0.5, exact)))


def quantize(
    values: ArrayLike, scale: ArrayLike, zero_point: ArrayLike, dtype: str = "int8"
) -> Array:
    """Turn real values into integers: clamp(round(values / scale) + zero_point).

    Parameters
    ----------
    values : any shape; finite.
    scale, zero_point : one of each, or arrays that broadcast against `values`.
    dtype : "int8", "uint8", "int16" or "int32".

    Returns
    -------
    same shape, dtype `dtype`; halves go away from zero, the division is done in float32.

    Source: QUANTIZE, reference_ops::AffineQuantize.

    >>> quantize([-1.0, 0.0, 0.06, 99.0], 0.1, 3).tolist()
    [-7, 3, 4, 127]
    """
    steps = np.asarray(values, np.float32) / np.asarray(scale, np.float32)
    limits = np.iinfo(dtype)
    moved = round_half_away(steps) + np.asarray(zero_point, np.float64)
    return np.asarray(np.clip(moved, limits.min, limits.max).astype(dtype))


def dequantize(integers: ArrayLike, scale: ArrayLike, zero_point: ArrayLike) -> Float32:
    """Turn integers into real values: scale * (integers - zero_point), float32, same shape.

    The product is taken in float64 and rounded once.

    Source: DEQUANTIZE, reference_ops::Dequantize.

    >>> dequantize([-128, 127], 1 / 256, -128).tolist()
    [0.0, 0.99609375]
    """
    distance = np.asarray(integers).astype(np.int64) - np.asarray(zero_point, np.int64)
    real = np.asarray(scale, np.float32).astype(np.float64) * distance
    return np.asarray(real.astype(np.float32))


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Split a real factor into (multiplier, shift): real = multiplier * 2**(shift - 31).

    `multiplier` is 0 or in [2**30, 2**31); factors below 2**-32 become (0, 0).

    Raises
    ------
    SettingsError : a negative or not finite factor.

    Source: QuantizeMultiplier, quantization_util.cc.

    >>> quantize_multiplier(0.75), quantize_multiplier(1.0)
    ((1610612736, 0), (1073741824, 1))
    """
    if not 0 <= real < math.inf:
        raise SettingsError(f"a factor of {real} cannot be a multiplier; it must be 0 or above")
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def wrap32(x: N) -> N:
    """Keep the low 32 bits as a signed number, as int32 arithmetic does; int or array."""
    return ((x + 2**31) & 0xFFFFFFFF) - 2**31


def saturate32(x: N) -> N:
    """Clamp to the range of int32; int or array."""
    if isinstance(x, int):
        return min(max(x, INT32_MIN), INT32_MAX)
    return np.clip(x, INT32_MIN, INT32_MAX)


def rounding_multiply(a: N, b: N | int) -> N:
    """Multiply two Q31 numbers: a * b / 2**31, rounded; int or array.

    TFLite nudges by +-2**30 and truncates toward zero, which equals this floor. Only
    -2**31 times itself leaves int32 and is saturated.

    Source: SaturatingRoundingDoublingHighMul, gemmlowp fixedpoint.h.
    """
    high = (a * b + 2**30) >> 31
    saturated: N = high - (high == 2**31)
    return saturated


def rounding_shift(x: N, bits: N | int) -> N:
    """Divide by 2**bits, halves away from zero; int or array, 0 <= bits <= 31.

    Source: RoundingDivideByPOT, gemmlowp fixedpoint.h.

    >>> [rounding_shift(x, 1) for x in (3, -3, 2, -2)]
    [2, -2, 1, -1]
    """
    half = (1 << bits) >> 1
    return (x + half - ((x < 0) & (bits > 0))) >> bits


def requantize(acc: N, multiplier: N | int, shift: N | int) -> N:
    """Scale int32 sums: acc * multiplier * 2**(shift - 31), rounded twice; int or array.

    Parameters
    ----------
    acc : int32 values (as int64), any shape.
    multiplier, shift : from `quantize_multiplier`; one of each, or broadcastable int64 arrays.
        A left shift wraps in int32 as the C++ code does.

    Returns
    -------
    same shape, not clamped to a smaller type.

    The first rounding takes halves up, the second takes them away from zero.

    Source: MultiplyByQuantizedMultiplier (double rounding), common.h.

    >>> [requantize(acc, *quantize_multiplier(0.5)) for acc in (3, -3)]
    [2, -1]
    >>> [requantize(acc, *quantize_multiplier(0.125)) for acc in (12, -12)]
    [2, -2]
    """
    left, right = shift * (shift > 0), -shift * (shift < 0)
    high = (wrap32(acc << left) * multiplier + 2**30) >> 31
    return rounding_shift(high, right)


def activation_range(
    activation: str, scale: float, zero_point: int, dtype: str = "int8"
) -> tuple[int, int]:
    """Return the lowest and highest integer that a fused activation lets through.

    Raises
    ------
    SettingsError : an activation that integer kernels do not know, or a scale so small that its
        limits leave int32.

    Source: CalculateActivationRangeQuantized, kernel_util.cc (the quotient is float32).

    >>> activation_range("RELU6", 0.1, -128)
    (-128, -68)
    """
    limits = np.iinfo(dtype)

    def integer_of(real: float) -> int:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            steps = float(round_half_away(np.float32(real) / np.float32(scale)))
        if not abs(steps) <= 2**31:
            raise SettingsError(
                f"the activation {activation!r} at the scale {scale:g} has limits outside of "
                "int32; use a scale above 1e-8"
            )
        return zero_point + int(steps)

    low, high = int(limits.min), int(limits.max)
    if activation == "NONE":
        return low, high
    if activation == "RELU":
        return max(low, integer_of(0.0)), high
    if activation == "RELU6":
        return max(low, integer_of(0.0)), min(high, integer_of(6.0))
    if activation == "RELU_N1_TO_1":
        return max(low, integer_of(-1.0)), min(high, integer_of(1.0))
    raise SettingsError(
        f"the activation {activation!r} has no integer form; {nearest(activation, ACTIVATIONS)}"
    )


# exp(-2**e) in Q31 for the bits e of the argument: gemmlowp multiplies those that are set.
_EXP_FACTORS = (
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)


def _exp_near_zero(a: Int64) -> Int64:
    """exp(a) for a in [-1/4, 0), Q31 in and out: a Taylor series around -1/8."""
    x = a + 2**28
    x2 = rounding_multiply(x, x)
    x3 = rounding_multiply(x2, x)
    x4 = rounding_multiply(x2, x2)
    tail = rounding_multiply(rounding_shift(x4, 2) + x3, 715827883) + x2
    return 1895147668 + rounding_multiply(x + rounding_shift(tail, 1), 1895147668)


def exp_negative(a: Array, integer_bits: int) -> Int64:
    """exp(a) for a <= 0 as fixed point with `integer_bits` integer bits, to Q31.

    Parameters
    ----------
    a : (...) int32 values, a real argument times 2**(31 - integer_bits).

    Returns
    -------
    (...) int64 in 0 .. 2**31 - 1.

    Source: exp_on_negative_values, gemmlowp fixedpoint.h.
    """
    x = np.asarray(a, np.int64)
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    near_zero = (x & (quarter - 1)) - quarter
    result = _exp_near_zero(near_zero << integer_bits)
    remainder = near_zero - x
    for exponent, factor in _EXP_FACTORS:
        if integer_bits > exponent:
            is_set = (remainder >> (fraction_bits + exponent)) & 1
            result = np.where(is_set == 1, rounding_multiply(result, factor), result)
    if integer_bits > 5:
        result = np.where(x < -(1 << (fraction_bits + 5)), 0, result)
    return np.asarray(np.where(x == 0, INT32_MAX, result), np.int64)


def one_over_one_plus(a: Any) -> Any:
    """1 / (1 + a) for a in [0, 1), Q31 in and out; int or array.

    Source: one_over_one_plus_x_for_x_in_0_1, gemmlowp fixedpoint.h.
    """
    return saturate32(_inverse_of_half(a) << 1)


def one_minus_over_one_plus(a: Any) -> Any:
    """(1 - a) / (1 + a) for a in [0, 1), Q31 in and out; int or array.

    Source: one_minus_x_over_one_plus_x_for_x_in_0_1, gemmlowp fixedpoint.h.
    """
    return saturate32((_inverse_of_half(a) - 2**29) << 2)


def _inverse_of_half(a: Any) -> Any:
    """2 / (1 + a), Q29, by three Newton steps."""
    half = (a + 2**31) >> 1  # (1 + a) / 2; never negative, so the shift truncates
    x = 1515870810 + rounding_multiply(half, -1010580540)  # 48/17 - 32/17 * half, Q29
    for _ in range(3):
        error = 2**29 - rounding_multiply(half, x)
        x = x + saturate32(rounding_multiply(x, error) << 2)
    return x
