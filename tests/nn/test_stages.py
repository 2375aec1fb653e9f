"""Every stage gives what its layers give one by one; and the network knows when to use one."""

from __future__ import annotations

import numpy as np
import pytest

from minikws import _jit
from minikws.nn import Network, stages
from minikws.nn.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Reshape
from minikws.nn.stages import base
from tests.networks import assert_close

pytestmark = pytest.mark.skipif(not _jit.ENABLED, reason="MINIKWS_JIT=0 or no Numba")


def with_bias(layer, rng):
    layer.params["b"][:] = rng.normal(size=layer.params["b"].shape)
    return layer


def pooled_conv(rng, size, padding, rate, dtype=np.float32):
    conv = Conv2D(1, 32, size, padding=padding, rng=rng, sigma=0.5, dtype=dtype)
    pool = MaxPool2D((2, 2), padding=padding)
    return [with_bias(conv, rng), ReLU(), Dropout(rate, rng=rng), pool]


def spectral_conv(rng, size, padding, rate, channels=(16, 20), dtype=np.float32):
    conv = Conv2D(*channels, size, padding=padding, rng=rng, sigma=0.2, dtype=dtype)
    return [with_bias(conv, rng), ReLU(), Dropout(rate, rng=rng)]


def whole_clip_conv(rng, size, rate, dtype=np.float32):
    conv = Conv2D(1, 19, size, padding="VALID", rng=rng, sigma=0.2, dtype=dtype)
    return [with_bias(conv, rng), ReLU(), Dropout(rate, rng=rng)]


def few_channels(rng, size, rate, *rest):
    conv = Conv2D(2, 4, size, strides=(2, 1), rng=rng, sigma=0.2)
    *others, linear = rest
    return [with_bias(conv, rng), ReLU(), Dropout(rate, rng=rng), *others, with_bias(linear, rng)]


def few_channels_conv(rng, size, strides, rate, padding="SAME"):
    conv = Conv2D(4, 6, size, strides=strides, padding=padding, rng=rng, sigma=0.2)
    return few_channels(rng, (3, 4), rate, conv)


def few_channels_dense(rng, n_in, n_out, rate):
    return few_channels(rng, (5, 2), rate, Flatten(), Dense(n_in, n_out, rng=rng, sigma=0.2))


# What makes the layers, the shape of one clip that they take, and the stage that takes them.
EXAMPLES = {
    "pooled, even": (lambda r: pooled_conv(r, (4, 2), "SAME", 0.5), (8, 6, 1), "PooledConv"),
    "pooled, odd": (lambda r: pooled_conv(r, (5, 3), "SAME", 0.5), (9, 7, 1), "PooledConv"),
    "pooled, valid": (lambda r: pooled_conv(r, (4, 3), "VALID", 0.25), (12, 7, 1), "PooledConv"),
    "pooled, no dropout": (lambda r: pooled_conv(r, (1, 1), "SAME", 0), (5, 5, 1), "PooledConv"),
    "spectral": (lambda r: spectral_conv(r, (10, 4), "SAME", 0.5), (11, 6, 16), "SpectralConv"),
    "spectral, long": (
        lambda r: spectral_conv(r, (16, 1), "SAME", 0.25, (20, 16)),
        (7, 3, 20),
        "SpectralConv",
    ),
    "spectral, valid": (
        lambda r: spectral_conv(r, (4, 5), "VALID", 0),
        (9, 8, 16),
        "SpectralConv",
    ),
    "whole clip": (lambda r: whole_clip_conv(r, (17, 4), 0.5), (17, 11, 1), "WholeClipConv"),
    "whole clip, one place": (
        lambda r: whole_clip_conv(r, (16, 8), 0),
        (16, 8, 1),
        "WholeClipConv",
    ),
    "few channels, conv": (
        lambda r: few_channels_conv(r, (5, 4), (4, 4), 0.5),
        (17, 9, 2),
        "FewChannelsConv",
    ),
    "few channels, conv with gaps": (
        lambda r: few_channels_conv(r, (2, 1), (3, 2), 0.25, "VALID"),
        (17, 9, 2),
        "FewChannelsConv",
    ),
    "few channels, dense": (
        lambda r: few_channels_dense(r, 6 * 5 * 4, 4, 0.5),
        (11, 5, 2),
        "FewChannelsDense",
    ),
    "few channels, dense without dropout": (
        lambda r: few_channels_dense(r, 3 * 9 * 4, 5, 0),
        (6, 9, 2),
        "FewChannelsDense",
    ),
}


def fused(layers, shape):
    shapes = [shape]
    for layer in layers:
        shapes.append(layer.output_shape(shapes[-1]))
    return stages.fuse(layers, shapes)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("n_clips", [1, 7])
def test_a_stage_gives_what_its_layers_give(name, training, n_clips):
    make, shape, expected_stage = EXAMPLES[name]
    layers, others = make(np.random.default_rng(1)), make(np.random.default_rng(1))
    (stage,) = fused(layers, shape)
    assert type(stage).__name__ == expected_stage

    x = np.random.default_rng(2).normal(size=(n_clips, *shape)).astype(np.float32)
    y = stage.forward(x, training=training)
    expected = x
    for layer in others:
        expected = layer.forward(expected, training=training)
    assert_close(y, expected, 1e-6)
    masks = [[d.mask for d in run if isinstance(d, Dropout)] for run in (layers, others)]
    np.testing.assert_array_equal(*masks)

    dy = np.random.default_rng(3).normal(size=y.shape).astype(np.float32)
    dx = stage.backward(dy)
    expected = dy
    for layer in reversed(others):
        expected = layer.backward(expected)
    assert_close(dx, expected, 1e-6)
    for layer, other in zip(layers, others, strict=True):
        for key, gradient in other.grads.items():
            assert_close(layer.grads[key], gradient, 1e-6)

    whole = dict(layers[0].grads)
    stage.backward_params(dy)
    for key, gradient in whole.items():
        np.testing.assert_array_equal(layers[0].grads[key], gradient)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_stage_gives_the_same_bits_on_one_thread(name):
    import numba

    make, shape, _ = EXAMPLES[name]
    x = np.random.default_rng(2).normal(size=(25, *shape)).astype(np.float32)

    def run():
        layers = make(np.random.default_rng(1))
        (stage,) = fused(layers, shape)
        y = stage.forward(x, training=True)
        return y, stage.backward(y), *layers[0].grads.values()

    most = numba.get_num_threads()
    some = run()
    numba.set_num_threads(1)
    try:
        one = run()
    finally:
        numba.set_num_threads(most)
    for a, b in zip(some, one, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_value_that_is_not_a_number_shows(name):
    make, shape, _ = EXAMPLES[name]
    layers = make(np.random.default_rng(1))
    (stage,) = fused(layers, shape)
    layers[0].params["w"][:] = np.nan
    assert np.isnan(stage.forward(np.ones((2, *shape), np.float32))).any()


def test_every_stage_has_an_example():
    elsewhere = {"NormChain"}  # of any length: test_norm_chain.py
    here = {stage for *_, stage in EXAMPLES.values()}
    assert here | elsewhere == {s.__name__ for s in stages.STAGES}


def conv_network(dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    layers = [
        Reshape((10, 8, 1)),
        *pooled_conv(rng, (4, 3), "SAME", 0.5, dtype),
        *spectral_conv(rng, (4, 4), "SAME", 0.5, (32, 16), dtype),
        Flatten(),
        with_bias(Dense(5 * 4 * 16, 3, rng=rng, dtype=dtype), rng),
    ]
    named = [(f"{i}", layer) for i, layer in enumerate(layers)]
    return Network(named, input_shape=(10, 8))


def kinds(network):
    return [type(run).__name__ for run in network.runs]


def test_a_network_runs_stages_between_its_other_layers():
    assert kinds(conv_network()) == ["Reshape", "PooledConv", "SpectralConv", "Flatten", "Dense"]


def test_a_network_in_float64_runs_layer_by_layer():
    network = conv_network(np.float64)
    assert network.runs == [layer for _, layer in network.layers]


def test_without_numba_there_are_no_stages(monkeypatch):
    monkeypatch.setattr(_jit, "ENABLED", False)
    network = conv_network()
    assert network.runs == [layer for _, layer in network.layers]


def test_a_network_can_be_told_to_run_layer_by_layer():
    one, other = conv_network(), conv_network()
    other.run_layer_by_layer()
    assert other.runs == [layer for _, layer in other.layers]
    x = np.random.default_rng(1).normal(size=(6, 10, 8)).astype(np.float32)
    y, expected = one.forward(x, training=True), other.forward(x, training=True)
    assert_close(y, expected, 1e-6)
    one.backward(y)
    other.backward(y)
    for (_, layer), (_, reference) in zip(one.layers, other.layers, strict=True):
        assert layer.grads.keys() == reference.grads.keys()
        for key, gradient in reference.grads.items():
            assert_close(layer.grads[key], gradient, 1e-5)


def test_activations_come_from_every_layer():
    network = conv_network()
    shapes = [a.shape[1:] for a in network.activations(np.zeros((2, 10, 8), np.float32))]
    assert shapes == network.shapes[1:]


def test_a_subclass_is_left_alone():
    class Louder(ReLU):
        pass

    rng = np.random.default_rng(0)
    conv, _, dropout = spectral_conv(rng, (4, 4), "SAME", 0.5)
    layers = [conv, Louder(), dropout]
    assert fused(layers, (9, 9, 16)) == layers


@pytest.mark.parametrize(
    "options", [{"strides": (2, 1)}, {"dilations": (2, 1)}, {"bias": False}], ids=str
)
def test_convolutions_that_no_stage_is_made_for(options):
    rng = np.random.default_rng(0)
    layers = [Conv2D(16, 16, (4, 4), rng=rng, **options), ReLU(), Dropout(rng=rng)]
    assert fused(layers, (9, 9, 16)) == layers


def test_the_first_stage_that_fits_is_taken():
    class Pair(base.Stage):
        takes = (ReLU, ReLU)

    layers = [ReLU(), ReLU(), ReLU()]
    runs = base.fuse(layers, [(3,)] * 3, [Pair])
    assert [type(run).__name__ for run in runs] == ["Pair", "ReLU"]
    assert runs[0].layers == tuple(layers[:2])
    assert repr(runs[0]) == "Pair(ReLU(), ReLU())"
