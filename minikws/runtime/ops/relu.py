"""RELU, RELU6 and LEAKY_RELU as operators of their own, int8 or float32.

Source: activations_common.cc, leaky_relu_common.cc of TFLite Micro.
"""

from __future__ import annotations

import numpy as np

from minikws._typing import Array, Int64
from minikws.fixedpoint import activation_range, quantize_multiplier, requantize, round_half_away
from minikws.runtime.node import Node
from minikws.runtime.ops.table import INT8_VALUES, State, as_table, checked_dtype


def _scaled(node: Node, centered: Int64, factor: float = 1.0) -> Int64:
    """Scale inputs, zero point taken off, to the output's scale."""
    x, y = node.input(0, "input"), node.outputs[0]
    ratio = node.ratio(node.scale(x, "input"), factor, over=node.scale(y, "output"))
    multiplier, shift = quantize_multiplier(ratio)
    node.expect(shift <= 30, "scales its input by more than 2**30")
    return requantize(centered, multiplier, shift)


def prepare_relu(node: Node) -> State:
    """Cut below zero, and bring the rest to the output's scale."""
    if checked_dtype(node) == "float32":
        return State(None, lambda x: np.maximum(x, np.float32(0)))
    x, zero_point = node.input(0, "input"), node.zero_point(node.outputs[0], "output")
    values = _scaled(node, INT8_VALUES - node.zero_point(x, "input")) + zero_point
    return State(as_table(np.maximum(values, zero_point)), _nothing)


def prepare_relu6(node: Node) -> State:
    """Cut below zero and above six; the output's own scale and zero point are not looked at.

    In uint8 they are: LiteRT brings the values to them, as RELU does.
    """
    if checked_dtype(node) == "float32":
        return State(None, lambda x: np.clip(x, np.float32(0), np.float32(6)))
    x = node.input(0, "input")
    zero_point = node.zero_point(x, "input")
    if node.is_moved:
        y = node.outputs[0]
        _, six = activation_range("RELU6", node.scale(y, "output"), y.zero_point[0])
        values = _scaled(node, INT8_VALUES - zero_point) + y.zero_point[0]
        return State(as_table(np.clip(values, y.zero_point[0], six)), _nothing)
    scale = node.scale(x, "input")
    node.expect(scale > 2**-28, f"has an input of scale {scale:g}, in which 6 leaves int32")
    six = zero_point + int(round_half_away(np.float32(6) / np.float32(scale)))
    return State(as_table(np.clip(INT8_VALUES, zero_point, min(127, six))), _nothing)


def prepare_leaky_relu(node: Node) -> State:
    """Make what is below zero `alpha` times as large."""
    alpha = node.options["alpha"]
    assert isinstance(alpha, float | int)
    node.expect(bool(np.isfinite(alpha)), f"has alpha {alpha}, expected a finite number")
    if checked_dtype(node) == "float32":
        return State(None, lambda x: np.where(x >= 0, x, x * np.float32(alpha)))
    x, zero_point = node.input(0, "input"), node.zero_point(node.outputs[0], "output")
    centered = INT8_VALUES - node.zero_point(x, "input")
    below = _scaled(node, centered, abs(float(alpha))) * (1 if alpha >= 0 else -1)
    values = np.where(centered >= 0, _scaled(node, centered), below) + zero_point
    return State(as_table(values), _nothing)


def _nothing(x: Array) -> Array:
    return x
