"""TRANSPOSE: the axes in another order.

Source: transpose_common.cc of TFLite Micro.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minikws.runtime.node import Inputs, Node, Outputs

_DTYPES = ("int8", "float32", "int16")


@dataclass(frozen=True)
class State:
    """The order of the axes, and the output's shape."""

    order: tuple[int, ...]
    shape: tuple[int, ...]


def prepare(node: Node) -> State:
    """Check the tensors and the order of the axes.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: other types, an order that names an axis twice.
    """
    node.expect_counts((2,), 1)
    x, y = node.input(0, "input"), node.outputs[0]
    tensor, values = node.constant(1, "order of axes")
    node.expect(
        x.dtype == y.dtype and x.dtype in _DTYPES,
        f"turns {x.dtype} into {y.dtype}, expected one type of {', '.join(_DTYPES)}",
    )
    rank = len(x.shape)
    order = tuple(values.ravel().tolist())
    node.expect(
        tensor.dtype == "int32"
        and sorted(a % rank if rank else a for a in order) == [*range(rank)]
        and all(-rank <= a < rank for a in order)
        and rank <= 5,
        f"orders the axes of {x.shape} as {order}",
    )
    order = tuple(a % rank for a in order)
    expected = tuple(x.shape[a] for a in order)
    node.expect(y.shape == expected, f"declares the output {y.shape}, computes {expected}")
    return State(order, y.shape)


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(...) -> (...), axes in order; a batch of B stays in front."""
    x = inputs[0]
    assert x is not None
    n_clips = x.size // max(1, math.prod(state.shape))
    if n_clips == 1 or not x.size:
        return (np.ascontiguousarray(x.transpose(state.order)),)
    clips = x[:, None].transpose(0, *(axis + 1 for axis in state.order))
    return (clips.reshape(-1, *state.shape[1:]),)
