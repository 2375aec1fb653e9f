from __future__ import annotations

import numpy as np
import pytest

from minikws.errors import SettingsError, ShapeError
from minikws.nn import Conv2D, Dense, Dropout, Flatten, Network, ReLU, Reshape


def small(seed=0, dtype=np.float64, rate=0.0):
    rng = np.random.default_rng(seed)
    return Network(
        [
            ("picture", Reshape((6, 4, 1))),
            ("conv", Conv2D(1, 3, (3, 2), strides=(2, 2), rng=rng, sigma=1.0, dtype=dtype)),
            ("relu", ReLU()),
            ("dropout", Dropout(rate, rng=rng)),
            ("flatten", Flatten()),
            ("fc", Dense(18, 2, rng=rng, sigma=1.0, dtype=dtype)),
        ],
        input_shape=(6, 4),
    )


def clips(n=5, dtype=np.float64):
    return np.random.default_rng(1).normal(size=(n, 6, 4)).astype(dtype)


def test_sizes_are_counted():
    network = small()
    assert network.output_shape == (2,)
    assert network.n_parameters == 3 * 2 * 3 + 3 + 18 * 2 + 2
    assert network.multiply_adds == 3 * 2 * (3 * 2 * 3) + 18 * 2
    assert "Conv2D(1 -> 3, kernel 3x2, strides 2x2, SAME)" in repr(network)


def test_backward_equals_central_differences_through_all_layers():
    network, x = small(), clips()
    mix = np.random.default_rng(2).normal(size=(5, 2))
    network.forward(x)
    dx = network.backward_to_input(mix)
    numeric = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        for sign in (1, -1):
            moved = x.copy()
            moved[index] += sign * 1e-6
            numeric[index] += sign * np.sum(mix * network.forward(moved)) / 2e-6
    np.testing.assert_allclose(dx, numeric, rtol=1e-6, atol=1e-7)


def test_training_skips_only_the_gradient_of_the_features():
    network, x = small(), clips()
    dy = np.ones((5, 2))
    network.forward(x)
    network.backward_to_input(dy)
    whole = {n: dict(layer.grads) for n, layer in network.layers}
    network.backward(dy)
    for name, layer in network.layers:
        for key, gradient in layer.grads.items():
            np.testing.assert_array_equal(gradient, whole[name][key])


def test_predict_in_blocks_equals_forward():
    network, x = small(), clips(7)
    np.testing.assert_allclose(network.predict(x, block=3), network.forward(x), rtol=1e-12)
    assert network.predict(x[:0]).shape == (0, 2)


def test_predict_ignores_dropout():
    network, x = small(rate=0.5), clips()
    np.testing.assert_array_equal(network.predict(x), network.predict(x))
    assert (network.forward(x, training=True) != network.forward(x, training=True)).any()


def test_weights_go_out_and_in():
    one, other, x = small(0), small(1), clips()
    weights = one.weights()
    assert sorted(weights) == ["conv.b", "conv.w", "fc.b", "fc.w"]
    assert (one.predict(x) != other.predict(x)).any()
    other.load_weights(weights)
    np.testing.assert_array_equal(one.predict(x), other.predict(x))
    weights["fc.b"] += 1  # a copy: the networks stay as they are
    np.testing.assert_array_equal(one.predict(x), other.predict(x))


def test_features_of_another_dtype_are_converted():
    assert small(dtype=np.float32).predict(clips(dtype=np.float64)).dtype == np.float32


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((2, 4, 6), r"features are \(4, 6\), the model expects \(T=6, F=4\); they look transposed"),
        ((6, 4), r"add the batch axis"),
        ((2, 6, 5), r"features are \(6, 5\), the model expects \(T=6, F=4\); use the frontend"),
        ((24,), r"features are \(24,\), the model expects"),
    ],
)
def test_features_of_a_wrong_shape(shape, words):
    with pytest.raises(ShapeError, match=words):
        small().forward(np.zeros(shape))


def test_weights_that_do_not_fit():
    network = small()
    weights = network.weights()
    with pytest.raises(ShapeError, match=r"lack \['fc.b'\] and hold \['fc.c'\] too much"):
        network.load_weights({**{k: v for k, v in weights.items() if k != "fc.b"}, "fc.c": 0})
    with pytest.raises(ShapeError, match=r"weight fc.w is \(18, 3\), the network has \(18, 2\)"):
        network.load_weights({**weights, "fc.w": np.zeros((18, 3))})
    for name, weight in network.weights().items():
        np.testing.assert_array_equal(weight, weights[name])


def test_layers_that_do_not_fit_together_are_named():
    rng = np.random.default_rng(0)
    with pytest.raises(ShapeError, match=r"layer fc: Dense\(10 -> 2\) takes \(10,\), found \(24,"):
        Network([("flat", Flatten()), ("fc", Dense(10, 2, rng=rng))], input_shape=(6, 4))


def test_a_name_twice_is_refused():
    with pytest.raises(SettingsError, match="two layers are named 'relu'"):
        Network([("relu", ReLU()), ("relu", ReLU())], input_shape=(6, 4))
