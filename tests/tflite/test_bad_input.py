"""What a file may say wrongly: one sentence with operator, tensor, what was found and expected."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from minikws.errors import ModelFileError, ShapeError
from minikws.graph import Graph, Op, Tensor
from minikws.runtime import Interpreter
from minikws.runtime.limits import MAX_BYTES
from minikws.tflite import check_graph
from tests.tflite import tiny
from tests.tflite.every_op import every_op

SEEDS = every_op()
OPERATOR = r"op \d+ of \d+ \([A-Za-z0-9_]+\)"


def changed(graph: Graph, index: int, **fields: Any) -> Graph:
    tensors = list(graph.main.tensors)
    tensors[index] = replace(tensors[index], **fields)
    return replace(graph, subgraphs=(replace(graph.main, tensors=tuple(tensors)),))


def assert_one_sentence(error: pytest.ExceptionInfo[Any], tensor: Tensor) -> None:
    text = str(error.value)
    assert re.search(OPERATOR, text), text
    assert repr(tensor.name) in text and "expected" in text, text
    assert text.count("; ") == 1 and "\n" not in text, text


QUANTIZED = [
    (name, index)
    for name, graph in SEEDS.items()
    if len(graph.subgraphs) == 1
    for index, tensor in enumerate(graph.main.tensors)
    if tensor.scale
]


@pytest.mark.parametrize(
    "damage",
    [
        {"scale": (0.0,), "zero_point": (0,)},
        {"scale": (-0.5,), "zero_point": (0,)},
        {"scale": (float("nan"),), "zero_point": (0,)},
        {"scale": (0.5, 0.5), "zero_point": (0,)},
        {"scale": (0.5,) * 77, "zero_point": (0,) * 77},
        {"scale": (0.5,), "zero_point": (2**40,)},
    ],
    ids=["zero", "negative", "nan", "unequal", "77 scales", "zero point"],
)
@pytest.mark.parametrize(("name", "index"), QUANTIZED)
def test_quantization_that_cannot_be(name: str, index: int, damage: dict[str, Any]) -> None:
    graph = changed(SEEDS[name], index, **damage)
    with pytest.raises(ModelFileError) as error:
        check_graph(graph)
    assert_one_sentence(error, graph.main.tensors[index])


# Operators to which a scale means nothing, and outputs whose scale is not looked at.
MOVES = {
    *("EXPAND_DIMS", "MAXIMUM", "MINIMUM", "PAD", "PADV2", "RESHAPE", "SPLIT", "SPLIT_V"),
    *("SQUEEZE", "STRIDED_SLICE", "TRANSPOSE"),
}
FIXED = {("RELU6", 1), ("TANH", 1)}


@pytest.mark.parametrize(("name", "index"), QUANTIZED)
def test_quantization_that_is_missing(name: str, index: int) -> None:
    graph = changed(SEEDS[name], index, scale=(), zero_point=())
    try:
        Interpreter(graph)
    except ModelFileError as error:
        assert re.search(OPERATOR, str(error)) and "expected" in str(error), error
        assert repr(graph.main.tensors[index].name) in str(error), error
    else:
        users = {op.name for op in graph.main.ops if index in (*op.inputs, *op.outputs)}
        is_bias = graph.main.tensors[index].dtype == "int32"
        assert users <= MOVES or is_bias or (*users, index) in FIXED


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((2**31 - 1, 2**31 - 1), "int8"),
        ((2**16, 2**16), "float32"),
        ((2**31 - 1, 0, 2**31 - 1), "int8"),
    ],
)
def test_sizes_that_overflow(shape: tuple[int, ...], dtype: str) -> None:
    graph = changed(tiny.softmax(), 0, shape=shape, dtype=dtype)
    with pytest.raises(
        ModelFileError, match=re.escape(f"has the shape {shape} of {dtype}")
    ) as error:
        check_graph(graph)
    assert_one_sentence(error, graph.main.tensors[0])


def two_relus(first: tuple[int, int], second: tuple[int, int]) -> Graph:
    """Two operators, each with (its input, its output), on x, a and b."""
    tensors = [tiny.activation(name, (1, 4), 0.1, 0) for name in ("x", "a", "b")]
    ops = [Op("RELU", (i,), (o,)) for i, o in (first, second)]
    return tiny.graph_of(tensors, ops, (0,), (2,))


def test_a_cycle() -> None:
    graph = two_relus((2, 1), (1, 2))
    words = r"op 1 of 2 \(RELU\).* uses tensor 2 \('b'\) before .* \(op 2 computes it\), expected"
    with pytest.raises(ModelFileError, match=words) as error:
        Interpreter(graph)
    assert_one_sentence(error, graph.main.tensors[2])


def test_a_tensor_that_nothing_makes() -> None:
    graph = two_relus((0, 1), (1, 1))
    with pytest.raises(
        ModelFileError, match=r"op 2 of 2 \(RELU\).* writes tensor 1 \('a'\)"
    ) as error:
        Interpreter(graph)
    assert_one_sentence(error, graph.main.tensors[1])
    graph = two_relus((1, 2), (2, 0))
    with pytest.raises(ModelFileError, match=r"uses tensor 1 \('a'\).*no operator computes it"):
        Interpreter(graph)


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (np.zeros((1, 61), np.int8), "int8 (1, 61)"),
        (np.zeros(60, np.int8), "int8 (60,)"),
        (np.zeros((1, 60), np.uint8), "uint8 (1, 60)"),
        (np.zeros((1, 60), np.complex64), "complex64 (1, 60)"),
        (np.array("yes"), "<U3 ()"),
        (np.array([None] * 60, object), "object (60,)"),
    ],
)
def test_wrong_arrays_for_invoke(x: np.ndarray, found: str) -> None:
    graph = tiny.keyword_model()
    words = f"is {found}, the model expects int8 (1, 60)"
    with pytest.raises(ShapeError, match=re.escape(words)) as error:
        Interpreter(graph).invoke(x)
    text = str(error.value)
    assert text.startswith("the input 'features' of op 1 of 5 (RESHAPE)") and "; " in text


def test_subgraphs_that_are_called_take_nothing() -> None:
    graph = SEEDS["variables"]
    start = replace(graph.subgraphs[1], outputs=(0,))
    with pytest.raises(
        ModelFileError, match=r"op 1 of 6 \(CALL_ONCE\).*calls subgraph 1 with 0 inputs and 1"
    ):
        check_graph(replace(graph, subgraphs=(graph.main, start)))


def large(name: str, n: int) -> Graph:
    """A model that is right in itself and would take gigabytes."""
    rows = tiny.activation("x", (1, n), 0.1, 0)
    if name == "variable":
        graph = tiny.softmax()
        state = replace(rows, name="state", is_variable=True)
        main = replace(graph.main, tensors=(*graph.main.tensors, state))
        return replace(graph, subgraphs=(main,))
    if name == "relu":
        return tiny.operator("RELU", [rows], replace(rows, name="y"))
    if name == "pad":
        paddings = tiny.constant("paddings", [[0, 0], [0, n - 4]], "int32")
        x = replace(rows, shape=(1, 4))
        return tiny.operator("PAD", [x, paddings], replace(rows, name="y"))
    if name == "broadcast":
        x2 = tiny.activation("x2", (n // 1000, 1), 0.1, 0)
        y = tiny.activation("y", (n // 1000, 1000), 0.2, 0)
        return tiny.operator("ADD", [replace(rows, shape=(1, 1000)), x2], y)
    # columns: a kernel of 32 x 32 at each of 512 x 512 positions
    return tiny.conv(hw=(512, 512), kernel=(32, 32), outputs=1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "variable",
            r"the activations of the model take \d+ bytes, the largest, 'state' int8 \(1, 2",
        ),
        ("relu", r"the activations of the model take \d+ bytes, the largest, 'x' int8"),
        ("pad", r"op 1 of 1 \(PAD\) in the model on 'x' \(1, 4\).* would take about \d+ bytes"),
        ("broadcast", r"op 1 of 1 \(ADD\) in the model on 'x' \(1, 1000\), 'x2'.* would take"),
        ("columns", r"op 1 of 1 \(CONV_2D\) in the model on 'x' \(1, 512, 512, 1\).* would take"),
    ],
)
def test_models_that_would_fill_the_memory(name: str, words: str) -> None:
    n = 2 * MAX_BYTES if name in ("variable", "relu") else MAX_BYTES // 32
    with pytest.raises(ModelFileError, match=f"{words}.*expected up to {MAX_BYTES}.*; export"):
        Interpreter(large(name, n))


def test_a_model_that_would_run_for_minutes() -> None:
    graph = tiny.conv(hw=(128, 128), kernel=(64, 64), outputs=1, depthwise=True, channels=4)
    assert Interpreter(tiny.conv(hw=(64, 64), kernel=(3, 3), depthwise=True, channels=4))
    with pytest.raises(
        ModelFileError, match=r"\(DEPTHWISE_CONV_2D\).*steps of work.*expected up to"
    ):
        Interpreter(graph)


def test_an_input_that_no_array_can_hold() -> None:
    graph = tiny.reshape(dtype="resource")
    with pytest.raises(ModelFileError, match=r"tensor 0 \('x'\).* of type resource"):
        Interpreter(graph)


def test_a_model_of_too_many_tensors() -> None:
    tensors = [tiny.activation(f"t{i}", (1, 4), 0.1, 0) for i in range(3000)]
    ops = [Op("RELU", (i,), (i + 1,)) for i in range(2999)]
    with pytest.raises(ModelFileError, match="holds 3000 tensors, expected up to 2048; export"):
        check_graph(tiny.graph_of(tensors, ops, (0,), (2999,)))


def test_a_softmax_whose_sums_would_leave_int32() -> None:
    words = r"op 1 of 1 \(SOFTMAX\).*has rows of 4096 values, expected up to 4095"
    with pytest.raises(ModelFileError, match=words):
        Interpreter(tiny.softmax((1, 4096)))


def test_softmax_of_many_rows_is_that_of_each() -> None:
    x = np.random.default_rng(3).integers(-128, 128, (40, 7), np.int8)
    one = Interpreter(tiny.softmax((1, 7)))
    rows = np.concatenate([one.invoke(row[None]) for row in x])
    np.testing.assert_array_equal(Interpreter(tiny.softmax((40, 7))).invoke(x), rows)


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_an_output_without_values_that_nothing_computes(dtype: str) -> None:
    graph = tiny.keyword_model()
    output = graph.main.outputs[0]
    tensors = (*graph.main.tensors, replace(graph.main.tensors[output], dtype=dtype, shape=(3, 0)))
    main = replace(graph.main, tensors=tensors, outputs=(len(tensors) - 1,))
    with pytest.raises(ModelFileError, match=r"output tensor \d+ .* is computed by no operator"):
        check_graph(replace(graph, subgraphs=(main,), signature=None))
