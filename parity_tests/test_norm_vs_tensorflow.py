"""Batch normalisation against Keras and TensorFlow: output, gradients, moving statistics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws import _jit
from minikws.nn import BatchNorm

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")

from parity_tests.tf_compare import FORMS, agree, compare, memory_orders  # noqa: E402

dtypes = st.sampled_from([np.float32, np.float64])
shapes = st.lists(st.integers(2, 7), min_size=2, max_size=4).map(tuple)


def drawn(n_channels, rng, dtype, **settings):
    layer = BatchNorm(n_channels, dtype=dtype, **settings)
    for array in (*layer.params.values(), *layer.buffers.values()):
        array[:] = rng.uniform(0.5, 2, n_channels)
    return layer


def normalized(x, mean, variance, layer, parameters):
    named = dict(zip(layer.params, parameters, strict=True))
    return tf.nn.batch_normalization(
        x, mean, variance, named.get("beta"), named.get("gamma"), layer.epsilon
    )


@given(shape=shapes, scale=st.booleans(), offset=st.booleans(), dtype=dtypes)
def test_training(shape, scale, offset, dtype):
    rng = np.random.default_rng(0)
    layer = drawn(shape[-1], rng, dtype, scale=scale, offset=offset)

    def theirs(x, *parameters):
        moments = tf.nn.moments(x, list(range(len(shape) - 1)))
        return normalized(x, *moments, layer, parameters)

    # apart from constant channels, whose gradient is the difference of equal numbers
    x = rng.normal(size=shape) + rng.normal(size=shape[-1])
    compare(layer, theirs, x.astype(dtype), layer.params.values(), rng, training=True)


@given(shape=shapes, scale=st.booleans(), offset=st.booleans(), dtype=dtypes)
def test_inference(shape, scale, offset, dtype):
    rng = np.random.default_rng(1)
    layer = drawn(shape[-1], rng, dtype, scale=scale, offset=offset)

    def theirs(x, *parameters):
        return normalized(x, layer.buffers["mean"], layer.buffers["variance"], layer, parameters)

    x = rng.normal(size=shape).astype(dtype)
    compare(layer, theirs, x, layer.params.values(), rng)


@given(shape=shapes, momentum=st.sampled_from([0.99, 0.96, 0.5]), dtype=dtypes)
def test_moving_statistics_are_those_of_keras(shape, momentum, dtype):
    name = np.dtype(dtype).name
    for compiled in FORMS:
        rng = np.random.default_rng(2)
        theirs = tf.keras.layers.BatchNormalization(momentum=momentum, dtype=name)
        theirs.build(shape)
        ours = BatchNorm(shape[-1], momentum=momentum, dtype=dtype)
        for step in range(3):
            x = (5 * rng.normal(size=shape) + 3).astype(dtype)
            expected = theirs(x, training=True)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(_jit, "ENABLED", compiled)
                agree(ours.forward(memory_orders(x)[step % 2], training=True), expected)
            agree(ours.buffers["mean"], theirs.moving_mean)
            agree(ours.buffers["variance"], theirs.moving_variance)
        agree(ours.forward(x), theirs(x, training=False))


def test_tensorflows_fused_op_differs_in_the_stored_variance_alone():
    x = np.random.default_rng(3).normal(2, 3, (5, 4, 3, 6)).astype(np.float32)
    y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        x, np.ones(6, np.float32), np.zeros(6, np.float32), epsilon=1e-3
    )
    layer = BatchNorm(6, momentum=0)  # the buffers become those of the batch
    agree(layer.forward(x, training=True), y)
    agree(layer.buffers["mean"], mean)
    agree(layer.buffers["variance"] * np.float32(60 / 59), variance)


@pytest.mark.parametrize("n_rows", [7, 20_000])
def test_statistics_of_many_large_numbers_stay_exact(n_rows):
    """The mean is 300 times the spread: sums in float32 would lose the variance."""
    x = np.random.default_rng(4).normal(300, 1, (n_rows, 5)).astype(np.float32)
    exact = tf.nn.moments(tf.constant(x, tf.float64), [0])
    for compiled in FORMS:
        layer = BatchNorm(5, momentum=0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_jit, "ENABLED", compiled)
            layer.forward(x, training=True)
        for found, expected in zip(layer.buffers.values(), exact, strict=True):
            np.testing.assert_allclose(found, expected, rtol=2e-7)
