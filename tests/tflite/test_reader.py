"""A file that is cut, damaged, or no model at all: one sentence, never anything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws.errors import ModelFileError, UnsupportedOpError
from minikws.graph import Graph, Op, Subgraph, Tensor
from minikws.tflite import attach, check_graph, read_model, write_model
from minikws.tflite.flatbuffer import Blob, Number, Record, Records, Text, Vector, serialize
from tests.tflite import tiny


def assert_every_cut_is_noticed(data: bytes) -> None:
    read_model(data)
    for length in range(len(data)):
        with pytest.raises(ModelFileError):
            read_model(data[:length])


def test_our_file_cut_at_any_byte() -> None:
    assert_every_cut_is_noticed(write_model(tiny.keyword_model()))


def test_our_file_with_appended_labels_cut_at_any_byte() -> None:
    graph = attach(tiny.softmax(), {"labels": ["yes", "no", "up", "down"]})
    assert_every_cut_is_noticed(write_model(graph))


def test_micro_speech_cut_at_any_byte(tflm: Path) -> None:
    assert_every_cut_is_noticed((tflm / "micro_speech_quantized.tflite").read_bytes())


def test_a_cut_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes(write_model(tiny.conv())[:400])
    with pytest.raises(ModelFileError, match=r"cut\.tflite is \d+ bytes too short.*download"):
        read_model(path)


@pytest.mark.parametrize(
    "data", [b"", b"TFL3", b"RIFF0000WAVEfmt ", b"hello, this is a text file\n", bytes(100)]
)
def test_what_is_no_model(data: bytes) -> None:
    with pytest.raises(ModelFileError, match=r"the model is not a \.tflite file"):
        read_model(data)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"none\.tflite cannot be read"):
        read_model(tmp_path / "none.tflite")
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_model(tmp_path)


def test_constants_are_read_only_and_survive_any_alignment() -> None:
    data = write_model(tiny.conv())
    values = read_model(data).main.tensors[2].data
    assert values is not None
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 1
    assert read_model(bytearray(data)).main.tensors[2].data is not None
    assert read_model(memoryview(data)).main.tensors[2].data is not None


def model_record(**changes: Any) -> bytes:
    """A minimal model: y = RELU(x), fields of its tables replaced by keyword."""
    fields: dict[str, Mapping[int, Any]] = {
        "code": {0: Number("b", 19), 3: Number("i", 19)},
        "x": {0: Vector("i", [2]), 1: Number("b", 9), 2: Number("I", 0), 3: Text("x")},
        "y": {0: Vector("i", [2]), 1: Number("b", 9), 2: Number("I", 0), 3: Text("y")},
        "op": {0: Number("I", 0), 1: Vector("i", [0]), 2: Vector("i", [1])},
        "subgraph": {1: Vector("i", [0]), 2: Vector("i", [1])},
        "buffer": {},
        "model": {0: Number("I", 3)},
    }
    for name, change in changes.items():
        fields[name] = {**fields[name], **change}
    subgraph = {
        0: Records([Record(fields["x"]), Record(fields["y"])]),
        3: Records([Record(fields["op"])]),
        **fields["subgraph"],
    }
    model = {
        1: Records([Record(fields["code"])]),
        2: Records([Record(subgraph)]),
        4: Records([Record(fields["buffer"])]),
        **fields["model"],
    }
    return serialize(Record(model), b"TFL3")


def test_the_minimal_model_is_fine() -> None:
    assert read_model(model_record()).main.ops[0].name == "RELU"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": {0: Number("I", 2)}}, "schema version 2, expected 3"),
        ({"model": {4: Records([])}}, "first buffer must be there and empty"),
        ({"buffer": {0: Blob(b"1234")}}, "first buffer must be there and empty"),
        ({"buffer": {1: Number("Q", 4096)}}, "over 2 GB"),
        ({"x": {2: Number("I", 7)}}, "tensor 0 uses buffer 7, there are 1"),
        ({"x": {1: Number("b", 77)}}, "tensor 0 has the unknown type 77"),
        ({"x": {0: Vector("i", [-1, 2])}}, r"tensor 0 has the shape \(-1, 2\)"),
        ({"x": {0: Vector("i", [1] * 9)}}, "up to 6 dimensions"),
        ({"x": {0: Vector("i", [2**30, 2**30])}}, "expected up to 1073741824 bytes"),
        ({"op": {0: Number("I", 3)}}, "operator code number 3, there are 1"),
        ({"op": {1: Vector("i", [9])}}, r"an input of op 1 of 1 \(RELU\).*is tensor 9"),
        (
            {"op": {1: Vector("i", [1])}},
            r"uses tensor 1 \('y'\) before it is computed \(op 1 computes it\)",
        ),
        ({"op": {2: Vector("i", [0])}}, r"writes tensor 0 \('x'\), which is an input"),
        ({"op": {2: Vector("i", [])}}, r"output tensor 1 \('y'\) of the model is computed by no"),
        ({"subgraph": {1: Vector("i", [5])}}, "an input of the model is tensor 5"),
        ({"subgraph": {1: Vector("i", [0, 0])}}, "a variable or listed twice"),
        ({"model": {2: Records([])}}, "holds 0 subgraphs, expected 1 to 100"),
        ({"code": {3: Number("i", 25)}, "op": {3: Number("B", 8)}}, "options of the kind 8"),
        (
            {"model": {6: Records([Record({0: Text("a"), 1: Number("I", 9)})])}},
            "metadata entry 0 uses buffer 9",
        ),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        read_model(model_record(**changes))


def test_an_enum_out_of_range() -> None:
    options = Record({0: Number("b", 5)})
    changes = {
        "code": {0: Number("b", 3), 3: Number("i", 3)},
        "op": {3: Number("B", 1), 4: options},
    }
    with pytest.raises(ModelFileError, match="padding number 5, known are 0 to 1"):
        read_model(model_record(**changes))


@pytest.mark.parametrize("code", [200, -3, 5000])
def test_an_unknown_operator_code(code: int) -> None:
    changes = {"code": {0: Number("b", min(code, 127)), 3: Number("i", code)}}
    with pytest.raises(UnsupportedOpError, match=f"operator code {code}"):
        read_model(model_record(**changes))


def test_an_unknown_custom_operator() -> None:
    changes = {"code": {0: Number("b", 32), 3: Number("i", 32), 1: Text("MyOp")}}
    with pytest.raises(UnsupportedOpError, match=r"custom operator 'MyOp'.*known are SignalDelay"):
        read_model(model_record(**changes))


def test_custom_options_that_are_not_a_map() -> None:
    changes = {
        "code": {0: Number("b", 32), 3: Number("i", 32), 1: Text("SignalWindow")},
        "op": {5: Blob(b"abc")},
    }
    with pytest.raises(ModelFileError, match=r"options of operator 0 \(SignalWindow\)"):
        read_model(model_record(**changes))


def with_tensor(graph: Graph, index: int, **fields: Any) -> Graph:
    tensors = list(graph.main.tensors)
    tensors[index] = replace(tensors[index], **fields)
    return replace(graph, subgraphs=(replace(graph.main, tensors=tuple(tensors)),))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scale": (0.0,)}, "has the scale 0.0, expected one above 0"),
        ({"scale": (float("nan"),)}, "has the scale nan, expected one above 0"),
        ({"scale": (0.1, 0.2)}, "2 scales and 1 zero points"),
        ({"scale": (0.1, 0.2), "zero_point": (0, 0)}, "2 scales along dimension 0"),
        ({"zero_point": (300,)}, "has the zero point 300, expected -128 to 127 for int8"),
        ({"dtype": "int7"}, "unknown type 'int7'"),
        ({"data": np.zeros(3, np.int8)}, r"its constant is int8 \(3,\)"),
    ],
)
def test_tensors_that_contradict_themselves(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        check_graph(with_tensor(tiny.softmax(), 0, **fields))


def test_a_constant_of_the_wrong_length() -> None:
    data = write_model(tiny.conv())
    shorter = data.replace(
        np.array([4, 3, 3, 1], "<i4").tobytes(), b"\5\0\0\0\3\0\0\0\3\0\0\0\1\0\0\0"
    )
    with pytest.raises(ModelFileError, match=r"needs 45 bytes, its buffer has 36"):
        read_model(shorter)


def test_subgraphs_that_call_each_other() -> None:
    def caller(target: int) -> Subgraph:
        return Subgraph((), (Op("CALL_ONCE", (), (), {"init_subgraph_index": target}),), (), ())

    with pytest.raises(ModelFileError, match="call each other in a circle"):
        check_graph(Graph((caller(1), caller(0))))
    with pytest.raises(ModelFileError, match="calls subgraph 7, there are 2"):
        check_graph(Graph((caller(7), caller(0))))


def test_an_offline_plan_of_another_size() -> None:
    plan = np.array([1, 0, 5, 0, 0, 0, 0, 0], "<i4").tobytes()
    graph = replace(tiny.softmax(), metadata={"OfflineMemoryAllocation": plan})
    with pytest.raises(ModelFileError, match="offline memory plan of the model is for 5 tensors"):
        check_graph(graph)


def test_a_signature_that_names_another_tensor() -> None:
    graph = replace(tiny.softmax(), signature={"inputs": {"x": 1}, "outputs": {}})
    with pytest.raises(ModelFileError, match="names 'x' as tensor 1 among the inputs"):
        check_graph(graph)


def test_shared_bytes_do_not_make_reading_endless() -> None:
    # 60,000 operators that all point to one list of 60,000 inputs: 3.6 billion numbers
    data = bytearray(model_record(op={1: Vector("i", [0] * 60_000)}))
    root = read_model(bytes(data)).main.ops[0]
    assert len(root.inputs) == 60_000
    shared = _share_operators(bytes(data), 60_000)
    with pytest.raises(ModelFileError, match="used over and over"):
        read_model(shared)


def _share_operators(data: bytes, count: int) -> bytes:
    """Point the subgraph's list of operators to a new one: `count` times the same operator."""
    from minikws.tflite.flatbuffer import Source, Table

    root = Source(data, "the model").root(b"TFL3", "model")
    subgraph: Table = root.tables(2, "subgraph")[0]
    operator = subgraph.tables(3, "operator")[0]
    at = subgraph.find(3, 4)
    assert at is not None
    out = bytearray(data)
    start = len(out)
    out[at : at + 4] = (start - at).to_bytes(4, "little")
    out += count.to_bytes(4, "little")
    for i in range(count):
        # offsets point forward only, so the operator's table is copied behind the list
        out += (4 * (count - i)).to_bytes(4, "little")
    vtable = operator.vtable - operator.at
    body = bytearray(data[operator.at : operator.at + operator.size])
    end = len(out)
    body[0:4] = (end - (operator.at + vtable)).to_bytes(4, "little", signed=True)
    out += body
    inputs = operator.find(1, 4)
    outputs = operator.find(2, 4)
    assert inputs is not None and outputs is not None
    for field, values in ((inputs, [0] * 60_000), (outputs, [1])):
        place = end + field - operator.at
        out[place : place + 4] = (len(out) - place).to_bytes(4, "little")
        out += len(values).to_bytes(4, "little") + np.array(values, "<i4").tobytes()
    return bytes(out)


def test_a_tensor_without_values_needs_no_buffer() -> None:
    # RESHAPE to a scalar: the new shape is an empty constant
    tensors = [
        Tensor("x", (1,), "int8"),
        Tensor("shape", (0,), "int32"),
        Tensor("y", (), "int8"),
    ]
    graph = tiny.graph_of(tensors, [Op("RESHAPE", (0, 1), (2,), {"new_shape": ()})], (0,), (2,))
    assert tiny.same(read_model(write_model(graph)), graph)
