"""MEAN, SUM and REDUCE_MAX over some axes, int8 or float32.

Source: reference_integer_ops::Mean, EvalSumHelper, EvalMaxHelper (reduce_common.cc).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minikws.fixedpoint import quantize_multiplier, requantize
from minikws.runtime.node import Inputs, Node, Outputs


@dataclass(frozen=True)
class State:
    """The axes, the output's shape, and for int8 zero points, factor and count of values.

    shape : begins with -1 where a batch may take the place of a leading 1.
    """

    axes: tuple[int, ...]
    shape: tuple[int, ...]
    zero_points: tuple[int, int]
    factor: tuple[int, int]
    n_values: int
    is_integer: bool


def prepare_mean(node: Node) -> State:
    """Check the tensors and compute the factor of a mean."""
    return _prepare(node, divides=True, requantizes=True)


def prepare_sum(node: Node) -> State:
    """Check the tensors and compute the factor of a sum."""
    return _prepare(node, divides=False, requantizes=True)


def prepare_max(node: Node) -> State:
    """Check the tensors of a maximum, which keeps its input's scale."""
    return _prepare(node, divides=False, requantizes=False)


def _prepare(node: Node, *, divides: bool, requantizes: bool) -> State:
    """Check types, axes and shapes.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: other types, axes that the input lacks, a
        declared output of another shape, a maximum in another scale.
    """
    node.expect_counts((2,), 1)
    x, y = node.input(0, "input"), node.outputs[0]
    axis, values = node.constant(1, "axes")
    node.expect(
        x.dtype == y.dtype and x.dtype in ("int8", "float32"),
        f"turns {x.dtype} into {y.dtype}, expected int8 or float32 on both sides",
    )
    node.expect(axis.dtype == "int32", f"has axes of {axis.dtype}, expected int32")
    rank = len(x.shape)
    node.expect(
        all(-rank <= a < rank for a in values.ravel().tolist()),
        f"reduces the axes {values.ravel().tolist()} of {x.shape}",
    )
    axes = tuple(sorted({a % rank for a in values.ravel().tolist()}))
    keeps = bool(node.options["keep_dims"])
    kept = [1 if a in axes else n for a, n in enumerate(x.shape) if keeps or a not in axes]
    node.expect(y.shape == tuple(kept), f"declares the output {y.shape}, computes {tuple(kept)}")
    n_values = math.prod(x.shape[a] for a in axes)
    node.expect(n_values >= 1, f"reduces the empty shape {x.shape}")
    shape = y.shape
    if len(x.shape) > 1 and len(y.shape) > 1 and x.shape[0] == y.shape[0] == 1 and 0 not in y.shape:
        axes = tuple(a for a in axes if a)  # a leading 1 has nothing to reduce, a batch must not
        shape = (-1, *y.shape[1:])
    if x.dtype == "float32":
        return State(axes, shape, (0, 0), (0, 0), n_values, False)
    scales = node.scale(x, "input"), node.scale(y, "output")
    zeros = x.zero_point[0], y.zero_point[0]
    if not requantizes:
        node.expect(
            scales[0] == scales[1] and zeros[0] == zeros[1],
            f"turns the scale {scales[0]:g} and zero point {zeros[0]} into {scales[1]:g} and "
            f"{zeros[1]}, expected the same",
        )
    multiplier, shift = quantize_multiplier(scales[0] / scales[1])
    if divides:
        # The division is put into the multiplier, with as many bits more as fit.
        bits = min(n_values.bit_length() - 1, 32, 31 + shift)
        multiplier, shift = (multiplier << bits) // n_values, shift - bits
    return State(axes, shape, zeros, (multiplier, shift), n_values, True)


def evaluate_mean(state: State, inputs: Inputs) -> Outputs:
    """(...) -> the mean over the axes."""
    x = inputs[0]
    assert x is not None
    if not state.is_integer:
        return (np.asarray(x.mean(state.axes, dtype=np.float32)).reshape(state.shape),)
    return evaluate_sum(state, inputs)


def evaluate_sum(state: State, inputs: Inputs) -> Outputs:
    """(...) -> the sum over the axes."""
    x = inputs[0]
    assert x is not None
    if not state.is_integer:
        return (np.asarray(x.sum(state.axes, dtype=np.float32)).reshape(state.shape),)
    z_in, z_out = state.zero_points
    sums = x.sum(state.axes, dtype=np.int64) - z_in * state.n_values
    y = np.asarray(np.clip(requantize(sums, *state.factor) + z_out, -128, 127))
    return (y.astype(np.int8).reshape(state.shape),)


def evaluate_max(state: State, inputs: Inputs) -> Outputs:
    """(...) -> the largest value over the axes."""
    x = inputs[0]
    assert x is not None
    return (np.asarray(x.max(state.axes)).reshape(state.shape),)
