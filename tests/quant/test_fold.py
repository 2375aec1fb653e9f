"""A folded network answers as the one with normalisation does."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from minikws.errors import ShapeError
from minikws.nn import BatchNorm, Conv2D, Dense
from minikws.nn.layers import LAYERS
from minikws.quant.fold import folded


def rng():
    return np.random.default_rng(0)


LAYERS_AND_SHAPES = {
    "conv2d": (lambda: Conv2D(3, 4, (3, 2), rng=rng(), sigma=1.0), (7, 6, 3), 4),
    "dense": (lambda: Dense(5, 4, rng=rng(), sigma=1.0), (5,), 4),
    "conv1d": (lambda: LAYERS["conv1d"](3, 4, 3, rng=rng(), sigma=1.0), (7, 3), 4),
    "depthwise_conv2d": (
        lambda: LAYERS["depthwise_conv2d"](3, (3, 2), multiplier=2, rng=rng(), sigma=1.0),
        (7, 6, 3),
        6,
    ),
    "depthwise_conv1d": (
        lambda: LAYERS["depthwise_conv1d"](3, 3, multiplier=2, rng=rng(), sigma=1.0),
        (7, 3),
        6,
    ),
}


@pytest.mark.parametrize("name", LAYERS_AND_SHAPES)
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("offset", [True, False])
def test_folded_layer_equals_layer_and_normalization(name, scale, offset):
    make, shape, n_channels = LAYERS_AND_SHAPES[name]
    layer, norm = make(), BatchNorm(n_channels, scale=scale, offset=offset)
    for array in (*norm.params.values(), *norm.buffers.values(), layer.params["b"]):
        array[:] = rng().uniform(0.5, 2, n_channels)
    x = rng().normal(size=(5, *shape)).astype(np.float32)
    expected = norm.forward(layer.forward(x))

    alone = copy.deepcopy(layer)
    alone.params["w"][...], alone.params["b"][...] = folded(**layer.params, norm=norm)
    found = alone.forward(x)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_a_layer_without_biases_gets_some():
    """By hand: scale 6 / sqrt(4) = 3, so w = 3 w, b = (0 - 5) * 3 + 1."""
    norm = BatchNorm(1, epsilon=1e-9)
    norm.params["gamma"][:], norm.params["beta"][:] = 6, 1
    norm.buffers["mean"][:], norm.buffers["variance"][:] = 5, 4
    w, b = folded(np.ones((2, 1), np.float32), None, norm)
    np.testing.assert_array_equal(w, [[3], [3]])
    np.testing.assert_array_equal(b, [-14])
    assert w.dtype == b.dtype == np.float32


def test_normalization_of_other_channels_is_refused():
    with pytest.raises(ShapeError, match=r"\(3, 2\) do not give the 5 channels of BatchNorm\(5\)"):
        folded(np.ones((3, 2)), None, BatchNorm(5))
