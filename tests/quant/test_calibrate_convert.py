"""Float network to graph: what the records say. The numbers are checked in parity_tests/."""

from __future__ import annotations

import numpy as np
import pytest

from minikws import models
from minikws.errors import SettingsError, ShapeError
from minikws.graph import Graph, Tensor
from minikws.nn import Conv2D, Dense, Flatten, Layer, Network, ReLU, Reshape
from minikws.quant import convert, observe_ranges, to_float_graph
from minikws.quant.ranges import quantization_of

MICRO = (666 / (256 * 25.6), -128)


@pytest.fixture(scope="module")
def network() -> Network:
    rng = np.random.default_rng(0)
    network = models.build("tiny_conv", input_shape=(13, 10), n_labels=3, rng=rng)
    network.load_weights({k: rng.normal(0, 0.1, w.shape) for k, w in network.weights().items()})
    return network


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 26, (120, 13, 10)).astype(np.float32)


def tensor(graph: Graph, name: str) -> Tensor:
    (found,) = [t for t in graph.main.tensors if t.name == name]
    return found


def test_ranges_hold_every_block_and_zero(network, features):
    features = features.copy()
    features[110, 3, 3] = 99.0
    ranges = observe_ranges(network, features)
    assert ranges["features"] == (0.0, 99.0)
    logits = network.forward(features)
    expected = (min(logits.min(), 0), max(logits.max(), 0))
    assert ranges["final_fc"] == pytest.approx(expected, rel=1e-5)  # fused, and in blocks
    assert ranges["relu"][0] == 0.0
    assert observe_ranges(network, features + 5)["features"][0] == 0.0


def test_the_graph_is_what_firmware_expects(network, features):
    graph = convert(network, features, input_quantization=MICRO)
    assert [op.name for op in graph.main.ops] == [
        "RESHAPE",
        "CONV_2D",
        "FULLY_CONNECTED",
        "SOFTMAX",
    ]
    source, scores = (
        graph.main.tensors[graph.main.inputs[0]],
        graph.main.tensors[graph.main.outputs[0]],
    )
    assert (source.name, source.shape, source.dtype) == ("features", (1, 130), "int8")
    assert (source.scale, source.zero_point) == ((float(np.float32(MICRO[0])),), (-128,))
    assert (scores.name, scores.shape, scores.dtype) == ("scores", (1, 3), "int8")
    assert (scores.scale, scores.zero_point) == ((1 / 256,), (-128,))
    assert graph.signature == {
        "inputs": {"features": graph.main.inputs[0]},
        "outputs": {"scores": graph.main.outputs[0]},
    }
    conv = graph.main.ops[1]
    assert conv.options == {
        "padding": "SAME",
        "stride_h": 2,
        "stride_w": 2,
        "fused_activation_function": "RELU",
    }
    assert [graph.main.tensors[i].dtype for i in conv.inputs] == ["int8", "int8", "int32"]


def test_weights_are_symmetric_and_within_half_a_step(network, features):
    graph = convert(network, features, input_quantization=MICRO)
    w = network.weights()["first_conv.w"].transpose(3, 0, 1, 2)
    stored = tensor(graph, "first_conv/weights")
    assert stored.shape == (8, 10, 8, 1)
    assert (len(stored.scale), stored.axis, set(stored.zero_point)) == (8, 0, {0})
    scale = np.array(stored.scale)[:, None, None, None]
    assert np.abs(stored.data).max(axis=(1, 2, 3)).tolist() == [127] * 8
    assert (np.abs(stored.data * scale - w) <= scale * 0.5001).all()
    dense = tensor(graph, "final_fc/weights")
    assert (dense.shape, len(dense.scale)) == ((3, 280), 1)
    assert dense.data.min() >= -127


def test_biases_have_the_scale_of_the_products(network, features):
    graph = convert(network, features, input_quantization=MICRO)
    weights, bias = tensor(graph, "first_conv/weights"), tensor(graph, "first_conv/bias")
    source = tensor(graph, "features")
    np.testing.assert_array_equal(
        np.float32(bias.scale), np.float32(np.float64(source.scale[0]) * np.array(weights.scale))
    )
    real = bias.data * np.array(bias.scale)
    np.testing.assert_allclose(real, network.weights()["first_conv.b"], atol=max(bias.scale))


def test_without_fixed_quantization_the_input_takes_its_range(network, features):
    graph = convert(network, features)
    scale, zero_point = quantization_of((0.0, float(features.max())))
    assert (tensor(graph, "features").scale, tensor(graph, "features").zero_point) == (
        (scale,),
        (zero_point,),
    )
    assert zero_point == -128


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (0.0, 2.55, 0.01, -128),
        (-2.55, 0.0, 0.01, 127),
        (-1.28, 1.27, 0.01, 0),
        (1.0, 2.55, 0.01, -128),  # 0 must have a place
        (0.0, 0.0, 1 / 255, -128),  # a layer that is always silent
        (0.0, 1e-12, 2**-24, -128),  # or nearly so: less breaks TFLite Micro's softmax
    ],
)
def test_ranges_become_scale_and_zero_point(low, high, scale, zero_point):
    found = quantization_of((low, high))
    assert found == (float(np.float32(scale)), zero_point)


def test_a_silent_channel_and_a_huge_bias_still_fit(features):
    rng = np.random.default_rng(0)
    network = models.build("tiny_conv", input_shape=(13, 10), n_labels=3, rng=rng)
    weights = network.weights()
    weights["first_conv.w"][..., 0] = 0
    weights["first_conv.w"][..., 1] = 1e-9
    weights["first_conv.b"][:2] = 3.0
    network.load_weights(weights)
    graph = convert(network, features, input_quantization=MICRO)
    bias = tensor(graph, "first_conv/bias")
    np.testing.assert_allclose(bias.data[:2] * np.array(bias.scale[:2]), 3.0, rtol=1e-3)


def test_the_float_graph_has_the_same_form(network, features):
    graph, floats = convert(network, features), to_float_graph(network)
    assert [op.name for op in floats.main.ops] == [op.name for op in graph.main.ops]
    assert [t.shape for t in floats.main.tensors] == [t.shape for t in graph.main.tensors]
    assert {t.dtype for t in floats.main.tensors} == {"float32", "int32"}
    assert not any(t.scale for t in floats.main.tensors)
    np.testing.assert_array_equal(
        tensor(floats, "final_fc/weights").data, network.weights()["final_fc.w"].T
    )


def test_a_relu_after_a_dense_layer_is_merged(features):
    rng = np.random.default_rng(0)
    network = Network(
        [
            ("flat", Flatten()),
            ("hidden", Dense(130, 5, rng=rng)),
            ("hidden_relu", ReLU()),
            ("fc", Dense(5, 3, rng=rng)),
        ],
        input_shape=(13, 10),
    )
    graph = convert(network, features)
    assert [(op.name, op.options.get("fused_activation_function")) for op in graph.main.ops] == [
        ("FULLY_CONNECTED", "RELU"),
        ("FULLY_CONNECTED", "NONE"),
        ("SOFTMAX", None),
    ]


def test_a_relu_elsewhere_is_an_operator_of_its_own(features):
    fc = Dense(130, 3, rng=np.random.default_rng(0))
    network = Network([("relu", ReLU()), ("flat", Flatten()), ("fc", fc)], input_shape=(13, 10))
    graph = convert(network, features)
    assert [op.name for op in graph.main.ops] == ["RELU", "FULLY_CONNECTED", "SOFTMAX"]


class Mystery(Layer):
    """A layer that nobody taught to the converter."""

    def forward(self, x, *, training=False):
        return x


def test_a_layer_without_a_lowering_is_named(features):
    rng = np.random.default_rng(0)
    network = Network(
        [("odd", Mystery()), ("flat", Flatten()), ("fc", Dense(130, 3, rng=rng))],
        input_shape=(13, 10),
    )
    with pytest.raises(
        SettingsError, match=r"layer odd is Mystery\(\), which has no form .*Conv2D"
    ):
        convert(network, features)


def test_nothing_or_not_numbers_to_calibrate_on(network, features):
    with pytest.raises(SettingsError, match="features of some hundred training clips, found none"):
        convert(network, features[:0])
    with pytest.raises(SettingsError, match=r"features reaches from .*finite numbers are needed"):
        convert(network, np.where(features > 25, np.nan, features))
    with pytest.raises(ShapeError, match="they look transposed"):
        convert(network, features.transpose(0, 2, 1))


def test_a_network_without_logits_is_refused(features):
    rng = np.random.default_rng(0)
    network = Network(
        [("picture", Reshape((13, 10, 1))), ("conv", Conv2D(1, 2, (3, 3), rng=rng))],
        input_shape=(13, 10),
    )
    with pytest.raises(ShapeError, match="expected one logit a label"):
        convert(network, features)
