"""A network in uint8: what the records say. parity_tests/ hold the numbers against LiteRT."""

from __future__ import annotations

import numpy as np
import pytest

from minikws import models
from minikws.errors import SettingsError
from minikws.graph import Graph, Tensor
from minikws.nn import Dense, Flatten, Network, Sigmoid, Tanh, softmax
from minikws.quant import convert
from minikws.runtime import Interpreter
from tests.networks import SMALL, spread_weights


def build(name: str) -> tuple[Network, np.ndarray]:
    shape, options = SMALL[name]
    rng = np.random.default_rng(3)
    network = models.build(name, input_shape=shape, n_labels=4, rng=rng, **options)
    spread_weights(network, rng)
    return network, rng.uniform(-1, 1, (40, *shape)).astype(np.float32)


def tensor(graph: Graph, name: str) -> Tensor:
    (found,) = [t for t in graph.main.tensors if t.name == name]
    return found


@pytest.fixture(scope="module")
def tiny_conv() -> tuple[Network, np.ndarray]:
    return build("tiny_conv")


def test_activations_are_those_of_int8_with_zero_points_128_higher(tiny_conv):
    network, features = tiny_conv
    old, new = (convert(network, features, dtype=dtype) for dtype in ("uint8", "int8"))
    assert [op.name for op in old.main.ops] == [op.name for op in new.main.ops]
    for ours, theirs in zip(old.main.tensors, new.main.tensors, strict=True):
        if ours.data is None:
            assert (ours.dtype, theirs.dtype) == ("uint8", "int8")
            assert ours.scale == theirs.scale
            assert ours.zero_point == (theirs.zero_point[0] + 128,)
    scores = old.main.tensors[old.main.outputs[0]]
    assert (scores.name, scores.scale, scores.zero_point) == ("scores", (1 / 256,), (0,))


def test_weights_have_one_scale_reach_from_1_to_255_and_hold_0(tiny_conv):
    network, features = tiny_conv
    graph = convert(network, features, dtype="uint8")
    real = {
        "first_conv": network.weights()["first_conv.w"].transpose(3, 0, 1, 2),
        "final_fc": network.weights()["final_fc.w"].T,
    }
    for name, w in real.items():
        stored = tensor(graph, f"{name}/weights")
        assert (stored.dtype, stored.shape, len(stored.scale)) == ("uint8", w.shape, 1)
        assert (stored.data.min(), stored.data.max()) == (1, 255)
        (scale,), (zero_point,) = stored.scale, stored.zero_point
        assert scale == pytest.approx((w.max() - w.min()) / 254)
        assert 1 < zero_point < 255
        # half a step, and half a step more where the zero point was rounded
        assert np.abs(scale * (stored.data.astype(int) - zero_point) - w).max() <= scale * 1.0001
        bias = tensor(graph, f"{name}/bias")
        source = graph.main.tensors[graph.main.ops[1 if name == "first_conv" else 2].inputs[0]]
        assert bias.scale == (float(np.float32(source.scale[0] * scale)),)


def test_weights_of_one_sign_and_of_nothing():
    rng = np.random.default_rng(0)
    dense = Dense(6, 3, rng=rng)
    network = Network([("flat", Flatten()), ("fc", dense)], input_shape=(2, 3))
    features = rng.uniform(-1, 1, (9, 2, 3)).astype(np.float32)
    for factor, zero_point in ((1.0, 1), (-1.0, 255), (0.0, 1)):
        dense.params["w"][...] = factor * rng.uniform(0.5, 1, (6, 3))
        stored = tensor(convert(network, features, dtype="uint8"), "fc/weights")
        assert stored.zero_point == (zero_point,)
    assert set(stored.data.ravel().tolist()) == {1}


def test_a_large_bias_beside_tiny_weights_fits_into_32_bits():
    rng = np.random.default_rng(0)
    dense = Dense(6, 3, rng=rng)
    dense.params["w"][...] *= 1e-9
    dense.params["b"][...] = [50.0, -70.0, 1.0]
    network = Network([("flat", Flatten()), ("fc", dense)], input_shape=(2, 3))
    features = rng.uniform(-1, 1, (9, 2, 3)).astype(np.float32)
    bias = tensor(convert(network, features, dtype="uint8"), "fc/bias")
    np.testing.assert_allclose(bias.data * bias.scale[0], [50, -70, 1], rtol=1e-6)


@pytest.mark.parametrize("name", sorted(SMALL.keys() - {"low_latency_svdf", "svdf_stream"}))
def test_every_architecture_keeps_its_answers(name):
    network, features = build(name)
    found = Interpreter(convert(network, features, dtype="uint8")).invoke(
        features.reshape(len(features), -1)
    )
    assert found.dtype == np.uint8
    expected = softmax(network.predict(features))
    clear = np.sort(expected, 1)[:, -1] - np.sort(expected, 1)[:, -2] > 0.3
    assert (found.argmax(1) == expected.argmax(1))[clear].all()


def test_sigmoid_and_tanh_end_where_their_operators_do():
    rng = np.random.default_rng(0)
    layers = [("flat", Flatten()), ("a", Dense(6, 5, rng=rng)), ("sigmoid", Sigmoid())]
    layers += [("b", Dense(5, 4, rng=rng)), ("tanh", Tanh()), ("c", Dense(4, 3, rng=rng))]
    network = Network(layers, input_shape=(2, 3))
    features = rng.uniform(-1, 1, (9, 2, 3)).astype(np.float32)
    graph = convert(network, features, dtype="uint8")
    quantizations = {t.name: (t.scale, t.zero_point) for t in graph.main.tensors}
    assert quantizations["sigmoid"] == ((1 / 256,), (0,))
    assert quantizations["tanh"] == ((1 / 128,), (128,))
    real = Interpreter(graph).invoke(features.reshape(9, -1)) / 256
    np.testing.assert_allclose(real, softmax(network.predict(features)), atol=0.03)


@pytest.mark.parametrize("name", ["low_latency_svdf", "svdf_stream"])
def test_an_svdf_has_no_uint8_form(name):
    network, features = build(name)
    with pytest.raises(SettingsError, match=r"is an SVDF, which no runtime has in uint8; export"):
        convert(network, features, dtype="uint8")


def test_another_type_is_refused(tiny_conv):
    network, features = tiny_conv
    with pytest.raises(SettingsError, match=r"dtype='int16' has no converter; .*int8"):
        convert(network, features, dtype="int16")
