"""STRIDED_SLICE: x[begin:end:stride] along every axis, as Python slices.

Masks: bit a of begin_mask or end_mask leaves that end open; bit a of shrink_axis_mask takes one
index and drops the axis. Ellipsis and new-axis masks are not looked at, as in TFLite Micro.

Source: strided_slice_common.cc of TFLite Micro; strided_slice_logic.h.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws.runtime.node import Inputs, Node, Outputs

MAX_RANK = 5
_DTYPES = ("int8", "float32", "int16", "int32", "bool")


@dataclass(frozen=True)
class State:
    """The slices of all axes, and the output's shape (-1 where a batch takes a leading 1)."""

    slices: tuple[slice, ...]
    shape: tuple[int, ...]


def prepare(node: Node) -> State:
    """Check the tensors and work the slices out.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: computed or zero strides, more than five
        dimensions, a declared output of another shape.
    """
    node.expect_counts((4,), 1)
    x, y = node.input(0, "input"), node.outputs[0]
    node.expect(
        x.dtype == y.dtype and x.dtype in _DTYPES,
        f"turns {x.dtype} into {y.dtype}, expected one type of {', '.join(_DTYPES)}",
    )
    rank = len(x.shape)
    node.expect(rank <= MAX_RANK, f"has {rank} dimensions, expected up to {MAX_RANK}")
    lists = []
    for i, what in enumerate(("begin", "end", "strides"), start=1):
        tensor, values = node.constant(i, what)
        node.expect(
            tensor.dtype == "int32" and values.size == rank,
            f"has {values.size} values of {tensor.dtype} as {what} for {x.shape}",
        )
        lists.append(values.ravel().tolist())
    masks = {m: node.number(f"{m}_mask") for m in ("begin", "end", "shrink_axis")}
    slices, shape = [], []
    for axis, (n, begin, end, stride) in enumerate(zip(x.shape, *lists, strict=True)):
        node.expect(stride != 0, "has a stride of 0")
        bit = 1 << axis
        if masks["shrink_axis"] & bit:
            index = 0 if masks["begin"] & bit else begin + n if begin < 0 else begin
            node.expect(0 <= index < n and stride > 0, f"takes index {begin} of {n} values")
            slices.append(slice(index, index + 1, 1))
            continue
        chosen = slice(
            None if masks["begin"] & bit else begin, None if masks["end"] & bit else end, stride
        )
        slices.append(chosen)
        shape.append(len(range(*chosen.indices(n))))
    node.expect(y.shape == tuple(shape), f"declares the output {y.shape}, computes {tuple(shape)}")
    whole_first = bool(x.shape) and x.shape[0] == 1 and y.shape[:1] == (1,) and len(y.shape) > 1
    if whole_first and 0 not in shape and not masks["shrink_axis"] & 1:
        return State((slice(None), *slices[1:]), (-1, *shape[1:]))
    return State(tuple(slices), tuple(shape))


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(...) -> its slice."""
    x = inputs[0]
    assert x is not None
    return (np.ascontiguousarray(x[state.slices]).reshape(state.shape),)
