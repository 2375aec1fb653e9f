"""ADD and SUB: two tensors, broadcast as NumPy does; int8 or int16 with scales, int32, float32.

Both inputs with scales are brought to one fine scale, twice the larger one, with 20 bits to
spare (15 for int16); the sum is scaled to the output. int32 are plain numbers that wrap; their
sum, unlike their difference, does not look at the fused activation.

Source: reference_integer_ops::Add, CalculateOpDataAdd, CalculateOpDataSub of TFLite Micro.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws._typing import Array, Int64
from minikws.fixedpoint import INT32_MAX, INT32_MIN, quantize_multiplier, requantize
from minikws.runtime.broadcast import BinaryNode, expect_plain
from minikws.runtime.node import Inputs, Node, Outputs

DTYPES = ("int8", "int16", "int32", "float32")
LEFT_SHIFTS = {"int8": 20, "int16": 15}


@dataclass(frozen=True)
class State:
    """The clamp, and where there are scales the factors of both inputs and of the output."""

    binary: BinaryNode
    factors: tuple[tuple[int, int], ...]
    sign: int


def prepare_add(node: Node) -> State:
    """Check the tensors and compute the factors of a sum.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: other types or shapes, int32 inputs with scales.
    """
    state = _prepare(node, 1)
    expect_plain(node, (node.input(0, "first input"), node.input(1, "second input")))
    if state.binary.dtype == "int32":
        return State(BinaryNode("int32", (), (), INT32_MIN, INT32_MAX), (), 1)
    return state


def prepare_sub(node: Node) -> State:
    """Check the tensors and compute the factors of a difference.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: other types or shapes, int32 with scales.
    """
    state = _prepare(node, -1)
    expect_plain(
        node, (node.input(0, "first input"), node.input(1, "second input"), node.outputs[0])
    )
    return state


def _prepare(node: Node, sign: int) -> State:
    binary = BinaryNode.of(node, DTYPES)
    if not binary.scales:
        return State(binary, (), sign)
    first, second, out = binary.scales
    twice = 2 * max(first, second)
    ratios = first / twice, second / twice, twice / (2 ** LEFT_SHIFTS[binary.dtype] * out)
    node.expect(ratios[2] < 1, f"scales its sum by {ratios[2]:g}, expected less than 1")
    return State(binary, tuple(quantize_multiplier(ratio) for ratio in ratios), sign)


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(...), (...) -> their broadcast sum or difference."""
    x1, x2 = inputs
    assert x1 is not None and x2 is not None
    binary = state.binary
    if not state.factors:
        if binary.dtype == "int32":
            x1, x2 = x1.astype(np.int64), x2.astype(np.int64)
        with np.errstate(over="ignore", invalid="ignore"):
            return (binary.clamped(x1 + x2 if state.sign > 0 else x1 - x2),)
    first, second, out = state.factors
    z1, z2, zero_point = binary.zero_points
    left_shift = LEFT_SHIFTS[binary.dtype]

    def fine(x: Array, zero: int, factor: tuple[int, int]) -> Int64:
        return requantize((x.astype(np.int64) - zero) << left_shift, *factor)

    total = fine(x1, z1, first) + state.sign * fine(x2, z2, second)
    return (binary.clamped(requantize(total, *out) + zero_point),)
