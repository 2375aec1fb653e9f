"""What every layer must do, over every entry of LAYERS; then what single ones refuse."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from minikws.errors import SettingsError, ShapeError
from minikws.nn import (
    LAYERS,
    SVDF,
    AttentionPool,
    AveragePool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Dropout,
    FakeQuant,
    Flatten,
    MaxPool2D,
    Reshape,
    Residual,
    Sequential,
    gradient_errors,
)


def rng():
    return np.random.default_rng(5)


# Name of each layer -> how to make one, and the shape of one clip that it takes.
EXAMPLES = {
    "conv2d": (
        lambda dtype: Conv2D(2, 3, (3, 2), strides=(2, 1), rng=rng(), sigma=1.0, dtype=dtype),
        (5, 4, 2),
    ),
    "depthwise_conv2d": (
        lambda dtype: DepthwiseConv2D(
            2, (3, 2), multiplier=2, strides=(2, 1), rng=rng(), sigma=1.0, dtype=dtype
        ),
        (5, 4, 2),
    ),
    "conv1d": (lambda dtype: Conv1D(2, 3, 3, stride=2, rng=rng(), sigma=1.0, dtype=dtype), (7, 2)),
    "depthwise_conv1d": (
        lambda dtype: DepthwiseConv1D(
            3, 3, multiplier=2, dilation=2, rng=rng(), sigma=1.0, dtype=dtype
        ),
        (7, 3),
    ),
    "max_pool2d": (lambda dtype: MaxPool2D((2, 3), strides=(1, 2), padding="SAME"), (5, 4, 2)),
    "average_pool2d": (
        lambda dtype: AveragePool2D((2, 3), strides=(1, 2), padding="SAME"),
        (5, 4, 2),
    ),
    "global_average_pool": (lambda dtype: LAYERS["global_average_pool"](), (5, 4, 2)),
    "global_max_pool": (lambda dtype: LAYERS["global_max_pool"](), (5, 3)),
    "dense": (lambda dtype: Dense(6, 3, rng=rng(), sigma=1.0, dtype=dtype), (6,)),
    "relu": (lambda dtype: LAYERS["relu"](), (4, 3)),
    "relu6": (lambda dtype: LAYERS["relu6"](), (4, 3)),
    "sigmoid": (lambda dtype: LAYERS["sigmoid"](), (4, 3)),
    "tanh": (lambda dtype: LAYERS["tanh"](), (4, 3)),
    "swish": (lambda dtype: LAYERS["swish"](), (4, 3)),
    "hard_swish": (lambda dtype: LAYERS["hard_swish"](), (4, 3)),
    "softmax": (lambda dtype: LAYERS["softmax"](), (4, 3)),
    "batch_norm": (lambda dtype: BatchNorm(3, dtype=dtype), (5, 4, 3)),
    "attention_pool": (
        lambda dtype: AttentionPool(4, 3, rng=rng(), sigma=1.0, dtype=dtype),
        (4, 3),
    ),
    "sequential": (
        lambda dtype: Sequential(
            [
                ("act", LAYERS["tanh"]()),
                ("one", Dense(6, 4, rng=rng(), sigma=1.0, dtype=dtype)),
                ("norm", BatchNorm(4, dtype=dtype)),
                ("two", Dense(4, 3, rng=rng(), sigma=1.0, dtype=dtype)),
            ]
        ),
        (6,),
    ),
    "residual": (
        lambda dtype: Residual(
            Conv2D(2, 3, (3, 2), rng=rng(), sigma=1.0, dtype=dtype),
            Conv2D(2, 3, (1, 1), rng=rng(), sigma=1.0, dtype=dtype),
        ),
        (5, 4, 2),
    ),
    "dropout": (lambda dtype: Dropout(0.5, rng=rng()), (4, 3)),
    "reshape": (lambda dtype: Reshape((4, 3, 1)), (4, 3)),
    "flatten": (lambda dtype: Flatten(), (4, 3, 2)),
    "frames": (lambda dtype: LAYERS["frames"](4, 2), (11,)),
    "svdf": (lambda dtype: SVDF(3, 4, 5, rank=2, rng=rng(), sigma=1.0, dtype=dtype), (5, 3)),
    # before it has seen a batch it lets x pass, which has a true derivative
    "fake_quant": (lambda dtype: FakeQuant(dtype=dtype), (4, 3)),
}

every_layer = pytest.mark.parametrize("name", LAYERS)


def example(name, dtype=np.float64, n_clips=3):
    make, shape = EXAMPLES[name]
    values = np.random.default_rng(2).uniform(0.1, 1, (n_clips, *shape))
    signs = np.where(np.random.default_rng(3).random(values.shape) < 0.5, -1, 1)
    return make(dtype), (values * signs).astype(dtype)  # away from 0, where a ReLU has a corner


@every_layer
def test_gradients_equal_central_differences(name):
    layer, x = example(name)
    assert max(gradient_errors(layer, x).values()) < 1e-6


@every_layer
def test_gradient_has_the_shape_of_the_input(name):
    layer, x = example(name)
    y = layer.forward(x, training=True)
    assert layer.backward(np.ones_like(y)).shape == x.shape
    assert {k: g.shape for k, g in layer.grads.items()} == {
        k: p.shape for k, p in layer.params.items()
    }


@every_layer
def test_forward_and_backward_leave_their_inputs_alone(name):
    layer, x = example(name)
    x_before = x.copy()
    y = layer.forward(x, training=True)
    dy = np.ones_like(y)
    layer.backward(dy)
    np.testing.assert_array_equal(x, x_before)
    np.testing.assert_array_equal(dy, 1)


@every_layer
def test_a_batch_equals_its_clips_one_by_one(name):
    layer, x = example(name)
    one_by_one = np.concatenate([layer.forward(clip[None]) for clip in x])
    np.testing.assert_allclose(layer.forward(x), one_by_one, rtol=1e-12, atol=1e-15)


@every_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_output_keeps_the_dtype_and_the_announced_shape(name, dtype):
    layer, x = example(name, dtype)
    y = layer.forward(x, training=True)
    assert y.dtype == dtype
    assert y.shape == (len(x), *layer.output_shape(x.shape[1:]))
    assert layer.backward(y).dtype == dtype
    assert all(g.dtype == dtype for g in layer.grads.values())


@every_layer
def test_parameter_gradients_are_the_same_without_the_input_gradient(name):
    layer, x = example(name)
    dy = np.ones_like(layer.forward(x))
    layer.backward(dy)
    whole = copy.deepcopy(layer.grads)
    layer.grads.clear()
    layer.backward_params(dy)
    assert layer.grads.keys() == whole.keys()
    for key, gradient in layer.grads.items():
        np.testing.assert_array_equal(gradient, whole[key])


@every_layer
def test_repr_names_the_layer(name):
    layer, _ = example(name)
    assert repr(layer).startswith(type(layer).__name__ + "(")


def test_repr_shows_sizes():
    conv = Conv2D(1, 8, (10, 8), strides=(2, 2), rng=rng())
    assert repr(conv) == "Conv2D(1 -> 8, kernel 10x8, strides 2x2, SAME)"
    assert repr(Dense(4000, 4, rng=rng())) == "Dense(4000 -> 4)"
    assert repr(Dense(512, 12, bias=False, rng=rng())) == "Dense(512 -> 12, no bias)"


def test_a_dense_layer_without_bias_is_a_product():
    layer = Dense(3, 2, bias=False, rng=rng(), sigma=1.0, dtype=np.float64)
    x = np.array([[1.0, 2.0, 4.0]])
    np.testing.assert_allclose(layer.forward(x), x @ layer.params["w"], rtol=1e-15)
    layer.backward(np.array([[1.0, -1.0]]))
    assert list(layer.grads) == ["w"]
    np.testing.assert_array_equal(layer.grads["w"], [[1, -1], [2, -2], [4, -4]])


def test_first_values_are_truncated_and_biases_zero():
    conv = Conv2D(1, 8, (10, 8), rng=rng(), sigma=0.01)
    assert 0.005 < np.abs(conv.params["w"]).max() <= 0.02
    assert not conv.params["b"].any()


def test_dropout_does_nothing_outside_training():
    layer, x = example("dropout")
    assert layer.forward(x) is x
    assert layer.mask is None


def test_dropout_shows_its_mask():
    layer, x = example("dropout")
    y = layer.forward(x, training=True)
    np.testing.assert_array_equal(y, 2 * x * layer.mask)
    np.testing.assert_array_equal(layer.backward(x), y)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Conv2D(1, 0, (3, 3), rng=rng()), "number below 1"),
        (lambda: Conv2D(1, 2, (3, 3), padding="SAM", rng=rng()), "did you mean SAME"),
        (lambda: Dense(0, 2, rng=rng()), "0 -> 2 is empty"),
        (lambda: Dropout(1.0, rng=rng()), "rate=1.0 is not in 0 to below 1"),
        (lambda: LAYERS["frames"](40, 0), "frames of 40 samples, one every 0"),
    ],
)
def test_settings_that_cannot_work(make, words):
    with pytest.raises(SettingsError, match=words):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (Conv2D(2, 3, (3, 3), rng=rng()), (4, 4, 1), r"takes \(T, F, 2\), found \(4, 4, 1\)"),
        (Conv2D(1, 3, (5, 3), padding="VALID", rng=rng()), (4, 4, 1), "smaller kernel"),
        (Dense(6, 2, rng=rng()), (2, 3), "flatten its input"),
        (Reshape((4, 4)), (4, 3), "their sizes differ"),
        (LAYERS["frames"](40, 20), (100, 160), r"takes \(N,\) samples, found \(100, 160\)"),
    ],
)
def test_shapes_that_do_not_fit(layer, shape, words):
    with pytest.raises(ShapeError, match=words):
        layer.output_shape(shape)
