"""Arithmetic on numbers of several types, and from one type to another, against TFLite Micro."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.errors import ModelFileError
from minikws.graph import Graph, Tensor
from minikws.runtime import Interpreter, plan
from minikws.tflite import write_model
from parity_tests.tflm_child import Refused, TFLiteMicro
from tests.tflite import tiny

pytest.importorskip("tflite_micro", reason="oracle absent: pip install 'minikws[parity]'")

ACTIVATIONS = st.sampled_from(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"])
CAST_DTYPES = ("float32", "int32", "int16", "int8", "uint32", "bool")
seeds = st.integers(0, 2**32 - 1)
scales = st.floats(1e-3, 2.0)
zero_points = st.one_of(st.sampled_from([-128, 127, 0]), st.integers(-128, 127))
shapes = st.lists(st.integers(1, 4), max_size=4).map(tuple)


def values(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Small ones, any, and those at the ends of the type."""
    if dtype == "bool":
        return np.asarray(rng.integers(0, 2, shape), np.bool_)
    if dtype == "float32":
        size = 10.0 ** rng.integers(-3, 12, shape)
        special = rng.choice([0, 1, 1, 1, 1, 1, np.inf, -np.inf, np.nan], shape)
        return np.asarray(special * rng.normal(size=shape) * size, np.float32)
    limits = np.iinfo(dtype)
    whole = rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    small = whole >> rng.integers(0, limits.bits, shape, dtype)
    ends = rng.choice(np.array([limits.min, limits.max, 0, 1], dtype), shape)
    return np.asarray([whole, small, ends][rng.integers(3)], dtype)


def assert_equal(graph: Graph, oracle: TFLiteMicro, inputs: list[tuple[np.ndarray, ...]]) -> None:
    """Compare every value and the arena; or see that both refuse."""
    model = write_model(graph)
    names = [graph.main.tensors[i].name for i in graph.main.inputs]
    for arrays in inputs:
        named = dict(zip(names, arrays, strict=True))
        try:
            ((expected,),) = oracle.run(model, [arrays])
        except Refused:
            with pytest.raises(ModelFileError):
                Interpreter(model)
            return
        (found,) = Interpreter(model).run(named).values()
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found.ravel(), expected.ravel())
    assert plan(graph).arena_bytes == oracle.head_bytes(model)


@given(after=st.sampled_from(CAST_DTYPES), shape=shapes, seed=seeds)
@pytest.mark.parametrize("before", CAST_DTYPES)
def test_cast(
    before: str, after: str, shape: tuple[int, ...], seed: int, oracle: TFLiteMicro
) -> None:
    rng = np.random.default_rng(seed)
    graph = tiny.operator("CAST", [Tensor("x", shape, before)], Tensor("y", shape, after))
    assert_equal(graph, oracle, [(values(rng, before, shape),) for _ in range(3)])


@pytest.mark.parametrize("after", ["uint8", "int64", "uint64", "uint16", "float64"])
def test_types_that_are_not_cast(after: str, oracle: TFLiteMicro) -> None:
    for pair in (("int32", after), (after, "int32")):
        x, y = Tensor("x", (3,), pair[0]), Tensor("y", (3,), pair[1])
        graph = tiny.operator("CAST", [x], y)
        with pytest.raises(Refused):
            oracle.run(write_model(graph), [np.zeros(3, pair[0])])
        with pytest.raises(ModelFileError, match="expected types of"):
            Interpreter(graph)


@st.composite
def two_shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    full = draw(shapes)
    one, other = (tuple(1 if draw(st.integers(0, 3)) == 0 else n for n in full) for _ in range(2))
    return one, other[draw(st.integers(0, len(full))) if draw(st.booleans()) else 0 :]


def binary(
    name: str, dtype: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], fused: str,
    scale: tuple[float, ...] = (), zeros: tuple[int, ...] = (),
) -> Graph:  # fmt: skip
    def tensor(i: int, tensor_name: str, shape: tuple[int, ...]) -> Tensor:
        quantization: Any = ((tiny.float32(scale[i]),), (zeros[i],)) if scale else ((), ())
        return Tensor(tensor_name, shape, dtype, *quantization)

    inputs = [tensor(0, "a", shapes[0]), tensor(1, "b", shapes[1])]
    y = tensor(2, "y", np.broadcast_shapes(*shapes))
    return tiny.operator(name, inputs, y, {"fused_activation_function": fused}, version=2)


@given(shapes=two_shapes(), fused=ACTIVATIONS, seed=seeds)
@pytest.mark.parametrize("dtype", ["int32", "float32"])
@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL", "DIV"])
def test_plain_numbers(
    name: str,
    dtype: str,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    fused: str,
    seed: int,
    oracle: TFLiteMicro,
) -> None:
    rng = np.random.default_rng(seed)
    inputs = []
    for _ in range(3):
        a, b = values(rng, dtype, shapes[0]), values(rng, dtype, shapes[1])
        if name == "DIV" and dtype == "int32":
            b = np.where(b == 0, np.int32(3), b)  # a test of its own, the oracle dies of it
            a = np.maximum(a, -(2**31) + 1)
        if dtype == "float32":
            a, b = np.nan_to_num(a), np.nan_to_num(b)
        inputs.append((a, b))
    assert_equal(binary(name, dtype, shapes, fused), oracle, inputs)


@pytest.mark.parametrize(("a", "b"), [(5, 0), (-(2**31), -1)])
def test_divisions_that_fail(a: int, b: int, oracle: TFLiteMicro) -> None:
    graph = binary("DIV", "int32", ((2,), (2,)), "NONE")
    inputs = np.array([7, a], np.int32), np.array([7, b], np.int32)
    with pytest.raises(Refused):
        oracle.run(write_model(graph), [inputs])
    with pytest.raises(ModelFileError, match=f"divides by {b}"):
        Interpreter(graph).run({"a": inputs[0], "b": inputs[1]})


@pytest.mark.parametrize("scaled", [0, 1, 2])
@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL", "DIV"])
def test_int32_with_a_scale(name: str, scaled: int, oracle: TFLiteMicro) -> None:
    tensors = [Tensor(n, (3,), "int32") for n in "aby"]
    tensors[scaled] = Tensor("aby"[scaled], (3,), "int32", (0.5,), (0,))
    graph = tiny.operator(name, tensors[:2], tensors[2])
    rng = np.random.default_rng(0)
    inputs = rng.integers(1, 99, 3, np.int32), rng.integers(1, 9, 3, np.int32)
    assert_equal(graph, oracle, [inputs])


@given(
    shapes=two_shapes(),
    scale=st.tuples(scales, scales, scales),
    zeros=st.tuples(zero_points, zero_points, zero_points),
    fused=ACTIVATIONS,
    seed=seeds,
)
@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
def test_int16_with_scales(
    name: str,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    scale: tuple[float, float, float],
    zeros: tuple[int, int, int],
    fused: str,
    seed: int,
    oracle: TFLiteMicro,
) -> None:
    rng = np.random.default_rng(seed)
    zeros = zeros if seed % 4 == 0 else (0, 0, 0)
    inputs = [(values(rng, "int16", shapes[0]), values(rng, "int16", shapes[1])) for _ in range(3)]
    assert_equal(binary(name, "int16", shapes, fused, scale, zeros), oracle, inputs)


@given(
    scale=st.tuples(scales, scales, scales),
    zeros=st.tuples(zero_points, zero_points, zero_points),
    out_scale=st.floats(1e-12, 1e4),
    fused=ACTIVATIONS,
)
def test_every_int8_quotient(
    scale: tuple[float, float, float],
    zeros: tuple[int, int, int],
    out_scale: float,
    fused: str,
    oracle: TFLiteMicro,
) -> None:
    """All 65536 pairs, those with a divisor of 0 too, at scales where quotients fit or do not."""
    every = np.arange(-128, 128, dtype=np.int8)
    graph = binary("DIV", "int8", ((256, 1), (256,)), fused, (*scale[:2], out_scale), zeros)
    assert_equal(graph, oracle, [(every[:, None], every)])
