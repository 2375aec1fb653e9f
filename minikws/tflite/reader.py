"""Read a .tflite file into a `Graph`, trusting no byte of it.

The runtime that minikws mirrors checks almost nothing: a damaged file makes it crash or read
past a buffer. Here every position, count and index is checked; whatever is wrong becomes one
`ModelFileError` that names the file. Memory stays within a few times the file's size:
constants are views of its bytes.

Source: schema.fbs (version 3); names and defaults are rows of `minikws.tflite.schema`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from minikws._typing import Array
from minikws.errors import ModelFileError, UnsupportedOpError
from minikws.graph import Graph, Op, OptionValue, Subgraph, Tensor
from minikws.tflite import flexbuffer, schema
from minikws.tflite.archive import read_files
from minikws.tflite.associated import check_associated_files
from minikws.tflite.checks import MAX_RANK, check_graph, short
from minikws.tflite.flatbuffer import Source, Table

ModelSource: TypeAlias = str | PathLike[str] | bytes | bytearray | memoryview


def read_model(model: ModelSource) -> Graph:
    """Read a .tflite file.

    Parameters
    ----------
    model : a path, or the bytes of the file.

    Returns
    -------
    the decoded file; constants are read-only arrays.

    Raises
    ------
    ModelFileError : not a .tflite file, cut, damaged, or not there.
    UnsupportedOpError : an operator code or custom operator that minikws has no name for.
    """
    if isinstance(model, bytes | bytearray | memoryview):
        return _read(bytes(model), "the model")
    path = Path(model)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be read ({error.strerror or error}); give the path of a .tflite file"
        ) from error
    return _read(data, str(path))


def _read(data: bytes, name: str) -> Graph:
    if len(data) < 8 or data[4:8] != schema.IDENTIFIER:
        raise ModelFileError(
            f"{name} is not a .tflite file: expected TFL3 at bytes 4 to 7, found "
            f"{data[4:8]!r} in {len(data)} bytes; give the path of a .tflite file"
        )
    files, model_bytes = read_files(data, name)
    source = Source(data, name)
    if model_bytes == len(data) and len(data) % 4:
        raise ModelFileError(
            f"{name} has {len(data)} bytes, expected a multiple of 4; "
            "the file is damaged or the download incomplete"
        )
    root = source.root(schema.IDENTIFIER, "the model's table")
    version = root.integer(0, "I")
    if version != schema.SCHEMA_VERSION:
        raise ModelFileError(
            f"{name} has the schema version {version}, expected {schema.SCHEMA_VERSION}; "
            "convert the model with a current converter"
        )
    buffers = _buffers(root)
    codes = [_operator_code(table) for table in root.tables(1, "operator code")]
    graph = Graph(
        subgraphs=tuple(_subgraph(table, codes, buffers) for table in root.tables(2, "subgraph")),
        description=root.string(3),
        metadata=_metadata(root, buffers),
        signature=_signature(root),
        files=MappingProxyType(files),
    )
    check_graph(graph, name)
    check_associated_files(graph, name)
    return graph


def _buffers(root: Table) -> list[memoryview | None]:
    buffers: list[memoryview | None] = []
    for table in root.tables(4, "buffer"):
        if table.integer(1, "Q") > 1:
            raise ModelFileError(
                f"{root.source.name} keeps its weights outside the FlatBuffer, as files of over "
                "2 GB do; minikws reads smaller ones only"
            )
        data = table.blob(0)
        buffers.append(data if data is not None and len(data) > 0 else None)
    if not buffers or buffers[0] is not None:
        raise root.source.damaged("its first buffer must be there and empty")
    return buffers


def _buffer(buffers: list[memoryview | None], index: int, table: Table) -> memoryview | None:
    if index >= len(buffers):
        raise table.source.damaged(f"{table.what} uses buffer {index}, there are {len(buffers)}")
    return buffers[index]


def _operator_code(table: Table) -> tuple[str, bool, int]:
    """Return (name, whether custom, version)."""
    # The first field has room for codes up to 127 only; newer writers fill both.
    code = max(table.integer(0, "b"), table.integer(3, "i"))
    version = table.integer(2, "i", 1)
    name = table.source.name
    if code == schema.CUSTOM_CODE:
        custom_name = table.string(1)
        if custom_name not in schema.CUSTOM_OPTIONS:
            raise UnsupportedOpError(
                f"{name} uses the custom operator {short(custom_name)!r}, which minikws does not "
                f"run; known are {', '.join(schema.CUSTOM_OPTIONS)}"
            )
        return custom_name, True, version
    if not 0 <= code < len(schema.BUILTIN_NAMES):
        raise UnsupportedOpError(
            f"{name} uses the operator code {code}, which minikws does not know; "
            "convert the model for TFLite Micro"
        )
    return schema.BUILTIN_NAMES[code], False, version


def _subgraph(
    table: Table, codes: list[tuple[str, bool, int]], buffers: list[memoryview | None]
) -> Subgraph:
    return Subgraph(
        tensors=tuple(_tensor(row, buffers) for row in table.tables(0, "tensor")),
        ops=tuple(_op(row, codes) for row in table.tables(3, "operator")),
        inputs=table.integers(1, "i"),
        outputs=table.integers(2, "i"),
        name=table.string(4),
    )


def _tensor(table: Table, buffers: list[memoryview | None]) -> Tensor:
    source = table.source
    code = table.integer(1, "b")
    if code not in schema.TYPE_NAMES:
        raise source.damaged(f"{table.what} has the unknown type {code}")
    dtype = schema.TYPE_NAMES[code]
    shape = table.integers(0, "i")
    if len(shape) > MAX_RANK or min(shape, default=0) < 0:
        raise source.damaged(
            f"{table.what} has the shape {shape[:8]}, expected up to {MAX_RANK} dimensions of 0 "
            "or more"
        )
    data = _buffer(buffers, table.integer(2, "I"), table)
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis = 0
    quantization = table.table(4, f"the quantization of {table.what}")
    if quantization is not None:
        scale = tuple(float(number) for number in quantization.numbers(2, "f"))
        zero_point = quantization.integers(3, "q") if scale else ()
        axis = quantization.integer(6, "i")
    return Tensor(
        name=table.string(3),
        shape=shape,
        dtype=dtype,
        scale=scale,
        zero_point=zero_point,
        axis=axis,
        data=None if data is None else _constant(data, dtype, shape, table),
        is_variable=bool(table.integer(5, "?")),
    )


def _constant(data: memoryview, dtype: str, shape: tuple[int, ...], table: Table) -> Array:
    """Return a constant's values: a read-only view where alignment allows, else a copy."""
    n_bytes = schema.n_bytes_of(dtype, shape)
    if n_bytes != len(data):
        raise table.source.damaged(
            f"{table.what} is {dtype} {shape} and needs {n_bytes} bytes, its buffer has {len(data)}"
        )
    if dtype in schema.OPAQUE_TYPES:
        raise ModelFileError(
            f"{table.what} of {table.source.name} is a constant of type {dtype}, which minikws "
            "does not read; convert the model for TFLite Micro"
        )
    if dtype == "int4":
        pairs = np.frombuffer(data, np.uint8)
        nibbles = np.stack([pairs & 15, pairs >> 4], axis=-1).ravel()[: math.prod(shape)]
        values = ((nibbles ^ 8).astype(np.int8) - np.int8(8)).reshape(shape)
    else:
        values = np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).reshape(shape)
        if not (values.flags.aligned and values.dtype.isnative):
            values = values.astype(dtype)
    values.flags.writeable = False
    return values


def _op(table: Table, codes: list[tuple[str, bool, int]]) -> Op:
    source = table.source
    index = table.integer(0, "I")
    if index >= len(codes):
        raise source.damaged(
            f"{table.what} has the operator code number {index}, there are {len(codes)}"
        )
    name, custom, version = codes[index]
    options = _custom_options(table, name) if custom else _builtin_options(table, name)
    return Op(
        name=name,
        inputs=table.integers(1, "i"),
        outputs=table.integers(2, "i"),
        options=MappingProxyType(options),
        version=version,
        custom=custom,
    )


def _builtin_options(table: Table, name: str) -> dict[str, OptionValue]:
    row = schema.OPTIONS.get(name)
    if row is None:
        return {}
    number = table.integer(3, "B")
    options: Table | None = None
    if number != 0:
        if number != row.number:
            raise table.source.damaged(
                f"{table.what} ({name}) has options of the kind {number}, expected {row.number}"
            )
        options = table.table(4, f"the options of {table.what} ({name})")
    if options is None:
        return {field.name: field.default for field in row.fields}
    return {
        field.name: _READ_FIELD.get(field.kind, _enum)(options, slot, field)
        for slot, field in enumerate(row.fields)
    }


def _enum(options: Table, slot: int, field: schema.Field) -> OptionValue:
    names = schema.ENUMS[field.kind]
    assert isinstance(field.default, str)
    number = options.integer(slot, "b", names.index(field.default))
    if not 0 <= number < len(names):
        raise options.source.damaged(
            f"{options.what} has {field.name} number {number}, known are 0 to {len(names) - 1}"
        )
    return names[number]


def _int_field(options: Table, slot: int, field: schema.Field) -> OptionValue:
    assert isinstance(field.default, int)
    return options.integer(slot, "i", field.default)


def _float_field(options: Table, slot: int, field: schema.Field) -> OptionValue:
    assert isinstance(field.default, float)
    return float(options.scalar(slot, "f", field.default))


def _bool_field(options: Table, slot: int, field: schema.Field) -> OptionValue:
    return bool(options.integer(slot, "?", bool(field.default)))


_READ_FIELD: dict[str, Callable[[Table, int, schema.Field], OptionValue]] = {
    "int": _int_field,
    "float": _float_field,
    "bool": _bool_field,
    "ints": lambda options, slot, field: options.integers(slot, "i"),
    "text": lambda options, slot, field: options.string(slot),
}


def _custom_options(table: Table, name: str) -> dict[str, OptionValue]:
    data = table.blob(5)
    try:
        return flexbuffer.loads(bytes(data or b""))
    except flexbuffer.FlexBufferError as error:
        raise table.source.damaged(
            f"the options of {table.what} ({name}) cannot be read, {error}"
        ) from error


def _metadata(root: Table, buffers: list[memoryview | None]) -> MappingProxyType[str, bytes]:
    result: dict[str, bytes] = {}
    for table in root.tables(6, "metadata entry"):
        name = table.string(0)
        data = _buffer(buffers, table.integer(1, "I"), table) or b""
        root.source.spend(len(data), table.what)
        if name in result:
            raise root.source.damaged(f"it has two metadata entries named {short(name)!r}")
        result[name] = bytes(data)
    return MappingProxyType(result)


def _signature(root: Table) -> MappingProxyType[str, MappingProxyType[str, int]] | None:
    """Return the signature `serving_default` of the main subgraph, or the first one there."""
    found = [row for row in root.tables(7, "signature") if row.integer(4, "I") == 0]
    if not found:
        return None
    table = next((row for row in found if row.string(2) == schema.SIGNATURE_KEY), found[0])
    sides: dict[str, MappingProxyType[str, int]] = {}
    for slot, side in enumerate(("inputs", "outputs")):
        rows = table.tables(slot, f"signature {side[:-1]}")
        names = {row.string(0): row.integer(1, "I") for row in rows}
        if len(names) != len(rows):
            raise root.source.damaged(f"two {side} of its signature have the same name")
        sides[side] = MappingProxyType(names)
    return MappingProxyType(sides)
