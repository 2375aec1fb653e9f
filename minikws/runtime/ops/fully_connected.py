"""FULLY_CONNECTED: every output is a sum over the whole input row, in int8, uint8 or float32.

Tensors: input of any shape, flattened to rows of D values; weights (O, D); bias (O,) or none;
output rows of O values. The weights' zero point is honoured where there is one scale, and
taken as 0 where there is one for each output.

Source: reference_integer_ops::FullyConnected; FullyConnectedPrepare of TFLite Micro. uint8:
reference_ops::FullyConnected.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws._typing import Array
from minikws.runtime.node import Inputs, Node, Outputs
from minikws.runtime.outputs import FloatOutput, Int8Output, UInt8DenseOutput, float_for


@dataclass(frozen=True)
class State:
    """What evaluation needs.

    weights : (O, D), a float type that sums exactly.
    finish : sums (rows, O) -> outputs.
    shape : the output's dimensions after the first.
    """

    weights: Array
    finish: Int8Output | UInt8DenseOutput | FloatOutput
    shape: tuple[int, ...]


def prepare(node: Node) -> State:
    """Check the tensors and lay out the weights.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: mixed types, a bias whose scale is not the
        product of the others, sizes that do not divide.
    """
    node.expect_counts((2, 3), 1)
    x, y = node.input(0, "input"), node.outputs[0]
    w, weights = node.weights(x, y)
    node.expect(
        node.options["weights_format"] == "DEFAULT", "has shuffled weights, expected plain ones"
    )
    node.expect(
        len(w.shape) == 2 and 0 not in w.shape and len(y.shape) >= 1,
        f"has weights of {w.shape}, expected (outputs, inputs)",
    )
    n_outputs, depth = w.shape
    size = int(np.prod(x.shape, dtype=np.int64))
    rows = size // depth
    node.expect(
        rows * depth == size
        and int(np.prod(y.shape, dtype=np.int64)) == rows * n_outputs
        and y.shape[-1] == n_outputs,
        f"maps {x.shape} to {y.shape} with weights of {w.shape}, expected rows of {depth} values "
        f"to rows of {n_outputs}",
    )
    if x.dtype == "float32":
        bias = node.bias("float32", n_outputs)
        floats = FloatOutput(node, bias[1] if bias else None, n_outputs)
        return State(weights, floats, y.shape[1:])
    scales = node.weight_scales(w, n_outputs, 0)
    bias = node.bias("int32", n_outputs)
    if bias is not None and len(scales) == 1:
        product = node.scale(x, "input") * scales[0]
        difference = abs(product - node.scale(bias[0], "bias")) / node.scale(y, "output")
        node.expect(
            difference <= 0.02,
            f"has a bias with the scale {bias[0].scale[0]:g}, expected {product:g}, the input's "
            "times the weights'",
        )
    centered = weights.astype(np.int64) - (w.zero_point[0] if len(scales) == 1 else 0)
    biases = bias[1] if bias else None
    finish: Int8Output | UInt8DenseOutput
    if x.dtype == "uint8":
        finish = UInt8DenseOutput(node, centered, scales[0], biases, x, y)
    else:
        finish = Int8Output(node, centered, scales, biases, x, y)
    return State(centered.astype(float_for(centered, x.dtype)), finish, y.shape[1:])


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(B, ...) -> (B, ..., O)."""
    x = inputs[0]
    assert x is not None
    rows = x.reshape(-1, state.weights.shape[1]).astype(state.weights.dtype)
    y = state.finish(rows @ state.weights.T)
    # The first dimension follows from the number of rows; it is the batch where there is one.
    return (y.reshape(-1, *state.shape),)
