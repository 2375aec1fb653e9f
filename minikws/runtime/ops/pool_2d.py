"""MAX_POOL_2D and AVERAGE_POOL_2D: a value for each window of each channel, integer or float32.

Tensors: input (B, H, W, C), output (B, OH, OW, C) of the same scale and zero point. Padding is
not counted: a window at the border is as small as what it sees of the input.

Source: reference_integer_ops::MaxPool, AveragePool; PoolingPrepare of TFLite Micro. uint8:
reference_ops::MaxPool, AveragePool.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws._typing import Array
from minikws.errors import SettingsError
from minikws.fixedpoint import activation_range
from minikws.runtime.node import Inputs, Node, Outputs
from minikws.runtime.outputs import FLOAT_RANGES
from minikws.runtime.windows import Geometry

SAME_SCALE = 1e-6  # PoolingPrepare allows this much between input and output


@dataclass(frozen=True)
class State:
    """Where the windows lie, how many values each sees (OH, OW, 1), the clamp."""

    geometry: Geometry
    counts: Array
    low: float
    high: float


def prepare(node: Node) -> State:
    """Check the tensors and place the windows.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: other types, an output of another scale or zero
        point, a shape that the windows do not give.
    """
    node.expect_counts((1,), 1)
    x, y = node.input(0, "input"), node.outputs[0]
    node.expect(
        x.dtype == y.dtype and x.dtype in ("int8", "uint8", "float32"),
        f"turns {x.dtype} into {y.dtype}, expected int8, uint8 or float32 on both sides",
    )
    node.expect(len(x.shape) == 4, f"has an input of {x.shape}, expected four dimensions")
    kernel = (node.number("filter_height"), node.number("filter_width"))
    geometry = Geometry.of(node, (x.shape[1], x.shape[2]), kernel)
    expected = (x.shape[0], *geometry.output, x.shape[3])
    node.expect(y.shape == expected, f"declares the output {y.shape}, computes {expected}")
    ones = geometry.pad(np.ones((1, *x.shape[1:3], 1), np.int64), 0, np.float64)
    counts = geometry.patches(ones).sum((3, 4)).astype(np.int64)[0]
    activation = str(node.options["fused_activation_function"])
    if x.dtype == "float32":
        node.expect(activation in FLOAT_RANGES, f"has the activation {activation}")
        return State(geometry, counts, *FLOAT_RANGES[activation])
    scales = node.scale(x, "input"), node.scale(y, "output")
    node.expect(
        abs(scales[0] - scales[1]) <= SAME_SCALE and x.zero_point == y.zero_point,
        f"turns the scale {scales[0]:g} and zero point {x.zero_point[0]} into {scales[1]:g} and "
        f"{y.zero_point[0]}, expected the same",
    )
    try:
        low, high = activation_range(activation, scales[1], y.zero_point[0], y.dtype)
    except SettingsError as error:
        raise node.refuse(f"cannot run: {error}") from error
    return State(geometry, counts, low, high)


def evaluate_max(state: State, inputs: Inputs) -> Outputs:
    """(B, H, W, C) -> (B, OH, OW, C): the largest value of each window."""
    x = inputs[0]
    assert x is not None
    padded = state.geometry.pad(x, -np.inf, np.float32)
    return (_clamped(state.geometry.patches(padded).max((3, 4)), state, x),)


def evaluate_average(state: State, inputs: Inputs) -> Outputs:
    """(B, H, W, C) -> (B, OH, OW, C): the mean of each window, integer halves away from zero."""
    x = inputs[0]
    assert x is not None
    # A window of integers sums exactly in float64.
    integers = x.dtype != np.float32
    padded = state.geometry.pad(x, 0, np.float64 if integers else np.float32)
    sums = state.geometry.patches(padded).sum((3, 4))
    if not integers:
        return (_clamped(sums / state.counts.astype(np.float32), state, x),)
    half = np.copysign(state.counts // 2, sums)
    return (_clamped(np.trunc((sums + half) / state.counts), state, x),)


def _clamped(values: Array, state: State, x: Array) -> Array:
    return np.clip(values, state.low, state.high).astype(x.dtype)
