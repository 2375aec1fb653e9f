from __future__ import annotations

import numpy as np
import pytest

from minikws.errors import SettingsError, ShapeError
from minikws.nn import (
    OPTIMIZERS,
    SGD,
    Adam,
    BatchNorm,
    Dense,
    Momentum,
    ReLU,
    RMSprop,
    Sequential,
    distillation_loss,
    gradient_errors,
    l2_penalty,
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


def test_smoothing_shares_certainty_out():
    """Equal logits: q = [0.925, 0.025, …], p = 0.25, and the loss is log 4 whatever q is."""
    loss, dlogits = softmax_cross_entropy(np.zeros((1, 4)), np.array([0]), label_smoothing=0.1)
    assert loss == pytest.approx(np.log(4))
    np.testing.assert_allclose(dlogits, [[-0.675, 0.225, 0.225, 0.225]])


def test_class_weights_divide_by_the_clips_that_count():
    weights = np.array([3.0, 0.0, 1.0, 1.0])
    loss, dlogits = softmax_cross_entropy(
        np.zeros((3, 4)), np.array([0, 1, 2]), class_weights=weights
    )
    assert loss == pytest.approx((3 + 1) * np.log(4) / 2)
    np.testing.assert_allclose(dlogits[0], 3 * np.array([-0.75, 0.25, 0.25, 0.25]) / 2)
    np.testing.assert_array_equal(dlogits[1], 0)


def test_class_weights_may_leave_every_clip_out():
    loss, dlogits = softmax_cross_entropy(
        np.zeros((1, 2)), np.array([0]), class_weights=np.array([0.0, 1.0])
    )
    assert loss == 0
    assert not dlogits.any()


def test_distillation_gradient_equals_central_differences():
    rng = np.random.default_rng(0)
    logits, teacher, labels = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), np.array([1, 0, 3])

    def loss(z):
        return distillation_loss(z, teacher, labels, temperature=3.0, share=0.7)

    _, dlogits = loss(logits)
    for index in np.ndindex(3, 4):
        step = np.zeros((3, 4))
        step[index] = 1e-6
        numeric = (loss(logits + step)[0] - loss(logits - step)[0]) / 2e-6
        assert dlogits[index] == pytest.approx(numeric, abs=1e-8)


def test_a_teachers_probabilities_are_its_logits_less_a_constant():
    rng = np.random.default_rng(1)
    logits, teacher, labels = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), np.array([1, 0, 3])
    settings = {"temperature": 2.0, "share": 0.5}
    by_logits = distillation_loss(logits, teacher, labels, **settings)
    by_shares = distillation_loss(logits, softmax(teacher), labels, probabilities=True, **settings)
    assert by_shares[0] == pytest.approx(by_logits[0])
    np.testing.assert_allclose(by_shares[1], by_logits[1], atol=1e-12)


def test_a_pupil_that_answers_as_its_teacher_need_not_move():
    logits = np.array([[1.0, 2.0, 3.0]])
    _, dlogits = distillation_loss(logits, logits, np.array([0]), temperature=4.0, share=1.0)
    np.testing.assert_allclose(dlogits, 0, atol=1e-15)


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"teacher": np.zeros((2, 3))}, ShapeError, r"answers are \(2, 3\), the logits \(2, 4\)"),
        ({"labels": np.array([0, 4])}, ShapeError, "labels go from 0 to 4"),
        ({"temperature": 0.0}, SettingsError, "temperature=0.0 is not above 0"),
        ({"share": 1.5}, SettingsError, "the teacher's share=1.5 is not in 0 to 1"),
        ({"probabilities": True}, SettingsError, "sum up to 0.0 to 0.0 a clip"),
    ],
)
def test_distillation_that_cannot_work(changed, error, words):
    arguments = {
        "teacher": np.zeros((2, 4)),
        "labels": np.array([0, 1]),
        "temperature": 2.0,
        "share": 0.5,
    }
    with pytest.raises(error, match=words):
        distillation_loss(np.zeros((2, 4)), **(arguments | changed))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"label_smoothing": 1.0}, SettingsError, "label_smoothing=1.0 is not in 0 to below 1"),
        ({"class_weights": np.ones(3)}, ShapeError, r"weights are \(3,\), the network has 4"),
        ({"class_weights": np.array([1, -1, 1, 1.0])}, SettingsError, "weights go from -1.0 to 1"),
    ],
)
def test_loss_settings_that_cannot_work(settings, error, words):
    with pytest.raises(error, match=words):
        softmax_cross_entropy(np.zeros((2, 4)), np.array([0, 1]), **settings)


def test_a_batch_of_nothing_has_no_loss():
    with pytest.raises(ShapeError, match=r"logits \(0, 4\) need 0 labels, at least one"):
        softmax_cross_entropy(np.zeros((0, 4)), np.zeros(0, np.int64))


def test_l2_penalty_holds_kernels_alone_and_looks_into_blocks():
    inner = Dense(3, 2, rng=np.random.default_rng(0), dtype=np.float64)
    norm = BatchNorm(2, dtype=np.float64)
    chain = Sequential([("fc", inner), ("norm", norm)])
    inner.params["w"][...] = 2
    chain.backward(chain.forward(np.zeros((4, 3)), training=True))
    before = {name: g.copy() for name, g in chain.grads.items()}
    assert l2_penalty([("chain", chain)], 0.5) == pytest.approx(0.5 * 6 * 4)
    np.testing.assert_allclose(chain.grads["fc.w"], before["fc.w"] + 2 * 0.5 * 2)
    for name in ("fc.b", "norm.gamma", "norm.beta"):
        np.testing.assert_array_equal(chain.grads[name], before[name])


def test_a_negative_penalty_is_refused():
    with pytest.raises(SettingsError, match="L2 strength=-1 is below 0"):
        l2_penalty([], -1)


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


def test_rmsprop_is_its_formula():
    pairs = layers()
    before = pairs[0][1].params["w"].copy()
    set_gradients(pairs, 2.0)
    RMSprop(pairs).step(0.1)  # v = 0.1 * 4
    np.testing.assert_allclose(pairs[0][1].params["w"], before - 0.2 / np.sqrt(0.4), rtol=1e-6)


def test_adams_first_step_is_the_rate_whatever_the_gradient():
    for gradient in (1e-3, 50.0):
        pairs = layers()
        before = pairs[0][1].params["w"].copy()
        set_gradients(pairs, gradient)
        Adam(pairs).step(0.1)
        # alpha m = 0.1 g sqrt(0.001), sqrt(v) = g sqrt(0.001): epsilon takes 1e-7 of it off
        np.testing.assert_allclose(pairs[0][1].params["w"], before - 0.1, atol=1e-3)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_of_any_layout_are_moved_in_place(name):
    """A weight that is a transposed view, and one large enough for the compiled form."""
    one, other = (Dense(120, 90, rng=np.random.default_rng(0)) for _ in range(2))
    other.params["w"] = np.asfortranarray(other.params["w"])
    held = other.params["w"]
    for layer in (one, other):
        pairs = [("fc", layer)]
        set_gradients(pairs, 0.5)
        optimizer = OPTIMIZERS[name](pairs)
        optimizer.step(0.1)
        optimizer.step(0.1)
    assert other.params["w"] is held
    np.testing.assert_array_equal(one.params["w"], other.params["w"])


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


def test_memories_of_one_optimizer_do_not_pass_for_anothers():
    pairs = layers()
    for name, optimizer in OPTIMIZERS.items():
        for other_name, other in OPTIMIZERS.items():
            if name != other_name:
                with pytest.raises(ShapeError, match="resume with the same optimiser"):
                    optimizer(pairs).load_state(other(pairs).state())


def test_adam_stores_its_number_of_steps():
    pairs = layers()
    optimizer = Adam(pairs)
    set_gradients(pairs, 1.0)
    for _ in range(3):
        optimizer.step(0.1)
    assert optimizer.state()["n_steps"] == 3
    assert sorted(optimizer.state()) == [
        "mean.fc.b",
        "mean.fc.w",
        "n_steps",
        "square.fc.b",
        "square.fc.w",
    ]


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
