"""Write a `Graph` as the bytes of a .tflite file, the same graph to the same bytes.

In comes a graph, from the converter or the reader; out come bytes that TFLite Micro, LiteRT
and every other reader accept: constants at multiples of 16 bytes, operator codes with both
their fields, a signature, metadata buffers, and appended files.

Source: schema.fbs (version 3); names and defaults are rows of `minikws.tflite.schema`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minikws._typing import Array
from minikws.errors import UnsupportedOpError
from minikws.graph import Graph, Op, OptionValue, Subgraph, Tensor
from minikws.tflite import flexbuffer, schema
from minikws.tflite.archive import append_files
from minikws.tflite.checks import check_graph, describe
from minikws.tflite.flatbuffer import Blob, Node, Number, Record, Records, Text, Vector, serialize

_VARIABLE_OPS = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")


def write_model(graph: Graph) -> bytes:
    """Serialize a graph.

    Options that an operator leaves out get the schema's defaults; versions are raised to what
    int8 inputs need; `min_runtime_version` is added where the metadata lacks it.

    Raises
    ------
    ModelFileError : a graph that contradicts itself.
    UnsupportedOpError : an operator whose options minikws does not know.
    """
    check_graph(graph)
    codes: dict[tuple[str, bool, int], int] = {}
    buffers = [Record({})]
    subgraphs = [_subgraph(subgraph, codes, buffers) for subgraph in graph.subgraphs]
    metadata = dict(graph.metadata)
    metadata.setdefault("min_runtime_version", _min_runtime_version(graph))
    entries: list[Record] = []
    for name, data in metadata.items():
        buffers.append(_buffer(data))
        entries.append(Record({0: Text(name), 1: Number("I", len(buffers) - 1)}))
    fields: dict[int, Node] = {
        0: Number("I", schema.SCHEMA_VERSION),
        1: Records([_operator_code(*key) for key in codes]),
        2: Records(subgraphs),
        4: Records(buffers),
        6: Records(entries),
    }
    if graph.description:
        fields[3] = Text(graph.description)
    if graph.signature is not None:
        fields[7] = Records([_signature(graph.signature)])
    return append_files(serialize(Record(fields), schema.IDENTIFIER), graph.files)


def _buffer(data: bytes) -> Record:
    return Record({0: Blob(data)} if data else {})


def _operator_code(name: str, custom: bool, version: int) -> Record:
    code = schema.CUSTOM_CODE if custom else schema.BUILTIN_CODES[name]
    fields: dict[int, Node] = {
        0: Number("b", min(code, 127)),
        2: Number("i", version),
        3: Number("i", code),
    }
    if custom:
        fields[1] = Text(name)
    return Record(fields)


def _subgraph(
    subgraph: Subgraph, codes: dict[tuple[str, bool, int], int], buffers: list[Record]
) -> Record:
    tensors: list[Record] = []
    for tensor in subgraph.tensors:
        index = 0
        if tensor.data is not None and tensor.data.size > 0:
            buffers.append(_buffer(_constant_bytes(tensor.data, tensor.dtype)))
            index = len(buffers) - 1
        tensors.append(_tensor(tensor, index))
    operators: list[Record] = []
    for i, op in enumerate(subgraph.ops):
        key = (op.name, op.custom, op_version(op, subgraph.tensors))
        number = codes.setdefault(key, len(codes))
        operators.append(_operator(op, number, describe(op, i, subgraph, "the model")))
    return Record(
        {
            0: Records(tensors),
            1: Vector("i", subgraph.inputs),
            2: Vector("i", subgraph.outputs),
            3: Records(operators),
            4: Text(subgraph.name),
        }
    )


def op_version(op: Op, tensors: tuple[Tensor, ...]) -> int:
    """Return the version to write: the operator's own, or what its int8 input asks for."""
    is_int8 = any(index >= 0 and tensors[index].dtype == "int8" for index in op.inputs[:1])
    return max(op.version, schema.INT8_VERSIONS.get(op.name, 1) if is_int8 else 1)


def _min_runtime_version(graph: Graph) -> bytes:
    """Return the first TensorFlow that runs these operators, 16 bytes as converters write it."""
    names = {op.name for subgraph in graph.subgraphs for op in subgraph.ops}
    version = b"2.6.0" if names.intersection(_VARIABLE_OPS) else b"1.14.0"
    return version.ljust(16, b"\0")


def _constant_bytes(values: Array, dtype: str) -> bytes:
    if dtype == "int4":
        nibbles = (values.ravel() & 15).astype(np.uint8)
        nibbles = np.append(nibbles, np.zeros(nibbles.size % 2, np.uint8))
        return (nibbles[0::2] | nibbles[1::2] << 4).tobytes()
    return values.astype(np.dtype(dtype).newbyteorder("<")).tobytes()


def _tensor(tensor: Tensor, buffer_index: int) -> Record:
    fields: dict[int, Node] = {
        0: Vector("i", tensor.shape),
        1: Number("b", schema.TENSOR_TYPES[tensor.dtype].code),
        2: Number("I", buffer_index),
        3: Text(tensor.name),
    }
    if tensor.scale:
        fields[4] = Record(
            {
                2: Vector("f", tensor.scale),
                3: Vector("q", tensor.zero_point),
                6: Number("i", tensor.axis),
            }
        )
    if tensor.is_variable:
        fields[5] = Number("?", True)
    return Record(fields)


def _operator(op: Op, code_index: int, what: str) -> Record:
    fields: dict[int, Node] = {
        0: Number("I", code_index),
        1: Vector("i", op.inputs),
        2: Vector("i", op.outputs),
    }
    options = schema.complete_options(op, what)
    if op.custom:
        fields[5] = Blob(flexbuffer.dumps(options))
    elif op.name not in schema.OPTIONS:
        raise UnsupportedOpError(
            f"{what} cannot be written, minikws does not know its options; "
            f"known are {', '.join(schema.OPTIONS)}"
        )
    else:
        row = schema.OPTIONS[op.name]
        if row is not None:
            fields[3] = Number("B", row.number)
            fields[4] = _options(row, options)
    return Record(fields)


def _options(row: schema.Options, options: Mapping[str, OptionValue]) -> Record:
    fields: dict[int, Node] = {}
    for slot, field in enumerate(row.fields):
        value = options[field.name]
        if field.kind in schema.ENUMS:
            assert isinstance(value, str)
            fields[slot] = Number("b", schema.ENUMS[field.kind].index(value))
        elif isinstance(value, str):
            fields[slot] = Text(value)
        elif isinstance(value, tuple):
            fields[slot] = Vector("i", value)
        else:
            fields[slot] = Number({"int": "i", "bool": "?", "float": "f"}[field.kind], value)
    return Record(fields)


def _signature(signature: Mapping[str, Mapping[str, int]]) -> Record:
    def side(names: Mapping[str, int]) -> Records:
        return Records(
            [Record({0: Text(name), 1: Number("I", index)}) for name, index in names.items()]
        )

    return Record(
        {
            0: side(signature.get("inputs", {})),
            1: side(signature.get("outputs", {})),
            2: Text(schema.SIGNATURE_KEY),
            4: Number("I", 0),
        }
    )
