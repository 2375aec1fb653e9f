"""Every architecture as a file: float32 gives the network's scores, int8 TFLite Micro's values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from minikws import models
from minikws.nn import Network, softmax
from minikws.quant import convert, to_float_graph
from minikws.runtime import Interpreter, plan
from minikws.tflite import write_model
from parity_tests.tflm_child import TFLiteMicro

pytest.importorskip("tflite_micro", reason="oracle absent: pip install 'minikws[parity]'")

# Architecture -> features that are as small as it takes, and options that make it small.
SMALL = {
    "single_fc": ((13, 10), {}),
    "conv": ((13, 10), {}),
    "low_latency_conv": ((13, 12), {}),
    "tiny_conv": ((13, 10), {}),
    "tiny_embedding_conv": ((33, 20), {}),
    "ds_cnn": ((20, 10), {}),
    "tc_resnet": ((25, 10), {"width": 0.3}),
    "raw_ds_conv": ((100, 60), {"width": 0.06}),
}
NOT_EXPORTED = {"low_latency_svdf", "svdf_stream"}  # an SVDF has no whole-clip form in a file


@pytest.fixture(scope="module")
def oracle() -> Iterator[TFLiteMicro]:
    child = TFLiteMicro()
    yield child
    child.close()


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
    assert SMALL.keys() | NOT_EXPORTED == models.ARCHITECTURES.keys()


@pytest.mark.parametrize("name", SMALL)
def test_the_float_file_gives_the_networks_scores(name):
    network, features = lively(name)
    ours = Interpreter(to_float_graph(network))
    found = ours.invoke(features.reshape(len(features), -1))
    np.testing.assert_allclose(found, softmax(network.predict(features)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_every_int8_tensor_equals_tflite_micro(name, oracle):
    network, features = lively(name)
    model = write_model(convert(network, features))
    ours = Interpreter(model)
    (source,) = ours.inputs
    rng = np.random.default_rng(4)
    q = np.round(features[:20] / source.scale[0]) + source.zero_point[0]
    inputs = [*np.clip(q, -128, 127).astype(np.int8).reshape(20, 1, -1)]
    inputs += [rng.integers(-128, 128, (1, source.shape[1]), np.int8) for _ in range(10)]
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
    batch = ours.invoke(np.concatenate(inputs))
    np.testing.assert_array_equal(batch, np.concatenate(outputs).reshape(batch.shape))
    assert oracle.head_bytes(model) == plan(ours.graph).arena_bytes
    # the integers still say what the network says
    float_labels = network.predict(features[:20]).argmax(1)
    assert (np.concatenate(outputs[:20]).reshape(20, -1).argmax(1) == float_labels).mean() > 0.8
