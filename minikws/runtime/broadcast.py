"""What operators on two tensors share: types, NumPy's broadcasting, the fused clamp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws._typing import Array
from minikws.errors import SettingsError
from minikws.fixedpoint import activation_range
from minikws.runtime.node import Node
from minikws.runtime.outputs import FLOAT_RANGES


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

    scales, zero_points : of both inputs and the output; empty for float32.
    low, high : what the fused activation lets through.
    """

    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    low: float
    high: float

    @classmethod
    def of(cls, node: Node) -> BinaryNode:
        """Check the tensors of an operator with a fused activation.

        Raises
        ------
        ModelFileError : what TFLite Micro refuses, see `expect_broadcast`.
        """
        expect_broadcast(node, ("int8", "float32"))
        x1, x2, y = node.input(0, "first input"), node.input(1, "second input"), node.outputs[0]
        activation = str(node.options["fused_activation_function"])
        if y.dtype == "float32":
            node.expect(activation in FLOAT_RANGES, f"has the activation {activation}")
            return cls(y.dtype, (), (), *FLOAT_RANGES[activation])
        tensors = ((x1, "first input"), (x2, "second input"), (y, "output"))
        scales = tuple(node.scale(tensor, what) for tensor, what in tensors)
        zeros = tuple(tensor.zero_point[0] for tensor, _ in tensors)
        try:
            low, high = activation_range(activation, scales[2], zeros[2], y.dtype)
        except SettingsError as error:
            raise node.refuse(f"cannot run: {error}") from error
        return cls(y.dtype, scales, zeros, low, high)

    def clamped(self, values: Array) -> Array:
        """Cut values to the activation's range, in the output's type."""
        return np.clip(values, self.low, self.high).astype(self.dtype)
