"""The SVDF layer against TensorFlow's operations, put together as in the training form of
create_low_latency_svdf_model (speech_commands/models.py), without its ReLU.

Tolerances: design.md section 8. Both forms run, NumPy and compiled.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws import _jit
from minikws.nn import SVDF

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")

FORMS = [False, True] if _jit.ENABLED else [False]


def training_form(x, weights_frequency, weights_time, bias):
    """A 1-D convolution over the flat clip, a product with the time weights, ranks summed."""
    n_clips, n_frames, n_features = x.shape
    n_filters, n_units = weights_time.shape[0], bias.shape[0]
    flat = tf.reshape(x, (n_clips, n_frames * n_features, 1))
    filters = tf.expand_dims(weights_frequency, 1)  # (F, 1, N)
    activations = tf.nn.conv1d(flat, filters, n_features, "VALID")  # (B, T, N)
    activations = tf.transpose(activations, (2, 0, 1))  # (N, B, T)
    outputs = tf.matmul(activations, tf.expand_dims(weights_time, 2))  # (N, B, 1)
    by_unit = tf.reshape(outputs, (n_units, n_filters // n_units, n_clips))
    return tf.transpose(tf.reduce_sum(by_unit, axis=1)) + bias


def sequence_form(x, weights_frequency, weights_time, bias):
    memory = weights_time.shape[1]
    windows = range(x.shape[1] - memory + 1)
    parameters = (weights_frequency, weights_time, bias)
    return tf.stack([training_form(x[:, i : i + memory], *parameters) for i in windows], axis=1)


def agree(found, expected, share, absolute=1e-6):
    expected = expected.numpy()
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    if found.dtype == np.float64:
        share, absolute = 1e-12, 1e-15
    bound = share * np.abs(expected).max(initial=0) + absolute
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound)


def compare(layer, theirs, x, rng):
    layer.params["bias"][:] = rng.normal(size=layer.params["bias"].size)
    tensors = [tf.constant(x), *(tf.constant(p) for p in layer.params.values())]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        expected = theirs(*tensors)
    dy = rng.normal(size=expected.shape).astype(x.dtype)
    gradients = tape.gradient(expected, tensors, output_gradients=tf.constant(dy))
    for compiled in FORMS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_jit, "ENABLED", compiled)
            agree(layer.forward(x), expected, 1e-5)
            found = [layer.backward(dy), *layer.grads.values()]
        for one, other in zip(found, gradients, strict=True):
            agree(one, other, 1e-4)


@given(
    n_clips=st.integers(1, 9),
    n_features=st.integers(1, 9),
    n_units=st.sampled_from([1, 3, 7, 330]),
    memory=st.integers(1, 16),
    rank=st.integers(1, 3),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_training_form(n_clips, n_features, n_units, memory, rank, dtype):
    rng = np.random.default_rng(0)
    layer = SVDF(n_features, n_units, memory, rank=rank, rng=rng, sigma=1.0, dtype=dtype)
    x = rng.normal(size=(n_clips, memory, n_features)).astype(dtype)
    compare(layer, training_form, x, rng)


@given(
    n_frames=st.integers(1, 9),
    memory=st.integers(1, 9),
    rank=st.integers(1, 3),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_a_sequence_is_the_training_form_on_every_stretch(n_frames, memory, rank, dtype):
    rng = np.random.default_rng(1)
    memory = min(memory, n_frames)
    layer = SVDF(4, 3, memory, rank=rank, sequence=True, rng=rng, sigma=1.0, dtype=dtype)
    compare(layer, sequence_form, rng.normal(size=(3, n_frames, 4)).astype(dtype), rng)


def test_the_layer_of_low_latency_svdf():
    rng = np.random.default_rng(2)
    layer = SVDF(40, 1280, 98, rank=2, rng=rng)
    x = rng.normal(0, 20, (20, 98, 40)).astype(np.float32)
    compare(layer, training_form, x, rng)
