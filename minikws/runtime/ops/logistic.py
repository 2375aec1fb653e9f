"""LOGISTIC: 1 / (1 + exp(-x)); int8 outputs are 1/256 a step from -128, whatever the file says.

uint8 is computed in real numbers and stored as the file says.

Source: reference_integer_ops::Logistic, CalculateArithmeticOpDataLogistic of TFLite Micro.
"""

from __future__ import annotations

import math

import numpy as np

from minikws._typing import Array, Int64
from minikws.fixedpoint import (
    exp_negative,
    one_over_one_plus,
    requantize,
    round_half_away,
    rounding_shift,
)
from minikws.runtime.node import Node
from minikws.runtime.ops.table import INT8_VALUES, State, as_table, checked_dtype, real_table

INTEGER_BITS = 4  # of the scaled input
_ONE = 2**31 - 1


def prepare(node: Node) -> State:
    """Check the tensors and fill the table.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: other types, an int8 output whose zero point is
        not -128.
    """
    if checked_dtype(node) == "float32":
        return State(None, _real)
    if node.is_moved:
        scale = node.scale(node.outputs[0], "output")
        node.expect(scale == 1 / 256, f"has the output's scale {scale:g}, expected 1/256")
        return State(real_table(node, _exactly), _real)
    zero_point = node.zero_point(node.outputs[0], "output")
    node.expect(zero_point == -128, f"has the output's zero point {zero_point}, expected -128")
    scaled, is_far = scaled_inputs(node)
    above = one_over_one_plus(exp_negative(-np.abs(scaled), INTEGER_BITS))
    shares = np.select([scaled > 0, scaled < 0], [above, _ONE - above], 2**30)
    values = rounding_shift(shares, 23) - 128
    return State(as_table(np.select([is_far > 0, is_far < 0], [127, -128], values)), _real)


def scaled_inputs(node: Node) -> tuple[Int64, Int64]:
    """Return the 256 inputs in Q4.27, and -1 or 1 where they lie beyond what that holds."""
    x = node.input(0, "input")
    mantissa, exponent = math.frexp(node.scale(x, "input") * 2.0 ** (31 - INTEGER_BITS))
    multiplier = int(round_half_away(mantissa * 2**31))
    node.expect(
        -31 <= exponent <= 30, f"has an input of scale {x.scale[0]:g}, too small or too large"
    )
    largest = (2**INTEGER_BITS - 1) * 2.0 ** (31 - INTEGER_BITS) / 2.0**exponent
    radius = math.floor(largest)
    centered = INT8_VALUES - x.zero_point[0]
    is_far = (centered >= radius).astype(np.int64) - (centered <= -radius)
    inside = np.where(is_far == 0, centered, 0)
    return requantize(inside, multiplier, exponent), is_far


def _exactly(x: Array) -> Array:
    """(...) float32 -> (...) float32, with an exponential that is right to the last bit."""
    powers = np.exp(-x.astype(np.float64)).astype(np.float32)
    return np.asarray(np.float32(1) / (np.float32(1) + powers))


def _real(x: Array) -> Array:
    with np.errstate(over="ignore"):  # exp(-x) may be infinite, its inverse is 0
        return np.asarray(1 / (1 + np.exp(-x)))
