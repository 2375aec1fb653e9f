"""ADD and SUB: two tensors, broadcast as NumPy does, int8 or float32.

Both inputs are brought to one fine scale, twice the larger one, with 20 bits to spare; the sum
is scaled to the output.

Source: reference_integer_ops::Add, CalculateOpDataAdd of TFLite Micro.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws._typing import Array, Int64
from minikws.fixedpoint import quantize_multiplier, requantize
from minikws.runtime.broadcast import BinaryNode
from minikws.runtime.node import Inputs, Node, Outputs

LEFT_SHIFT = 20


@dataclass(frozen=True)
class State:
    """The clamp, and for int8 the factors of both inputs and of the output."""

    binary: BinaryNode
    factors: tuple[tuple[int, int], ...]
    sign: int


def prepare_add(node: Node) -> State:
    """Check the tensors and compute the factors of a sum."""
    return _prepare(node, 1)


def prepare_sub(node: Node) -> State:
    """Check the tensors and compute the factors of a difference."""
    return _prepare(node, -1)


def _prepare(node: Node, sign: int) -> State:
    binary = BinaryNode.of(node)
    if binary.dtype == "float32":
        return State(binary, (), sign)
    first, second, out = binary.scales
    twice = 2 * max(first, second)
    ratios = first / twice, second / twice, twice / (2**LEFT_SHIFT * out)
    node.expect(ratios[2] < 1, f"scales its sum by {ratios[2]:g}, expected less than 1")
    return State(binary, tuple(quantize_multiplier(ratio) for ratio in ratios), sign)


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(...), (...) -> their broadcast sum or difference."""
    x1, x2 = inputs
    assert x1 is not None and x2 is not None
    binary = state.binary
    if not state.factors:
        return (binary.clamped(x1 + x2 if state.sign > 0 else x1 - x2),)
    first, second, out = state.factors
    z1, z2, zero_point = binary.zero_points

    def fine(x: Array, zero: int, factor: tuple[int, int]) -> Int64:
        return requantize((x.astype(np.int64) - zero) << LEFT_SHIFT, *factor)

    total = fine(x1, z1, first) + state.sign * fine(x2, z2, second)
    return (binary.clamped(requantize(total, *out) + zero_point),)
