"""Compiled calls against TFLite Micro itself: published models by tensor, random ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from minikws._jit import ENABLED
from minikws.graph import Graph
from minikws.runtime import Interpreter
from minikws.tflite import write_model
from parity_tests.test_tflm_ops import convolutions, inputs_for, seeds

pytest.importorskip("tflite_micro", reason="oracle absent: pip install 'minikws[parity]'")
pytestmark = pytest.mark.skipif(not ENABLED, reason="compiled twins are off: MINIKWS_JIT=0")


@pytest.mark.parametrize(
    "name", ["micro_speech_quantized", "mlperf_tiny_kws_ref_model", "mww_okay_nabu_v2"]
)
def test_published_models(name, tflm, oracle):
    model = (tflm / f"{name}.tflite").read_bytes()
    ours = Interpreter(model, compiled=True)
    tensors = ours.graph.main.tensors
    shape = ours.inputs[0].shape
    rng = np.random.default_rng(7)
    inputs = [rng.integers(-128, 128, shape, np.int8) for _ in range(20)]
    inputs += [rng.choice(np.array([-128, 127], np.int8), shape) for _ in range(5)]
    # TFLite Micro dies when asked for the tensors of a model with variables
    replies = oracle.run(model, inputs, tensors=0 if ours.has_memory else len(tensors))
    for x, (y, *expected) in zip(inputs, replies, strict=True):
        np.testing.assert_array_equal(ours.invoke(x).ravel(), y.ravel())
        for index, values in enumerate(expected):
            if tensors[index].data is None and tensors[index].dtype == "int8":
                np.testing.assert_array_equal(ours.tensor(index).ravel(), values.ravel())


@pytest.mark.parametrize("depthwise", [False, True])
def test_convolutions(depthwise, oracle):
    @given(graph=convolutions(depthwise=depthwise), seed=seeds)
    def check(graph: Graph, seed: int) -> None:
        model = write_model(graph)
        inputs = inputs_for(graph, seed)
        ours = Interpreter(model, compiled=True)
        for x, (expected,) in zip(inputs, oracle.run(model, inputs), strict=True):
            np.testing.assert_array_equal(ours.invoke(x).ravel(), expected.ravel())

    check()
