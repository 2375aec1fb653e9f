"""Exported files against the runtimes they are made for.

int8: every tensor equals TFLite Micro's, LiteRT accepts the file and agrees. float32: the scores
are those of `Network.forward`. tflite-micro here is a double-rounding build.
"""

from __future__ import annotations

import numpy as np
import pytest

from minikws import models
from minikws.nn import Dense, Flatten, Network, ReLU, softmax, softmax_cross_entropy
from minikws.nn.optim import Momentum
from minikws.quant import convert, to_float_graph
from minikws.runtime import Interpreter
from minikws.tflite.writer import write_model

tflm = pytest.importorskip(
    "tflite_micro.python.tflite_micro.runtime",
    reason="oracle absent: pip install 'minikws[parity]'",
)
litert = pytest.importorskip(
    "ai_edge_litert.interpreter", reason="oracle absent: pip install 'minikws[parity]'"
)

MICRO = (666 / (256 * 25.6), -128)
N_LABELS = 4


def ridges(rng: np.random.Generator, n_clips: int, shape=(49, 40)):
    """Features of the micro frontend's range in which each label has its own ridge."""
    labels = rng.integers(0, N_LABELS, n_clips)
    features = rng.uniform(0, 12, (n_clips, *shape))
    for clip, label in zip(features, labels, strict=True):
        clip[:, label::N_LABELS] += rng.uniform(0, 6)
    return np.floor(features * 25.6).astype(np.float32) / np.float32(25.6), labels


def trained(network: Network, shape=(49, 40)) -> Network:
    rng = np.random.default_rng(1)
    optimizer = Momentum(network.layers)
    for _ in range(60):
        features, labels = ridges(rng, 20, shape)
        _, dlogits = softmax_cross_entropy(network.forward(features, training=True), labels)
        network.backward(dlogits)
        optimizer.step(0.001)
    return network


def tiny_conv(shape=(49, 40)) -> Network:
    rng = np.random.default_rng(0)
    return trained(models.build("tiny_conv", input_shape=shape, n_labels=N_LABELS, rng=rng), shape)


def two_dense(shape=(49, 40)) -> Network:
    rng = np.random.default_rng(0)
    layers = [
        ("flatten", Flatten()),
        ("hidden", Dense(shape[0] * shape[1], 12, rng=rng)),
        ("hidden_relu", ReLU()),
        ("final_fc", Dense(12, N_LABELS, rng=rng)),
    ]
    return trained(Network(layers, input_shape=shape), shape)


NETWORKS = {"tiny_conv": tiny_conv, "two_dense": two_dense}


@pytest.fixture(scope="module")
def networks() -> dict[str, Network]:
    return {name: build() for name, build in NETWORKS.items()}


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    return ridges(np.random.default_rng(2), 200)[0]


def quantized(features: np.ndarray, interpreter: Interpreter) -> np.ndarray:
    (source,) = interpreter.inputs
    q = np.round(features / np.float32(source.scale[0])) + source.zero_point[0]
    return np.clip(q, -128, 127).astype(np.int8).reshape(len(features), 1, -1)


@pytest.mark.parametrize("fixed_input", [MICRO, None], ids=["micro", "calibrated"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_int8_tensor_equals_tflite_micro(name, fixed_input, networks, clips):
    network = networks[name]
    blob = write_model(convert(network, clips[:100], input_quantization=fixed_input))
    ours = Interpreter(blob)
    theirs = tflm.Interpreter.from_bytes(
        blob, intrepreter_config=tflm.InterpreterConfig.kPreserveAllTensors
    )
    inputs = quantized(clips, ours)
    rng = np.random.default_rng(3)
    inputs = np.concatenate(
        [inputs, rng.integers(-128, 128, (50, *inputs.shape[1:])).astype(np.int8)]
    )
    graph = ours.graph.main
    for x in inputs:
        theirs.set_input(x, 0)
        theirs.invoke()
        np.testing.assert_array_equal(ours.invoke(x), theirs.get_output(0))
        for op in graph.ops:
            (index,) = op.outputs
            found = ours.tensors()[graph.tensors[index].name]
            expected = theirs.GetTensor(index, 0)
            expected = expected["tensor_data"] if isinstance(expected, dict) else expected
            np.testing.assert_array_equal(found.reshape(-1), np.asarray(expected).reshape(-1))


@pytest.mark.parametrize("name", NETWORKS)
def test_litert_takes_the_int8_file(name, networks, clips):
    blob = write_model(convert(networks[name], clips[:100], input_quantization=MICRO))
    ours = Interpreter(blob)
    theirs = litert.Interpreter(
        model_content=blob,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF,
    )
    assert theirs.get_signature_list()["serving_default"] == {
        "inputs": ["features"],
        "outputs": ["scores"],
    }
    run = theirs.get_signature_runner("serving_default")
    for x in quantized(clips[:50], ours):
        np.testing.assert_array_equal(run(features=x)["scores"], ours.invoke(x))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_float_file_gives_the_networks_scores(name, networks, clips):
    network = networks[name]
    blob = write_model(to_float_graph(network))
    expected = softmax(network.predict(clips[:50]))
    ours = Interpreter(blob)
    theirs = litert.Interpreter(model_content=blob)
    run = theirs.get_signature_runner("serving_default")
    for clip, scores in zip(clips[:50], expected, strict=True):
        x = clip.reshape(1, -1)
        # the tolerance of float layers, design.md section 8
        for found in (ours.invoke(x), run(features=x)["scores"]):
            np.testing.assert_allclose(found[0], scores, rtol=0, atol=1e-5 * scores.max() + 1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_int8_keeps_the_answers(name, networks):
    features, labels = ridges(np.random.default_rng(4), 300)
    network = networks[name]
    interpreter = Interpreter(write_model(convert(network, features, input_quantization=MICRO)))
    by_float = network.predict(features).argmax(1)
    by_int8 = np.array(
        [interpreter.invoke(x)[0].argmax() for x in quantized(features, interpreter)]
    )
    right = [int((answers == labels).sum()) for answers in (by_float, by_int8)]
    assert right[0] > 150
    assert abs(right[0] - right[1]) <= 3  # a point of 300 clips
