"""Single operators, built by our writer, against TFLite Micro: equal integers, all of them.

The oracle is the tflite-micro wheel, a build with double rounding; it runs in a child process.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.graph import Graph
from minikws.runtime import Interpreter
from minikws.tflite import write_model
from parity_tests.tflm_child import Refused, TFLiteMicro
from tests.tflite import tiny

pytest.importorskip("tflite_micro", reason="oracle absent: pip install 'minikws[parity]'")

ACTIVATIONS = ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]
seeds = st.integers(0, 2**32 - 1)
zero_points = st.one_of(st.sampled_from([-128, 127, 0]), st.integers(-128, 127))
out_scales = st.floats(1e-4, 2.0)
two = st.integers(1, 3)


def inputs_for(graph: Graph, seed: int) -> list[np.ndarray]:
    """Random values, the two ends, and values that are all at one end."""
    x = graph.main.tensors[graph.main.inputs[0]]
    rng = np.random.default_rng(seed)
    return [
        rng.integers(-128, 128, x.shape, np.int8),
        rng.choice(np.array([-128, 127], np.int8), x.shape),
        np.full(x.shape, rng.choice([-128, 127]), np.int8),
    ]


def assert_equal(graph: Graph, oracle: TFLiteMicro, seed: int) -> None:
    model = write_model(graph)
    inputs = inputs_for(graph, seed)
    ours = Interpreter(model)
    for x, (expected,) in zip(inputs, oracle.run(model, inputs), strict=True):
        found = ours.invoke(x)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found.ravel(), expected.ravel())


@st.composite
def convolutions(draw: st.DrawFn, *, depthwise: bool) -> Graph:
    kernel = (draw(st.integers(1, 5)), draw(st.integers(1, 4)))
    dilation = (draw(two), draw(two)) if draw(st.booleans()) else (1, 1)
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    hw = tuple((k - 1) * d + draw(st.integers(1, 8)) for k, d in zip(kernel, dilation, strict=True))
    return tiny.conv(
        seed=draw(seeds),
        depthwise=depthwise,
        hw=(hw[0], hw[1]),
        channels=draw(st.integers(1, 5)),
        outputs=draw(st.integers(1, 4)),
        kernel=kernel,
        stride=(draw(two), draw(two)),
        dilation=dilation,
        padding=padding,
        fused=draw(st.sampled_from(ACTIVATIONS)),
        per_channel=draw(st.booleans()),
        has_bias=draw(st.booleans()),
        zero_points=(draw(zero_points), draw(zero_points)),
        out_scale=draw(out_scales),
        extreme=draw(st.booleans()),
    )


@given(graph=convolutions(depthwise=False), seed=seeds)
def test_conv_2d(graph: Graph, seed: int, oracle: TFLiteMicro) -> None:
    assert_equal(graph, oracle, seed)


@given(graph=convolutions(depthwise=True), seed=seeds)
def test_depthwise_conv_2d(graph: Graph, seed: int, oracle: TFLiteMicro) -> None:
    assert_equal(graph, oracle, seed)


@given(
    data=st.data(),
    per_channel=st.booleans(),
    zeros=st.tuples(zero_points, zero_points, zero_points),
    out_scale=out_scales,
    seed=seeds,
)
def test_fully_connected(
    data: st.DataObject,
    per_channel: bool,
    zeros: tuple[int, int, int],
    out_scale: float,
    seed: int,
    oracle: TFLiteMicro,
) -> None:
    graph = tiny.dense(
        seed=seed,
        depth=data.draw(st.integers(1, 300)),
        outputs=data.draw(st.integers(1, 9)),
        rows=data.draw(st.integers(1, 3)),
        fused=data.draw(st.sampled_from(ACTIVATIONS)),
        per_channel=per_channel,
        has_bias=data.draw(st.booleans()),
        zero_points=zeros,
        out_scale=out_scale,
        extreme=data.draw(st.booleans()),
    )
    assert_equal(graph, oracle, seed)


@given(
    shape=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    scale=st.floats(1e-4, 2.0),
    zero_point=zero_points,
    beta=st.sampled_from([1.0, 0.5, 2.5]),
    seed=seeds,
)
def test_softmax(
    shape: list[int], scale: float, zero_point: int, beta: float, seed: int, oracle: TFLiteMicro
) -> None:
    assert_equal(tiny.softmax(tuple(shape), scale, zero_point, beta), oracle, seed)


@given(dims=st.lists(st.integers(1, 4), min_size=2, max_size=5), cut=st.integers(0, 4), seed=seeds)
def test_reshape(dims: list[int], cut: int, seed: int, oracle: TFLiteMicro) -> None:
    cut = min(cut, len(dims))
    after = (int(np.prod(dims[:cut])), *dims[cut:])
    assert_equal(tiny.reshape(tuple(dims), after), oracle, seed)


def test_a_grouped_convolution(oracle: TFLiteMicro) -> None:
    graph = tiny.conv(channels=2, outputs=6, seed=5)
    main = graph.main
    x = tiny.activation("x", (1, 9, 7, 6), 0.05, -3)  # three groups of two channels
    grouped = tiny.graph_of([x, *main.tensors[1:]], list(main.ops), (0,), (3,))
    assert_equal(grouped, oracle, 5)


def test_all_five_in_a_row(oracle: TFLiteMicro) -> None:
    for seed in range(5):
        assert_equal(tiny.keyword_model(seed=seed), oracle, seed)


def test_the_oracle_refuses_what_we_refuse(oracle: TFLiteMicro) -> None:
    from dataclasses import replace

    from minikws.errors import ModelFileError

    def change(graph: Graph, index: int, **fields: object) -> bytes:
        tensors = list(graph.main.tensors)
        tensors[index] = replace(tensors[index], **fields)  # type: ignore[arg-type]
        main = replace(graph.main, tensors=tuple(tensors))
        return write_model(replace(graph, subgraphs=(main,)))

    scale = tiny.float32(0.01)
    refused = {
        "softmax scale": change(tiny.softmax(), 1, scale=(scale,)),
        "softmax zero point": change(tiny.softmax(), 1, zero_point=(0,)),
        "uint8 convolution": change(tiny.conv(), 0, dtype="uint8", zero_point=(3,)),
        "bias scale": change(tiny.dense(), 2, scale=(tiny.float32(3.0),)),
        "reshape to another size": change(tiny.reshape(), 2, shape=(1, 3, 5)),
    }
    for what, model in refused.items():
        with pytest.raises(ModelFileError):
            Interpreter(model)
        x = np.zeros(input_shape(model), np.int8)
        with pytest.raises(Refused):
            oracle.run(model, [x])
            pytest.fail(what)


def input_shape(model: bytes) -> tuple[int, ...]:
    from minikws.tflite import read_model

    graph = read_model(model)
    return graph.main.tensors[graph.main.inputs[0]].shape
