"""SOFTMAX along the last axis: shares of 1, in int8 or uint8 (1/256 a step) or float32.

The exponential depends only on how far a value lies below the row's largest, one of 256
distances: a table made once holds them all. What is left for each row is one reciprocal.

Source: reference_ops::Softmax (the form without a lookup table), PreprocessSoftmaxScaling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minikws._typing import Array, Int64
from minikws.fixedpoint import (
    exp_negative,
    one_over_one_plus,
    quantize_multiplier,
    rounding_multiply,
    rounding_shift,
    wrap32,
)
from minikws.runtime.node import Inputs, Node, Outputs

_INTEGER_BITS = 5  # of the scaled distances
_SUM_BITS = 12  # of the sum of exponentials
_MAX_ROW = 4095  # values, whose exponentials' sum stays within int32
_FEW = 64  # values, below which Python integers are faster


@dataclass(frozen=True)
class State:
    """The exponential of each distance 0 to 255 below the largest, Q31; beta for float32.

    low, high : of the integers, whose type is `dtype`.
    """

    exponentials: list[int] | None
    beta: float
    dtype: str = "float32"
    low: int = 0
    high: int = 0


def prepare(node: Node) -> State:
    """Check the tensors and compute the table.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: other types, an output that is not scaled by
        1/256 from its type's lowest integer.
    """
    node.expect_counts((1,), 1)
    x, y = node.input(0, "input"), node.outputs[0]
    beta = node.options["beta"]
    assert isinstance(beta, float | int)
    node.expect(
        x.dtype == y.dtype and x.dtype in ("int8", "uint8", "float32"),
        f"turns {x.dtype} into {y.dtype}, expected int8, uint8 or float32 on both sides",
    )
    node.expect(
        x.shape == y.shape and len(x.shape) >= 1 and x.shape[-1] >= 1,
        f"turns the shape {x.shape} into {y.shape}, expected the same",
    )
    node.expect(math.isfinite(beta), f"has beta {beta}, expected a finite number")
    if x.dtype == "float32":
        return State(None, float(beta))
    limits = np.iinfo(y.dtype)
    low, high = int(limits.min), int(limits.max)
    node.expect(
        y.scale == (1 / 256,) and y.zero_point == (low,),
        f"has an output scale of {y.scale} and zero point of {y.zero_point}, expected 1/256 and "
        f"{low}",
    )
    node.expect(
        x.shape[-1] <= _MAX_ROW, f"has rows of {x.shape[-1]} values, expected up to {_MAX_ROW}"
    )
    factor = min(beta * node.scale(x, "input") * 2 ** (31 - _INTEGER_BITS), 2**31 - 1)
    node.expect(
        factor > 1, f"has beta {beta:g} at an input scale of {x.scale[0]:g}, which is too small"
    )
    multiplier, shift = quantize_multiplier(factor)
    distances = -np.arange(256, dtype=np.int64)
    lowest = -math.floor(((1 << _INTEGER_BITS) - 1) * 2 ** (31 - _INTEGER_BITS) / 2**shift)
    scaled = rounding_multiply(wrap32(np.maximum(distances, lowest) << shift), multiplier)
    table = np.where(distances < lowest, 0, exp_negative(scaled, _INTEGER_BITS))
    return State(table.tolist(), float(beta), y.dtype, low, high)


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(..., L) -> (..., L)."""
    x = inputs[0]
    assert x is not None
    if state.exponentials is None:
        powers = np.exp((x - x.max(-1, keepdims=True)) * np.float32(state.beta))
        return (np.asarray(powers / powers.sum(-1, keepdims=True), np.float32),)
    if x.size > _FEW:
        return (_many(x.astype(np.int64), state),)
    rows = [
        [min(share + state.low, state.high) for share in _row(row, state.exponentials)]
        for row in x.reshape(-1, x.shape[-1]).tolist()
    ]
    return (np.array(rows, state.dtype).reshape(x.shape),)


def _row(row: list[int], exponentials: list[int]) -> list[int]:
    """One row of integers -> its shares of 256; a few labels go faster as Python integers."""
    largest = max(row)
    powers = [exponentials[largest - value] for value in row]
    scale, shift = _reciprocal(sum(rounding_shift(power, _SUM_BITS) for power in powers))
    return [rounding_shift(rounding_multiply(scale, power), shift) for power in powers]


def _many(x: Int64, state: State) -> Array:
    """(..., L) -> (..., L): the same for many rows at once."""
    powers = np.array(state.exponentials, np.int64)[x.max(-1, keepdims=True) - x]
    totals = rounding_shift(powers, _SUM_BITS).sum(-1, keepdims=True)
    headroom = 32 - np.frexp(totals)[1].astype(np.int64)  # an exponent is a bit length
    scales = one_over_one_plus(wrap32((totals << headroom) - 2**31))
    shares = rounding_shift(rounding_multiply(scales, powers), _SUM_BITS - headroom + 31 - 8)
    return np.asarray(np.minimum(shares + state.low, state.high).astype(state.dtype))


def _reciprocal(total: int) -> tuple[int, int]:
    """1 / total as (Q31 factor, right shift to 8 bits): total is scaled to 1 <= t < 2 first."""
    headroom = 32 - total.bit_length()
    scale = one_over_one_plus(wrap32((total << headroom) - 2**31))
    return scale, _SUM_BITS - headroom + 31 - 8
