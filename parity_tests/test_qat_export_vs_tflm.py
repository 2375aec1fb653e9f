"""A network trained with rounding, exported with its trained ranges, against TFLite Micro.

The export's integers are TFLite Micro's at every tensor, and they are what training saw: the
network's own forward pass differs from the int8 file by a step or two of the logits.
"""

from __future__ import annotations

import numpy as np
import pytest

from minikws import models
from minikws.nn import Momentum, Network, softmax_cross_entropy
from minikws.quant import convert, quantization_aware
from minikws.quant.qat import trained_quantizations
from minikws.runtime import Interpreter
from minikws.tflite.writer import write_model

tflm = pytest.importorskip(
    "tflite_micro.python.tflite_micro.runtime",
    reason="oracle absent: pip install 'minikws[parity]'",
)

AVERAGE = (0.5, -128)  # features of 0 to 127.5; what is louder is clipped, in training too
N_LABELS = 4
SHAPE = (49, 43)


def loud_ridges(rng: np.random.Generator, n_clips: int) -> tuple[np.ndarray, np.ndarray]:
    """Features far above the range of the int8 input in places, each label with its own ridge."""
    labels = rng.integers(0, N_LABELS, n_clips)
    features = rng.exponential(20, (n_clips, *SHAPE))
    for clip, label in zip(features, labels, strict=True):
        clip[:, label::N_LABELS] *= rng.uniform(1, 8)
    return features.astype(np.float32), labels


@pytest.fixture(scope="module")
def network() -> Network:
    rng = np.random.default_rng(1)
    plain = models.build(
        "tiny_conv", input_shape=SHAPE, n_labels=N_LABELS, rng=rng, dropout_rate=0.25
    )
    network = quantization_aware(plain, AVERAGE)
    optimizer = Momentum(network.layers)
    for _ in range(60):
        features, labels = loud_ridges(rng, 20)
        _, dlogits = softmax_cross_entropy(network.forward(features, training=True), labels)
        network.backward(dlogits)
        optimizer.step(0.0002)
    return network


def test_the_export_equals_tflite_micro_and_what_training_saw(network):
    blob = write_model(convert(network, None, input_quantization=AVERAGE))
    ours = Interpreter(blob)
    theirs = tflm.Interpreter.from_bytes(
        blob, intrepreter_config=tflm.InterpreterConfig.kPreserveAllTensors
    )
    features, labels = loud_ridges(np.random.default_rng(2), 100)
    inputs = np.clip(np.round(features / 0.5) - 128, -128, 127).astype(np.int8)
    graph = ours.graph.main
    logits = []
    for x in inputs.reshape(len(inputs), 1, -1):
        theirs.set_input(x, 0)
        theirs.invoke()
        np.testing.assert_array_equal(ours.invoke(x), theirs.get_output(0))
        for op in graph.ops:
            (index,) = op.outputs
            found = ours.tensors()[graph.tensors[index].name]
            expected = theirs.GetTensor(index, 0)
            expected = expected["tensor_data"] if isinstance(expected, dict) else expected
            np.testing.assert_array_equal(found.reshape(-1), np.asarray(expected).reshape(-1))
        logits.append(ours.tensors()["final_fc"].reshape(-1))
    scale, zero_point = trained_quantizations(network)["final_fc"]
    by_int8 = scale * (np.array(logits).astype(np.float64) - zero_point)
    by_training = network.predict(features)
    # one step for the rounding twice of the int8 sums, one where a tie falls the other way
    assert np.abs(by_int8 - by_training).max() <= 2.01 * scale
    answers = by_training.argmax(1)
    assert (answers == labels).mean() > 0.6
    assert (by_int8.argmax(1) == answers).mean() >= 0.97
