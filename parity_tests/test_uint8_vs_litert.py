"""uint8 operators and models against LiteRT's reference kernels: equal integers, all of them.

Found here, and followed: convolutions multiply the scales of input and weights in float32 and
round twice; FULLY_CONNECTED multiplies by the real ratio in float64 and rounds once, halves away
from zero; MUL, RELU, RELU6 and LEAKY_RELU divide in float32; the rest computes as int8 does, moved
by 128.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minikws import models
from minikws.audio import read_clip
from minikws.errors import ModelFileError
from minikws.frontend import make_frontend
from minikws.graph import Graph, Tensor
from minikws.quant import convert
from minikws.runtime import Interpreter
from minikws.runtime.uint8 import MOVED_OPS
from minikws.tflite import write_model
from parity_tests.litert import assert_equal, assert_every_tensor_equal, litert
from tests.networks import SMALL, spread_weights
from tests.tflite import tiny

ACTIVATIONS = st.sampled_from(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"])
seeds = st.integers(0, 2**32 - 1)
zero_points = st.one_of(st.sampled_from([0, 255, 128]), st.integers(0, 255))
scales = st.floats(1e-3, 2.0)
stored = st.floats(1e-3, 2.0).map(tiny.float32)
one_to_three = st.integers(1, 3)


def activation(name: str, shape: tuple[int, ...], scale: float, zero_point: int) -> Tensor:
    return Tensor(name, shape, "uint8", (tiny.float32(scale),), (zero_point,))


def in_uint8(graph: Graph, weight_zero: int = 128) -> Graph:
    """An int8 graph of `tiny`, its weights the same bits with a zero point of one's own."""

    def changed(tensor: Tensor) -> Tensor:
        if tensor.dtype != "int8":
            return tensor
        if tensor.data is None:
            zeros = tuple(zero + 128 for zero in tensor.zero_point)
            return replace(tensor, dtype="uint8", zero_point=zeros)
        return replace(
            tensor, dtype="uint8", zero_point=(weight_zero,), data=tensor.data.view(np.uint8)
        )

    tensors = tuple(changed(tensor) for tensor in graph.main.tensors)
    ops = tuple(
        replace(op, version=1, inputs=tuple(i for i in op.inputs if i != -1))
        for op in graph.main.ops
    )
    return replace(graph, subgraphs=(replace(graph.main, tensors=tensors, ops=ops),))


def inputs_for(graph: Graph, seed: int) -> list[tuple[np.ndarray, ...]]:
    """Random values, the two ends, and values that are all at one end."""
    tensors = [graph.main.tensors[i] for i in graph.main.inputs]
    rng = np.random.default_rng(seed)
    ends = np.array([0, 255], np.uint8)
    return [
        tuple(rng.integers(0, 256, t.shape, np.uint8) for t in tensors),
        tuple(rng.choice(ends, t.shape) for t in tensors),
        tuple(np.full(t.shape, rng.choice(ends), np.uint8) for t in tensors),
    ]


@st.composite
def convolutions(draw: st.DrawFn, *, depthwise: bool) -> Graph:
    kernel = (draw(st.integers(1, 5)), draw(st.integers(1, 4)))
    dilation = (draw(one_to_three), draw(one_to_three)) if draw(st.booleans()) else (1, 1)
    hw = [(k - 1) * d + draw(st.integers(1, 8)) for k, d in zip(kernel, dilation, strict=True)]
    graph = tiny.conv(
        seed=draw(seeds),
        depthwise=depthwise,
        hw=(hw[0], hw[1]),
        channels=draw(st.integers(1, 5)),
        outputs=draw(st.integers(1, 4)),
        kernel=kernel,
        stride=(draw(one_to_three), draw(one_to_three)),
        dilation=dilation,
        padding=draw(st.sampled_from(["SAME", "VALID"])),
        fused=draw(ACTIVATIONS),
        per_channel=False,
        has_bias=not depthwise or draw(st.booleans()),
        zero_points=(draw(zero_points) - 128, draw(zero_points) - 128),
        out_scale=draw(st.floats(1e-4, 2.0)),
        extreme=draw(st.booleans()),
    )
    return in_uint8(graph, draw(zero_points))


@given(graph=convolutions(depthwise=False), seed=seeds)
def test_conv_2d(graph: Graph, seed: int) -> None:
    assert_equal(graph, inputs_for(graph, seed))


@given(graph=convolutions(depthwise=True), seed=seeds)
def test_depthwise_conv_2d(graph: Graph, seed: int) -> None:
    assert_equal(graph, inputs_for(graph, seed))


@given(
    data=st.data(),
    zeros=st.tuples(zero_points, zero_points, zero_points),
    out_scale=st.floats(1e-3, 2.0),  # with a finer one LiteRT overflows int32, which is undefined
    seed=seeds,
)
def test_fully_connected(
    data: st.DataObject, zeros: tuple[int, int, int], out_scale: float, seed: int
) -> None:
    graph = tiny.dense(
        seed=seed,
        depth=data.draw(st.integers(1, 300)),
        outputs=data.draw(st.integers(1, 9)),
        rows=data.draw(one_to_three),
        fused=data.draw(ACTIVATIONS),
        has_bias=data.draw(st.booleans()),
        zero_points=(zeros[0] - 128, 0, zeros[2] - 128),
        out_scale=out_scale,
        extreme=data.draw(st.booleans()),
    )
    graph = in_uint8(graph, zeros[1])
    assert_equal(graph, inputs_for(graph, seed))


@given(
    scale=st.tuples(
        *(st.floats(*ends).map(tiny.float32) for ends in ((1e-3, 1e-2),) * 2 + ((1, 99),))
    )
)
@pytest.mark.parametrize("name", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_sums_that_lie_between_two_steps(name: str, scale: tuple[float, float, float]) -> None:
    """Weights of real value 0, and biases that come to half a step: every rounding rule shows."""
    ratio = scale[0] * scale[1] / scale[2]
    halves = np.round((np.arange(-100, 100) + 0.5) / ratio)
    biases = np.concatenate([halves - 1, halves, halves + 1])
    biases = biases[np.abs(biases) < 2**31 - 1]
    assume(len(biases) > 0)
    n = len(biases)
    product = float(np.float32(scale[0]) * np.float32(scale[1]))
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {
        "CONV_2D": ((1, 1, 1, 1), (n, 1, 1, 1), (1, 1, 1, n)),
        "DEPTHWISE_CONV_2D": ((1, 1, 1, 1), (1, 1, 1, n), (1, 1, 1, n)),
        "FULLY_CONNECTED": ((1, 1), (n, 1), (1, n)),
    }
    x, w, y = shapes[name]
    options: dict[str, Any] = {"padding": "VALID", "stride_h": 1, "stride_w": 1}
    if name == "DEPTHWISE_CONV_2D":
        options["depth_multiplier"] = n
    inputs = [
        activation("x", x, scale[0], 3),
        replace(activation("w", w, scale[1], 7), data=np.full(w, 7, np.uint8)),
        tiny.constant("b", biases, "int32", (product,)),
    ]
    graph = tiny.operator(
        name,
        inputs,
        activation("y", y, scale[2], 128),
        {} if name == "FULLY_CONNECTED" else options,
    )
    assert_equal(graph, [(np.full(x, 3, np.uint8),)])


@given(
    shape=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    scale=st.floats(1e-4, 2.0),
    zero_point=zero_points,
    beta=st.sampled_from([1.0, 0.5, 2.5]),
    seed=seeds,
)
def test_softmax(shape: list[int], scale: float, zero_point: int, beta: float, seed: int) -> None:
    graph = in_uint8(tiny.softmax(tuple(shape), scale, zero_point - 128, beta))
    assert_equal(graph, inputs_for(graph, seed))


@given(dims=st.lists(st.integers(1, 4), min_size=2, max_size=5), cut=st.integers(0, 4), seed=seeds)
def test_reshape(dims: list[int], cut: int, seed: int) -> None:
    cut = min(cut, len(dims))
    after = (int(np.prod(dims[:cut])), *dims[cut:])
    graph = in_uint8(tiny.reshape(tuple(dims), after))
    assert_equal(graph, inputs_for(graph, seed))


@given(data=st.data(), seed=seeds, scale=scales, zero_point=zero_points, fused=ACTIVATIONS)
@pytest.mark.parametrize("name", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
def test_pools(
    name: str, data: st.DataObject, seed: int, scale: float, zero_point: int, fused: str
) -> None:
    kernel = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride = data.draw(st.tuples(one_to_three, one_to_three))
    padding = data.draw(st.sampled_from(["SAME", "VALID"]))
    hw = [k + data.draw(st.integers(0, 7)) for k in kernel]
    channels = data.draw(st.integers(1, 5))
    out = [tiny.out_size(n, k, s, 1, padding) for n, k, s in zip(hw, kernel, stride, strict=True)]
    options = {
        "padding": padding,
        "stride_h": stride[0],
        "stride_w": stride[1],
        "filter_height": kernel[0],
        "filter_width": kernel[1],
        "fused_activation_function": fused,
    }
    x = activation("x", (1, *hw, channels), scale, zero_point)
    y = activation("y", (1, *out, channels), scale, zero_point)
    graph = tiny.operator(name, [x], y, options)
    assert_equal(graph, inputs_for(graph, seed))


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    spread=st.lists(st.booleans(), min_size=8, max_size=8),
    scale=st.tuples(scales, scales, scales),
    zeros=st.tuples(zero_points, zero_points, zero_points),
    fused=ACTIVATIONS,
    seed=seeds,
)
@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL", "MINIMUM", "MAXIMUM"])
def test_two_tensors(
    name: str,
    shape: list[int],
    spread: list[bool],
    scale: tuple[float, float, float],
    zeros: tuple[int, int, int],
    fused: str,
    seed: int,
) -> None:
    options = {"fused_activation_function": fused} if len(name) == 3 else {}
    if name in ("ADD", "SUB"):  # what scales its sum up is refused
        scale = (scale[0], scale[1], max(scale))
    if not options:
        scale, zeros = (scale[0],) * 3, (zeros[0],) * 3
    one, other = (
        tuple(1 if flag else n for n, flag in zip(shape, flags, strict=False))
        for flags in (spread[:4], spread[4:])
    )
    graph = tiny.operator(
        name,
        [activation("a", one, scale[0], zeros[0]), activation("b", other, scale[1], zeros[1])],
        activation("y", np.broadcast_shapes(one, other), scale[2], zeros[2]),
        options,
    )
    assert_equal(graph, inputs_for(graph, seed))


@given(scale=st.tuples(stored, stored), stretch=st.floats(200, 300))
def test_every_product_of_two_values(scale: tuple[float, float], stretch: float) -> None:
    out_scale = scale[0] * scale[1] * stretch
    a, b = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    graph = tiny.operator(
        "MUL",
        [activation("a", a.shape, scale[0], 0), activation("b", b.shape, scale[1], 0)],
        activation("y", a.shape, out_scale, 0),
        {"fused_activation_function": "NONE"},
    )
    assert_equal(graph, [(a, b)])


@given(
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    scale=st.tuples(scales, scales),
    zeros=st.tuples(zero_points, zero_points),
    keep_dims=st.booleans(),
    data=st.data(),
    seed=seeds,
)
@pytest.mark.parametrize("name", ["MEAN", "SUM", "REDUCE_MAX"])
def test_reductions(
    name: str,
    shape: list[int],
    scale: tuple[float, float],
    zeros: tuple[int, int],
    keep_dims: bool,
    data: st.DataObject,
    seed: int,
) -> None:
    rank = len(shape)
    axes = data.draw(st.lists(st.integers(0, rank - 1), min_size=1, unique=True))
    kept = [1 if a in axes else n for a, n in enumerate(shape) if keep_dims or a not in axes]
    assume(kept)
    if name == "REDUCE_MAX":
        scale, zeros = (scale[0], scale[0]), (zeros[0], zeros[0])
    graph = tiny.operator(
        name,
        [activation("x", tuple(shape), scale[0], zeros[0]), tiny.constant("axis", axes, "int32")],
        activation("y", tuple(kept), scale[1], zeros[1]),
        {"keep_dims": keep_dims},
    )
    assert_equal(graph, inputs_for(graph, seed))


@given(
    scale=st.tuples(stored, stored),
    zeros=st.tuples(zero_points, zero_points),
    alpha=st.floats(-2, 2, width=32),
)
@pytest.mark.parametrize("name", ["RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "TANH", "HARD_SWISH"])
def test_one_value_in_one_value_out(
    name: str, scale: tuple[float, float], zeros: tuple[int, int], alpha: float
) -> None:
    if name == "HARD_SWISH":  # a much finer output is refused
        assume(scale[1] >= scale[0] / 100)
    out = (1 / 256 if name == "LOGISTIC" else scale[1], zeros[1])
    graph = tiny.operator(
        name,
        [activation("x", (1, 256), scale[0], zeros[0])],
        activation("y", (1, 256), *out),
        {"alpha": alpha} if name == "LEAKY_RELU" else {},
    )
    assert_equal(graph, [(np.arange(256, dtype=np.uint8)[None],)])


MOVEMENTS: dict[str, tuple[list[Tensor], list[tuple[int, ...]], dict[str, Any]]] = {
    "PAD": ([tiny.constant("p", [[0, 0], [1, 2], [0, 1]], "int32")], [(2, 6, 5)], {}),
    "PADV2": (
        [
            tiny.constant("p", [[0, 0], [1, 2], [0, 1]], "int32"),
            replace(activation("v", (1,), 0.5, 9), data=np.array([77], np.uint8)),
        ],
        [(2, 6, 5)],
        {},
    ),
    "TRANSPOSE": ([tiny.constant("p", [2, 0, 1], "int32")], [(4, 2, 3)], {}),
    "STRIDED_SLICE": (
        [tiny.constant(n, v, "int32") for n, v in (("b", [0, 2, 0]), ("e", [2, 0, 4]))]
        + [tiny.constant("s", [1, -1, 3], "int32")],
        [(2, 2, 2)],
        {},
    ),
    "SPLIT_V": (
        [tiny.constant("n", [1, 2], "int32"), tiny.constant("a", 1, "int32")],
        [(2, 1, 4), (2, 2, 4)],
        {"num_splits": 2},
    ),
}


@pytest.mark.parametrize("name", MOVEMENTS)
def test_movements(name: str) -> None:
    constants, shapes, options = MOVEMENTS[name]
    graph = tiny.operator(
        name,
        [activation("x", (2, 3, 4), 0.5, 9), *constants],
        [activation(f"y{i}", shape, 0.5, 9) for i, shape in enumerate(shapes)],
        options,
    )
    assert_equal(graph, inputs_for(graph, 1))


def test_split_and_concatenation() -> None:
    halves = [activation(f"y{i}", (2, 3, 2), 0.5, 9) for i in range(2)]
    x = activation("x", (2, 3, 4), 0.5, 9)
    axis = tiny.constant("axis", 2, "int32")
    split = tiny.operator("SPLIT", [axis, x], halves, {"num_splits": 2})
    joined = tiny.operator(
        "CONCATENATION", halves, x, {"axis": 2, "fused_activation_function": "NONE"}
    )
    for graph in (split, joined):
        assert_equal(graph, inputs_for(graph, 1))


def test_every_operator_that_moves_by_128_is_held_against_the_oracle() -> None:
    compared = {"ADD", "SUB", "MUL", "MINIMUM", "MAXIMUM", "MEAN", "SUM", "REDUCE_MAX"}
    compared |= {"RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "TANH", "HARD_SWISH"}
    assert compared | MOVEMENTS.keys() | {"SPLIT", "CONCATENATION"} == MOVED_OPS


def words(shared_data: Path, count: int) -> list[Path]:
    """Real clips, the same number of each word."""
    folders = sorted(p for p in (shared_data / "speech_commands").iterdir() if p.is_dir())
    spoken = [sorted(folder.glob("*_nohash_*.wav")) for folder in folders if folder.name[0] != "_"]
    each = -(-count // len(spoken))
    return [path for paths in spoken for path in paths[:each]][:count]


def real_features(shared_data: Path, count: int) -> np.ndarray:
    """(count, 49, 43) averaged power of real clips."""
    samples = np.zeros((count, 16000), np.int16)
    for row, path in zip(samples, words(shared_data, count), strict=True):
        clip = read_clip(path, sample_rate_hz=16000)[:16000]
        row[: len(clip)] = clip
    return make_frontend({"kind": "average", "hop_ms": 20}).extract(samples)


def quantized(features: np.ndarray, scale: float) -> np.ndarray:
    return np.clip(np.floor(features / scale + 0.5), 0, 255).astype(np.uint8)


def test_the_model_of_2018(tflm: Path, shared_data: Path) -> None:
    model = (tflm / "tiny_conv_simple_uint8.tflite").read_bytes()
    rng = np.random.default_rng(0)
    shape = (1, 49, 43, 1)
    inputs = list(quantized(real_features(shared_data, 200), 0.5).reshape(200, *shape))
    inputs += [rng.integers(0, 256, shape, np.uint8) for _ in range(200)]
    assert_every_tensor_equal(model, inputs)


def test_an_exported_tiny_conv_on_real_clips(shared_data: Path) -> None:
    features = real_features(shared_data, 200)
    network = models.build(
        "tiny_conv", input_shape=(49, 43), n_labels=4, rng=np.random.default_rng(0)
    )
    rng = np.random.default_rng(1)
    network.load_weights({k: rng.normal(0, 0.1, w.shape) for k, w in network.weights().items()})
    model = write_model(convert(network, features, input_quantization=(0.5, -128), dtype="uint8"))
    assert_every_tensor_equal(model, list(quantized(features, 0.5).reshape(200, 1, -1)))


@pytest.mark.parametrize("name", sorted(SMALL.keys() - {"low_latency_svdf", "svdf_stream"}))
def test_every_exported_architecture(name: str) -> None:
    shape, options = SMALL[name]
    rng = np.random.default_rng(3)
    network = models.build(name, input_shape=shape, n_labels=4, rng=rng, **options)
    spread_weights(network, rng)
    features = rng.uniform(-1, 1, (40, *shape)).astype(np.float32)
    model = write_model(convert(network, features, dtype="uint8"))
    ours = Interpreter(model)
    (source,) = ours.inputs
    q = np.round(features[:20] / source.scale[0]) + source.zero_point[0]
    inputs = [*np.clip(q, 0, 255).astype(np.uint8).reshape(20, 1, -1)]
    inputs += [rng.integers(0, 256, (1, source.shape[1]), np.uint8) for _ in range(10)]
    assert_every_tensor_equal(model, inputs)
    batch = ours.invoke(np.concatenate(inputs))
    np.testing.assert_array_equal(batch, np.concatenate([ours.invoke(x) for x in inputs]))


def test_both_refuse_a_scale_for_each_channel() -> None:
    graph = tiny.conv(per_channel=True)
    tensors = [
        replace(t, dtype="uint8", data=t.data.view(np.uint8))
        if t.dtype == "int8" and t.data is not None
        else replace(t, dtype="uint8", zero_point=(5,))
        if t.dtype == "int8"
        else t
        for t in graph.main.tensors
    ]
    model = write_model(replace(graph, subgraphs=(replace(graph.main, tensors=tuple(tensors)),)))
    with pytest.raises(ModelFileError, match="has 4 scales for uint8 weights, expected 1"):
        Interpreter(model)
    theirs = litert.Interpreter(
        model_content=model, experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF
    )
    with pytest.raises(RuntimeError):
        theirs.allocate_tensors()
