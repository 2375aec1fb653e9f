"""uint8 by hand, and what is refused; random cases are held against LiteRT in parity_tests/."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws.errors import ModelFileError
from minikws.graph import Graph, Tensor
from minikws.runtime import Interpreter
from tests.tflite import tiny


def activation(name: str, shape: tuple[int, ...], scale: float, zero_point: int) -> Tensor:
    return Tensor(name, shape, "uint8", (scale,), (zero_point,))


def weights(shape: tuple[int, ...], values: list[int], zero_point: int) -> Tensor:
    data = np.array(values, np.uint8).reshape(shape)
    return replace(activation("w", shape, 1.0, zero_point), data=data)


def bias(*values: int) -> Tensor:
    return tiny.constant("b", values, "int32", (0.5,))


CONV: dict[str, Any] = {"padding": "VALID", "stride_w": 1, "stride_h": 1}


def dense(w: Tensor, *biases: int, out_scale: float = 0.25, **options: Any) -> Graph:
    x, y = (
        activation("x", (1, w.shape[1]), 0.5, 10),
        activation("y", (1, len(biases)), out_scale, 7),
    )
    return tiny.operator("FULLY_CONNECTED", [x, w, bias(*biases)], y, options)


def test_a_convolution_by_hand() -> None:
    # weights 3, -2 after their zero point 100; times 0.5 * 1 / 0.25 = 2, plus 7
    x, y = activation("x", (1, 1, 3, 1), 0.5, 10), activation("y", (1, 1, 2, 1), 0.25, 7)
    w = weights((1, 1, 2, 1), [103, 98], 100)
    graph = tiny.operator("CONV_2D", [x, w, bias(4)], y, CONV)
    found = Interpreter(graph).invoke(np.array([11, 15, 6], np.uint8).reshape(1, 1, 3, 1))
    # (3 * 1 - 2 * 5 + 4) * 2 + 7 = 1;  (3 * 5 + 2 * 4 + 4) * 2 + 7 = 61
    assert found.dtype == np.uint8
    assert found.ravel().tolist() == [1, 61]


def test_a_depthwise_convolution_pads_with_the_zero_point() -> None:
    # one value, kernel 3 wide, SAME: the neighbours are real 0, whatever the weights
    x, y = activation("x", (1, 1, 1, 1), 0.5, 10), activation("y", (1, 1, 1, 1), 0.25, 7)
    w = weights((1, 1, 3, 1), [255, 102, 0], 100)
    options = {**CONV, "padding": "SAME", "depth_multiplier": 1}
    graph = tiny.operator("DEPTHWISE_CONV_2D", [x, w, bias(0)], y, options)
    found = Interpreter(graph).invoke(np.array([15], np.uint8).reshape(1, 1, 1, 1))
    assert found.ravel().tolist() == [2 * 5 * 2 + 7]


def test_a_dense_layer_rounds_halves_away_from_zero() -> None:
    # the sums are the biases; 0.5 * 1 / 1 = a half of each: 1.5, -1.5, 0.5, -0.5
    w = weights((4, 1), [9] * 4, 9)
    found = Interpreter(dense(w, 3, -3, 1, -1, out_scale=1.0)).invoke(np.zeros((1, 1), np.uint8))
    assert found.ravel().tolist() == [9, 5, 8, 6]


def test_results_are_cut_to_0_and_255_and_by_the_activation() -> None:
    w = weights((3, 1), [0, 9, 255], 9)
    x = np.full((1, 1), 255, np.uint8)
    assert Interpreter(dense(w, 0, 0, 0)).invoke(x).ravel().tolist() == [0, 7, 255]
    graph = dense(w, 0, 0, 0, fused_activation_function="RELU6")
    assert Interpreter(graph).invoke(x).ravel().tolist() == [7, 7, 7 + 24]


def test_softmax_of_equal_values_is_a_fair_share() -> None:
    x, y = activation("x", (1, 4), 0.1, 3), activation("y", (1, 4), 1 / 256, 0)
    graph = tiny.operator("SOFTMAX", [x], y, {"beta": 1.0})
    assert Interpreter(graph).invoke(np.full((1, 4), 200, np.uint8)).tolist() == [[64] * 4]
    many = (
        replace(graph.main.tensors[0], shape=(50, 4)),
        replace(graph.main.tensors[1], shape=(50, 4)),
    )
    graph = tiny.operator("SOFTMAX", [many[0]], many[1], {"beta": 1.0})
    assert Interpreter(graph).invoke(np.full((50, 4), 200, np.uint8)).tolist() == [[64] * 4] * 50


def test_an_average_rounds_halves_up() -> None:
    x, y = activation("x", (1, 1, 2, 1), 0.5, 200), activation("y", (1, 1, 1, 1), 0.5, 200)
    options = {**CONV, "filter_height": 1, "filter_width": 2}
    graph = tiny.operator("AVERAGE_POOL_2D", [x], y, options)
    # real values below zero: -99.5 and -98; the integers 1 and 4 are what is averaged
    found = Interpreter(graph).invoke(np.array([1, 4], np.uint8).reshape(1, 1, 2, 1))
    assert found.ravel().tolist() == [3]


def test_operators_moved_by_128() -> None:
    a, b = activation("a", (1, 3), 0.5, 10), activation("b", (1, 3), 0.5, 20)
    graph = tiny.operator("ADD", [a, b], activation("y", (1, 3), 0.5, 30))
    values = {"a": np.array([[10, 250, 12]], np.uint8), "b": np.array([[22, 255, 0]], np.uint8)}
    (found,) = Interpreter(graph).run(values).values()
    assert found.dtype == np.uint8
    assert found.tolist() == [[32, 255, 12]]
    paddings = tiny.constant("p", [[0, 0], [1, 2]], "int32")
    graph = tiny.operator("PAD", [a, paddings], activation("y", (1, 6), 0.5, 10))
    assert Interpreter(graph).invoke(values["a"]).tolist() == [[10, 10, 250, 12, 10, 10]]


def test_relu6_takes_the_scale_of_its_output() -> None:
    graph = tiny.operator(
        "RELU6", [activation("x", (1, 4), 0.5, 10)], activation("y", (1, 4), 0.25, 40)
    )
    # real -5, 0, 2, 50
    found = Interpreter(graph).invoke(np.array([[0, 10, 14, 110]], np.uint8))
    assert found.tolist() == [[40, 40, 48, 64]]


def test_sigmoid_and_tanh_of_real_numbers() -> None:
    x = np.array([[0, 99, 100, 101, 255]], np.uint8)  # the zero point is 100
    for scale, sigmoids, tanhs in (
        (1.0, [0, 69, 128, 187, 255], [0, 31, 128, 225, 255]),  # 256 * 0.2689, 128 * 0.7616
        (1e38, [0, 0, 128, 255, 255], [0, 0, 128, 255, 255]),
    ):
        source = activation("x", (1, 5), scale, 100)
        graph = tiny.operator("LOGISTIC", [source], activation("y", (1, 5), 1 / 256, 0))
        assert Interpreter(graph).invoke(x).tolist() == [sigmoids]
        graph = tiny.operator("TANH", [source], activation("y", (1, 5), 1 / 128, 128))
        assert Interpreter(graph).invoke(x).tolist() == [tanhs]


@pytest.mark.parametrize("compiled", [False, True])
def test_the_model_of_2018(compiled: bool, tflm: Path) -> None:
    model = Interpreter(tflm / "tiny_conv_simple_uint8.tflite", compiled=compiled)
    scores = {}
    for word in ("yes", "no"):
        file = tflm / f"{word}_features_uint8_49x43.csv"
        features = np.loadtxt(file, np.uint8, delimiter=",").reshape(1, 49, 43, 1)
        scores[word] = model.invoke(features).ravel().tolist()
    # silence, unknown, yes, no, as published with the arrays
    assert scores == {"yes": [0, 5, 250, 1], "no": [26, 26, 26, 178]}


def changed(graph: Graph, index: int, **fields: Any) -> Graph:
    tensors = list(graph.main.tensors)
    tensors[index] = replace(tensors[index], **fields)
    return replace(graph, subgraphs=(replace(graph.main, tensors=tuple(tensors)),))


def conv(n_outputs: int = 2, *, has_bias: bool = True) -> Graph:
    x = activation("x", (1, 1, 1, 1), 0.5, 10)
    y = activation("y", (1, 1, 1, n_outputs), 0.25, 7)
    w = weights((n_outputs, 1, 1, 1), [3] * n_outputs, 1)
    inputs = [x, w, bias(*[0] * n_outputs)] if has_bias else [x, w]
    return tiny.operator("CONV_2D", inputs, y, CONV)


SOFTMAX = tiny.operator(
    "SOFTMAX", [activation("x", (1, 4), 0.1, 3)], activation("y", (1, 4), 1 / 256, 0)
)


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (
            changed(conv(), 1, scale=(1.0, 1.0), zero_point=(1, 1)),
            "has 2 scales for uint8 weights, expected 1",
        ),
        (conv(has_bias=False), "lacks its bias, which uint8 needs"),
        (
            changed(conv(), 0, dtype="int8"),
            "runs int8 with uint8 weights to uint8, expected all int8, all uint8 or all float32",
        ),
        (changed(SOFTMAX, 1, zero_point=(128,)), "expected 1/256 and 0"),
        (
            tiny.operator(
                "LOGISTIC", [activation("x", (3,), 1.0, 0)], activation("y", (3,), 0.5, 0)
            ),
            "has the output's scale 0.5, expected 1/256",
        ),
        (
            tiny.operator("TANH", [activation("x", (3,), 1.0, 0)], activation("y", (3,), 1e-39, 0)),
            "has an output of scale 1e-39, too fine",
        ),
        (
            tiny.operator(
                "ADD",
                [activation("a", (3,), 1.0, 0), tiny.activation("b", (3,), 1.0, 0)],
                activation("y", (3,), 1.0, 0),
            ),
            "takes uint8 and int8 to uint8",
        ),
        (
            tiny.operator(
                "REDUCE_MAX",
                [activation("x", (1, 3), 1.0, 5), tiny.constant("axis", [1], "int32")],
                activation("y", (1,), 1.0, 6),
                {"keep_dims": False},
            ),
            "uint8 read as int8 with zero points 128 less, turns the scale 1 and zero point -123",
        ),
        (
            tiny.operator(
                "MUL",
                [activation(name, (3,), 3e38, 0) for name in "ab"],
                activation("y", (3,), 1.0, 0),
            ),
            "has scales whose ratio is inf, expected a finite one",
        ),
    ],
)
def test_what_is_refused_and_why(graph: Graph, words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        Interpreter(graph)
