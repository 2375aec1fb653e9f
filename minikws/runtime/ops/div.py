"""DIV: the quotient of two tensors, broadcast; int8 with scales, int32, float32.

int32 are plain numbers, and the quotient is cut toward zero. int8 are divided by a reciprocal
in fixed point: 1 / x2 in Q31 by three Newton steps, times x1 moved up as far as it goes, then
scaled to the output.

Source: div.cc of TFLite Micro; reference_ops::DivElementwise, GetReciprocal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws._typing import Int64
from minikws.errors import ModelFileError
from minikws.fixedpoint import (
    INT32_MIN,
    one_over_one_plus,
    quantize_multiplier,
    rounding_multiply,
    wrap32,
)
from minikws.runtime.broadcast import BinaryNode, expect_plain
from minikws.runtime.node import Inputs, Node, Outputs

DTYPES = ("int8", "int32", "float32")
RECIPROCAL_OF_0 = -1515870788  # in int8; what the Newton steps, wrapped to int32, come to


@dataclass(frozen=True)
class State:
    """The clamp, for int8 the factor of the quotient, and how messages name the operator."""

    binary: BinaryNode
    factor: tuple[int, int] | None
    what: str


def prepare(node: Node) -> State:
    """Check the tensors and compute the factor.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: other types or shapes, int32 inputs with scales.
    """
    binary = BinaryNode.of(node, DTYPES)
    expect_plain(node, (node.input(0, "first input"), node.input(1, "second input")))
    if not binary.scales:
        return State(binary, None, node.what)
    first, second, out = binary.scales
    return State(binary, quantize_multiplier(first / (second * out)), node.what)


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(...), (...) -> their broadcast quotient.

    Raises
    ------
    ModelFileError : whole numbers divided by 0, or -2**31 by -1; TFLite Micro fails here, too.
    """
    x1, x2 = inputs
    assert x1 is not None and x2 is not None
    binary = state.binary
    if binary.dtype == "float32":
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return (binary.clamped(np.divide(x1, x2)),)
    if state.factor is None:
        return (binary.clamped(_whole_quotient(x1.astype(np.int64), x2.astype(np.int64), state)),)
    z1, z2, zero_point = binary.zero_points
    centered = x1.astype(np.int64) - z1, x2.astype(np.int64) - z2
    return (binary.clamped(_scaled_quotient(*centered, state.factor) + zero_point),)


def _whole_quotient(x1: Int64, x2: Int64, state: State) -> Int64:
    fails = (x2 == 0) | ((x1 == INT32_MIN) & (x2 == -1))
    if fails.any():
        divisor = 0 if not x2.all() else -1
        raise ModelFileError(
            f"{state.what} divides by {divisor} what cannot be divided by it; "
            "check the values that reach its second input"
        )
    quotient: Int64 = np.sign(x1) * np.sign(x2) * (np.abs(x1) // np.abs(x2))
    return quotient


def _scaled_quotient(x1: Int64, x2: Int64, factor: tuple[int, int]) -> Int64:
    multiplier, shift = factor
    x1 = np.where(x2 < 0, -x1, x1)
    x2 = np.abs(x2)
    up = 32 - _bit_length(x2)  # x2 << up has its highest bit at 2**31
    reciprocal = one_over_one_plus((x2 << up) - 2**31)
    reciprocal = np.where(x2 == 0, RECIPROCAL_OF_0, reciprocal)
    headroom = 31 - _bit_length(np.where(x1 < 0, -x1 - 1, x1))  # -2**n has one bit fewer
    quotient = rounding_multiply(x1 << headroom, reciprocal)
    scaled: Int64 = rounding_multiply(quotient, multiplier)
    return _shift_down(scaled, headroom + 31 - up - shift)


def _shift_down(x: Int64, bits: Int64) -> Int64:
    """Divide by 2**bits, rounded; outside of 0 to 31 as a processor with 32-bit registers does.

    C++ leaves such shifts open; TFLite Micro comes to them where a quotient is far below one
    step of the output or far above all, which may then be any value.
    """
    mask = wrap32(((1 << (bits & 63)) - 1) & 0xFFFFFFFF)
    remainder = x & mask
    threshold = (mask >> 1) + (x < 0)
    shifted: Int64 = (x >> (bits & 31)) + (remainder > threshold)
    return shifted


def _bit_length(x: Int64) -> Int64:
    return np.asarray(np.frexp(x.astype(np.float64))[1], np.int64)
