"""Every architecture as a file: float32 gives the network's scores, int8 TFLite Micro's values.

A network with SVDF layers takes a frame at a time: a clip's scores are those after its last frame.
"""

from __future__ import annotations

import numpy as np
import pytest

from minikws import models
from minikws.nn import Network, softmax
from minikws.quant import convert, quantization_aware, to_float_graph
from minikws.runtime import Interpreter, plan
from minikws.tflite import write_model
from parity_tests.tflm_child import TFLiteMicro

pytest.importorskip("tflite_micro", reason="oracle absent: pip install 'minikws[parity]'")
litert = pytest.importorskip(
    "ai_edge_litert.interpreter", reason="oracle absent: pip install 'minikws[parity]'"
)
tflite = pytest.importorskip("tflite", reason="oracle absent: pip install 'minikws[parity]'")

# Architecture -> features that are as small as it takes, and options that make it small.
SMALL = {
    "single_fc": ((13, 10), {}),
    "conv": ((13, 10), {}),
    "low_latency_conv": ((13, 12), {}),
    "low_latency_svdf": ((13, 10), {"num_units": 20}),
    "svdf_stream": ((13, 10), {"num_units": 8, "rank": 3}),
    "tiny_conv": ((13, 10), {}),
    "tiny_embedding_conv": ((33, 20), {}),
    "ds_cnn": ((20, 10), {}),
    "tc_resnet": ((25, 10), {"width": 0.3}),
    "raw_ds_conv": ((100, 60), {"width": 0.06}),
}


def lively(name: str) -> tuple[Network, np.ndarray]:
    """A network whose weights and statistics are far from their first values, and features."""
    shape, options = SMALL[name]
    rng = np.random.default_rng(3)
    network = models.build(name, input_shape=shape, n_labels=4, rng=rng, **options)
    features = rng.uniform(0, 26, (40, *shape)).astype(np.float32)
    if name == "raw_ds_conv":
        features = rng.uniform(-1, 1, (40, *shape)).astype(np.float32)
    weights = network.weights()
    for key, array in weights.items():
        if key.endswith(".variance"):
            array[...] = rng.uniform(0.5, 2, array.shape)
        elif array.ndim == 1:
            array += rng.normal(0, 0.2, array.shape)
        elif name not in ("ds_cnn", "tc_resnet", "raw_ds_conv"):
            array[...] = rng.normal(0, np.sqrt(2 / array[..., 0].size), array.shape)
    network.load_weights(weights)
    return network, features


def test_every_architecture_is_here():
    assert SMALL.keys() == models.ARCHITECTURES.keys()


def in_runs(features: np.ndarray, ours: Interpreter) -> np.ndarray:
    """Cut clips (B, T, F) into what the model takes at a time, (runs, 1, …)."""
    return features.reshape(-1, *ours.inputs[0].shape)


def last_of_clips(rows: np.ndarray, n_clips: int) -> np.ndarray:
    """Return the scores after each clip's last run, (B, L)."""
    return rows.reshape(n_clips, -1, rows.shape[-1])[:, -1]


@pytest.mark.parametrize("name", SMALL)
def test_the_float_file_gives_the_networks_scores(name, oracle):
    network, features = lively(name)
    model = write_model(to_float_graph(network))
    ours = Interpreter(model)
    inputs = in_runs(features, ours)
    found = ours.invoke(inputs[:, 0])
    scores = softmax(network.predict(features))
    np.testing.assert_allclose(last_of_clips(found, 40), scores, rtol=1e-4, atol=1e-5)
    theirs = np.concatenate([y for (y,) in oracle.run(model, list(inputs[:20]))])
    np.testing.assert_allclose(found[:20], theirs, rtol=1e-4, atol=1e-5)


def assert_equal_everywhere(model: bytes, inputs: list[np.ndarray], oracle: TFLiteMicro):
    """Every tensor of every run, states included; the outputs (runs, L) come back."""
    ours = Interpreter(model)
    tensors = ours.graph.main.tensors
    outputs = []
    for x, (y, *expected) in zip(
        inputs, oracle.run(model, inputs, tensors=len(tensors)), strict=True
    ):
        outputs.append(y)
        np.testing.assert_array_equal(ours.invoke(x).ravel(), y.ravel())
        for index, values in enumerate(expected):
            if tensors[index].data is None:
                np.testing.assert_array_equal(ours.tensor(index).ravel(), values.ravel())
    ours.reset()
    batch = ours.invoke(np.concatenate(inputs))
    np.testing.assert_array_equal(batch, np.concatenate(outputs).reshape(batch.shape))
    assert oracle.head_bytes(model) == plan(ours.graph).arena_bytes
    return batch


def quantized(features: np.ndarray, ours: Interpreter) -> np.ndarray:
    """Clips as int8 runs (runs, 1, …)."""
    (source,) = ours.inputs
    q = np.round(in_runs(features, ours) / source.scale[0]) + source.zero_point[0]
    return np.clip(q, -128, 127).astype(np.int8)


@pytest.mark.parametrize("name", SMALL)
def test_every_int8_tensor_equals_tflite_micro(name, oracle):
    network, features = lively(name)
    model = write_model(convert(network, features))
    ours = Interpreter(model)
    rng = np.random.default_rng(4)
    inputs = [*quantized(features[:20], ours)]
    n_runs = len(inputs)
    inputs += [rng.integers(-128, 128, ours.inputs[0].shape, np.int8) for _ in range(10)]
    outputs = assert_equal_everywhere(model, inputs, oracle)
    # the integers still say what the network says
    float_labels = network.predict(features[:20]).argmax(1)
    assert (last_of_clips(outputs[:n_runs], 20).argmax(1) == float_labels).mean() > 0.8


@pytest.mark.parametrize("name", SMALL)
def test_trained_for_8_bits_every_architecture_needs_no_calibration(name, oracle):
    network, features = lively(name)
    rounded = quantization_aware(network)
    for _ in range(3):
        rounded.forward(features, training=True)
    model = write_model(convert(rounded, None))
    inputs = [*quantized(features[:5], Interpreter(model))]
    outputs = last_of_clips(assert_equal_everywhere(model, inputs, oracle), 5)
    # what training saw is what the file computes, but for sums that are rounded twice
    by_training = softmax(rounded.predict(features[:5]))
    assert np.abs((outputs.astype(np.float64) + 128) / 256 - by_training).max() < 0.1


@pytest.mark.parametrize("kind", ["float32", "int8"])
@pytest.mark.parametrize("name", SMALL)
def test_litert_and_the_schema_take_the_file(name, kind):
    network, features = lively(name)
    graph = convert(network, features) if kind == "int8" else to_float_graph(network)
    data = write_model(graph)
    ours = Interpreter(data)
    theirs = litert.Interpreter(
        model_content=data, experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF
    )
    run = theirs.get_signature_runner("serving_default")
    shape = ours.inputs[0].shape
    for x in (in_runs(features, ours) if kind == "float32" else quantized(features, ours))[:13]:
        found = run(features=x.reshape(shape))["scores"]
        if kind == "float32":
            np.testing.assert_allclose(ours.invoke(x), found, rtol=1e-4, atol=1e-5)
        else:  # its rounding rules differ: no oracle of bits
            assert found.shape == ours.invoke(x).shape
    model = tflite.Model.GetRootAs(data, 0)
    subgraph = model.Subgraphs(0)
    assert subgraph.TensorsLength() == len(graph.main.tensors)
    codes = [
        model.OperatorCodes(subgraph.Operators(i).OpcodeIndex()).BuiltinCode()
        for i in range(subgraph.OperatorsLength())
    ]
    assert codes == [getattr(tflite.BuiltinOperator, op.name) for op in graph.main.ops]
    for i in range(model.BuffersLength()):
        buffer = model.Buffers(i)
        if buffer.DataLength():
            assert buffer._tab.Vector(buffer._tab.Offset(4)) % 16 == 0
