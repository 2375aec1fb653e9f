"""200 training steps beside TensorFlow: same batches, same weights, dropout masks shared.

float64, gradient descent: the loss within 1e-8 relative at every step. float32: within 1e-4, for
both optimisers, at rates that do not magnify rounding: at gradient descent 0.01 without dropout
these batches bring a ReLU's input to 5e-7 on one side and -1e-6 on the other at step 27, its
gradient exists on one side only, and the losses part by 1e-3 (float64 there: 5e-13).
"""

from __future__ import annotations

import numpy as np
import pytest

from minikws import models
from minikws.nn import OPTIMIZERS, Dropout, softmax_cross_entropy

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")

N_STEPS = 200
N_LABELS = 4
SHAPE = (49, 40)


def batches(dtype, n_clips=20):
    """Pictures of the micro frontend's range in which each label has its own ridge."""
    rng = np.random.default_rng(0)
    for _ in range(N_STEPS):
        labels = rng.integers(0, N_LABELS, n_clips)
        features = rng.uniform(0, 4, (n_clips, *SHAPE))
        for clip, label in zip(features, labels, strict=True):
            clip[:, 8 * label : 8 * label + 8] += rng.uniform(0, 4)
        yield features.astype(dtype), labels


def tensorflow_steps(weights, optimizer, rate):
    """Return a function that does one step and gives the loss, and the variables."""
    names = ("first_conv.w", "first_conv.b", "final_fc.w", "final_fc.b")
    variables = [tf.Variable(weights[name]) for name in names]
    slots = [tf.Variable(tf.zeros_like(v)) for v in variables]
    dtype = variables[0].dtype

    @tf.function
    def step(features, labels, scale):
        w, b, fc_w, fc_b = variables
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(tf.nn.conv2d(features[..., None], w, 2, "SAME") + b) * scale
            logits = tf.reshape(hidden, (tf.shape(features)[0], -1)) @ fc_w + fc_b
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            )
        for v, a, g in zip(variables, slots, tape.gradient(loss, variables), strict=True):
            lr = tf.constant(rate, dtype)
            if optimizer == "momentum":
                tf.raw_ops.ResourceApplyMomentum(
                    var=v.handle,
                    accum=a.handle,
                    lr=lr,
                    grad=g,
                    momentum=tf.constant(0.9, dtype),
                    use_nesterov=True,
                )
            else:
                tf.raw_ops.ResourceApplyGradientDescent(var=v.handle, alpha=lr, delta=g)
        return loss

    return step, dict(zip(names, variables, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "optimizer", "rate", "dropout_rate", "tolerance"),
    [
        (np.float64, "gradient_descent", 0.01, 0.5, 1e-8),
        (np.float64, "gradient_descent", 0.01, 0.0, 1e-8),
        (np.float32, "gradient_descent", 0.01, 0.5, 1e-4),
        (np.float32, "gradient_descent", 0.001, 0.0, 1e-4),
        (np.float32, "momentum", 0.001, 0.5, 1e-4),
    ],
)
def test_tiny_conv(dtype, optimizer, rate, dropout_rate, tolerance):
    network = models.build(
        "tiny_conv",
        input_shape=SHAPE,
        n_labels=N_LABELS,
        rng=np.random.default_rng(1),
        dropout_rate=dropout_rate,
        dtype=dtype,
    )
    dropout = next(layer for _, layer in network.layers if isinstance(layer, Dropout))
    ours = OPTIMIZERS[optimizer](network.layers)
    theirs, variables = tensorflow_steps(network.weights(), optimizer, rate)
    losses = []
    for features, labels in batches(dtype):
        logits = network.forward(features, training=True)
        loss, dlogits = softmax_cross_entropy(logits, labels)
        network.backward(dlogits)
        ours.step(rate)
        mask = np.ones((1, 1, 1, 1)) if dropout.mask is None else 2 * dropout.mask
        losses.append((loss, float(theirs(features, labels, mask.astype(dtype)))))
    found, expected = np.array(losses).T
    assert expected[-20:].mean() < expected[0] / 4  # it learns
    np.testing.assert_allclose(found, expected, rtol=tolerance)
    for name, variable in variables.items():
        largest = np.abs(variable.numpy()).max()
        np.testing.assert_allclose(
            network.weights()[name], variable.numpy(), rtol=0, atol=tolerance * largest
        )
