"""A model as records without behaviour: tensors, operators, subgraphs.

The converter makes a `Graph`, the writer serialises one, the reader parses one, the
interpreter runs one: one type, four users.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

from minikws._typing import Array

OptionValue: TypeAlias = bool | int | float | str | tuple[int, ...]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor of a file: real value = scale * (integer - zero_point).

    name : as in the file.
    shape : () is a scalar.
    dtype : NumPy's name: "int8", "uint8", "int16", "int32", "int64", "uint32", "float32" …
    scale, zero_point : () if not quantised, one value, or one for each index along `axis`.
    data : the constant's values with this shape and dtype, read-only; None for an activation.
    is_variable : keeps its values between invocations (SVDF state).
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis: int = 0
    data: Array | None = None
    is_variable: bool = False


@dataclass(frozen=True)
class Op:
    """One operator: its TFLite name ("CONV_2D"), tensor indices (-1: omitted), options.

    Options hold every field of the schema's table by its name there, enums as their names
    ("SAME", "RELU"). A custom operator has `custom=True`, its custom code as name, and the
    decoded flexbuffer map as options.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, OptionValue] = field(default_factory=lambda: _NOTHING)
    version: int = 1
    custom: bool = False


@dataclass(frozen=True)
class Subgraph:
    """Tensors, operators in executable order, and which tensors go in and out."""

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    name: str = "main"


@dataclass(frozen=True)
class Graph:
    """A whole file; `subgraphs[0]` is the one that is invoked.

    metadata : buffer name -> bytes ("minikws", "min_runtime_version", "TFLITE_METADATA" …).
    signature : {"inputs": {name: tensor index}, "outputs": {…}} of `serving_default`, or None.
    files : name -> bytes of the files zipped behind the model ("labels.txt" …).
    """

    subgraphs: tuple[Subgraph, ...]
    description: str = ""
    metadata: Mapping[str, bytes] = field(default_factory=lambda: _NOTHING)
    signature: Mapping[str, Mapping[str, int]] | None = None
    files: Mapping[str, bytes] = field(default_factory=lambda: _NOTHING)

    @property
    def main(self) -> Subgraph:
        """The subgraph that is invoked."""
        return self.subgraphs[0]
