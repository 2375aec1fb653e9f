"""PAD and PADV2: a border of zeros (the zero point), or of a given value.

Source: pad_common.cc of TFLite Micro.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws.runtime.node import Inputs, Node, Outputs

MAX_RANK = 5
_DTYPES = ("int8", "float32", "int16", "int32")


@dataclass(frozen=True)
class State:
    """How much goes before and after each axis, and what."""

    paddings: tuple[tuple[int, int], ...]
    fill: float


def prepare(node: Node) -> State:
    """Check the tensors.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: other types, negative or computed paddings, more
        than five dimensions, a value of another scale than the output's.
    """
    node.expect_counts((2, 3), 1)
    x, y = node.input(0, "input"), node.outputs[0]
    table, values = node.constant(1, "paddings")
    node.expect(
        x.dtype == y.dtype and x.dtype in _DTYPES,
        f"turns {x.dtype} into {y.dtype}, expected {' or '.join(_DTYPES)} on both sides",
    )
    rank = len(x.shape)
    node.expect(rank <= MAX_RANK, f"has {rank} dimensions, expected up to {MAX_RANK}")
    node.expect(
        table.dtype == "int32" and values.shape == (rank, 2) and values.min(initial=0) >= 0,
        f"has paddings {values.tolist()} for {x.shape}, expected a pair of 0 or more an axis",
    )
    paddings = tuple((int(before), int(after)) for before, after in values)
    expected = tuple(a + n + b for n, (a, b) in zip(x.shape, paddings, strict=True))
    node.expect(y.shape == expected, f"declares the output {y.shape}, computes {expected}")
    if len(node.inputs) == 3:
        tensor, value = node.constant(2, "value")
        node.expect(
            tensor.dtype == x.dtype
            and value.size == 1
            and tensor.scale == y.scale
            and tensor.zero_point == y.zero_point,
            f"has {tensor.dtype} {tensor.shape} of scale {tensor.scale} and zero point "
            f"{tensor.zero_point} as its value, expected one {x.dtype} of {y.scale} and "
            f"{y.zero_point} as its output",
        )
        return State(paddings, value.ravel()[0].item())
    return State(paddings, y.zero_point[0] if y.zero_point else 0)


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(...) -> (...), larger."""
    x = inputs[0]
    assert x is not None
    return (np.pad(x, state.paddings, constant_values=state.fill),)
