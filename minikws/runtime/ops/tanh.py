"""TANH: int8 outputs are 1/128 a step around 0, whatever the file says.

uint8 is computed in real numbers and stored as the file says.

Source: reference_integer_ops::Tanh; gemmlowp's tanh in fixed point.
"""

from __future__ import annotations

import numpy as np

from minikws._typing import Array
from minikws.fixedpoint import exp_negative, one_minus_over_one_plus, rounding_shift
from minikws.runtime.node import Node
from minikws.runtime.ops.logistic import INTEGER_BITS, scaled_inputs
from minikws.runtime.ops.table import State, as_table, checked_dtype, real_table


def prepare(node: Node) -> State:
    """Check the tensors and fill the table: tanh(x) = (1 - e) / (1 + e), e = exp(-2 |x|)."""
    if checked_dtype(node) == "float32":
        return State(None, np.tanh)
    if node.is_moved:
        return State(real_table(node, _exactly), np.tanh)
    scaled, is_far = scaled_inputs(node)
    # Doubling an argument is one integer bit more.
    powers = exp_negative(-np.abs(scaled), INTEGER_BITS + 1)
    values = rounding_shift(np.sign(scaled) * one_minus_over_one_plus(powers), 24)
    return State(as_table(np.select([is_far > 0, is_far < 0], [127, -128], values)), np.tanh)


def _exactly(x: Array) -> Array:
    """(...) float32 -> (...) float32, right to the last bit."""
    return np.asarray(np.tanh(x.astype(np.float64)).astype(np.float32))
