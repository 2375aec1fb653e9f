"""Layers forward and backward against the same operation in TensorFlow (design.md section 8).

float32: abs(a - b) <= 1e-5 * max(abs(b)) + 1e-6, gradients 1e-4; float64 far below either.
Both forms run, NumPy and compiled.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws import _jit
from minikws.nn import Conv2D, Dense, Momentum, ReLU, softmax_cross_entropy
from minikws.nn import functional as fn

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")

FORMS = [False, True] if _jit.ENABLED else [False]


def agree(found, expected, share=1e-5):
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    absolute = 1e-6
    if found.dtype == np.float64:
        share, absolute = 1e-12, 1e-15
    largest = np.abs(expected).max(initial=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=share * largest + absolute)


def compare(ours, theirs, x, parameters, rng):
    """Compare y, dx and parameter gradients; `theirs` maps (x, *parameters) to y."""
    tensors = [tf.constant(x), *(tf.constant(p) for p in parameters)]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        expected = theirs(*tensors)
    dy = rng.normal(size=expected.shape).astype(x.dtype)
    gradients = tape.gradient(expected, tensors, output_gradients=tf.constant(dy))
    for compiled in FORMS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_jit, "ENABLED", compiled)
            agree(ours.forward(x), expected)
            found = [ours.backward(dy), *ours.grads.values()]
        for one, other in zip(found, gradients, strict=True):
            agree(one, other, 1e-4)


dtypes = st.sampled_from([np.float32, np.float64])


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 14), st.integers(1, 12), st.integers(1, 3)),
    kernel=st.tuples(st.integers(1, 10), st.integers(1, 8)),
    n_out=st.integers(1, 9),
    strides=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.sampled_from(["SAME", "VALID"]),
    dtype=dtypes,
)
def test_conv2d(shape, kernel, n_out, strides, padding, dtype):
    rng = np.random.default_rng(0)
    if padding == "VALID":
        kernel = min(kernel[0], shape[1]), min(kernel[1], shape[2])
    layer = Conv2D(
        shape[3], n_out, kernel, strides=strides, padding=padding, rng=rng, sigma=1.0, dtype=dtype
    )
    layer.params["b"][:] = rng.normal(size=n_out)
    compare(
        layer,
        lambda x, w, b: tf.nn.conv2d(x, w, (1, *strides, 1), padding) + b,
        rng.normal(size=shape).astype(dtype),
        layer.params.values(),
        rng,
    )


def test_conv2d_of_tiny_conv():
    rng = np.random.default_rng(0)
    layer = Conv2D(1, 8, (10, 8), strides=(2, 2), rng=rng)
    x = rng.uniform(0, 26, (20, 49, 40, 1)).astype(np.float32)
    compare(layer, lambda x, w, b: tf.nn.conv2d(x, w, 2, "SAME") + b, x, layer.params.values(), rng)


@given(n_clips=st.integers(1, 6), n_in=st.integers(1, 40), n_out=st.integers(1, 20), dtype=dtypes)
def test_dense(n_clips, n_in, n_out, dtype):
    rng = np.random.default_rng(1)
    layer = Dense(n_in, n_out, rng=rng, sigma=1.0, dtype=dtype)
    x = rng.normal(size=(n_clips, n_in)).astype(dtype)
    compare(layer, lambda x, w, b: x @ w + b, x, layer.params.values(), rng)


@given(
    shape=st.lists(st.integers(1, 6), min_size=2, max_size=4).map(tuple),
    dtype=dtypes,
)
def test_relu(shape, dtype):
    rng = np.random.default_rng(2)
    x = rng.normal(size=shape).astype(dtype)
    x[0] = 0  # TensorFlow's gradient at the corner is 0
    compare(ReLU(), tf.nn.relu, x, [], rng)


@given(
    n_clips=st.integers(1, 8), n_labels=st.integers(2, 12), spread=st.floats(0.01, 50), dtype=dtypes
)
def test_softmax_cross_entropy(n_clips, n_labels, spread, dtype):
    rng = np.random.default_rng(3)
    logits = (spread * rng.normal(size=(n_clips, n_labels))).astype(dtype)
    labels = rng.integers(0, n_labels, n_clips)
    z = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(z)
        expected = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=z)
        )
    loss, dlogits = softmax_cross_entropy(logits, labels)
    agree(dtype(loss), expected)
    agree(dlogits, tape.gradient(expected, z), 1e-4)


@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_dropout_scales_as_tensorflow(rate):
    x = np.random.default_rng(4).normal(size=(50, 40)).astype(np.float32)
    y, mask = fn.dropout(x, rate=rate, rng=np.random.default_rng(5))
    kept = fn.dropout_mask(mask)
    expected = np.asarray(tf.nn.dropout(tf.constant(x), rate))
    in_both = kept & (expected != 0)
    np.testing.assert_array_equal(y[in_both], expected[in_both])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nesterov_momentum_has_tensorflows_bits(dtype):
    rng = np.random.default_rng(6)
    layer = Dense(40, 30, rng=rng, dtype=dtype)
    optimizer = Momentum([("fc", layer)])
    variables = {name: tf.Variable(p) for name, p in layer.params.items()}
    slots = {name: tf.Variable(tf.zeros_like(v)) for name, v in variables.items()}
    for step in range(20):
        rate = 0.01 if step < 10 else 0.001
        layer.grads = {n: rng.normal(size=p.shape).astype(dtype) for n, p in layer.params.items()}
        optimizer.step(rate)
        for name, variable in variables.items():
            tf.raw_ops.ResourceApplyMomentum(
                var=variable.handle,
                accum=slots[name].handle,
                lr=tf.constant(rate, dtype),
                grad=layer.grads[name],
                momentum=tf.constant(0.9, dtype),
                use_nesterov=True,
            )
    for name, variable in variables.items():
        np.testing.assert_array_equal(optimizer.velocity[f"fc.{name}"], slots[name].numpy())
        np.testing.assert_array_equal(layer.params[name], variable.numpy())
