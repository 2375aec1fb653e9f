"""Operators that move values, change their scale or remember them, against TFLite Micro."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minikws.errors import ModelFileError
from minikws.graph import Graph, Op, Subgraph, Tensor
from minikws.runtime import Interpreter, plan
from minikws.tflite import write_model
from parity_tests.tflm_child import Refused, TFLiteMicro
from tests.tflite import tiny

pytest.importorskip("tflite_micro", reason="oracle absent: pip install 'minikws[parity]'")

seeds = st.integers(0, 2**32 - 1)
zero_points = st.one_of(st.sampled_from([-128, 127, 0]), st.integers(-128, 127))
scales = st.floats(1e-3, 2.0)
shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)


def random_values(rng: np.random.Generator, tensor: Tensor) -> np.ndarray:
    if tensor.dtype == "float32":
        return rng.normal(scale=40, size=tensor.shape).astype(np.float32)
    limits = np.iinfo(tensor.dtype)
    return rng.integers(limits.min, limits.max + 1, tensor.shape, tensor.dtype)


def assert_equal(graph: Graph, oracle: TFLiteMicro, seed: int, n_runs: int = 3) -> None:
    """Run the same inputs in a row on both sides; or see both refuse."""
    model = write_model(graph)
    rng = np.random.default_rng(seed)
    tensors = [graph.main.tensors[i] for i in graph.main.inputs]
    inputs = [tuple(random_values(rng, t) for t in tensors) for _ in range(n_runs)]
    try:
        expected_all = oracle.run(model, inputs)
    except Refused:
        with pytest.raises(ModelFileError):
            Interpreter(model)
        return
    ours = Interpreter(model)
    for arrays, (expected,) in zip(inputs, expected_all, strict=True):
        found, *_ = ours.run({t.name: a for t, a in zip(tensors, arrays, strict=True)}).values()
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found.ravel(), expected.ravel())


def int32(name: str, values: Any) -> Tensor:
    return tiny.constant(name, values, "int32")


@given(
    n_clips=st.integers(1, 2),
    n_features=st.integers(1, 12),
    n_units=st.integers(1, 6),
    rank=st.integers(1, 3),
    n_frames=st.integers(1, 8),
    state=st.sampled_from(["int8", "int16"]),
    zeros=st.tuples(zero_points, zero_points),
    out_scale=scales,
    seed=seeds,
)
def test_svdf(
    n_clips: int,
    n_features: int,
    n_units: int,
    rank: int,
    n_frames: int,
    state: str,
    zeros: tuple[int, int],
    out_scale: float,
    seed: int,
    oracle: TFLiteMicro,
) -> None:
    graph = svdf(n_clips, n_features, n_units, rank, n_frames, state, zeros, out_scale, seed)
    assert_equal(graph, oracle, seed, n_runs=2 * n_frames + 1)


def test_an_svdf_without_bias_is_refused_where_tflite_micro_dies(oracle: TFLiteMicro) -> None:
    graph = svdf(1, 3, 2, 2, 4, "int16", (0, 0), 0.1, 0, omit=(3,))
    with pytest.raises(Refused):
        oracle.run(write_model(graph), [np.zeros((1, 3), np.int8)])
    with pytest.raises(ModelFileError, match="lacks its bias"):
        Interpreter(graph)


def svdf(
    n_clips: int,
    n_features: int,
    n_units: int,
    rank: int,
    n_frames: int,
    state: str,
    zeros: tuple[int, int],
    out_scale: float,
    seed: int,
    *,
    omit: tuple[int, ...] = (),
) -> Graph:
    rng = np.random.default_rng(seed)
    n_filters = n_units * rank
    state_scale = tiny.float32(rng.uniform(1e-3, 0.2))
    time_scale = tiny.float32(rng.uniform(1e-4, 0.02))
    reach = np.iinfo(state).max
    return tiny.operator(
        "SVDF",
        [
            tiny.activation("x", (n_clips, n_features), 0.05, zeros[0]),
            tiny.constant(
                "frequency", rng.integers(-127, 128, (n_filters, n_features)), "int8", (0.01,)
            ),
            tiny.constant(
                "time", rng.integers(-reach, reach, (n_filters, n_frames)), state, (time_scale,)
            ),
            tiny.constant(
                "bias", rng.integers(-4000, 4000, n_units), "int32", (state_scale * time_scale,)
            ),
            Tensor(
                "state",
                (n_clips, n_filters * n_frames),
                state,
                (state_scale,),
                (0,),
                is_variable=True,
            ),
        ],
        tiny.activation("y", (n_clips, n_units), out_scale, zeros[1]),
        {"rank": rank, "fused_activation_function": "RELU"},
        version=3,
        omit=omit,
    )


PAIRS = [
    ("float32", "int8"),
    ("float32", "int16"),
    ("int8", "int8"),
    ("int8", "uint8"),
    ("int8", "int16"),
    ("int8", "int32"),
    ("uint8", "int8"),
    ("int16", "int8"),
    ("int16", "int16"),
    ("int16", "int32"),
    ("int32", "int8"),
    ("int32", "int16"),
]


@given(scale=st.tuples(scales, scales), zeros=st.tuples(zero_points, zero_points), seed=seeds)
@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_quantize(
    before: str,
    after: str,
    scale: tuple[float, float],
    zeros: tuple[int, int],
    seed: int,
    oracle: TFLiteMicro,
) -> None:
    def tensor(name: str, dtype: str, scale: float, zero: int) -> Tensor:
        if dtype == "float32":
            return Tensor(name, (300,), dtype)
        zero = {"uint8": zero + 128, "int8": zero}.get(dtype, 0)
        return Tensor(name, (300,), dtype, (tiny.float32(scale),), (zero,))

    x, y = tensor("x", before, scale[0], zeros[0]), tensor("y", after, scale[1], zeros[1])
    assert_equal(tiny.operator("QUANTIZE", [x], y), oracle, seed)


@given(scale=scales, zero=zero_points, seed=seeds)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_dequantize(dtype: str, scale: float, zero: int, seed: int, oracle: TFLiteMicro) -> None:
    zero = {"uint8": zero + 128, "int16": 0}.get(dtype, zero)
    x = Tensor("x", (300,), dtype, (tiny.float32(scale),), (zero,))
    assert_equal(tiny.operator("DEQUANTIZE", [x], Tensor("y", (300,), "float32")), oracle, seed)


@given(shape=shapes, data=st.data(), seed=seeds)
@pytest.mark.parametrize("name", ["MINIMUM", "MAXIMUM"])
def test_minimum_and_maximum(
    name: str, shape: tuple[int, ...], data: st.DataObject, seed: int, oracle: TFLiteMicro
) -> None:
    other = tuple(1 if data.draw(st.booleans()) else n for n in shape)
    inputs = [tiny.activation("a", shape, 0.1, 3), tiny.activation("b", other, 0.1, 3)]
    y = tiny.activation("y", shape, 0.1, 3)
    assert_equal(tiny.operator(name, inputs, y), oracle, seed)


@given(shape=shapes, zero=zero_points, value=st.integers(-128, 127), data=st.data(), seed=seeds)
@pytest.mark.parametrize("name", ["PAD", "PADV2"])
def test_pad(
    name: str,
    shape: tuple[int, ...],
    zero: int,
    value: int,
    data: st.DataObject,
    seed: int,
    oracle: TFLiteMicro,
) -> None:
    pads = [data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3))) for _ in shape]
    after = tuple(a + n + b for n, (a, b) in zip(shape, pads, strict=True))
    inputs = [tiny.activation("x", shape, 0.1, zero), int32("paddings", pads)]
    if name == "PADV2":
        fill = Tensor("fill", (), "int8", (tiny.float32(0.1),), (zero,), 0, np.int8(value))
        inputs.append(fill)
    assert_equal(tiny.operator(name, inputs, tiny.activation("y", after, 0.1, zero)), oracle, seed)


@given(
    shape=shapes, axis=st.integers(-4, 3), parts=st.integers(1, 4), seed=seeds, even=st.booleans()
)
def test_split(
    shape: tuple[int, ...], axis: int, parts: int, seed: int, even: bool, oracle: TFLiteMicro
) -> None:
    assume(-len(shape) <= axis < len(shape))
    rng = np.random.default_rng(seed)
    sizes = [int(rng.integers(1, 4))] * parts if even else rng.integers(1, 4, parts).tolist()

    def along(size: int) -> tuple[int, ...]:
        return tuple(size if a == axis % len(shape) else n for a, n in enumerate(shape))

    x = tiny.activation("x", along(sum(sizes)), 0.1, 3)
    outputs = [tiny.activation(f"y{i}", along(size), 0.1, 3) for i, size in enumerate(sizes)]
    options = {"num_splits": parts}
    if even:
        graph = tiny.operator("SPLIT", [int32("axis", axis), x], outputs, options)
    else:
        inputs = [x, int32("sizes", sizes), int32("axis", axis)]
        graph = tiny.operator("SPLIT_V", inputs, outputs, options, version=2)
    assert_equal(graph, oracle, seed)


@given(shape=shapes, data=st.data(), seed=seeds)
def test_strided_slice(
    shape: tuple[int, ...], data: st.DataObject, seed: int, oracle: TFLiteMicro
) -> None:
    masks = {
        f"{name}_mask": data.draw(st.integers(0, 2 ** len(shape) - 1))
        for name in ("begin", "end", "shrink_axis")
    }
    begins, ends, strides, after = [], [], [], []
    for axis, n in enumerate(shape):
        begin, end = data.draw(st.integers(-n, n - 1)), data.draw(st.integers(-n - 1, n + 1))
        stride = data.draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
        if masks["shrink_axis_mask"] >> axis & 1:
            stride = 1
        else:
            chosen = slice(
                None if masks["begin_mask"] >> axis & 1 else begin,
                None if masks["end_mask"] >> axis & 1 else end,
                stride,
            )
            after.append(len(range(*chosen.indices(n))))
        begins.append(begin)
        ends.append(end)
        strides.append(stride)
    assume(0 not in after)
    inputs = [
        tiny.activation("x", shape, 0.1, 3),
        int32("begin", begins),
        int32("end", ends),
        int32("strides", strides),
    ]
    y = tiny.activation("y", tuple(after), 0.1, 3)
    assert_equal(tiny.operator("STRIDED_SLICE", inputs, y, masks, version=2), oracle, seed)


@given(shape=shapes, seed=seeds)
def test_transpose(shape: tuple[int, ...], seed: int, oracle: TFLiteMicro) -> None:
    order = np.random.default_rng(seed).permutation(len(shape)).tolist()
    inputs = [tiny.activation("x", shape, 0.1, 3), int32("order", order)]
    y = tiny.activation("y", tuple(shape[a] for a in order), 0.1, 3)
    assert_equal(tiny.operator("TRANSPOSE", inputs, y, version=2), oracle, seed)


@dataclass(frozen=True)
class Variable:
    """A variable of a model: its type and size, and the value that stands where it is assigned."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    zero_point: int

    def tensor(self, name: str) -> Tensor:
        if self.dtype == "float32":
            return Tensor(name, self.shape, self.dtype)
        return Tensor(name, self.shape, self.dtype, (tiny.float32(0.5),), (self.zero_point,))


@given(
    variables=st.lists(
        st.builds(
            Variable,
            name=st.sampled_from(["a", "b", "c"]),
            shape=shapes,
            dtype=st.sampled_from(["int8", "int16", "float32", "int32"]),
            zero_point=st.sampled_from([0, 0, 1, 127, -1, -128]),
        ),
        min_size=1,
        max_size=3,
        unique_by=lambda variable: variable.name,
    ),
    once=st.booleans(),
    read_first=st.booleans(),
    seed=seeds,
)
def test_variables(
    variables: list[Variable], once: bool, read_first: bool, seed: int, oracle: TFLiteMicro
) -> None:
    """Variables that are read and assigned in turn, some filled once by a second subgraph."""
    graph = with_variables(variables, once, read_first, seed)
    model = write_model(graph)
    main = graph.main
    rng = np.random.default_rng(seed)
    tensors = [main.tensors[i] for i in main.inputs]
    runs = [tuple(random_values(rng, t) for t in tensors) for _ in range(6)]
    inputs = [*runs[:3], None, *runs[3:]]
    assert plan(graph).arena_bytes == oracle.head_bytes(model)
    ours = Interpreter(model)
    replies = oracle.run(model, inputs, outputs=len(main.outputs))
    for arrays, reply in zip(inputs, replies, strict=True):
        if arrays is None:
            ours.reset()
            continue
        ours.run({t.name: a for t, a in zip(tensors, arrays, strict=True)})
        for i, expected in zip(main.outputs, reply, strict=True):
            found = ours.tensor(i)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found.ravel(), expected.ravel())


def with_variables(variables: list[Variable], once: bool, read_first: bool, seed: int) -> Graph:
    """Each run reads every variable and assigns it what comes in, or the other way round."""
    tensors: list[Tensor] = []
    ops: list[Op] = [Op("CALL_ONCE", (), (), {"init_subgraph_index": 1})] if once else []
    inputs, outputs = [], []

    def add(tensor: Tensor, into: list[Tensor] = tensors) -> int:
        into.append(tensor)
        return len(into) - 1

    def handle(variable: Variable, into: list[Tensor], steps: list[Op]) -> int:
        index = add(Tensor(f"handle of {variable.name}", (1,), "resource"), into)
        options = {"container": "", "shared_name": variable.name}
        steps.append(Op("VAR_HANDLE", (), (index,), options))
        return index

    for variable in variables:
        number = handle(variable, tensors, ops)
        value = add(variable.tensor(f"new {variable.name}"))
        read = add(variable.tensor(f"read {variable.name}"))
        inputs.append(value)
        outputs.append(read)
        steps = [
            Op("READ_VARIABLE", (number,), (read,)),
            Op("ASSIGN_VARIABLE", (number, value), ()),
        ]
        ops += steps if read_first else steps[::-1]
    graph = tiny.graph_of(tensors, ops, tuple(inputs), tuple(outputs))
    if not once:
        return graph
    rng = np.random.default_rng(seed)
    constants: list[Tensor] = []
    filling: list[Op] = []
    for variable in variables[:2]:
        number = handle(variable, constants, filling)
        tensor = variable.tensor(f"first {variable.name}")
        value = add(replace(tensor, data=random_values(rng, tensor)), constants)
        filling.append(Op("ASSIGN_VARIABLE", (number, value), ()))
    second = Subgraph(tuple(constants), tuple(filling), (), (), "filling")
    return replace(graph, subgraphs=(graph.main, second))


@given(shape=shapes, axis=st.integers(0, 4), seed=seeds)
def test_expand_dims_and_squeeze(
    shape: tuple[int, ...], axis: int, seed: int, oracle: TFLiteMicro
) -> None:
    axis = min(axis, len(shape))
    larger = (*shape[:axis], 1, *shape[axis:])
    small, large = tiny.activation("a", shape, 0.1, 3), tiny.activation("b", larger, 0.1, 3)
    assert_equal(tiny.operator("EXPAND_DIMS", [small, int32("axis", axis)], large), oracle, seed)
    options = {"squeeze_dims": (axis,)}
    assert_equal(tiny.operator("SQUEEZE", [large], small, options), oracle, seed)
