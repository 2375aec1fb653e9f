"""The watch names the layer, the direction and the range, and changes no number."""

from __future__ import annotations

import numpy as np
import pytest

from minikws import _jit
from minikws.errors import RunError
from minikws.nn import SGD, Conv2D, Dense, Flatten, Network, ReLU, Reshape, softmax_cross_entropy
from minikws.nn.layers import Residual, Sequential
from minikws.nn.nans import NanWatch

LABELS = np.array([0, 1, 2], np.int64)


def small_network() -> Network:
    rng = np.random.default_rng(0)
    inner = Sequential([("conv", Conv2D(2, 2, (3, 3), rng=rng)), ("relu", ReLU())])
    return Network(
        [
            ("picture", Reshape((5, 4, 1))),
            ("first", Conv2D(1, 2, (3, 3), rng=rng)),
            ("block", Residual(inner)),
            ("flatten", Flatten()),
            ("last", Dense(40, 3, rng=rng)),
        ],
        input_shape=(5, 4),
    )


def batch() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(1).normal(size=(3, 5, 4)).astype(np.float32)


def watched() -> tuple[NanWatch, Network]:
    network = small_network()
    watch = NanWatch(network)
    watch.step, watch.learning_rate = 1, 0.5
    return watch, network


def test_a_watched_step_gives_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held against layers one by one: compiled stages round some sums otherwise."""
    monkeypatch.setattr(_jit, "ENABLED", False)
    plain, (watch, network) = small_network(), watched()
    for net, forward, backward in (
        (plain, lambda x: plain.forward(x, training=True), plain.backward),
        (network, watch.forward, watch.backward),
    ):
        _, dlogits = softmax_cross_entropy(forward(batch()), LABELS)
        backward(dlogits)
        SGD(net.layers).step(0.5)
    watch.weights()
    for name, weight in plain.weights().items():
        np.testing.assert_array_equal(network.weights()[name], weight)


def test_the_layer_inside_a_composite_is_named_with_the_range_before() -> None:
    watch, network = watched()
    watch.forward(batch())
    watch.step = 2
    dict(network.layers)["block"].params["main.conv.w"][0, 0, 0, 0] = np.nan
    with pytest.raises(RunError) as caught:
        watch.forward(batch())
    sentence = str(caught.value)
    assert sentence.startswith("step 2, layer block.main.conv, forward: ")
    assert "values of the output are not finite (at step 1 it lay in " in sentence
    assert "learning rate 0.5" in sentence
    assert sentence.count(";") >= 1


def test_a_gradient_is_named() -> None:
    watch, _ = watched()
    logits = watch.forward(batch())
    dlogits = np.full_like(logits, np.inf)
    expected = r"step 1, layer last, backward: .* gradient .*into the layer went nothing finite"
    with pytest.raises(RunError, match=expected):
        watch.backward(dlogits)


def test_a_feature_is_named() -> None:
    watch, _ = watched()
    features = batch()
    features[1, 2, 3] = np.inf
    with pytest.raises(RunError, match=r"layer features, forward: 1 of 60 values"):
        watch.forward(features)


def test_an_update_is_named() -> None:
    watch, network = watched()
    _, dlogits = softmax_cross_entropy(watch.forward(batch()), LABELS)
    watch.backward(dlogits)
    watch.weights()
    dict(network.layers)["last"].params["w"][0, 0] = np.inf
    watch.step = 2
    with pytest.raises(RunError, match=r"step 2, layer last, update: 1 of 120 values of the weigh"):
        watch.weights()
