"""CONV_2D: every output channel is a sum over a patch of the input, in int8, uint8 or float32.

Tensors: input (B, H, W, C), weights (O, kh, kw, C / groups), bias (O,) or none; output
(B, OH, OW, O). One matrix product does it: patches as rows, output channels as columns.

Source: reference_integer_ops::ConvPerChannel, tensorflow/lite/kernels/internal; ConvPrepare of
TFLite Micro. uint8: reference_ops::Conv.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws._typing import Array
from minikws.runtime.node import Inputs, Node, Outputs
from minikws.runtime.outputs import FloatOutput, Int8Output, UInt8Output, float_for
from minikws.runtime.windows import Geometry


@dataclass(frozen=True)
class State:
    """What evaluation needs.

    weights : (groups, kh * kw * C / groups, O / groups), a float type that sums exactly.
    finish : one for each group; sums (P, O / groups) -> outputs.
    fill : what padding holds, the input's zero point.
    """

    geometry: Geometry
    weights: Array
    finish: tuple[Int8Output | FloatOutput, ...]
    fill: int


def prepare(node: Node) -> State:
    """Check the tensors and lay out the weights.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: mixed types, scales that fit neither one nor all
        channels, shapes that do not belong together.
    """
    node.expect_counts((2, 3), 1)
    x, y = node.input(0, "input"), node.outputs[0]
    w, weights = node.weights(x, y)
    node.expect(
        len(x.shape) == 4 and len(w.shape) == 4 and 0 not in w.shape,
        f"has an input of {x.shape} and weights of {w.shape}, expected four dimensions each",
    )
    n_outputs, kh, kw, depth = w.shape
    node.expect(
        x.shape[3] % depth == 0 and n_outputs % (x.shape[3] // depth or 1) == 0 and x.shape[3] > 0,
        f"has {x.shape[3]} input channels, its {n_outputs} kernels see {depth}",
    )
    groups = x.shape[3] // depth
    geometry = Geometry.of(node, (x.shape[1], x.shape[2]), (kh, kw))
    expected = (x.shape[0], *geometry.output, n_outputs)
    node.expect(y.shape == expected, f"declares the output {y.shape}, computes {expected}")
    matrix = weights.reshape(groups, n_outputs // groups, kh * kw * depth)
    if x.dtype == "float32":
        bias = node.bias("float32", n_outputs)
        parts = np.split(bias[1].ravel(), groups) if bias else [None] * groups
        floats = tuple(FloatOutput(node, part, n_outputs // groups) for part in parts)
        return State(geometry, _by_tap(matrix.astype(np.float32)), floats, 0)
    scales = node.weight_scales(w, n_outputs, 0)
    matrix = node.centered(w, matrix)
    bias = node.bias("int32", n_outputs)
    node.expect(bias is not None or x.dtype != "uint8", "lacks its bias, which uint8 needs")
    per_group = n_outputs // groups
    output = UInt8Output if x.dtype == "uint8" else Int8Output
    finish = tuple(
        output(
            node,
            matrix[g],
            scales if len(scales) == 1 else scales[g * per_group : (g + 1) * per_group],
            bias[1].ravel()[g * per_group : (g + 1) * per_group] if bias else None,
            x,
            y,
        )
        for g in range(groups)
    )
    exact = float_for(matrix.reshape(n_outputs, -1), x.dtype)
    return State(geometry, _by_tap(matrix.astype(exact)), finish, x.zero_point[0])


def _by_tap(matrix: Array) -> Array:
    return np.ascontiguousarray(matrix.swapaxes(1, 2))


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(B, H, W, C) -> (B, OH, OW, O)."""
    x = inputs[0]
    assert x is not None
    padded = state.geometry.pad(x, state.fill, state.weights.dtype.type)
    groups = len(state.weights)
    depth = x.shape[3] // groups
    results = [
        finish(_sums(state.geometry, padded, g * depth, depth, weights))
        for g, (weights, finish) in enumerate(zip(state.weights, state.finish, strict=True))
    ]
    y = results[0] if groups == 1 else np.concatenate(results, axis=1)
    return (y.reshape(len(x), *state.geometry.output, y.shape[1]),)


def _sums(geometry: Geometry, padded: Array, first: int, depth: int, weights: Array) -> Array:
    """Convolve `depth` channels from the first one on; weights (K, O) -> (B * OH * OW, O)."""
    n_taps, n_outputs = weights.shape
    if depth == 1:
        sums: Array = geometry.matrices(padded, first) @ weights
        return sums.reshape(-1, n_outputs)
    if geometry.is_identity and depth == padded.shape[3]:
        return padded.reshape(-1, n_taps) @ weights
    patches = geometry.patches(padded)[..., first : first + depth]
    return patches.reshape(-1, n_taps) @ weights
