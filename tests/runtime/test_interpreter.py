"""The interpreter's manners: names, shapes, batches, float input, what it refuses."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws.errors import ModelFileError, SettingsError, ShapeError, UnsupportedOpError
from minikws.fixedpoint import dequantize
from minikws.graph import Graph, Op, Tensor
from minikws.runtime import Interpreter
from minikws.runtime.interpreter import BATCH_CLIPS
from minikws.tflite import write_model
from tests.tflite import tiny


def clips(n: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, (n, 60), np.int8)


def changed(graph: Graph, index: int, **fields: Any) -> Graph:
    tensors = list(graph.main.tensors)
    tensors[index] = replace(tensors[index], **fields)
    return replace(graph, subgraphs=(replace(graph.main, tensors=tuple(tensors)),))


def with_options(graph: Graph, **options: Any) -> Graph:
    op = replace(graph.main.ops[0], options={**graph.main.ops[0].options, **options})
    return replace(graph, subgraphs=(replace(graph.main, ops=(op,)),))


def test_path_bytes_and_graph_give_the_same(tmp_path: Path) -> None:
    graph = tiny.keyword_model()
    data = write_model(graph)
    path = tmp_path / "m.tflite"
    path.write_bytes(data)
    x = clips()
    expected = Interpreter(graph).invoke(x)
    for model in (data, path, str(path)):
        np.testing.assert_array_equal(Interpreter(model).invoke(x), expected)


def test_a_convolution_by_hand() -> None:
    # 1x3 input, kernel (1, 2), VALID: sums of w * (x - zx), times 0.5 * 1 / 0.25 = 2, plus zo
    tensors = [
        tiny.activation("x", (1, 1, 3, 1), 0.5, 1),
        tiny.constant("w", [[[[3], [-2]]]], "int8", (1.0,)),
        tiny.constant("b", [4], "int32", (0.5,)),
        tiny.activation("y", (1, 1, 2, 1), 0.25, -7),
    ]
    options = {"padding": "VALID", "stride_w": 1, "stride_h": 1}
    graph = tiny.graph_of(tensors, [Op("CONV_2D", (0, 1, 2), (3,), options)], (0,), (3,))
    y = Interpreter(graph).invoke(np.array([2, 6, -3], np.int8).reshape(1, 1, 3, 1))
    # (3*1 - 2*5 + 4) * 2 - 7 = -13;  (3*5 + 2*4 + 4) * 2 - 7 = 47
    assert y.ravel().tolist() == [-13, 47]


def test_softmax_of_equal_values_is_a_fair_share() -> None:
    y = Interpreter(tiny.softmax((2, 4))).invoke(np.full((2, 4), 5, np.int8))
    assert y.tolist() == [[-64] * 4] * 2


def test_names_of_signature_and_tensors() -> None:
    model = Interpreter(tiny.keyword_model())
    x = clips()
    result = model.run({"features": x})
    assert list(result) == ["scores"]
    np.testing.assert_array_equal(result["scores"], model.invoke(x))
    graph = replace(tiny.softmax(), signature={"inputs": {"in": 0}, "outputs": {"out": 1}})
    values = np.zeros((1, 4), np.int8)
    assert list(Interpreter(graph).run({"x": values})) == ["out"]
    assert list(Interpreter(graph).run({"in": values})) == ["out"]
    assert list(Interpreter(replace(graph, signature=None)).run({"x": values})) == ["y"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["feature"], "no input 'feature'; did you mean features"),
        ([], "the input 'features' is missing"),
    ],
)
def test_wrong_names(names: list[str], words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        Interpreter(tiny.keyword_model()).run({name: clips() for name in names})


def test_an_input_named_twice() -> None:
    graph = replace(tiny.softmax(), signature={"inputs": {"in": 0}, "outputs": {"out": 1}})
    values = np.zeros((1, 4), np.int8)
    with pytest.raises(ShapeError, match="given twice"):
        Interpreter(graph).run({"x": values, "in": values})


def test_a_batch_equals_clip_by_clip() -> None:
    model = Interpreter(tiny.keyword_model())
    x = clips(2 * BATCH_CLIPS + 3)
    one_by_one = np.concatenate([model.invoke(x[i : i + 1]) for i in range(len(x))])
    np.testing.assert_array_equal(model.invoke(x), one_by_one)


def test_a_batch_of_a_model_that_folds_the_batch_away() -> None:
    # (1, 12) -> (12,) -> (1, 12): no place for B in the middle, so clip by clip
    tensors = [
        Tensor("x", (1, 12), "int8"),
        Tensor("m", (12,), "int8"),
        Tensor("y", (1, 12), "int8"),
    ]
    ops = [Op("RESHAPE", (0,), (1,)), Op("RESHAPE", (1,), (2,))]
    graph = tiny.graph_of(tensors, ops, (0,), (2,))
    x = np.arange(36, dtype=np.int8).reshape(3, 12)
    np.testing.assert_array_equal(Interpreter(graph).invoke(x), x)


def test_float_input_is_quantized_by_the_files_scale() -> None:
    model = Interpreter(tiny.keyword_model())
    x = clips(3)
    real = dequantize(x, model.inputs[0].scale[0], model.inputs[0].zero_point[0])
    np.testing.assert_array_equal(model.invoke(real), model.invoke(x))
    np.testing.assert_array_equal(model.invoke(real.astype(np.float64)), model.invoke(x))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (
            np.zeros((10, 6), np.int8),
            r"'features' of op 1 of 5 \(RESHAPE\) is int8 \(10, 6\), "
            r"the model expects int8 \(1, 60\), or \(B",
        ),
        (
            np.zeros((1, 60), np.int32),
            r"is int32 \(1, 60\), the model expects int8 \(1, 60\) or real values",
        ),
        (np.zeros((0, 60), np.int8), "the batch holds no clip"),
    ],
)
def test_wrong_inputs(x: np.ndarray, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        Interpreter(tiny.keyword_model()).invoke(x)


def test_input_that_is_not_finite() -> None:
    x = np.full((1, 60), np.nan, np.float32)
    with pytest.raises(
        SettingsError, match=r"'features' of op 1 of 5 .* holds values that are not finite"
    ):
        Interpreter(tiny.keyword_model()).invoke(x)


def test_every_intermediate_can_be_looked_at() -> None:
    model = Interpreter(tiny.keyword_model())
    with pytest.raises(SettingsError, match="no values yet"):
        model.tensor("first")
    y = model.invoke(clips())
    names = ["features", "image", "first", "second", "logits", "scores"]
    assert sorted(model.tensors()) == sorted(names)
    np.testing.assert_array_equal(model.tensor("scores"), y)
    np.testing.assert_array_equal(model.tensor(9), y)
    assert model.tensor("first").shape == (1, 5, 3, 4)
    with pytest.raises(SettingsError, match="no tensor 'frist'; did you mean first"):
        model.tensor("frist")
    with pytest.raises(SettingsError, match="no tensor 99"):
        model.tensor(99)
    model.reset()
    assert model.tensors() == {}


@pytest.mark.children
def test_one_run_loads_neither_numba_nor_scipy(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(write_model(tiny.keyword_model()))
    program = (
        "import sys, numpy as np; from minikws.runtime import Interpreter; "
        f"Interpreter({str(path)!r}).invoke(np.zeros((1, 60), np.int8)); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = set(done.stdout.decode().split())
    assert "minikws.tflite" in loaded and not loaded & {"numba", "scipy", "zipfile"}


def test_several_inputs_are_for_run() -> None:
    tensors = [tiny.activation(name, (1, 4), 0.1, 0) for name in "ab"]
    tensors += [tiny.activation(name, (1, 4), 1 / 256, -128) for name in "cd"]
    ops = [Op("SOFTMAX", (i,), (i + 2,), {"beta": 1.0}) for i in range(2)]
    model = Interpreter(tiny.graph_of(tensors, ops, (0, 1), (2, 3)))
    x = np.zeros((1, 4), np.int8)
    with pytest.raises(ShapeError, match="one input and one output, this one has 2 and 2; use run"):
        model.invoke(x)
    assert list(model.run({"a": x, "b": x})) == ["output_0", "output_1"]
    with pytest.raises(ShapeError, match="give every input the same number"):
        model.run({"a": np.zeros((3, 4), np.int8), "b": np.zeros((2, 4), np.int8)})


def test_results_are_the_callers_own() -> None:
    model = Interpreter(tiny.reshape())
    x = np.zeros((1, 12), np.int8)
    y = model.invoke(x)
    y[:] = 5
    assert not x.any()


def test_the_profile_names_every_operator() -> None:
    graph = tiny.keyword_model()
    profile = Interpreter(graph).profile(rounds=3)
    assert [row.name for row in profile] == [op.name for op in graph.main.ops]
    assert sum(row.share for row in profile) == pytest.approx(1)


def test_an_operator_that_minikws_lacks() -> None:
    graph = tiny.softmax()
    op = Op("GATHER", (0,), (1,))
    with pytest.raises(UnsupportedOpError, match=r"op 1 of 1 in the model is GATHER.*it runs"):
        Interpreter(replace(graph, subgraphs=(replace(graph.main, ops=(op,)),)))


@pytest.mark.parametrize(("name", "custom"), [("SOFTMAX", True), ("SignalPCAN", False)])
def test_a_custom_operator_is_known_by_its_kind_too(name: str, custom: bool) -> None:
    graph = tiny.softmax()
    op = Op(name, (0,), (1,), custom=custom)
    with pytest.raises(UnsupportedOpError, match=f"op 1 of 1 in the model is {name}"):
        Interpreter(replace(graph, subgraphs=(replace(graph.main, ops=(op,)),)))


def test_a_transpose_takes_a_batch() -> None:
    x = tiny.activation("x", (1, 1, 3, 2), 0.1, 3)
    y = tiny.activation("y", (1, 2, 1, 3), 0.1, 3)
    order = tiny.constant("order", [1, 3, 0, 2], "int32")
    model = Interpreter(tiny.operator("TRANSPOSE", [x, order], y))
    clips = np.arange(30, dtype=np.int8).reshape(5, 1, 3, 2)
    one_by_one = np.concatenate([model.invoke(clip[None]) for clip in clips])
    np.testing.assert_array_equal(model.invoke(clips), one_by_one)
    assert model._can_batch()


conv, depthwise, dense = tiny.conv, tiny.conv(depthwise=True, channels=2), tiny.dense


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (changed(conv(), 3, shape=(1, 9, 7, 5)), r"declares the output \(1, 9, 7, 5\), computes"),
        (changed(conv(), 0, dtype="int16"), "runs int16 with int8 weights"),
        (changed(conv(), 0, shape=(9, 7, 1)), "expected four dimensions each"),
        (changed(conv(), 1, data=None, is_variable=True), "computes its weights"),
        (changed(conv(), 1, zero_point=(1, 0, 0, 0)), "zero point other than 0"),
        (changed(conv(), 1, axis=1, shape=(4, 3, 3, 1)), "scales along dimension 1"),
        (changed(conv(), 0, scale=(), zero_point=()), "has 0 scales for its input, expected one"),
        (changed(conv(), 3, scale=(1e-30,)), "scales its sums by more than"),
        (with_options(conv(), stride_h=0), r"has the strides \(0, 1\), expected 1 or more"),
        (with_options(conv(), dilation_w_factor=-1), "has the dilation"),
        (with_options(conv(), fused_activation_function="TANH"), "'TANH' has no integer form"),
        (with_options(conv(), padding="VALID"), "declares the output"),
        (with_options(depthwise, depth_multiplier=3), "multiplier 3, its shapes say 4"),
        (changed(depthwise, 0, shape=(1, 9, 7, 3)), "3 input and 8 output channels"),
        (changed(dense(), 0, shape=(1, 21)), r"maps \(1, 21\) to \(1, 4\)"),
        (changed(dense(), 2, scale=(5.0,)), "bias with the scale 5, expected"),
        (changed(dense(), 2, zero_point=(1,)), "bias with the zero point"),
        (with_options(dense(), weights_format="SHUFFLED4x16INT8"), "shuffled weights"),
        (changed(tiny.reshape(), 2, shape=(1, 3, 5)), "holds another number of values"),
        (changed(tiny.reshape(), 2, dtype="uint8"), "turns int8 into uint8"),
        (changed(tiny.softmax(), 1, scale=(0.01,)), "expected 1/256 and -128"),
        (changed(tiny.softmax(), 1, shape=(1, 5)), "expected the same"),
        (with_options(tiny.softmax(), beta=float("inf")), "expected a finite number"),
        (with_options(tiny.softmax(), beta=0.0), "which is too small"),
        (with_options(conv(dtype="float32"), fused_activation_function="TANH"), "activation TANH"),
    ],
)
def test_what_is_refused_and_why(graph: Graph, words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        Interpreter(graph)


def test_scaling_fast_and_exact_are_the_same() -> None:
    from minikws.runtime.node import Node
    from minikws.runtime.outputs import Int8Output

    rng = np.random.default_rng(4)
    for seed in range(40):
        fused = ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"][seed % 4]
        graph = tiny.conv(seed=seed, fused=fused, out_scale=float(rng.uniform(0.02, 1)))
        node = Node.of(graph.main, 0, "the model")
        x, w, b = (tensor for tensor in node.inputs if tensor is not None)
        assert w.data is not None and b.data is not None
        matrix = w.data.reshape(4, -1).astype(np.int64)
        output = Int8Output(node, matrix, w.scale, b.data, x, node.outputs[0])
        assert output.is_small
        largest = int(128 * np.abs(matrix).sum(axis=1).max())
        n_positions = 20 * int(np.prod(node.outputs[0].shape[:-1]))
        sums = rng.integers(-largest, largest + 1, (n_positions, 4)).astype(np.float32)
        expected = output.exact(sums)
        np.testing.assert_array_equal(output.fast(sums), expected)
        np.testing.assert_array_equal(output.few(sums), expected)
