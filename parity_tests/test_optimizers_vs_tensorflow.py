"""Optimisers against TensorFlow's ops and Keras: the same bits where the arithmetic allows."""

from __future__ import annotations

import numpy as np
import pytest

from minikws import _jit
from minikws.nn import Adam, Dense, Momentum, RMSprop

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")

from parity_tests.tf_compare import FORMS  # noqa: E402

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
both_forms = pytest.mark.parametrize("compiled", FORMS)
STEPS = 20


@pytest.fixture(autouse=True)
def form(monkeypatch, request):
    if "compiled" in request.fixturenames:
        monkeypatch.setattr(_jit, "ENABLED", request.getfixturevalue("compiled"))


def dense(dtype):
    """Return a layer whose weights are many enough for the compiled form."""
    return Dense(100, 90, rng=np.random.default_rng(6), dtype=dtype)


def set_gradients(layer, rng):
    layer.grads = {
        name: (10 ** rng.uniform(-6, 2) * rng.normal(size=p.shape)).astype(p.dtype)
        for name, p in layer.params.items()
    }


def rates():
    """Return each step's rate, a float32 number: as such Keras keeps it, whatever the weights."""
    return [float(np.float32(0.01 if step < 10 else 0.001)) for step in range(STEPS)]


@both_dtypes
@both_forms
def test_nesterov_momentum_has_tensorflows_bits(dtype, compiled):
    rng = np.random.default_rng(6)
    layer = dense(dtype)
    optimizer = Momentum([("fc", layer)])
    variables = {name: tf.Variable(p) for name, p in layer.params.items()}
    slots = {name: tf.Variable(tf.zeros_like(v)) for name, v in variables.items()}
    for rate in rates():
        set_gradients(layer, rng)
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


@both_forms
@pytest.mark.parametrize(
    ("ours", "dtype"), [(RMSprop, np.float32), (RMSprop, np.float64), (Adam, np.float32)]
)
def test_rmsprop_and_adam_have_the_bits_of_keras(ours, dtype, compiled):
    rng = np.random.default_rng(7)
    layer = dense(dtype)
    optimizer = ours([("fc", layer)])
    theirs = getattr(tf.keras.optimizers, ours.__name__)()
    variables = [
        tf.keras.Variable(p, dtype=np.dtype(dtype).name, name=n) for n, p in layer.params.items()
    ]
    theirs.build(variables)
    for rate in rates():
        set_gradients(layer, rng)
        optimizer.step(rate)
        theirs.learning_rate = rate
        theirs.apply([tf.constant(g) for g in layer.grads.values()])
        for found, variable in zip(layer.params.values(), variables, strict=True):
            np.testing.assert_array_equal(found, variable.numpy())


@both_forms
def test_adam_in_float64_is_tensorflows(compiled):
    """Keras takes its betas through float32, so that float64 weights keep eight digits only."""
    rng = np.random.default_rng(8)
    layer = dense(np.float64)
    optimizer = Adam([("fc", layer)])
    variables = {name: tf.Variable(p) for name, p in layer.params.items()}
    means, squares = (
        {name: tf.Variable(tf.zeros_like(v)) for name, v in variables.items()} for _ in range(2)
    )
    for step, rate in enumerate(rates(), start=1):
        set_gradients(layer, rng)
        optimizer.step(rate)
        for name, variable in variables.items():
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=means[name].handle,
                v=squares[name].handle,
                beta1_power=tf.constant(0.9**step, tf.float64),
                beta2_power=tf.constant(0.999**step, tf.float64),
                lr=tf.constant(rate, tf.float64),
                beta1=tf.constant(0.9, tf.float64),
                beta2=tf.constant(0.999, tf.float64),
                epsilon=tf.constant(1e-7, tf.float64),
                grad=layer.grads[name],
            )
    for name, variable in variables.items():
        expected = variable.numpy()
        np.testing.assert_allclose(
            layer.params[name], expected, rtol=0, atol=1e-12 * np.abs(expected).max()
        )
