"""Compiled calls give the plain operators' integers, tensor by tensor, clip by clip."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws import _jit, models
from minikws._jit import ENABLED
from minikws.graph import Graph, Op
from minikws.nn.layers import SVDF, leaves
from minikws.quant import convert
from minikws.runtime import Interpreter, interpreter
from minikws.tflite import write_model
from tests.networks import SMALL, spread_weights
from tests.tflite import tiny
from tests.tflite.every_op import every_op

needs_numba = pytest.mark.skipif(not ENABLED, reason="compiled twins are off: MINIKWS_JIT=0")

ACTIVATIONS = ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]
seeds = st.integers(0, 2**32 - 1)
zero_points = st.one_of(st.sampled_from([-128, 127, 0]), st.integers(-128, 127))


def inputs_for(model: Interpreter, seed: int, n: int = 4) -> list[dict[str, np.ndarray]]:
    """Random values, then the two ends of the type."""
    rng = np.random.default_rng(seed)
    runs = []
    for number in range(n):
        given = {}
        for tensor in model.inputs:
            if tensor.dtype == "float32":
                given[tensor.name] = rng.normal(size=tensor.shape).astype(np.float32)
            else:
                limits = np.iinfo(tensor.dtype)
                values = rng.integers(limits.min, limits.max, tensor.shape, tensor.dtype, True)
                ends = rng.choice([limits.min, limits.max], tensor.shape).astype(tensor.dtype)
                given[tensor.name] = ends if number == n - 1 else values
        runs.append(given)
    return runs


def assert_same(model: bytes | Path | Graph, seed: int = 0) -> Interpreter:
    """Compare every tensor of some runs; return the compiled interpreter."""
    plain, compiled = Interpreter(model), Interpreter(model, compiled=True)
    for x_in in inputs_for(plain, seed):
        expected, found = plain.run(x_in), compiled.run(x_in)
        for name, values in expected.items():
            assert found[name].dtype == values.dtype
            np.testing.assert_array_equal(found[name], values, err_msg=name)
        inside, known = plain.tensors(), compiled.tensors()
        assert inside.keys() == known.keys()
        for name, values in inside.items():
            np.testing.assert_array_equal(known[name], values, err_msg=name)
    return compiled


def n_calls(model: Interpreter) -> int:
    return model._compiled.n_calls if model._compiled else 0


@pytest.mark.parametrize("name", every_op())
def test_every_operator(name):
    assert_same(every_op()[name])


@pytest.mark.parametrize("name", ["conv", "depthwise", "max_pool_2d", "average_pool_2d", "dense"])
def test_files_that_hold_a_batch(name):
    graph = every_op()[name]
    ends = (*graph.main.inputs, *graph.main.outputs)
    tensors = tuple(
        replace(t, shape=(3 * t.shape[0], *t.shape[1:])) if i in ends else t
        for i, t in enumerate(graph.main.tensors)
    )
    assert_same(replace(graph, subgraphs=(replace(graph.main, tensors=tensors),)))


@pytest.mark.parametrize("name", SMALL)
def test_every_architecture(name, monkeypatch):
    monkeypatch.setattr(_jit, "ENABLED", False)  # training's kernels are not what this is about
    shape, options = SMALL[name]
    rng = np.random.default_rng(3)
    network = models.build(name, input_shape=shape, n_labels=4, rng=rng, **options)
    spread_weights(network, rng)
    features = rng.uniform(0, 26, (20, *shape)).astype(np.float32)
    model = assert_same(write_model(convert(network, features)))
    assert n_calls(model) == ENABLED  # the whole model is one call
    if not any(isinstance(layer, SVDF) for _, layer in leaves(network.layers)):
        x = rng.integers(-128, 128, (19, model.inputs[0].shape[1]), np.int8)
        plain = Interpreter(model.graph)
        np.testing.assert_array_equal(model.invoke(x), plain.invoke(x))


@pytest.mark.parametrize(
    "name", ["micro_speech_quantized", "mlperf_tiny_kws_ref_model", "mww_okay_nabu_v2"]
)
def test_published_models(name, tflm):
    model = assert_same(tflm / f"{name}.tflite")
    assert n_calls(model) == ENABLED


@st.composite
def convolutions(draw: st.DrawFn) -> Graph:
    kernel = (draw(st.integers(1, 5)), draw(st.integers(1, 4)))
    two = st.integers(1, 3)
    dilation = (draw(two), draw(two)) if draw(st.booleans()) else (1, 1)
    size = st.integers(1, 8)
    hw = tuple((k - 1) * d + draw(size) for k, d in zip(kernel, dilation, strict=True))
    depthwise = draw(st.booleans())
    return tiny.conv(
        seed=draw(seeds),
        depthwise=depthwise,
        hw=(hw[0], hw[1]),
        channels=draw(st.sampled_from([1, 2, 3, 5, 16, 17, 20, 33])),
        outputs=draw(st.sampled_from([1, 2] if depthwise else [1, 3, 15, 16, 17, 40])),
        kernel=kernel,
        stride=(draw(two), draw(two)),
        dilation=dilation,
        padding=draw(st.sampled_from(["SAME", "VALID"])),
        fused=draw(st.sampled_from(ACTIVATIONS)),
        per_channel=draw(st.booleans()),
        has_bias=draw(st.booleans()),
        zero_points=(draw(zero_points), draw(zero_points)),
        out_scale=draw(st.floats(1e-4, 2.0)),
        extreme=draw(st.booleans()),
    )


@given(graph=convolutions(), seed=seeds)
def test_convolutions(graph, seed):
    assert_same(graph, seed)


@given(
    depth=st.integers(1, 70),
    outputs=st.sampled_from([1, 4, 15, 16, 17, 31, 48]),
    rows=st.integers(1, 9),
    per_channel=st.booleans(),
    points=st.tuples(zero_points, st.sampled_from([0, 0, -5, 100]), zero_points),
    out_scale=st.floats(1e-4, 2.0),
    fused=st.sampled_from(ACTIVATIONS),
    seed=seeds,
)
def test_dense_layers(depth, outputs, rows, per_channel, points, out_scale, fused, seed):
    graph = tiny.dense(
        seed=seed,
        depth=depth,
        outputs=outputs,
        rows=rows,
        per_channel=per_channel,
        zero_points=points,
        out_scale=out_scale,
        fused=fused,
    )
    assert_same(graph, seed)


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 40)),
    scale=st.floats(0.001, 2.0),
    seed=seeds,
)
def test_softmax(shape, scale, seed):
    assert_same(tiny.softmax(shape, tiny.float32(scale)), seed)


def in_between() -> Graph:
    """Two operators that the machine knows, and between them one that it does not."""
    a, b, c, d, e = (tiny.activation(name, (1, 12), 0.1, 3) for name in "abcde")
    limit = tiny.constant("limit", np.arange(12), "int8", (0.1,))
    ops = [Op("RELU", (0,), (1,)), Op("MINIMUM", (1, 5), (2,)), Op("TANH", (2,), (3,))]
    ops.append(Op("ADD", (3, 1), (4,), {"fused_activation_function": "NONE"}))
    return tiny.graph_of([a, b, c, d, e, limit], ops, (0,), (4,))


def test_a_plain_operator_between_two_calls():
    model = assert_same(in_between())
    assert n_calls(model) == 2 * ENABLED
    x = np.random.default_rng(0).integers(-128, 128, (7, 12), np.int8)
    np.testing.assert_array_equal(model.invoke(x), Interpreter(in_between()).invoke(x))


def test_a_broadcast_pair():
    x, row = (
        tiny.activation("x", (1, 3, 5, 4), 0.1, 3),
        tiny.activation("row", (1, 1, 5, 1), 0.2, -9),
    )
    y = tiny.activation("y", (1, 3, 5, 4), 0.3, 1)
    for name in ("ADD", "SUB", "MUL"):
        for inputs in ([x, row], [row, x]):
            assert_same(tiny.operator(name, inputs, y, {"fused_activation_function": "RELU"}))


def test_several_outputs_in_a_batch():
    halves = [tiny.activation(f"y{i}", (1, 2, 3), 0.1, 3) for i in range(2)]
    x = tiny.activation("x", (1, 4, 3), 0.1, 3)
    axis = tiny.constant("axis", 1, "int32")
    graph = tiny.operator("SPLIT", [axis, x], halves, {"num_splits": 2})
    values = np.random.default_rng(0).integers(-128, 128, (5, 4, 3), np.int8)
    found = Interpreter(graph, compiled=True).run({"x": values})
    np.testing.assert_array_equal(np.concatenate([*found.values()], 1), values)


@pytest.mark.parametrize("name", ["svdf", "svdf int8", "variables"])
def test_a_memory_goes_on_and_starts_anew(name):
    graph = every_op()[name]
    plain, compiled = Interpreter(graph), Interpreter(graph)
    runs = inputs_for(plain, 5, n=6)

    def both(x_in: dict[str, np.ndarray]) -> None:
        (found,), (expected,) = (model.run(x_in).values() for model in (compiled, plain))
        np.testing.assert_array_equal(found, expected)

    both(runs[0])
    compiled.compile()  # in mid-stream
    for x_in in runs[1:]:
        both(x_in)
    for model in (plain, compiled):
        model.reset()
    for x_in in runs:
        both(x_in)


@pytest.mark.parametrize(("state_scale", "out_scale"), [(1e-4, 1e-7), (1e-4, 1e-2), (0.3, 2e-3)])
def test_svdf_with_factors_above_1_and_below(state_scale, out_scale):
    graph = every_op()["svdf"]
    tensors = list(graph.main.tensors)
    scales = {3: state_scale * tensors[2].scale[0], 4: state_scale, 5: out_scale}
    for index, scale in scales.items():
        tensors[index] = replace(tensors[index], scale=(tiny.float32(scale),))
    main = replace(graph.main, tensors=tuple(tensors))
    model = assert_same(replace(graph, subgraphs=(main,)))
    assert n_calls(model) == ENABLED


def test_no_values_before_the_first_run_nor_after_a_reset():
    model = Interpreter(tiny.keyword_model(), compiled=True)
    assert set(model.tensors()) == set()
    model.invoke(np.zeros((1, 60), np.int8))
    assert set(model.tensors()) == set(Interpreter(model.graph).tensors()) | {
        t.name for t in model.graph.main.tensors if t.data is None
    }
    model.reset()
    assert set(model.tensors()) == set()


def test_the_caller_keeps_what_it_was_given():
    model = Interpreter(tiny.keyword_model(), compiled=True)
    x = np.random.default_rng(0).integers(-128, 128, (2, 1, 60), np.int8)
    first = model.invoke(x[0])
    kept = first.copy()
    model.invoke(x[1])
    np.testing.assert_array_equal(first, kept)


@needs_numba
def test_read_only_and_strided_inputs_compile_nothing_more():
    from minikws.runtime.fast import machine

    model = Interpreter(tiny.keyword_model(), compiled=True)
    x = np.random.default_rng(0).integers(-128, 128, (3, 120), np.int8)
    strided, fixed = x[:, ::2], x[:, :60].copy()
    fixed.flags.writeable = False
    for x_in in (strided, fixed, strided[:1], np.asfortranarray(fixed)):
        np.testing.assert_array_equal(model.invoke(x_in), Interpreter(model.graph).invoke(x_in))
    assert len(machine.run.compiled().signatures) == 1


@needs_numba
def test_many_clips_in_batches_compile_by_themselves(monkeypatch):
    monkeypatch.setattr(interpreter, "COMPILED_CLIPS", 20)
    model = Interpreter(tiny.keyword_model())
    x = np.random.default_rng(0).integers(-128, 128, (20, 60), np.int8)
    expected = np.concatenate([model.invoke(x[:12]), model.invoke(x[12:19])])
    assert model._compiled is None
    np.testing.assert_array_equal(model.invoke(x)[:19], expected)
    assert model._compiled is not None


@needs_numba
def test_compile_tells_its_seconds():
    model = Interpreter(tiny.keyword_model())
    assert 0 < model.compile() == model.compile()


def test_a_float_model_stays_plain():
    model = Interpreter(tiny.keyword_model(dtype="float32"), compiled=True)
    assert model.compile() is None
    assert len(model.profile(rounds=2)) == len(model.graph.main.ops)


def test_operators_are_timed():
    model = Interpreter(in_between(), compiled=True)
    times = model.profile(rounds=3)
    assert [time.name for time in times] == ["RELU", "MINIMUM", "TANH", "ADD"]
    assert all(time.seconds > 0 for time in times)


def test_without_numba_it_stays_plain(monkeypatch):
    monkeypatch.setattr(interpreter, "ENABLED", False)
    model = Interpreter(tiny.keyword_model(), compiled=True)
    assert model.compile() is None and model._compiled is None
    x = np.zeros((1, 60), np.int8)
    np.testing.assert_array_equal(model.invoke(x), Interpreter(model.graph).invoke(x))


@pytest.mark.children
def test_jit_0_imports_no_numba(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(write_model(tiny.keyword_model()))
    program = (
        "import sys, numpy as np; from minikws.runtime import Interpreter\n"
        f"Interpreter({str(path)!r}, compiled=True).invoke(np.zeros((2000, 60), np.int8))\n"
        "assert 'numba' not in sys.modules"
    )
    environment = {**os.environ, "MINIKWS_JIT": "0"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_a_subgraph_shares_the_variables():
    graph = every_op()["variables"]
    model = Interpreter(graph, compiled=True)
    x = np.full((1, 1, 2), 9, np.int8)
    (output,) = model.run({"new": x}).values()
    # what the subgraph assigned first, then the frame
    assert output.ravel().tolist() == [-3] * 6 + [9, 9]
