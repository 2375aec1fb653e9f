from __future__ import annotations

import numpy as np
import pytest

from minikws import models
from minikws.errors import SettingsError


def build(name="tiny_conv", input_shape=(49, 40), n_labels=4, seed=0, **options):
    rng = np.random.default_rng(seed)
    return models.build(name, input_shape=input_shape, n_labels=n_labels, rng=rng, **options)


@pytest.mark.parametrize(
    ("name", "input_shape", "n_labels", "parameters", "multiply_adds"),
    [
        # speech_commands.md 4.7
        ("tiny_conv", (98, 40), 12, 94_740, 721_280),
        ("tiny_conv", (49, 40), 12, 48_660, 368_000),
        ("tiny_conv", (49, 40), 4, 16_652, 336_000),
        ("tiny_conv", (49, 43), 4, 18_252, 369_600),
    ],
)
def test_published_sizes(name, input_shape, n_labels, parameters, multiply_adds):
    network = build(name, input_shape, n_labels)
    assert (network.n_parameters, network.multiply_adds) == (parameters, multiply_adds)


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_every_architecture_answers_for_a_small_input(name):
    network = build(name, (13, 10), 3)
    assert network.forward(np.zeros((2, 13, 10), np.float32), training=True).shape == (2, 3)
    network.backward(np.ones((2, 3), np.float32))


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_every_architecture_has_a_recipe_and_a_line(name):
    entry = models.architecture(name)
    assert entry.name == name
    assert entry.doc
    assert len(entry.recipe.steps) == len(entry.recipe.learning_rates)


def test_the_same_seed_gives_the_same_network():
    one, same, other = build(seed=1), build(seed=1), build(seed=2)
    weights = one.weights()
    assert all((w == weights[name]).all() for name, w in same.weights().items())
    assert (other.weights()["first_conv.w"] != weights["first_conv.w"]).any()
    assert 0.0195 < np.abs(weights["final_fc.w"]).max() <= 0.02  # sigma 0.01, cut at two


def test_the_same_seed_gives_the_same_dropout_masks():
    x = np.random.default_rng(0).uniform(0, 26, (3, 49, 40)).astype(np.float32)
    one, same = build(seed=1), build(seed=1)
    for _ in range(2):
        np.testing.assert_array_equal(one.forward(x, training=True), same.forward(x, training=True))


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(SettingsError, match="unknown architecture 'tiny_con'; did you mean tiny_"):
        build("tiny_con")


def test_sizes_that_cannot_be_built():
    with pytest.raises(SettingsError, match="0 labels cannot be built"):
        build(n_labels=0)
