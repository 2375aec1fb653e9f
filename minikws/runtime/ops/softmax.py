"""SOFTMAX along the last axis: shares of 1, in int8 (1/256 a step, from -128) or float32.

The exponential depends only on how far a value lies below the row's largest, one of 256
distances: a table made once holds them all. What is left for each row is one reciprocal.

Source: reference_ops::Softmax (the form without a lookup table), PreprocessSoftmaxScaling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

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


@dataclass(frozen=True)
class State:
    """The exponential of each distance 0 to 255 below the largest, Q31; beta for float32."""

    exponentials: list[int] | None
    beta: float


def prepare(node: Node) -> State:
    """Check the tensors and compute the table.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: other types, an int8 output that is not
        scaled by 1/256 from -128.
    """
    node.expect_counts((1,), 1)
    x, y = node.input(0, "input"), node.outputs[0]
    beta = node.options["beta"]
    assert isinstance(beta, float | int)
    node.expect(
        x.dtype == y.dtype and x.dtype in ("int8", "float32"),
        f"turns {x.dtype} into {y.dtype}, expected int8 or float32 on both sides",
    )
    node.expect(
        x.shape == y.shape and len(x.shape) >= 1 and x.shape[-1] >= 1,
        f"turns the shape {x.shape} into {y.shape}, expected the same",
    )
    node.expect(math.isfinite(beta), f"has beta {beta}, expected a finite number")
    if x.dtype == "float32":
        return State(None, float(beta))
    node.expect(
        y.scale == (1 / 256,) and y.zero_point == (-128,),
        f"has an output scale of {y.scale} and zero point of {y.zero_point}, expected 1/256 and "
        "-128",
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
    return State(table.tolist(), float(beta))


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(..., L) -> (..., L)."""
    x = inputs[0]
    assert x is not None
    if state.exponentials is None:
        powers = np.exp((x - x.max(-1, keepdims=True)) * np.float32(state.beta))
        return (np.asarray(powers / powers.sum(-1, keepdims=True), np.float32),)
    rows = [_row(row, state.exponentials) for row in x.reshape(-1, x.shape[-1]).tolist()]
    return (np.array(rows, np.int8).reshape(x.shape),)


def _row(row: list[int], exponentials: list[int]) -> list[int]:
    """One row of int8 values -> its shares; a few labels go faster as Python integers."""
    largest = max(row)
    powers = [exponentials[largest - value] for value in row]
    scale, shift = _reciprocal(sum(rounding_shift(power, _SUM_BITS) for power in powers))
    shares = [rounding_shift(rounding_multiply(scale, power), shift) for power in powers]
    return [min(max(share - 128, -128), 127) for share in shares]


def _reciprocal(total: int) -> tuple[int, int]:
    """1 / total as (Q31 factor, right shift to 8 bits): total is scaled to 1 <= t < 2 first."""
    headroom = 32 - total.bit_length()
    scale = one_over_one_plus(wrap32((total << headroom) - 2**31))
    return scale, _SUM_BITS - headroom + 31 - 8
