"""200 training steps beside TensorFlow: same batches, same weights, dropout masks shared.

float64, gradient descent: the loss within 1e-8 relative at every step, for every architecture.
float32: within 1e-4, over 200 steps for the tutorial's six and over 50 for the others, where
rounding is not magnified. A ReLU magnifies it: at gradient descent 0.01 without dropout tiny_conv's
batches bring a ReLU's input to 5e-7 on one side and -1e-6 on the other at step 27, its gradient
exists on one side only, and the losses part by 1e-3 (float64 there: 5e-13; the same happens with
momentum 0.001 and these masks at step 11). The networks with
batch norm have hundreds of thousands of ReLUs a step: at rate 0.01 raw_ds_conv in float32 parts
from float64 by 6 to 15 % within 20 steps on either side, and float64 parts from itself as far
when its first weights are changed by 1e-7. In float32 they start with offsets of 3, which keep the
ReLUs' inputs away from 0 and 6.
"""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from minikws import models
from minikws.nn import OPTIMIZERS, softmax_cross_entropy
from minikws.nn.layers import BatchNorm, leaves
from tests.networks import SMALL, dropout_masks, spread_weights

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")
tf_graphs = importlib.import_module("parity_tests.tf_graphs")

N_LABELS = 4

# Name -> rate of gradient descent in float64, at which 200 steps learn, and in float32.
RATES = {
    "single_fc": (0.002, 0.0005),
    "conv": (0.002, 0.0005),
    "low_latency_conv": (0.002, 0.0005),
    "low_latency_svdf": (0.002, 0.0005),
    "tiny_conv": (0.005, 0.001),
    "tiny_embedding_conv": (0.005, 0.001),
    "ds_cnn": (0.01, 0.001),
    "tc_resnet": (0.01, 0.001),
    "raw_ds_conv": (0.003, 0.001),
    "svdf_stream": (0.02, 0.001),
}
TUTORIAL = list(RATES)[:6]


def make(name, dtype, dropout_rate, shape=None):
    small_shape, options = SMALL[name]
    shape = shape or small_shape
    rng = np.random.default_rng(1)
    network = models.build(
        name,
        input_shape=shape,
        n_labels=N_LABELS,
        rng=rng,
        dropout_rate=dropout_rate,
        dtype=dtype,
        **options,
    )
    graph_options = {k: v for k, v in options.items() if k == "rank"}
    return network, lambda run, x: tf_graphs.GRAPHS[name](run, x, **graph_options)


def batches(shape, dtype, n_steps, n_clips):
    """Pictures in which each label has its own ridge."""
    rng = np.random.default_rng(0)
    width = shape[1] // N_LABELS
    for _ in range(n_steps):
        labels = rng.integers(0, N_LABELS, n_clips)
        features = rng.uniform(0, 2, (n_clips, *shape))
        for clip, label in zip(features, labels, strict=True):
            clip[:, width * label : width * (label + 1)] += rng.uniform(0, 2)
        yield features.astype(dtype), labels


def tensorflow_steps(graph, variables, trained, optimizer, rate):
    """Return a function that does one step, with masks in the order of the dropouts."""
    slots = {name: tf.Variable(tf.zeros_like(variables[name])) for name in trained}

    @tf.function
    def step(features, labels, masks):
        left = iter(masks)
        run = tf_graphs.Run(variables=variables, training=True, dropout=lambda h: h * next(left))
        with tf.GradientTape() as tape:
            logits = graph(run, features)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            )
        gradients = tape.gradient(loss, {name: variables[name] for name in trained})
        for name, gradient in gradients.items():
            variable, lr = variables[name], tf.constant(rate, variables[name].dtype)
            if optimizer == "momentum":
                tf.raw_ops.ResourceApplyMomentum(
                    var=variable.handle,
                    accum=slots[name].handle,
                    lr=lr,
                    grad=gradient,
                    momentum=tf.constant(0.9, variable.dtype),
                    use_nesterov=True,
                )
            else:
                tf.raw_ops.ResourceApplyGradientDescent(
                    var=variable.handle, alpha=lr, delta=gradient
                )
        return loss

    return step


def both_losses(network, graph, optimizer, rate, n_steps, n_clips=10):
    """Train both sides; return the losses (n_steps,) of ours and of TensorFlow, and its weights."""
    variables = tf_graphs.variables(network.weights())
    trained = [f"{layer}.{name}" for layer, part in network.layers for name in part.params]
    theirs = tensorflow_steps(graph, variables, trained, optimizer, rate)
    ours = OPTIMIZERS[optimizer](network.layers)
    losses = []
    for features, labels in batches(network.input_shape, network.dtype, n_steps, n_clips):
        logits = network.forward(features, training=True)
        loss, dlogits = softmax_cross_entropy(logits, labels)
        masks = [tf.constant(mask) for mask in dropout_masks(network)]
        network.backward(dlogits)
        ours.step(rate)
        losses.append((loss, float(theirs(tf.constant(features), tf.constant(labels), masks))))
    found, expected = np.array(losses).T
    return found, expected, variables


def check_weights(network, variables, tolerance):
    for name, found in network.weights().items():
        expected = variables[name].numpy()
        atol = tolerance * max(np.abs(expected).max(), 1e-3)
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_200_steps_in_float64(name):
    network, graph = make(name, np.float64, 0.2)
    spread_weights(network, np.random.default_rng(2))
    found, expected, variables = both_losses(
        network, graph, "gradient_descent", RATES[name][0], 200
    )
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    check_weights(network, variables, 1e-8)
    assert expected[-20:].mean() < 0.8 * expected[:5].mean()  # it learns


@pytest.mark.slow
@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_float32(name):
    network, graph = make(name, np.float32, 0.2)
    spread_weights(network, np.random.default_rng(2))
    for _, layer in leaves(network.layers):
        if isinstance(layer, BatchNorm):
            layer.params["beta"][...] = 3
            layer.params.get("gamma", np.empty(0))[...] = 0.5
    n_steps = 200 if name in TUTORIAL else 50
    found, expected, variables = both_losses(
        network, graph, "gradient_descent", RATES[name][1], n_steps
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    check_weights(network, variables, 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "optimizer", "rate", "dropout_rate", "tolerance"),
    [
        (np.float64, "gradient_descent", 0.01, 0.0, 1e-8),
        (np.float32, "gradient_descent", 0.01, 0.5, 1e-4),
        (np.float32, "momentum", 0.0005, 0.5, 1e-4),
    ],
)
def test_tiny_conv_as_it_is_trained(dtype, optimizer, rate, dropout_rate, tolerance):
    network, graph = make("tiny_conv", dtype, dropout_rate, shape=(49, 40))
    found, expected, variables = both_losses(network, graph, optimizer, rate, 200, n_clips=20)
    assert expected[-20:].mean() < expected[0] / 4
    np.testing.assert_allclose(found, expected, rtol=tolerance)
    check_weights(network, variables, tolerance)
