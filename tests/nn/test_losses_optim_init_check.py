from __future__ import annotations

import numpy as np
import pytest

from minikws.errors import SettingsError, ShapeError
from minikws.nn import (
    OPTIMIZERS,
    SGD,
    Dense,
    Momentum,
    ReLU,
    gradient_errors,
    softmax,
    softmax_cross_entropy,
    truncated_normal,
)


def test_loss_of_equal_logits_is_the_log_of_the_labels():
    loss, dlogits = softmax_cross_entropy(np.zeros((2, 4)), np.array([0, 3]))
    assert loss == pytest.approx(np.log(4))
    np.testing.assert_allclose(dlogits[0], [-0.375, 0.125, 0.125, 0.125])


def test_loss_survives_large_logits():
    loss, dlogits = softmax_cross_entropy(np.array([[1e4, 0.0]], np.float32), np.array([1]))
    assert loss == pytest.approx(1e4)
    np.testing.assert_array_equal(dlogits, [[1, -1]])
    assert dlogits.dtype == np.float32


def test_loss_gradient_equals_central_differences():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(3, 4)), np.array([1, 0, 3])
    _, dlogits = softmax_cross_entropy(logits, labels)
    for index in np.ndindex(3, 4):
        step = np.zeros((3, 4))
        step[index] = 1e-6
        above = softmax_cross_entropy(logits + step, labels)[0]
        below = softmax_cross_entropy(logits - step, labels)[0]
        assert dlogits[index] == pytest.approx((above - below) / 2e-6, abs=1e-9)


def test_softmax_sums_to_one():
    np.testing.assert_allclose(softmax(np.array([[1e4, 1e4], [0, -1e4]])), [[0.5, 0.5], [1, 0]])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([0]), "need 2 labels, at least one, found shape"),
        (np.array([0, 4]), "labels go from 0 to 4, the network has 4 outputs"),
        (np.array([-1, 0]), "labels go from -1"),
    ],
)
def test_labels_that_do_not_fit(labels, words):
    with pytest.raises(ShapeError, match=words):
        softmax_cross_entropy(np.zeros((2, 4)), labels)


def layers(seed=0):
    return [("fc", Dense(3, 2, rng=np.random.default_rng(seed), dtype=np.float64)), ("r", ReLU())]


def set_gradients(pairs, value):
    for _, layer in pairs:
        layer.grads = {name: np.full_like(p, value) for name, p in layer.params.items()}


def test_gradient_descent_is_its_formula():
    pairs = layers()
    before = pairs[0][1].params["w"].copy()
    set_gradients(pairs, 2.0)
    SGD(pairs).step(0.1)
    np.testing.assert_allclose(pairs[0][1].params["w"], before - 0.2)


def test_nesterov_momentum_is_its_formula():
    pairs = layers()
    before = pairs[0][1].params["w"].copy()
    optimizer = Momentum(pairs)
    set_gradients(pairs, 1.0)
    optimizer.step(0.1)  # a = 1: moves by 0.1 * (1 + 0.9)
    np.testing.assert_allclose(pairs[0][1].params["w"], before - 0.19)
    optimizer.step(0.1)  # a = 1.9: moves by 0.1 * (1 + 1.71)
    np.testing.assert_allclose(pairs[0][1].params["w"], before - 0.19 - 0.271)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_stored_state_goes_on_as_if_never_stored(name):
    one, other = layers(), layers()
    first, second = OPTIMIZERS[name](one), OPTIMIZERS[name](other)
    for pairs in (one, other):
        set_gradients(pairs, 1.0)
    first.step(0.1)
    second.step(0.1)
    fresh = OPTIMIZERS[name](other)
    fresh.load_state(second.state())
    first.step(0.1)
    fresh.step(0.1)
    np.testing.assert_array_equal(one[0][1].params["w"], other[0][1].params["w"])


def test_state_of_another_optimizer_or_size_is_refused():
    pairs = layers()
    with pytest.raises(ShapeError, match="resume with the same optimiser"):
        Momentum(pairs).load_state(SGD(pairs).state())
    with pytest.raises(ShapeError, match=r"optimiser state fc.w is \(1,\), expected \(3, 2\)"):
        Momentum(pairs).load_state({"fc.w": np.zeros(1), "fc.b": np.zeros(2)})


def test_truncated_normal_has_no_tails_and_the_right_width():
    values = truncated_normal(np.random.default_rng(0), (100, 1000), sigma=0.01)
    assert values.dtype == np.float32
    assert np.abs(values).max() <= 0.02
    assert values.std() == pytest.approx(0.8796 * 0.01, rel=0.01)


def test_the_gradient_check_catches_a_wrong_formula():
    layer = Dense(3, 2, rng=np.random.default_rng(0), sigma=1.0, dtype=np.float64)
    x = np.random.default_rng(1).normal(size=(4, 3))
    assert max(gradient_errors(layer, x).values()) < 1e-9
    right = layer.backward
    layer.backward = lambda dy: 1.01 * right(dy)
    errors = gradient_errors(layer, x)
    assert errors["x"] > 1e-3
    assert errors["w"] < 1e-9


def test_the_gradient_check_needs_float64():
    layer = Dense(3, 2, rng=np.random.default_rng(0))
    with pytest.raises(SettingsError, match=r"w is float32, a gradient check needs float64"):
        gradient_errors(layer, np.zeros((4, 3)))
