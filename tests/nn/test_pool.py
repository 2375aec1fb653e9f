"""Pools by hand: what a window keeps, where its gradient goes, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from minikws import _jit
from minikws.errors import SettingsError, ShapeError
from minikws.nn import AveragePool2D, GlobalAveragePool, GlobalMaxPool, MaxPool2D

FORMS = [False, True] if _jit.ENABLED else [False]


def picture(rows):
    return np.array(rows, np.float64)[None, :, :, None]


@pytest.mark.parametrize("compiled", FORMS)
def test_max_pool_keeps_the_largest_and_sends_its_gradient_to_the_first(compiled, monkeypatch):
    monkeypatch.setattr(_jit, "ENABLED", compiled)
    layer = MaxPool2D((2, 2))
    y = layer.forward(picture([[1, 5, 2, 2], [5, 3, 2, 2], [9, 9, 9, 9]]))
    np.testing.assert_array_equal(y[0, ..., 0], [[5, 2]])
    dx = layer.backward(np.array([[10.0, 20.0]])[None, ..., None])
    np.testing.assert_array_equal(dx[0, ..., 0], [[0, 10, 20, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("compiled", FORMS)
def test_what_same_pads_never_counts(compiled, monkeypatch):
    monkeypatch.setattr(_jit, "ENABLED", compiled)
    x = picture([[-1, -2, -3]])
    y = MaxPool2D((1, 2), padding="SAME").forward(x)
    np.testing.assert_array_equal(y.ravel(), [-1, -3])
    layer = AveragePool2D((1, 2), padding="SAME")
    np.testing.assert_array_equal(layer.forward(x).ravel(), [-1.5, -3])
    np.testing.assert_array_equal(layer.backward(y).ravel(), [-0.5, -0.5, -3])


def test_global_pools():
    x = np.array([[1.0, 8.0], [3.0, 8.0]])[None]
    average, largest = GlobalAveragePool(), GlobalMaxPool()
    np.testing.assert_array_equal(average.forward(x), [[2, 8]])
    np.testing.assert_array_equal(largest.forward(x), [[3, 8]])
    dy = np.array([[4.0, 6.0]])
    np.testing.assert_array_equal(average.backward(dy), [[[2, 3], [2, 3]]])
    np.testing.assert_array_equal(largest.backward(dy), [[[0, 3], [4, 3]]])  # equals share


def test_repr_shows_sizes():
    assert repr(MaxPool2D((2, 3))) == "MaxPool2D(size 2x3, strides 2x3, VALID)"
    pool = AveragePool2D((2, 3), strides=(1, 1), padding="SAME")
    assert repr(pool) == "AveragePool2D(size 2x3, strides 1x1, SAME)"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MaxPool2D((0, 2)), "number below 1"),
        (lambda: AveragePool2D((2, 2), strides=(1, 0)), "strides 1x0"),
        (lambda: MaxPool2D((2, 2), padding="SAMES"), "did you mean SAME"),
    ],
)
def test_settings_that_cannot_work(make, words):
    with pytest.raises(SettingsError, match=words):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (MaxPool2D((5, 1)), (4, 4, 1), "does not fit into"),
        (AveragePool2D((2, 2)), (4, 4), r"takes \(T, F, C\), found \(4, 4\)"),
        (GlobalAveragePool(), (4,), r"takes \(T, F, C\) or \(T, C\), found \(4,\)"),
        (GlobalMaxPool(), (0, 4), "reshape its input"),
    ],
)
def test_shapes_that_do_not_fit(layer, shape, words):
    with pytest.raises(ShapeError, match=words):
        layer.output_shape(shape)
