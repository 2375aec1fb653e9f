"""QUANTIZE and DEQUANTIZE: real values to integers, integers to another scale, and back.

Source: quantize_common.cc, dequantize_common.cc of TFLite Micro.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws.fixedpoint import quantize_multiplier, requantize, round_half_away
from minikws.runtime.node import Inputs, Node, Outputs

REQUANTIZES = {  # input type -> output types
    "int8": ("int8", "uint8", "int16", "int32"),
    "uint8": ("int8",),
    "int16": ("int8", "int16", "int32"),
    "int32": ("int8", "int16"),
}


@dataclass(frozen=True)
class State:
    """Zero points in and out, the output's scale (float input) or the factor (integer input)."""

    dtype: str
    zero_in: int
    zero_out: int
    scale: float
    factor: tuple[int, int] | None


def prepare(node: Node) -> State:
    """Check the tensors of a QUANTIZE.

    Raises
    ------
    ModelFileError : a pair of types that TFLite Micro does not know, other shapes.
    """
    node.expect_counts((1,), 1)
    x, y = node.input(0, "input"), node.outputs[0]
    known = ("int8", "int16") if x.dtype == "float32" else REQUANTIZES.get(x.dtype, ())
    node.expect(
        y.dtype in known,
        f"turns {x.dtype} into {y.dtype}, expected {' or '.join(known) or 'float32 or integers'}",
    )
    node.expect(x.shape == y.shape, f"turns the shape {x.shape} into {y.shape}")
    scale, zero_out = node.scale(y, "output"), y.zero_point[0]
    if x.dtype == "float32":
        return State(y.dtype, 0, zero_out, scale, None)
    factor = quantize_multiplier(node.scale(x, "input") / scale)
    node.expect(factor[1] <= 30, "scales its input by more than 2**30")
    return State(y.dtype, x.zero_point[0], zero_out, scale, factor)


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(...) -> (...) integers, clamped to the output's type."""
    x = inputs[0]
    assert x is not None
    limits = np.iinfo(state.dtype)
    if state.factor is None:
        values = round_half_away(x / np.float32(state.scale)) + state.zero_out
    else:
        values = requantize(x.astype(np.int64) - state.zero_in, *state.factor) + state.zero_out
    return (np.clip(values, limits.min, limits.max).astype(state.dtype),)


def prepare_dequantize(node: Node) -> tuple[float, int]:
    """Check the tensors of a DEQUANTIZE; return scale and zero point."""
    node.expect_counts((1,), 1)
    x, y = node.input(0, "input"), node.outputs[0]
    node.expect(
        x.dtype in ("int8", "uint8", "int16") and y.dtype == "float32",
        f"turns {x.dtype} into {y.dtype}, expected int8, uint8 or int16 into float32",
    )
    node.expect(x.shape == y.shape, f"turns the shape {x.shape} into {y.shape}")
    return node.scale(x, "input"), x.zero_point[0]


def evaluate_dequantize(state: tuple[float, int], inputs: Inputs) -> Outputs:
    """(...) integers -> (...) float32, scale * (integer - zero point)."""
    x = inputs[0]
    assert x is not None
    scale, zero_point = state
    return ((scale * (x.astype(np.float64) - zero_point)).astype(np.float32),)
