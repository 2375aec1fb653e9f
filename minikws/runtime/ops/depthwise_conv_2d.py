"""DEPTHWISE_CONV_2D: every output channel looks at one input channel; int8, uint8 or float32.

Tensors: input (B, H, W, C), weights (1, kh, kw, C * multiplier), bias or none; output
(B, OH, OW, C * multiplier). Output channel c reads input channel c // multiplier. With one
input channel it is a plain convolution and one matrix product; else each channel sums its few
taps by itself.

Source: reference_integer_ops::DepthwiseConvPerChannel; DepthwiseConvPrepare of TFLite Micro.
uint8: reference_ops::DepthwiseConv.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws._typing import Array
from minikws.runtime.node import Inputs, Node, Outputs
from minikws.runtime.outputs import FloatOutput, Int8Output, UInt8Output, float_for
from minikws.runtime.windows import Geometry

MOST_RUNS = 2**14  # weights, said again and again; more would leave the cache


@dataclass(frozen=True)
class State:
    """What evaluation needs.

    weights : (kh * kw, O), a float type that sums exactly.
    runs : (kh, kw, O) the same, or (kh, kw, OW * O): again for every position of a row, where the
        positions lie one after the other in memory.
    multiplier : output channels for each input channel.
    finish : sums (P, O) -> outputs.
    fill : what padding holds, the input's zero point.
    """

    geometry: Geometry
    weights: Array
    runs: Array
    multiplier: int
    finish: Int8Output | FloatOutput
    fill: int


def prepare(node: Node) -> State:
    """Check the tensors and lay out the weights.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses, as for CONV_2D.
    """
    node.expect_counts((2, 3), 1)
    x, y = node.input(0, "input"), node.outputs[0]
    w, weights = node.weights(x, y)
    node.expect(
        len(x.shape) == 4 and len(w.shape) == 4 and w.shape[0] == 1 and 0 not in w.shape,
        f"has an input of {x.shape} and weights of {w.shape}, expected (B, H, W, C) and "
        "(1, kh, kw, O)",
    )
    _, kh, kw, n_outputs = w.shape
    node.expect(
        x.shape[3] > 0 and n_outputs % x.shape[3] == 0,
        f"has {x.shape[3]} input and {n_outputs} output channels, expected a multiple",
    )
    multiplier = n_outputs // x.shape[3]
    node.expect(
        node.number("depth_multiplier") in (0, multiplier),
        f"has the depth multiplier {node.number('depth_multiplier')}, its shapes say {multiplier}",
    )
    geometry = Geometry.of(node, (x.shape[1], x.shape[2]), (kh, kw))
    expected = (x.shape[0], *geometry.output, n_outputs)
    node.expect(y.shape == expected, f"declares the output {y.shape}, computes {expected}")
    matrix = weights.reshape(kh * kw, n_outputs)
    if x.dtype == "float32":
        bias = node.bias("float32", n_outputs)
        floats = FloatOutput(node, bias[1] if bias else None, n_outputs)
        matrix = matrix.astype(np.float32)
        return State(geometry, matrix, _runs_of(matrix, geometry), multiplier, floats, 0)
    scales = node.weight_scales(w, n_outputs, 3)
    matrix = node.centered(w, matrix)
    bias = node.bias("int32", n_outputs)
    output = UInt8Output if x.dtype == "uint8" else Int8Output
    finish = output(node, matrix.T, scales, bias[1] if bias else None, x, y)
    matrix = matrix.astype(float_for(matrix.T, x.dtype))
    runs = _runs_of(matrix, geometry)
    return State(geometry, matrix, runs, multiplier, finish, x.zero_point[0])


def _runs_of(weights: Array, geometry: Geometry) -> Array:
    """(kh * kw, O) -> (kh, kw, O) or (kh, kw, OW * O)."""
    n_positions = geometry.output[1]
    if geometry.stride[1] > 1 or weights.size * n_positions > MOST_RUNS:
        n_positions = 1
    return np.tile(weights, n_positions).reshape(*geometry.kernel, -1)


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(B, H, W, C) -> (B, OH, OW, C * multiplier)."""
    x = inputs[0]
    assert x is not None
    geometry, n_outputs = state.geometry, state.weights.shape[1]
    padded = geometry.pad(x, state.fill, state.weights.dtype.type)
    if x.shape[3] == 1:
        sums = geometry.matrices(padded) @ state.weights
    else:
        each = np.repeat(padded, state.multiplier, 3) if state.multiplier > 1 else padded
        sums = np.einsum("birmnc,mnc->birc", _seen_by(state.runs, geometry, each), state.runs)
    y = state.finish(sums.reshape(-1, n_outputs))
    return (y.reshape(len(x), *geometry.output, n_outputs),)


def _seen_by(runs: Array, geometry: Geometry, padded: Array) -> Array:
    """(B, H, W, O) contiguous -> patches (B, OH, OW, kh, kw, O), or (B, OH, 1, kh, kw, OW * O)."""
    patches = geometry.patches(padded)
    if runs.shape[2] == patches.shape[5]:
        return patches
    shape = (*patches.shape[:2], 1, *runs.shape)
    return np.ndarray(shape, padded.dtype, padded, 0, patches.strides)
