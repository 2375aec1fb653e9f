"""What the Signal operators share: how they name and check the tensors they take and give.

They are TFLite Micro's custom operators for sound. Their tensors are plain numbers without a
scale, often of one dimension, and their kernels check types and dimensions but few sizes; the
sizes are checked here, where TFLite Micro would read past a tensor's end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from minikws.runtime.node import Node
from minikws.tflite.schema import TYPE_NAMES

Kind: TypeAlias = tuple[str, int | None]  # type, and number of dimensions or None for any


def expect_tensors(node: Node, inputs: Sequence[Kind], outputs: Sequence[Kind]) -> None:
    """Check number, types and dimensions of all tensors.

    Raises
    ------
    ModelFileError : the first that is not as expected.
    """
    node.expect_counts((len(inputs),), len(outputs))
    given = [node.input(i, f"input {i}") for i in range(len(inputs))]
    for side, tensors, kinds in (("input", given, inputs), ("output", node.outputs, outputs)):
        for i, (tensor, (dtype, rank)) in enumerate(zip(tensors, kinds, strict=True)):
            dimensions = "" if rank is None else f" with {rank} dimensions"
            node.expect(
                tensor.dtype == dtype and rank in (None, len(tensor.shape)),
                f"has {tensor.dtype} {tensor.shape} as {side} {i}, expected {dtype}{dimensions}",
            )


def expect_shape(node: Node, output: int, expected: tuple[int, ...]) -> None:
    """Check the shape that an output declares.

    Raises
    ------
    ModelFileError : another shape.
    """
    shape = node.outputs[output].shape
    node.expect(shape == expected, f"declares the output {shape}, computes {expected}")


def type_option(node: Node, known: tuple[str, ...]) -> str:
    """Return the type that the option T names by its code in the file.

    Raises
    ------
    ModelFileError : a type that the operator does not know.
    """
    code = node.number("T")
    dtype = TYPE_NAMES[code]
    node.expect(dtype in known, f"has T={code} ({dtype}), expected {' or '.join(known)}")
    return dtype
