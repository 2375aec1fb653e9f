"""What the sliding layers show and refuse, and their hand-computed corners."""

from __future__ import annotations

import numpy as np
import pytest

from minikws import _jit
from minikws.errors import SettingsError, ShapeError
from minikws.nn import Conv1D, Conv2D, DepthwiseConv1D, DepthwiseConv2D, MaxPool2D
from minikws.nn import functional as fn

FORMS = [False, True] if _jit.ENABLED else [False]


def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize(
    ("n_in", "size", "stride", "dilation", "padding", "expected"),
    [
        (10, 3, 1, 2, "SAME", (2, 2, 10)),  # spans 5
        (10, 3, 1, 2, "VALID", (0, 0, 6)),
        (10, 4, 2, 3, "SAME", (4, 4, 5)),  # spans 10, 4 * 2 + 10 - 10 = 8 zeros
        (4, 3, 1, 2, "VALID", (0, 0, 0)),
    ],
)
def test_dilated_windows_by_hand(n_in, size, stride, dilation, padding, expected):
    found = fn.window(n_in, size, stride, padding, dilation)
    assert (found.before, found.after, found.n_out) == expected


@pytest.mark.parametrize("compiled", FORMS)
def test_convolutions_of_a_ramp_by_hand(compiled, monkeypatch):
    monkeypatch.setattr(_jit, "ENABLED", compiled)
    ramp = np.arange(1.0, 6.0).reshape(1, 5, 1, 1)  # 1 2 3 4 5
    taps = np.array([1.0, 10.0, 100.0]).reshape(3, 1, 1, 1)
    for slide in (fn.conv2d, fn.depthwise_conv2d):
        y, _ = slide(ramp, taps, padding="VALID")
        np.testing.assert_array_equal(y.ravel(), [321, 432, 543])
        y, _ = slide(ramp, taps, padding="SAME", dilations=(2, 1))
        np.testing.assert_array_equal(y.ravel(), [310, 420, 531, 42, 53])
        y, _ = slide(ramp, taps, np.array([0.5]), padding="SAME", strides=(2, 1))
        np.testing.assert_array_equal(y.ravel(), [210.5, 432.5, 54.5])


@pytest.mark.parametrize("compiled", FORMS)
def test_depthwise_outputs_stand_by_channel_then_pattern(compiled, monkeypatch):
    monkeypatch.setattr(_jit, "ENABLED", compiled)
    x = np.array([1.0, 10.0]).reshape(1, 1, 1, 2)
    w = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).reshape(1, 1, 2, 3)
    y, cache = fn.depthwise_conv2d(x, w)
    np.testing.assert_array_equal(y.ravel(), [1, 2, 3, 40, 50, 60])
    dx, dw, db = fn.depthwise_conv2d_backward(np.ones_like(y), cache)
    np.testing.assert_array_equal(dx.ravel(), [6, 15])
    np.testing.assert_array_equal(dw.ravel(), [1, 1, 1, 10, 10, 10])
    np.testing.assert_array_equal(db, np.ones(6))


@pytest.mark.parametrize("compiled", FORMS)
def test_a_convolution_takes_both_memory_orders(compiled, monkeypatch):
    monkeypatch.setattr(_jit, "ENABLED", compiled)
    x = rng().normal(size=(4, 7, 5, 20))
    turned = np.moveaxis(fn.batch_last(x), -1, 0)
    for layer in (
        Conv2D(20, 3, (3, 3), rng=rng(), dtype=np.float64),
        DepthwiseConv2D(20, (3, 3), rng=rng(), dtype=np.float64),
        MaxPool2D((2, 2)),
    ):
        y = layer.forward(x)
        dx = layer.backward(y)
        np.testing.assert_array_equal(layer.forward(turned), y)
        np.testing.assert_array_equal(layer.backward(y), dx)


def test_a_batch_of_none_passes():
    layer = Conv2D(20, 3, (3, 3), rng=rng())
    y = layer.forward(np.zeros((0, 7, 5, 20), np.float32))
    assert y.shape == (0, 7, 5, 3)
    assert layer.backward(y).shape == (0, 7, 5, 20)
    assert not layer.grads["w"].any()


def test_without_bias_there_are_only_weights():
    for layer in (
        Conv2D(2, 3, (3, 2), bias=False, rng=rng()),
        DepthwiseConv2D(2, (3, 2), bias=False, rng=rng()),
        Conv1D(2, 3, 3, bias=False, rng=rng()),
        DepthwiseConv1D(2, 3, bias=False, rng=rng()),
    ):
        shape = (1, 7, 5, 2) if layer.params["w"].ndim == 4 else (1, 7, 2)
        x = np.ones(shape, np.float32)
        layer.backward(layer.forward(x))
        assert list(layer.params) == list(layer.grads) == ["w"]
        assert "no bias" in repr(layer)


def test_repr_shows_sizes():
    conv = Conv2D(1, 8, (3, 3), dilations=(2, 1), bias=False, rng=rng())
    assert repr(conv) == ("Conv2D(1 -> 8, kernel 3x3, strides 1x1, SAME, dilations 2x1, no bias)")
    depthwise = DepthwiseConv2D(4, (3, 3), multiplier=2, rng=rng())
    assert repr(depthwise) == "DepthwiseConv2D(4 -> 8, kernel 3x3, strides 1x1, SAME)"
    assert repr(Conv1D(4, 2, 9, stride=2, rng=rng())) == (
        "Conv1D(4 -> 2, kernel 9, strides 2, SAME)"
    )
    assert repr(DepthwiseConv1D(4, 9, rng=rng())) == (
        "DepthwiseConv1D(4 -> 4, kernel 9, strides 1, SAME)"
    )


def test_multiply_adds_by_hand():
    # speech_commands.md 4: positions times taps times C_in times C_out
    assert Conv2D(64, 64, (1, 1), rng=rng()).multiply_adds((25, 5, 64)) == 25 * 5 * 64 * 64
    assert DepthwiseConv2D(64, (3, 3), rng=rng()).multiply_adds((25, 5, 64)) == 25 * 5 * 9 * 64
    assert Conv1D(40, 128, 3, stride=2, padding="VALID", rng=rng()).multiply_adds((800, 40)) == (
        6_128_640  # peers.md 3.2, layer 2
    )
    assert DepthwiseConv1D(128, 3, padding="VALID", rng=rng()).multiply_adds((399, 128)) == (
        397 * 3 * 128
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Conv2D(1, 2, (3, 0), rng=rng()), "number below 1"),
        (lambda: Conv2D(1, 2, (3, 3), dilations=(0, 1), rng=rng()), "dilations 0x1"),
        (lambda: Conv2D(1, 2, (3, 3), strides=(2,), rng=rng()), "give one an axis"),
        (lambda: DepthwiseConv2D(4, (3, 3), multiplier=0, rng=rng()), "times 0"),
        (lambda: DepthwiseConv2D(4, (3, 3), padding="valid", rng=rng()), "unknown padding 'valid'"),
        (lambda: Conv1D(1, 2, 3, stride=0, rng=rng()), "strides 0"),
        (lambda: DepthwiseConv1D(0, 3, rng=rng()), "over 0 channels"),
    ],
)
def test_settings_that_cannot_work(make, words):
    with pytest.raises(SettingsError, match=words):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (Conv2D(1, 2, (3, 1), dilations=(2, 1), padding="VALID", rng=rng()), (4, 4, 1), "smaller"),
        (DepthwiseConv2D(2, (3, 3), rng=rng()), (4, 4, 1), r"takes \(T, F, 2\), found \(4, 4, 1\)"),
        (Conv1D(2, 3, 3, rng=rng()), (4, 4, 2), r"takes \(T, 2\), found \(4, 4, 2\)"),
        (DepthwiseConv1D(2, 5, padding="VALID", rng=rng()), (4, 2), "does not fit into"),
    ],
)
def test_shapes_that_do_not_fit(layer, shape, words):
    with pytest.raises(ShapeError, match=words):
        layer.output_shape(shape)
