"""What operators on two tensors share: types, NumPy's broadcasting, the fused clamp."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from minikws._typing import Array
from minikws.errors import SettingsError
from minikws.fixedpoint import INT32_MAX, INT32_MIN, activation_range, wrap32
from minikws.graph import Tensor
from minikws.runtime.node import Node

_LARGEST = float(np.finfo(np.float32).max)  # what would be infinite is cut to it
RANGES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    dtype: {
        "NONE": (lowest, highest),
        "RELU": (0, highest),
        "RELU_N1_TO_1": (-1, 1),
        "RELU6": (0, 6),
    }
    for dtype, lowest, highest in (
        ("float32", -_LARGEST, _LARGEST),
        ("int32", INT32_MIN, INT32_MAX),
    )
}


def expect_broadcast(node: Node, dtypes: tuple[str, ...]) -> None:
    """Check that two inputs of one type broadcast to the output's shape.

    Raises
    ------
    ModelFileError : other or mixed types, shapes that do not fit.
    """
    node.expect_counts((2,), 1)
    x1, x2, y = node.input(0, "first input"), node.input(1, "second input"), node.outputs[0]
    node.expect(
        x1.dtype == x2.dtype == y.dtype and y.dtype in dtypes,
        f"takes {x1.dtype} and {x2.dtype} to {y.dtype}, expected all {' or all '.join(dtypes)}",
    )
    try:
        expected = np.broadcast_shapes(x1.shape, x2.shape)
    except ValueError:
        raise node.refuse(
            f"takes the shapes {x1.shape} and {x2.shape}, which do not fit together"
        ) from None
    node.expect(y.shape == expected, f"declares the output {y.shape}, computes {expected}")


@dataclass(frozen=True)
class BinaryNode:
    """Two inputs and their output, checked.

    scales, zero_points : of both inputs and the output; empty for plain numbers (float32, int32).
    low, high : what the fused activation lets through.
    """

    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    low: float
    high: float

    @classmethod
    def of(cls, node: Node, dtypes: tuple[str, ...]) -> BinaryNode:
        """Check the tensors of an operator with a fused activation.

        Raises
        ------
        ModelFileError : what TFLite Micro refuses, see `expect_broadcast`.
        """
        expect_broadcast(node, dtypes)
        x1, x2, y = node.input(0, "first input"), node.input(1, "second input"), node.outputs[0]
        activation = str(node.options["fused_activation_function"])
        if y.dtype in RANGES:
            node.expect(activation in RANGES[y.dtype], f"has the activation {activation}")
            return cls(y.dtype, (), (), *RANGES[y.dtype][activation])
        tensors = ((x1, "first input"), (x2, "second input"), (y, "output"))
        scales = tuple(node.scale(tensor, what) for tensor, what in tensors)
        zeros = tuple(tensor.zero_point[0] for tensor, _ in tensors)
        try:
            low, high = activation_range(activation, scales[2], zeros[2], y.dtype)
        except SettingsError as error:
            raise node.refuse(f"cannot run: {error}") from error
        return cls(y.dtype, scales, zeros, low, high)

    def clamped(self, values: Array) -> Array:
        """Cut values to the activation's range, in the output's type; int32 wraps before."""
        if self.dtype == "int32":
            values = wrap32(values)
        return np.asarray(np.clip(values, self.low, self.high), self.dtype)


def expect_plain(node: Node, tensors: tuple[Tensor, ...]) -> None:
    """Check that int32 tensors are plain numbers, without a scale.

    Raises
    ------
    ModelFileError : one has a scale.
    """
    for tensor in tensors:
        node.expect(
            tensor.dtype != "int32" or not tensor.scale,
            f"has the int32 tensor {tensor.name!r} with a scale, expected plain numbers",
        )
