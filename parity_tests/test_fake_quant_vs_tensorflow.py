"""Fake quantisation against TensorFlow's operators: forward and dx equal to the bit.

dlow and dhigh are sums over all of x in another order; they have the tolerance of gradients
(design.md section 8).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.nn import FakeQuant
from minikws.nn import functional as fn

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")

sizes = st.floats(0, 300, width=32)
seeds = st.integers(0, 2**32 - 1)
kinds = {"num_bits": st.sampled_from([8, 8, 2, 4, 16]), "narrow_range": st.booleans()}


def compare(operator, x, low, high, seed, kind):
    tensors = [tf.constant(value) for value in (x, low, high)]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        expected = operator(*tensors, **kind)
    dy = np.random.default_rng(seed).normal(size=x.shape).astype(np.float32)
    gradients = tape.gradient(expected, tensors, output_gradients=tf.constant(dy))
    y, cache = fn.fake_quant(x, low, high, **kind)
    np.testing.assert_array_equal(y, expected.numpy())
    dx, *dends = fn.fake_quant_backward(dy, cache)
    np.testing.assert_array_equal(dx, gradients[0].numpy())
    for found, other in zip(dends, gradients[1:], strict=True):
        other = other.numpy()
        assert found.shape == other.shape
        # single sums may cancel: their rounding is that of the largest term
        np.testing.assert_allclose(found, other, rtol=1e-4, atol=1e-6 * np.abs(dy).max() * dy.size)


@given(below=sizes, above=sizes, seed=seeds, **kinds)
def test_one_range(below, above, seed, **kind):
    low, high = np.float32(-below), np.float32(above)
    rng = np.random.default_rng(seed)
    edge = 1.5 * max(below, above, 1e-3)
    x = rng.uniform(-edge, edge, (3, 700)).astype(np.float32)
    grid = fn.nudge(low, high, **kind)
    x[0, :4] = low, high, grid.low, grid.high
    x[0, 4:500] = (np.arange(496) - grid.zero_point + 0.5) * grid.scale  # ties
    compare(tf.quantization.fake_quant_with_min_max_vars, x, low, high, seed, kind)


@given(seed=seeds, shape=st.lists(st.integers(1, 5), min_size=1, max_size=4), **kinds)
def test_a_range_a_channel(seed, shape, **kind):
    rng = np.random.default_rng(seed)
    low, high = (rng.exponential(3, shape[-1]).astype(np.float32) for _ in range(2))
    low, high = -low * rng.integers(0, 2, low.size), high * rng.integers(0, 2, low.size)
    low, high = low.astype(np.float32), high.astype(np.float32)
    x = rng.normal(scale=4, size=shape).astype(np.float32)
    operator = tf.quantization.fake_quant_with_min_max_vars_per_channel
    compare(operator, x, low, high, seed, kind)


@pytest.mark.parametrize("narrow_range", [False, True])
def test_the_gradient_operators_themselves(narrow_range):
    rng = np.random.default_rng(1)
    x, dy = (rng.normal(size=(40, 30)).astype(np.float32) for _ in range(2))
    expected = tf.quantization.fake_quant_with_min_max_vars_gradient(
        dy, x, -0.7, 1.1, num_bits=8, narrow_range=narrow_range
    )
    _, cache = fn.fake_quant(x, -0.7, 1.1, narrow_range=narrow_range)
    dx, dlow, dhigh = fn.fake_quant_backward(dy, cache)
    np.testing.assert_array_equal(dx, expected[0].numpy())
    np.testing.assert_allclose([dlow, dhigh], [e.numpy() for e in expected[1:]], rtol=1e-4)


def test_the_moving_average_is_zero_debiased_as_in_tensorflow():
    layer = FakeQuant(decay=0.9)
    batches = np.random.default_rng(2).normal(size=(30, 50)).astype(np.float32)
    batches[3] = 5.0  # a batch above 0: 0 stays inside
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session() as session:
        ends = []
        for name, reduce, include in (
            ("low", tf.reduce_min, tf.minimum),
            ("high", tf.reduce_max, tf.maximum),
        ):
            average = tf.compat.v1.get_variable(name, (), use_resource=False)
            batch = tf.compat.v1.placeholder(tf.float32, name=f"{name}_batch")
            ends.append(assign_moving_average(average, include(reduce(batch), 0.0), 0.9))
        session.run(tf.compat.v1.global_variables_initializer())
        for x in batches:
            expected = session.run(ends, {"low_batch:0": x, "high_batch:0": x})
            layer.forward(x[None], training=True)
            np.testing.assert_allclose(layer.range, expected, rtol=1e-5)


def assign_moving_average(variable, value, decay):
    from tensorflow.python.training import moving_averages

    return moving_averages.assign_moving_average(variable, value, decay, zero_debias=True)
