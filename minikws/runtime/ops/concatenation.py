"""CONCATENATION: tensors of one type and scale, side by side along an axis.

Source: concatenation.cc of TFLite Micro.
"""

from __future__ import annotations

import numpy as np

from minikws.runtime.node import Inputs, Node, Outputs

_DTYPES = ("int8", "float32", "int16", "int32", "int64", "bool")


def prepare(node: Node) -> int:
    """Check the tensors; return the axis.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: mixed types or scales, shapes that differ
        elsewhere, a fused activation.
    """
    inputs = [node.input(i, f"input {i}") for i in range(len(node.inputs))]
    node.expect(
        len(inputs) >= 1 and len(node.outputs) == 1,
        f"has {len(inputs)} inputs and {len(node.outputs)} outputs, expected 1 or more and 1",
    )
    y = node.outputs[0]
    node.expect(
        node.options["fused_activation_function"] == "NONE", "has a fused activation, expected none"
    )
    node.expect(
        all(x.dtype == y.dtype for x in inputs) and y.dtype in _DTYPES,
        f"joins {', '.join(x.dtype for x in inputs)} to {y.dtype}, expected one type",
    )
    if y.dtype == "int8":
        node.expect(
            all(x.scale == y.scale and x.zero_point == y.zero_point for x in inputs),
            f"joins tensors of the scales {[(*x.scale, *x.zero_point) for x in inputs]}, expected "
            f"its output's, {(*y.scale, *y.zero_point)}",
        )
    rank, axis = len(y.shape), node.number("axis")
    node.expect(
        all(len(x.shape) == rank for x in inputs) and -rank <= axis < rank,
        f"joins {', '.join(str(x.shape) for x in inputs)} along axis {axis}",
    )
    axis %= rank
    for a, size in enumerate(y.shape):
        sizes = [x.shape[a] for x in inputs]
        fits = sum(sizes) == size if a == axis else all(n == size for n in sizes)
        node.expect(fits, f"joins {', '.join(str(x.shape) for x in inputs)} to {y.shape}")
    return axis


def evaluate(axis: int, inputs: Inputs) -> Outputs:
    """(...), (...), … -> side by side along the axis."""
    return (np.concatenate([x for x in inputs if x is not None], axis),)
