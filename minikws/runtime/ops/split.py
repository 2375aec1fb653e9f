"""SPLIT and SPLIT_V: a tensor cut along an axis, into equal parts or parts of given sizes.

Source: split.cc, split_v.cc of TFLite Micro.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws.runtime.node import Inputs, Node, Outputs

_DTYPES = ("int8", "float32", "int16", "int32")


@dataclass(frozen=True)
class State:
    """Which input is cut, along which axis, where."""

    source: int
    axis: int
    cuts: tuple[int, ...]


def prepare_split(node: Node) -> State:
    """Check the tensors of a SPLIT (axis, input)."""
    node.expect(len(node.inputs) == 2, f"has {len(node.inputs)} inputs, expected 2")
    return _prepare(node, source=1, axis_input=0)


def prepare_split_v(node: Node) -> State:
    """Check the tensors of a SPLIT_V (input, sizes, axis)."""
    node.expect(len(node.inputs) == 3, f"has {len(node.inputs)} inputs, expected 3")
    node.constant(1, "sizes")
    return _prepare(node, source=0, axis_input=2)


def _prepare(node: Node, *, source: int, axis_input: int) -> State:
    """Take the sizes from the outputs' own shapes.

    Raises
    ------
    ModelFileError : an axis that is no constant or that the input lacks, parts that do not make
        up the input.
    """
    x = node.input(source, "input")
    axis_tensor, values = node.constant(axis_input, "axis")
    node.expect(
        values.size == 1 and axis_tensor.dtype == "int32", "has an axis that is not one int32"
    )
    axis, rank = int(values.ravel()[0]), len(x.shape)
    node.expect(-rank <= axis < rank, f"cuts {x.shape} along axis {axis}")
    axis %= rank
    outputs = node.outputs
    node.expect(
        x.dtype in _DTYPES and all(y.dtype == x.dtype for y in outputs),
        f"cuts {x.dtype} into {', '.join(y.dtype for y in outputs)}, expected one type of "
        f"{', '.join(_DTYPES)}",
    )
    node.expect(
        node.number("num_splits") == len(outputs) >= 1,
        f"has {len(outputs)} outputs, its options say {node.number('num_splits')}",
    )
    sizes = [y.shape[axis] if len(y.shape) == rank else -1 for y in outputs]
    whole = [tuple(n for a, n in enumerate(t.shape) if a != axis) for t in (x, *outputs)]
    node.expect(
        min(sizes) >= 0 and sum(sizes) == x.shape[axis] and len(set(whole)) == 1,
        f"cuts {x.shape} along axis {axis} into {', '.join(str(y.shape) for y in outputs)}",
    )
    return State(source, axis, tuple(int(c) for c in np.cumsum(sizes)[:-1]))


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(...) -> its parts."""
    x = inputs[state.source]
    assert x is not None
    return tuple(np.split(x, state.cuts, state.axis))
