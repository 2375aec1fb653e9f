"""MUL: the product of two tensors, broadcast as NumPy does, int8 or float32.

Source: reference_integer_ops::Mul, MulPrepare of TFLite Micro.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws.fixedpoint import quantize_multiplier, requantize
from minikws.runtime.broadcast import BinaryNode
from minikws.runtime.node import Inputs, Node, Outputs


@dataclass(frozen=True)
class State:
    """The clamp, and for int8 the factor of the product."""

    binary: BinaryNode
    factor: tuple[int, int] | None


def prepare(node: Node) -> State:
    """Check the tensors and compute the factor."""
    binary = BinaryNode.of(node)
    if binary.dtype == "float32":
        return State(binary, None)
    first, second, out = binary.scales
    return State(binary, quantize_multiplier(first * second / out))


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(...), (...) -> their broadcast product."""
    x1, x2 = inputs
    assert x1 is not None and x2 is not None
    if state.factor is None:
        return (state.binary.clamped(x1 * x2),)
    z1, z2, zero_point = state.binary.zero_points
    products = (x1.astype(np.int64) - z1) * (x2.astype(np.int64) - z2)
    return (state.binary.clamped(requantize(products, *state.factor) + zero_point),)
