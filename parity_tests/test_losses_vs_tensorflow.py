"""Losses and their gradients against TensorFlow and Keras (design.md section 8)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.nn import Dense, distillation_loss, l2_penalty, softmax_cross_entropy

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")

from parity_tests.tf_compare import agree  # noqa: E402

dtypes = st.sampled_from([np.float32, np.float64])
sizes = st.tuples(st.integers(1, 8), st.integers(2, 12))
spreads = st.floats(0.01, 50)


def drawn(size, spread, dtype, rng):
    return (spread * rng.normal(size=size)).astype(dtype), rng.integers(0, size[1], size[0])


def compare(found, theirs, logits):
    """Compare a loss and its gradient; `theirs` maps logits to the loss."""
    z = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(z)
        expected = theirs(z)
    loss, dlogits = found
    agree(logits.dtype.type(loss), expected)
    agree(dlogits, tape.gradient(expected, z), 1e-4)


@given(size=sizes, spread=spreads, dtype=dtypes)
def test_softmax_cross_entropy(size, spread, dtype):
    logits, labels = drawn(size, spread, dtype, np.random.default_rng(3))
    compare(
        softmax_cross_entropy(logits, labels),
        lambda z: tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=z)
        ),
        logits,
    )


@given(size=sizes, spread=spreads, smoothing=st.floats(0, 0.9), dtype=dtypes)
def test_label_smoothing(size, spread, smoothing, dtype):
    logits, labels = drawn(size, spread, dtype, np.random.default_rng(4))
    theirs = tf.keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=smoothing, dtype=np.dtype(dtype).name
    )
    one_hot = np.eye(size[1], dtype=dtype)[labels]
    compare(
        softmax_cross_entropy(logits, labels, label_smoothing=smoothing),
        lambda z: theirs(one_hot, z),
        logits,
    )


@given(
    size=sizes,
    spread=spreads,
    weights=st.lists(st.sampled_from([0.0, 0.1, 1.0, 7.0]), min_size=12, max_size=12),
)
def test_class_weights(size, spread, weights):
    # TensorFlow adds weighted losses up in float32, whatever the logits are
    logits, labels = drawn(size, spread, np.float32, np.random.default_rng(5))
    class_weights = np.array(weights[: size[1]], np.float32)
    compare(
        softmax_cross_entropy(logits, labels, class_weights=class_weights),
        lambda z: tf.compat.v1.losses.sparse_softmax_cross_entropy(
            labels, z, weights=class_weights[labels]
        ),
        logits,
    )


@given(
    size=sizes,
    spread=st.floats(0.01, 20),
    temperature=st.floats(0.5, 10),
    share=st.floats(0, 1),
    probabilities=st.booleans(),
    dtype=dtypes,
)
def test_distillation(size, spread, temperature, share, probabilities, dtype):
    rng = np.random.default_rng(6)
    logits, labels = drawn(size, spread, dtype, rng)
    known = rng.normal(size=size).astype(dtype)
    teacher = tf.nn.softmax(known).numpy() if probabilities else known
    aims = tf.nn.softmax(known / dtype(temperature))

    def theirs(z):
        soft = tf.nn.softmax_cross_entropy_with_logits(labels=aims, logits=z / dtype(temperature))
        hard = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=z)
        return dtype(share * temperature**2) * tf.reduce_mean(soft) + dtype(
            1 - share
        ) * tf.reduce_mean(hard)

    found = distillation_loss(
        logits, teacher, labels, temperature=temperature, share=share, probabilities=probabilities
    )
    if probabilities and dtype == np.float64:
        # the logarithm of a share brings its rounding back, magnified by no more than this
        expected = theirs(tf.constant(logits))
        np.testing.assert_allclose(found[0], expected, rtol=1e-9)
    else:
        compare(found, theirs, logits)


@given(strength=st.floats(0, 1, width=32), dtype=dtypes)  # as which Keras keeps it
def test_l2_penalty(strength, dtype):
    layer = Dense(9, 7, rng=np.random.default_rng(7), sigma=1.0, dtype=dtype)
    layer.params["b"][:] = 1
    layer.grads = {name: np.zeros_like(p) for name, p in layer.params.items()}
    w = tf.constant(layer.params["w"])
    with tf.GradientTape() as tape:
        tape.watch(w)
        expected = tf.keras.regularizers.L2(strength)(w)
    agree(dtype(l2_penalty([("fc", layer)], strength)), expected)
    agree(layer.grads["w"], tape.gradient(expected, w), 1e-4)
    assert not layer.grads["b"].any()
