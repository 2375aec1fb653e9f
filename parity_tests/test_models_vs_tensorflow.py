"""Every architecture with the weights of its TensorFlow graph: logits, and one step's gradients.

float32: abs(a - b) <= 1e-5 * max(abs(b)) + 1e-6, gradients 1e-4 (design.md section 8); for batch
norm both what inference computes and what training does. Weights are drawn wide enough for every
layer to matter; dropout masks are ours.

A bias before batch norm has the gradient 0: both sides hold what rounding leaves of large sums
(TensorFlow up to 3e-5), so the network's largest gradient is its measure. The large networks have
a million ReLUs, of which float32 puts one or two on the other side of 0 than TensorFlow does: then
a gradient is there on one side only, and they are compared in float64.
"""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from minikws import models
from minikws.nn import softmax_cross_entropy
from tests.networks import SMALL, dropout_masks, spread_weights

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")
tf_graphs = importlib.import_module("parity_tests.tf_graphs")

N_LABELS = 3

# Beside the small ones of every architecture: those that the tables name.
LARGE = {
    "ds_cnn-M": ("ds_cnn", (49, 10), {"size": "M"}),
    "ds_cnn-L": ("ds_cnn", (49, 10), {"size": "L"}),
    "tc_resnet-14": ("tc_resnet", (98, 40), {"depth": 14}),
}
CASES = {name: (name, shape, options) for name, (shape, options) in SMALL.items()} | LARGE
DTYPES = [np.float32, np.float64]


def make(case, dtype):
    name, shape, options = CASES[case]
    rng = np.random.default_rng(0)
    network = models.build(
        name, input_shape=shape, n_labels=N_LABELS, rng=rng, dtype=dtype, **options
    )
    spread_weights(network, rng)
    features = rng.normal(size=(2 if case in LARGE else 6, *shape)).astype(dtype)
    graph_options = {k: v for k, v in options.items() if k in ("size", "depth", "rank")}
    return network, features, lambda run, x: tf_graphs.GRAPHS[name](run, x, **graph_options)


def agree(found, expected, share, largest=None):
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    share, absolute = (1e-11, 1e-14) if found.dtype == np.float64 else (share, 1e-6)
    largest = np.abs(expected).max() if largest is None else largest
    np.testing.assert_allclose(found, expected, rtol=0, atol=share * largest + absolute)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_logits(case, dtype):
    network, features, graph = make(case, dtype)
    run = tf_graphs.Run(variables=tf_graphs.variables(network.weights()))
    agree(network.forward(features), graph(run, tf.constant(features)), 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("case", "dtype"), [(c, d) for c in CASES for d in DTYPES[c in LARGE :]])
def test_one_training_step(case, dtype):
    network, features, graph = make(case, dtype)
    labels = np.arange(len(features)) % N_LABELS
    variables = tf_graphs.variables(network.weights())
    trained = {f"{layer}.{name}" for layer, part in network.layers for name in part.params}
    logits = network.forward(features, training=True)
    masks = iter(dropout_masks(network))
    run = tf_graphs.Run(variables=variables, training=True, dropout=lambda h: h * next(masks))
    with tf.GradientTape() as tape:
        expected = graph(run, tf.constant(features))
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=expected)
        )
    gradients = tape.gradient(loss, {name: variables[name] for name in trained})
    agree(logits, expected, 1e-5)
    network.backward(softmax_cross_entropy(logits, labels)[1])
    largest = max(np.abs(gradient).max() for gradient in gradients.values())
    for layer, part in network.layers:
        is_cancelled = f"{layer}_norm.mean" in variables
        for name, found in part.grads.items():
            measure = largest if is_cancelled and name == "b" else None
            agree(found, gradients[f"{layer}.{name}"], 1e-4, measure)
    for name, found in network.weights().items():
        if name not in trained:  # moving mean and variance
            agree(found, variables[name], 1e-5)
