"""Activations and attention forward and backward against TensorFlow (design.md section 8)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.nn import AttentionPool, Residual, Sequential
from minikws.nn.layers import LAYERS

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")

from parity_tests.tf_compare import compare  # noqa: E402  (needs the oracle)

dtypes = st.sampled_from([np.float32, np.float64])
ACTIVATIONS = {
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "sigmoid": tf.nn.sigmoid,
    "tanh": tf.nn.tanh,
    "swish": tf.nn.silu,
    "hard_swish": tf.keras.activations.hard_swish,
    "softmax": tf.nn.softmax,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(
    shape=st.lists(st.integers(1, 6), min_size=2, max_size=4).map(tuple),
    spread=st.floats(0.01, 100),
    dtype=dtypes,
)
def test_activation(name, shape, spread, dtype):
    rng = np.random.default_rng(2)
    x = (spread * rng.normal(size=shape)).astype(dtype)
    x[0] = 0  # where a ReLU bends TensorFlow's gradient is 0
    compare(LAYERS[name](), ACTIVATIONS[name], x, [], rng)


def test_relu6_where_it_bends():
    x = np.array([[-1, 0, 3, 6, 7]], np.float32)
    compare(LAYERS["relu6"](), tf.nn.relu6, x, [], np.random.default_rng(0))


def test_hard_swish_where_it_bends():
    x = np.array([[-4, -3, -1.5, 0, 3, 4]], np.float32)
    compare(LAYERS["hard_swish"](), ACTIVATIONS["hard_swish"], x, [], np.random.default_rng(0))


@given(
    n_clips=st.integers(1, 5),
    n_frames=st.integers(1, 9),
    n_channels=st.integers(1, 7),
    cut=st.booleans(),
    dtype=dtypes,
)
def test_attention_pool(n_clips, n_frames, n_channels, cut, dtype):
    rng = np.random.default_rng(3)
    layer = AttentionPool(n_frames, n_channels, rate=0, rng=rng, sigma=0.3, dtype=dtype)
    layer.params["b"][:] = rng.normal(size=n_frames)
    x = rng.normal(size=(n_clips, n_frames, n_channels)).astype(dtype)
    if cut:  # zeros after a ReLU: the moments share the maximum
        x = np.maximum(x - 1, dtype(0))

    def theirs(x, w, b):
        gate = tf.nn.softmax(tf.reshape(x, (n_clips, -1)) @ w + b)
        gated = x * gate[:, :, None]
        return tf.concat([tf.reduce_max(gated, 1), tf.reduce_mean(x, 1)], 1)

    compare(layer, theirs, x, layer.params.values(), rng)


def test_attentions_dropout_silences_the_gates_inputs_only():
    rng = np.random.default_rng(4)
    layer = AttentionPool(6, 5, rng=rng, sigma=0.5)
    x = rng.normal(size=(4, 6, 5)).astype(np.float32)
    y = layer.forward(x, training=True)
    dy = rng.normal(size=y.shape).astype(np.float32)
    dx = layer.backward(dy)
    kept = layer.dropout.mask.astype(np.float32) / np.float32(0.6)

    inputs = [tf.constant(x), *(tf.constant(p) for p in layer.params.values())]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        gate = tf.nn.softmax((tf.reshape(inputs[0], (4, -1)) * kept) @ inputs[1] + inputs[2])
        gated = inputs[0] * gate[:, :, None]
        expected = tf.concat([tf.reduce_max(gated, 1), tf.reduce_mean(inputs[0], 1)], 1)
    gradients = tape.gradient(expected, inputs, output_gradients=dy)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * np.abs(expected).max() + 1e-6)
    for one, other in zip([dx, *layer.grads.values()], gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * np.abs(other).max() + 1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_residual_of_chains(dtype):
    rng = np.random.default_rng(5)

    def dense(n_in, n_out):
        return LAYERS["dense"](n_in, n_out, rng=rng, sigma=0.5, dtype=dtype)

    main = Sequential([("one", dense(6, 5)), ("act", LAYERS["tanh"]()), ("two", dense(5, 4))])
    layer = Residual(main, dense(6, 4))

    def theirs(x, w1, b1, w2, b2, w3, b3):
        return tf.tanh(x @ w1 + b1) @ w2 + b2 + (x @ w3 + b3)

    x = rng.normal(size=(3, 6)).astype(dtype)
    compare(layer, theirs, x, layer.params.values(), rng)
