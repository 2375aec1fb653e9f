"""A chain of norms and separable convolutions gives what its layers give one by one."""

from __future__ import annotations

import numpy as np
import pytest

from minikws import _jit
from minikws.nn import stages
from minikws.nn.layers import (
    BatchNorm,
    Conv1D,
    Conv2D,
    DepthwiseConv1D,
    DepthwiseConv2D,
    GlobalAveragePool,
    ReLU,
    ReLU6,
)
from tests.networks import assert_close

pytestmark = pytest.mark.skipif(not _jit.ENABLED, reason="MINIKWS_JIT=0 or no Numba")


def norm(rng, n_channels, activation, **options):
    layer = BatchNorm(n_channels, momentum=0.9, **options)
    for array in (*layer.params.values(), *layer.buffers.values()):
        array[:] = rng.uniform(0.5, 1.5, n_channels)
    return [layer, activation]


def biased(rng, layer):
    if "b" in layer.params:
        layer.params["b"][:] = rng.normal(size=layer.params["b"].shape)
    return layer


def pictures(rng, *, strides=(1, 1), padding="SAME", bias=True, end=()):
    """As ds_cnn: a norm behind each convolution."""
    drawn = {"rng": rng, "sigma": 0.5, "bias": bias}
    depthwise = DepthwiseConv2D(8, (3, 3), strides=strides, padding=padding, **drawn)
    return [
        *norm(rng, 8, ReLU(), scale=False),
        biased(rng, depthwise),
        *norm(rng, 8, ReLU()),
        biased(rng, Conv2D(8, 12, (1, 1), **drawn)),
        *norm(rng, 12, ReLU6(), offset=False),
        *end,
    ]


def waveform(rng, *, stride=1, padding="VALID", dilation=1):
    """As raw_ds_conv: a norm behind each pair."""
    drawn = {"rng": rng, "sigma": 0.5, "bias": False}
    return [
        *norm(rng, 8, ReLU6()),
        DepthwiseConv1D(8, 4, stride=stride, padding=padding, dilation=dilation, **drawn),
        Conv1D(8, 16, 1, **drawn),
        *norm(rng, 16, ReLU6()),
    ]


EXAMPLES = {
    "picture": (pictures, (9, 5, 8)),
    "mean": (lambda r: pictures(r, end=[GlobalAveragePool()]), (6, 4, 8)),
    "strides": (lambda r: pictures(r, strides=(2, 2), bias=False), (9, 6, 8)),
    "valid": (lambda r: pictures(r, strides=(2, 1), padding="VALID"), (8, 5, 8)),
    "waveform": (waveform, (14, 8)),
    "every second": (lambda r: waveform(r, stride=2, padding="SAME"), (13, 8)),
    "dilated": (lambda r: waveform(r, dilation=2), (13, 8)),
    "norm alone": (lambda r: norm(r, 7, ReLU()), (5, 3, 7)),
}


def chain_of(layers, shape):
    (chain,) = stages.fuse(layers, [shape])
    assert type(chain).__name__ == "NormChain"
    return chain


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("n_clips", [2, 23])
def test_a_chain_gives_what_its_layers_give(name, training, n_clips):
    make, shape = EXAMPLES[name]
    layers, others = make(np.random.default_rng(1)), make(np.random.default_rng(1))
    chain = chain_of(layers, shape)
    x = np.random.default_rng(2).normal(size=(n_clips, *shape)).astype(np.float32)
    expected = x
    for layer in others:
        expected = layer.forward(expected, training=training)
    y = chain.forward(x, training=training)
    assert_close(y, expected, 1e-5)
    for layer, other in zip(layers, others, strict=True):
        for key, buffer in other.buffers.items():
            assert_close(layer.buffers[key], buffer, 1e-6)

    dy = np.random.default_rng(3).normal(size=y.shape).astype(np.float32)
    expected = dy
    for other in reversed(others):
        expected = other.backward(expected)
    assert_close(chain.backward(dy), expected, 1e-4)
    for layer, other in zip(layers, others, strict=True):
        assert layer.grads.keys() == other.grads.keys()
        for key, gradient in other.grads.items():
            if key == "b" and training:  # what the batch's mean takes away: zero but for rounding
                assert not layer.grads[key].any()
                assert np.abs(gradient).max() < 1e-4
            else:
                assert_close(layer.grads[key], gradient, 1e-4)

    whole = [dict(layer.grads) for layer in layers]
    chain.backward_params(dy)
    for layer, gradients in zip(layers, whole, strict=True):
        for key, gradient in gradients.items():
            np.testing.assert_array_equal(layer.grads[key], gradient)


@pytest.mark.parametrize("name", ["mean", "every second"])
def test_a_chain_gives_the_same_bits_on_one_thread(name):
    import numba

    make, shape = EXAMPLES[name]
    x = np.random.default_rng(2).normal(size=(25, *shape)).astype(np.float32)

    def run():
        layers = make(np.random.default_rng(1))
        chain = chain_of(layers, shape)
        y = chain.forward(x, training=True)
        return y, chain.backward(y), *(g for layer in layers for g in layer.grads.values())

    most = numba.get_num_threads()
    some = run()
    numba.set_num_threads(1)
    try:
        one = run()
    finally:
        numba.set_num_threads(most)
    for a, b in zip(some, one, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_value_that_is_not_a_number_shows():
    chain = chain_of(pictures(np.random.default_rng(0)), (9, 5, 8))
    x = np.ones((2, 9, 5, 8), np.float32)
    x[0, 0, 0, 0] = np.nan
    assert np.isnan(chain.forward(x, training=True)).any()
    assert np.isnan(chain.forward(x)).any()


def kinds(layers):
    return [type(run).__name__ for run in stages.fuse(layers, [(9, 5, 8)] * len(layers))]


def test_where_a_chain_ends():
    rng = np.random.default_rng(0)
    layers = pictures(rng)
    assert kinds(layers[:4]) == ["NormChain", "DepthwiseConv2D", "BatchNorm"]
    assert kinds([*layers[:2], Conv2D(8, 8, (3, 3), rng=rng)]) == ["NormChain", "Conv2D"]
    wide = DepthwiseConv2D(8, (3, 3), multiplier=2, rng=rng)
    assert kinds([*layers[:2], wide, *norm(rng, 16, ReLU())]) == [
        "NormChain",
        "DepthwiseConv2D",
        "NormChain",
    ]
    pair = [DepthwiseConv1D(8, 3, rng=rng), Conv1D(8, 8, 1, rng=rng)]  # a bias between the two
    assert kinds([*layers[:2], *pair, *layers[:2]]) == [
        "NormChain",
        "DepthwiseConv1D",
        "Conv1D",
        "NormChain",
    ]
