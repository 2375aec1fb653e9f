"""Pools, reductions and arithmetic on tensors against TFLite Micro: equal integers, all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minikws.errors import ModelFileError
from minikws.graph import Graph
from minikws.runtime import Interpreter
from minikws.tflite import write_model
from parity_tests.tflm_child import Refused, TFLiteMicro
from tests.tflite import tiny

pytest.importorskip("tflite_micro", reason="oracle absent: pip install 'minikws[parity]'")

ACTIVATIONS = st.sampled_from(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"])
seeds = st.integers(0, 2**32 - 1)
zero_points = st.one_of(st.sampled_from([-128, 127, 0]), st.integers(-128, 127))
scales = st.floats(1e-3, 2.0)


def assert_equal(graph: Graph, oracle: TFLiteMicro, seed: int) -> None:
    """Compare on random values, on the two ends, and on values that are all at one end."""
    model = write_model(graph)
    tensors = [graph.main.tensors[i] for i in graph.main.inputs]
    rng = np.random.default_rng(seed)
    inputs = [
        tuple(rng.integers(-128, 128, t.shape, np.int8) for t in tensors),
        tuple(rng.choice(np.array([-128, 127], np.int8), t.shape) for t in tensors),
        tuple(np.full(t.shape, rng.choice([-128, 127]), np.int8) for t in tensors),
    ]
    try:
        expected_all = oracle.run(model, inputs)
    except Refused:
        with pytest.raises(ModelFileError):
            Interpreter(model)
        return
    ours = Interpreter(model)
    for arrays, (expected,) in zip(inputs, expected_all, strict=True):
        names = [t.name for t in tensors]
        (found,) = ours.run(dict(zip(names, arrays, strict=True))).values()
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found.ravel(), expected.ravel())


@given(data=st.data(), seed=seeds, scale=scales, zero_point=zero_points, fused=ACTIVATIONS)
@pytest.mark.parametrize("name", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
def test_pools(
    name: str,
    data: st.DataObject,
    seed: int,
    scale: float,
    zero_point: int,
    fused: str,
    oracle: TFLiteMicro,
) -> None:
    kernel = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = data.draw(st.sampled_from(["SAME", "VALID"]))
    hw = [k + data.draw(st.integers(0, 7)) for k in kernel]
    channels = data.draw(st.integers(1, 5))
    out = [tiny.out_size(n, k, s, 1, padding) for n, k, s in zip(hw, kernel, stride, strict=True)]
    graph = tiny.operator(
        name,
        [tiny.activation("x", (1, *hw, channels), scale, zero_point)],
        tiny.activation("y", (1, *out, channels), scale, zero_point),
        {
            "padding": padding,
            "stride_h": stride[0],
            "stride_w": stride[1],
            "filter_height": kernel[0],
            "filter_width": kernel[1],
            "fused_activation_function": fused,
        },
        version=2,
    )
    assert_equal(graph, oracle, seed)


@st.composite
def broadcast_shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    full = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    one, other = (
        tuple(1 if draw(st.booleans()) and draw(st.booleans()) else n for n in full)
        for _ in range(2)
    )
    cut = draw(st.integers(0, len(full) - 1)) if draw(st.booleans()) else 0
    return one, other[cut:]


@given(
    shapes=broadcast_shapes(),
    seed=seeds,
    scale=st.tuples(scales, scales, scales),
    zeros=st.tuples(zero_points, zero_points, zero_points),
    fused=ACTIVATIONS,
)
@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
def test_arithmetic(
    name: str,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    seed: int,
    scale: tuple[float, float, float],
    zeros: tuple[int, int, int],
    fused: str,
    oracle: TFLiteMicro,
) -> None:
    x1, x2 = (
        tiny.activation(n, shape, s, z)
        for n, shape, s, z in zip("ab", shapes, scale, zeros, strict=False)
    )
    y = tiny.activation("y", np.broadcast_shapes(*shapes), scale[2], zeros[2])
    options = {"fused_activation_function": fused}
    assert_equal(tiny.operator(name, [x1, x2], y, options, version=2), oracle, seed)


@given(
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    seed=seeds,
    scale=st.tuples(scales, scales),
    zeros=st.tuples(zero_points, zero_points),
    keep_dims=st.booleans(),
    data=st.data(),
)
@pytest.mark.parametrize("name", ["MEAN", "SUM", "REDUCE_MAX"])
def test_reductions(
    name: str,
    shape: list[int],
    seed: int,
    scale: tuple[float, float],
    zeros: tuple[int, int],
    keep_dims: bool,
    data: st.DataObject,
    oracle: TFLiteMicro,
) -> None:
    rank = len(shape)
    axes = data.draw(st.lists(st.integers(0, rank - 1), min_size=1, unique=True))
    signed = [a - rank if data.draw(st.booleans()) else a for a in axes]
    kept = [1 if a in axes else n for a, n in enumerate(shape) if keep_dims or a not in axes]
    assume(kept)
    if name == "REDUCE_MAX":
        scale, zeros = (scale[0], scale[0]), (zeros[0], zeros[0])
    x = tiny.activation("x", tuple(shape), scale[0], zeros[0])
    y = tiny.activation("y", tuple(kept), scale[1], zeros[1])
    axis = tiny.constant("axis", signed, "int32")
    graph = tiny.operator(name, [x, axis], y, {"keep_dims": keep_dims}, version=2)
    assert_equal(graph, oracle, seed)


@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    scale=st.tuples(scales, scales),
    zeros=st.tuples(zero_points, zero_points),
    alpha=st.floats(-2, 2, width=32),
    seed=seeds,
)
@pytest.mark.parametrize("name", ["RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "TANH", "HARD_SWISH"])
def test_one_value_in_one_value_out(
    name: str,
    shape: list[int],
    scale: tuple[float, float],
    zeros: tuple[int, int],
    alpha: float,
    seed: int,
    oracle: TFLiteMicro,
) -> None:
    shape = [256, *shape]
    x = tiny.activation("x", tuple(shape), scale[0], zeros[0])
    out = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}.get(name, (scale[1], zeros[1]))
    y = tiny.activation("y", tuple(shape), *out)
    options = {"alpha": alpha} if name == "LEAKY_RELU" else {}
    assert_equal(tiny.operator(name, [x], y, options, version=2), oracle, seed)


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    axis=st.integers(-4, 3),
    scale=scales,
    zero_point=zero_points,
    seed=seeds,
)
def test_concatenation(
    shape: list[int],
    sizes: list[int],
    axis: int,
    scale: float,
    zero_point: int,
    seed: int,
    oracle: TFLiteMicro,
) -> None:
    assume(-len(shape) <= axis < len(shape))

    def along(size: int) -> tuple[int, ...]:
        return tuple(size if a == axis % len(shape) else n for a, n in enumerate(shape))

    inputs = [
        tiny.activation(f"x{i}", along(size), scale, zero_point) for i, size in enumerate(sizes)
    ]
    y = tiny.activation("y", along(sum(sizes)), scale, zero_point)
    options = {"axis": axis, "fused_activation_function": "NONE"}
    assert_equal(tiny.operator("CONCATENATION", inputs, y, options, version=2), oracle, seed)
