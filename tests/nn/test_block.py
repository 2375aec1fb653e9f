"""Chains and residuals: their parts' arrays, their gradients, and who walks through them."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from minikws.errors import SettingsError, ShapeError
from minikws.nn import (
    SGD,
    AttentionPool,
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    Network,
    ReLU,
    Residual,
    Sequential,
    gradient_errors,
    leaves,
)


def rng():
    return np.random.default_rng(1)


def dense(n_in, n_out):
    return Dense(n_in, n_out, rng=rng(), sigma=1.0, dtype=np.float64)


def block():
    main = Sequential([("one", dense(4, 5)), ("norm", BatchNorm(5, dtype=np.float64))])
    return Residual(main, dense(4, 5))


def network():
    layers = [("flat", Flatten()), ("block", block()), ("act", ReLU()), ("out", dense(5, 2))]
    return Network(layers, input_shape=(2, 2))


def test_a_chain_is_its_layers_in_order():
    one, two = dense(3, 4), dense(4, 2)
    x = rng().normal(size=(5, 3))
    chain = Sequential([("one", one), ("two", two)])
    np.testing.assert_array_equal(chain.forward(x), two.forward(one.forward(x)))
    assert chain.output_shape((3,)) == (2,)
    assert chain.multiply_adds((3,)) == 12 + 8
    assert chain.n_parameters == 16 + 10


def test_a_chain_of_nothing_hands_on():
    chain, x = Sequential([]), rng().normal(size=(5, 3))
    assert chain.forward(x) is x
    assert chain.backward(x) is x
    assert chain.output_shape((3,)) == (3,)


def test_a_residual_adds_its_input():
    main = dense(4, 4)
    layer, x = Residual(main), rng().normal(size=(3, 4))
    np.testing.assert_allclose(layer.forward(x), x + main.forward(x))
    dy = rng().normal(size=(3, 4))
    np.testing.assert_allclose(layer.backward(dy), dy + dy @ main.params["w"].T)
    assert max(gradient_errors(layer, x).values()) < 1e-6


def test_a_block_in_training_equals_central_differences():
    errors = gradient_errors(block(), rng().normal(size=(6, 4)), training=True)
    # the bias before a normalisation changes nothing: both gradients are rounding
    assert errors.pop("main.one.b") < 2
    assert max(errors.values()) < 1e-6


def test_params_and_buffers_are_the_parts_own_arrays():
    layer = block()
    assert list(layer.params) == [
        "main.one.w",
        "main.one.b",
        "main.norm.gamma",
        "main.norm.beta",
        "shortcut.w",
        "shortcut.b",
    ]
    assert list(layer.buffers) == ["main.norm.mean", "main.norm.variance"]
    inner = dict(leaves([("block", layer)]))
    assert layer.params["main.one.w"] is inner["block.main.one"].params["w"]
    assert layer.buffers["main.norm.mean"] is inner["block.main.norm"].buffers["mean"]


def test_arrays_stay_the_parts_own_through_copies_and_training():
    layer = copy.deepcopy(block())
    x = rng().normal(size=(6, 4))
    before = layer.forward(x)
    layer.backward(layer.forward(x, training=True))
    SGD([("block", layer)]).step(0.1)
    assert np.abs(layer.forward(x) - before).max() > 1e-3
    assert layer.params["shortcut.w"] is layer.shortcut.params["w"]
    assert layer.buffers["main.norm.mean"].any()


def test_leaves_are_walked_in_order_with_their_paths():
    names = [name for name, _ in leaves(network().layers)]
    assert names == ["flat", "block.main.one", "block.main.norm", "block.shortcut", "act", "out"]


def test_a_network_stores_what_its_blocks_hold():
    one, other = network(), network()
    x = rng().normal(size=(6, 2, 2))
    one.backward(one.forward(x, training=True))
    SGD(one.layers).step(0.1)
    other.load_weights(one.weights())
    np.testing.assert_array_equal(one.forward(x), other.forward(x))
    assert "block.main.norm.mean" in one.weights()


def test_repr_shows_the_parts():
    assert repr(block()) == (
        "Residual(Sequential(one: Dense(4 -> 5), norm: BatchNorm(5)) + Dense(4 -> 5))"
    )
    assert repr(Residual(dense(4, 4))) == "Residual(Dense(4 -> 4) + x)"


def test_ways_that_do_not_meet_are_refused():
    with pytest.raises(ShapeError, match=r"gives \(5,\), its shortcut \(4,\), they cannot be"):
        Residual(dense(4, 5)).output_shape((4,))


def test_the_layer_that_does_not_fit_is_named():
    chain = Sequential([("one", dense(3, 4)), ("two", dense(5, 2))])
    with pytest.raises(ShapeError, match=r"layer two: Dense\(5 -> 2\) takes \(5,\), found \(4,\)"):
        chain.output_shape((3,))


def test_names_that_stand_twice_are_refused():
    with pytest.raises(SettingsError, match="two layers are named 'one'"):
        Sequential([("one", dense(3, 4)), ("one", dense(4, 2))])


def test_a_residual_adds_maps_of_either_memory_order():
    conv = Conv2D(1, 1, (3, 3), rng=rng(), sigma=1.0, dtype=np.float64)
    layer, x = Residual(conv), rng().normal(size=(3, 4, 5, 1))
    np.testing.assert_allclose(layer.forward(x), conv.forward(x) + x)


def test_attention_pools_by_hand():
    """Scores 0 and log 3: gates 1/4 and 3/4."""
    pool = AttentionPool(2, 2, rng=rng(), dtype=np.float64)
    pool.params["w"][:], pool.params["b"][:] = 0, [0, np.log(3)]
    y = pool.forward(np.array([[[8.0, -4.0], [2.0, -1.0]]]))
    np.testing.assert_allclose(y, [[2, -0.75, 5, -2.5]])  # maxima of gated, means of ungated
    assert pool.multiply_adds((2, 2)) == 8
    assert repr(pool) == "AttentionPool(2x2, gate's dropout 0.4)"


def test_attention_of_another_map_is_refused():
    pool = AttentionPool(3, 2, rng=rng())
    with pytest.raises(ShapeError, match=r"takes \(3, 2\), found \(2, 3\)"):
        pool.output_shape((2, 3))
    with pytest.raises(SettingsError, match="attention over 0 frames of 2 channels is empty"):
        AttentionPool(0, 2, rng=rng())
