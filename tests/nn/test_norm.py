from __future__ import annotations

import numpy as np
import pytest

from minikws import _jit
from minikws.errors import SettingsError, ShapeError
from minikws.nn import BatchNorm, gradient_errors
from minikws.nn import functional as fn

FORMS = [False, True] if _jit.ENABLED else [False]


def clips(shape=(4, 5, 6, 3), dtype=np.float64):
    # not the seed of the gradient check: x itself as dy would give dx = 0
    return np.random.default_rng(7).normal(2, 3, shape).astype(dtype)


def batch_last(x):
    return np.moveaxis(fn.batch_last(x), -1, 0)


@pytest.mark.parametrize("compiled", FORMS)
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("offset", [True, False])
def test_gradients_in_training_equal_central_differences(scale, offset, compiled, monkeypatch):
    monkeypatch.setattr(_jit, "ENABLED", compiled)
    layer = BatchNorm(3, scale=scale, offset=offset, dtype=np.float64)
    for array in layer.params.values():
        array[:] = [0.5, 1.5, -2]
    assert max(gradient_errors(layer, clips((3, 4, 3)), training=True).values()) < 1e-6


@pytest.mark.parametrize("compiled", FORMS)
def test_training_gives_mean_0_and_variance_1(compiled, monkeypatch):
    monkeypatch.setattr(_jit, "ENABLED", compiled)
    layer = BatchNorm(3, epsilon=1e-12, dtype=np.float64)
    y = layer.forward(clips(), training=True)
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(y.var((0, 1, 2)), 1, rtol=1e-9)


def test_buffers_move_in_place_towards_the_batch():
    layer = BatchNorm(1, momentum=0.75, dtype=np.float64)
    mean, variance = layer.buffers["mean"], layer.buffers["variance"]
    layer.forward(np.array([[2.0], [6.0]]), training=True)  # mean 4, variance 4
    assert layer.buffers["mean"] is mean
    np.testing.assert_allclose(mean, 0 * 0.75 + 4 * 0.25)
    np.testing.assert_allclose(variance, 1 * 0.75 + 4 * 0.25)


def test_inference_leaves_the_buffers_alone():
    layer = BatchNorm(3, dtype=np.float64)
    layer.buffers["mean"][:], layer.buffers["variance"][:] = 1, 4
    x = clips()
    np.testing.assert_allclose(layer.forward(x), (x - 1) / np.sqrt(4.001))
    np.testing.assert_array_equal(layer.buffers["mean"], 1)
    np.testing.assert_array_equal(layer.buffers["variance"], 4)


@pytest.mark.parametrize("compiled", FORMS)
def test_a_constant_channel_becomes_the_offset(compiled, monkeypatch):
    monkeypatch.setattr(_jit, "ENABLED", compiled)
    layer = BatchNorm(2)
    layer.params["beta"][:] = 7
    y = layer.forward(np.full((3, 2), 1e6, np.float32), training=True)
    np.testing.assert_array_equal(y, 7)
    assert np.isfinite(layer.backward(np.ones_like(y))).all()


@pytest.mark.parametrize("order", [np.ascontiguousarray, batch_last])
@pytest.mark.parametrize("training", [True, False])
def test_memory_order_is_kept(order, training):
    x = order(clips())
    layer = BatchNorm(3, dtype=np.float64)
    y = layer.forward(x, training=training)
    dx = layer.backward(np.ascontiguousarray(y))
    assert y.strides == dx.strides == x.strides


def test_a_batch_of_one_clip_trains():
    layer = BatchNorm(3, dtype=np.float64)
    y = layer.forward(clips((1, 5, 6, 3)), training=True)
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-12)


def test_repr_and_names():
    assert repr(BatchNorm(3)) == "BatchNorm(3)"
    layer = BatchNorm(3, scale=False)
    assert repr(layer) == "BatchNorm(3, no scale)"
    assert list(layer.params) == ["beta"]
    assert list(layer.buffers) == ["mean", "variance"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: BatchNorm(0), "of 0 channels; give 1 or more"),
        (lambda: BatchNorm(3, momentum=1.5), "momentum=1.5 is not in 0 to 1"),
        (lambda: BatchNorm(3, epsilon=0.0), "epsilon=0.0 is not above 0"),
    ],
)
def test_settings_that_cannot_work(make, words):
    with pytest.raises(SettingsError, match=words):
        make()


def test_another_number_of_channels_is_refused():
    with pytest.raises(ShapeError, match=r"BatchNorm\(3\) takes \(…, 3\), found \(5, 4\)"):
        BatchNorm(3).output_shape((5, 4))
