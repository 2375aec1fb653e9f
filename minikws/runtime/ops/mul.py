"""MUL: the product of two tensors, broadcast; int8 or int16 with scales, int32, float32.

int32 are plain numbers that wrap; scales that they may have are not looked at.

Source: reference_integer_ops::Mul, CalculateOpDataMul of TFLite Micro.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws.fixedpoint import quantize_multiplier, requantize
from minikws.runtime.broadcast import BinaryNode
from minikws.runtime.node import Inputs, Node, Outputs

DTYPES = ("int8", "int16", "int32", "float32")


@dataclass(frozen=True)
class State:
    """The clamp, and where there are scales the factor of the product."""

    binary: BinaryNode
    factor: tuple[int, int] | None


def prepare(node: Node) -> State:
    """Check the tensors and compute the factor.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: other types or shapes, int16 with a zero point.
    """
    binary = BinaryNode.of(node, DTYPES)
    if not binary.scales:
        return State(binary, None)
    if binary.dtype == "int16":
        node.expect(not any(binary.zero_points), f"has the zero points {binary.zero_points}")
    first, second, out = binary.scales
    factor = quantize_multiplier(node.ratio(first, second, over=out))
    node.expect(factor[1] <= 30, "scales its products by more than 2**30")
    return State(binary, factor)


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(...), (...) -> their broadcast product."""
    x1, x2 = inputs
    assert x1 is not None and x2 is not None
    if state.binary.dtype == "float32":
        with np.errstate(over="ignore", invalid="ignore"):
            return (state.binary.clamped(x1 * x2),)
    if state.factor is None:
        return (state.binary.clamped(x1.astype(np.int64) * x2.astype(np.int64)),)
    z1, z2, zero_point = state.binary.zero_points
    products = (x1.astype(np.int64) - z1) * (x2.astype(np.int64) - z2)
    return (state.binary.clamped(requantize(products, *state.factor) + zero_point),)
