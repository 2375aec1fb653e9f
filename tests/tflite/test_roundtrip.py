"""read(write(g)) == g, and what a written file looks like."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.errors import ModelFileError, UnsupportedOpError
from minikws.graph import Graph, Op, Subgraph, Tensor
from minikws.tflite import read_model, write_model
from minikws.tflite import schema as rows
from tests.tflite import tiny

DTYPES = [
    "int8",
    "uint8",
    "int16",
    "int32",
    "int64",
    "float32",
    "float64",
    "bool",
    "uint32",
    "int4",
]
texts = st.text(max_size=12).filter(lambda text: "\0" not in text)


def option(draw: st.DrawFn, field: rows.Field) -> object:
    if field.kind in rows.ENUMS:
        return draw(st.sampled_from(rows.ENUMS[field.kind]))
    return draw(
        {
            "int": st.integers(-(2**31), 2**31 - 1),
            "bool": st.booleans(),
            "float": st.floats(width=32, allow_nan=False),
            "ints": st.lists(st.integers(-5, 5), max_size=4).map(tuple),
            "text": texts,
        }[field.kind]
    )


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    dtype = draw(st.sampled_from(DTYPES))
    shape = tuple(draw(st.lists(st.integers(1, 4), max_size=4)))
    scale: tuple[float, ...] = ()
    axis = 0
    if dtype == "int8" and draw(st.booleans()):
        axis = draw(st.integers(0, max(len(shape) - 1, 0)))
        count = draw(st.sampled_from([1, shape[axis] if shape else 1]))
        scales = st.floats(2.0**-20, 2.0**20, width=32)
        scale = tuple(draw(st.lists(scales, min_size=count, max_size=count)))
    data = None
    if draw(st.booleans()):
        rng = np.random.default_rng(draw(st.integers(0, 1000)))
        low, high = (-8, 8) if dtype == "int4" else (0, 2) if dtype == "bool" else (0, 100)
        data = rng.integers(low, high, shape).astype("int8" if dtype == "int4" else dtype)
    zero_point = tuple(draw(st.integers(-128, 127)) for _ in scale)
    return Tensor(draw(texts), shape, dtype, scale, zero_point, axis, data)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    made = draw(st.lists(tensors(), min_size=1, max_size=6))
    free = [i for i, tensor in enumerate(made) if tensor.data is None]
    inputs = tuple(free[: draw(st.integers(0, len(free)))])
    ready = [i for i in range(len(made)) if i in inputs or made[i].data is not None]
    ops = []
    for index in free[len(inputs) :]:
        custom = draw(st.booleans())
        if custom:
            name = draw(st.sampled_from(sorted(rows.CUSTOM_OPTIONS)))
            options = {k: draw(st.integers(*v)) for k, v in rows.CUSTOM_OPTIONS[name].items()}
        else:
            name = draw(st.sampled_from(sorted(set(rows.OPTIONS) - {"CALL_ONCE"})))
            row = rows.OPTIONS[name]
            options = {f.name: option(draw, f) for f in (row.fields if row else ())}
        sources = tuple(draw(st.lists(st.sampled_from([*ready, -1]), max_size=4)))
        ops.append(Op(name, sources, (index,), options, draw(st.integers(5, 9)), custom))
        ready.append(index)
    outputs = tuple(draw(st.lists(st.sampled_from(ready), max_size=2))) if ready else ()
    signature = None
    if draw(st.booleans()):
        signature = {
            "inputs": {f"in{i}": index for i, index in enumerate(inputs)},
            "outputs": {f"out{i}": index for i, index in enumerate(outputs)},
        }
    subgraph = Subgraph(tuple(made), tuple(ops), inputs, outputs, draw(texts))
    return Graph(
        (subgraph,),
        draw(texts),
        {"min_runtime_version": tiny.RUNTIME_VERSION, "note": draw(st.binary(max_size=9))},
        signature,
        draw(st.dictionaries(st.sampled_from(["a.txt", "ü/b"]), st.binary(max_size=20))),
    )


@given(graph=graphs())
def test_reading_what_was_written(graph: Graph) -> None:
    data = write_model(graph)
    assert tiny.same(read_model(data), graph)
    assert write_model(read_model(data)) == data


@pytest.mark.parametrize("graph", [tiny.keyword_model(), tiny.keyword_model(dtype="float32")])
def test_a_keyword_model_comes_back(graph: Graph) -> None:
    again = read_model(write_model(graph))
    full = [rows.complete_options(op, "op") for op in graph.main.ops]
    assert [dict(op.options) for op in again.main.ops] == full
    assert write_model(graph) == write_model(again)


def test_files_of_others_come_back(tflm: Path) -> None:
    for path in sorted(tflm.glob("*.tflite")):
        graph = read_model(path)
        again = read_model(write_model(graph))
        if "min_runtime_version" not in graph.metadata:
            kept = {k: v for k, v in again.metadata.items() if k != "min_runtime_version"}
            again = replace(again, metadata=kept)
        assert tiny.same(again, graph), path.name


def test_constants_lie_at_multiples_of_16() -> None:
    graph = tiny.keyword_model()
    data = write_model(graph)
    for tensor in graph.main.tensors:
        if tensor.data is not None and tensor.data.nbytes > 12:
            at = data.find(tensor.data.tobytes())
            assert at > 0 and at % 16 == 0


def test_the_header() -> None:
    data = write_model(tiny.conv())
    assert data[4:8] == b"TFL3"
    assert struct.unpack_from("<I", data)[0] % 4 == 0
    assert len(data) % 4 == 0


def test_versions_are_raised_for_int8_only() -> None:
    def version(graph: Graph) -> int:
        op = replace(graph.main.ops[0], version=1)
        old = replace(graph, subgraphs=(replace(graph.main, ops=(op,)),))
        return read_model(write_model(old)).main.ops[0].version

    assert version(tiny.conv()) == 3
    assert version(tiny.dense()) == 4
    assert version(tiny.softmax()) == 2
    assert version(tiny.conv(dtype="float32")) == 1


def test_the_runtime_version_is_added() -> None:
    graph = replace(tiny.conv(), metadata={})
    assert read_model(write_model(graph)).metadata["min_runtime_version"][:6] == b"1.14.0"


def test_an_unknown_option_is_named() -> None:
    graph = tiny.softmax()
    op = replace(graph.main.ops[0], options={"betta": 1.0})
    with pytest.raises(ModelFileError, match=r"option 'betta'.*did you mean beta"):
        write_model(replace(graph, subgraphs=(replace(graph.main, ops=(op,)),)))


def test_an_operator_without_a_row_cannot_be_written() -> None:
    graph = tiny.softmax()
    op = Op("GATHER", (0,), (1,))
    with pytest.raises(UnsupportedOpError, match=r"GATHER.*cannot be written"):
        write_model(replace(graph, subgraphs=(replace(graph.main, ops=(op,)),)))
