"""The published tables, first values, options, and what cannot be built."""

from __future__ import annotations

import numpy as np
import pytest

from minikws import models
from minikws.errors import SettingsError, ShapeError
from minikws.frontend import make_frontend
from minikws.nn import OPTIMIZERS
from minikws.nn.layers import BatchNorm, Conv1D, Frames, leaves
from minikws.settings import TrainSettings
from tests.networks import SMALL


def build(name="tiny_conv", input_shape=(49, 40), n_labels=4, seed=0, **options):
    rng = np.random.default_rng(seed)
    return models.build(name, input_shape=input_shape, n_labels=n_labels, rng=rng, **options)


INPUTS = [((98, 40), 12), ((49, 40), 12), ((49, 40), 4), ((49, 43), 4)]
# speech_commands.md 4.7: (parameters, multiply-adds) at each of INPUTS
TUTORIAL = {
    "single_fc": [(47_052, 47_040), (23_532, 23_520), (7_844, 7_840), (8_432, 8_428)],
    "conv": [
        (926_860, 201_456_640),
        (558_220, 102_374_400),
        (302_212, 102_118_400),
        (315_012, 111_828_480),
    ],
    "low_latency_conv": [
        (949_862, 5_615_776),
        (876_950, 3_209_680),
        (875_918, 3_208_656),
        (947_342, 3_498_816),
    ],
    "low_latency_svdf": [
        (751_372, 10_682_368),
        (625_932, 5_539_328),
        (623_876, 5_537_280),
        (631_556, 5_913_600),
    ],
    "tiny_conv": [(94_740, 721_280), (48_660, 368_000), (16_652, 336_000), (18_252, 369_600)],
    "tiny_embedding_conv": [(7_804, 736_736), (6_940, 382_592), (6_164, 381_824), (6_164, 413_824)],
}


@pytest.mark.parametrize("name", TUTORIAL)
def test_sizes_of_the_tutorials_six(name):
    for (input_shape, n_labels), sizes in zip(INPUTS, TUTORIAL[name], strict=True):
        network = build(name, input_shape, n_labels)
        assert (network.n_parameters, network.multiply_adds) == sizes


def folded(network):
    """Weights and biases that are left when batch norm is folded into them."""
    return sum(
        layer.n_parameters
        for _, layer in leaves(network.layers)
        if not isinstance(layer, BatchNorm)
    )


@pytest.mark.parametrize(
    ("size", "n_folded", "multiply_adds", "n_channels"),
    [  # peers.md 3.1
        ("S", 22_604, 2_656_768, 9 * 64),
        ("M", 135_032, 9_816_384, 9 * 172),
        ("L", 410_700, 28_327_812, 11 * 276),
    ],
)
def test_sizes_of_ds_cnn(size, n_folded, multiply_adds, n_channels):
    network = build("ds_cnn", (49, 10), 12, size=size)
    assert folded(network) == n_folded
    assert network.n_parameters == n_folded + n_channels  # one offset a channel, no scale
    assert network.multiply_adds == multiply_adds


@pytest.mark.parametrize(
    ("options", "parameters", "multiply_adds"),
    [  # peers.md 3.4; the multiply-adds of TC-ResNet8 are 98 * 1920 + 49 * 9024 + 25 * 16896
        # + 13 * 36096 + 576, those of the others are given in millions there
        ({}, 65_168, 1_522_560),
        ({"width": 1.5}, 144_300, 3_280_000),
        ({"depth": 14}, 135_900, 3_030_000),
        ({"depth": 14, "width": 1.5}, 303_000, 6_680_000),
    ],
)
def test_sizes_of_tc_resnet(options, parameters, multiply_adds):
    network = build("tc_resnet", (98, 40), 12, **options)
    tolerance = 0.002 if options else 0
    assert network.n_parameters == pytest.approx(parameters, rel=tolerance)
    assert network.multiply_adds == pytest.approx(multiply_adds, rel=tolerance)


def test_sizes_of_raw_ds_conv():
    network = build("raw_ds_conv", (100, 160), 12)  # peers.md 3.2
    assert network.n_parameters == 1_191_433
    statistics = sum(b.size for _, layer in network.layers for b in layer.buffers.values())
    assert network.n_parameters + statistics == 1_198_601
    rows = (6_128_640, 6_656_896, 4_967_040, 7_375_680, 4_923_072, 6_431_488, 4_051_712)
    rows += (4_857_920, 2_972_160, 3_269_376, 2_175_360, 2_373_120, 41_472, 12_288)
    assert network.multiply_adds == sum(rows)
    assert 56.1e6 < sum(rows) < 56.3e6


def test_frames_and_the_first_convolution_are_one_convolution_of_80_samples():
    rng = np.random.default_rng(3)
    framed = [Frames(40, 20), Conv1D(40, 7, 3, stride=2, padding="VALID", bias=False, rng=rng)]
    one = Conv1D(1, 7, 80, stride=40, padding="VALID", bias=False, rng=rng, dtype=np.float64)
    w = framed[1].params["w"] = rng.normal(size=(3, 40, 7))
    one.params["w"][...] = 0
    for k in range(3):  # frame k begins 20 k samples into the 80
        one.params["w"][20 * k : 20 * k + 40, 0] += w[k]
    x = rng.normal(size=(2, 16_000))
    expected = framed[1].forward(framed[0].forward(x))
    found = one.forward(np.pad(x, ((0, 0), (10, 10)))[..., None])
    assert found.shape == (2, 399, 7)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert one.multiply_adds((16_020, 1)) == 399 * 80 * 7


def test_sizes_of_svdf_stream():
    network = build("svdf_stream")
    # frequency and time weights and a bias a unit, three times; 64 * 4 + 4 at the end
    layers = 64 * (40 + 10 + 1) + 64 * (64 + 17 + 1) + 64 * (64 + 24 + 1)
    assert network.n_parameters == layers + 260
    frames = 49 * 40 + 40 * 64 + 24 * 64  # into each layer
    outputs = 40 * 10 + 24 * 17 + 1 * 24
    assert network.multiply_adds == 64 * (frames + outputs) + 256


def test_low_latency_svdf_takes_rank_and_units():
    network = build("low_latency_svdf", (13, 10), 3, rank=3, num_units=5)
    assert network.weights()["svdf.weights_time"].shape == (15, 13)
    assert network.weights()["svdf.bias"].shape == (5,)


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_every_architecture_answers_for_a_small_input(name):
    input_shape, options = SMALL[name]
    network = build(name, input_shape, 3, **options)
    features = np.random.default_rng(0).normal(size=(2, *input_shape)).astype(np.float32)
    assert network.forward(features, training=True).shape == (2, 3)
    network.backward(np.ones((2, 3), np.float32))
    for _, layer in network.layers:
        assert layer.grads.keys() == layer.params.keys()


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_every_architecture_has_a_recipe_and_a_line(name):
    entry = models.architecture(name)
    assert entry.name == name
    assert entry.doc
    recipe = entry.recipe
    assert recipe.optimizer in OPTIMIZERS
    TrainSettings(
        steps=recipe.steps,
        learning_rates=recipe.learning_rates,
        schedule=recipe.schedule,
        label_smoothing=recipe.label_smoothing,
        l2=recipe.l2,
        dropout_rate=recipe.dropout_rate,
    )
    settings = make_frontend(recipe.frontend).settings
    network = build(name, (settings.n_frames, settings.n_features), 12)
    assert network.output_shape == (12,)


def test_frontends_of_the_published_sizes():
    shapes = {}
    for name, entry in models.ARCHITECTURES.items():
        settings = make_frontend(entry.recipe.frontend).settings
        shapes[name] = (settings.kind, settings.n_frames, settings.n_features)
    mfcc = ("mfcc", 98, 40)
    assert {shapes[n] for n in ("single_fc", "conv", "low_latency_conv", "tc_resnet")} == {mfcc}
    assert shapes["low_latency_svdf"] == mfcc
    assert shapes["ds_cnn"] == ("mfcc", 49, 10)
    assert shapes["raw_ds_conv"] == ("raw", 100, 160)
    assert {shapes[n] for n in ("tiny_conv", "tiny_embedding_conv", "svdf_stream")} == {
        ("micro", 49, 40)
    }


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_the_same_seed_gives_the_same_network(name):
    input_shape, options = SMALL[name]
    one, same, other = (build(name, input_shape, 3, seed=s, **options).weights() for s in (1, 1, 2))
    for key, array in same.items():
        np.testing.assert_array_equal(one[key], array)
    assert (other["final_fc.w"] != one["final_fc.w"]).any()


@pytest.mark.parametrize("name", TUTORIAL)
def test_first_values_of_the_tutorials_six(name):
    sigma = 0.001 if name == "single_fc" else 0.01
    for key, array in build(name).weights().items():
        if key.endswith((".b", ".bias")):
            assert not array.any()
        else:
            assert 1.8 * sigma < np.abs(array).max() <= 2 * sigma * (1 + 1e-6)  # cut at two


@pytest.mark.parametrize("name", ["ds_cnn", "tc_resnet", "raw_ds_conv"])
def test_first_values_of_the_normalised_ones(name):
    weights = build(name, (100, 160), 12).weights()
    fc = weights["final_fc.w"]  # Glorot: uniform up to sqrt(6 / (fan_in + fan_out))
    limit = np.sqrt(6 / sum(fc.shape))
    assert 0.9 * limit < np.abs(fc).max() <= limit
    for key, array in weights.items():
        first = {"gamma": 1, "beta": 0, "mean": 0, "variance": 1, "b": 0}.get(key.split(".")[-1])
        if first is not None:
            np.testing.assert_array_equal(array, first)


def test_the_same_seed_gives_the_same_dropout_masks():
    x = np.random.default_rng(0).uniform(0, 26, (3, 49, 40)).astype(np.float32)
    one, same = build(seed=1), build(seed=1)
    for _ in range(2):
        np.testing.assert_array_equal(one.forward(x, training=True), same.forward(x, training=True))


def test_options_as_text():
    ds_cnn, svdf = models.architecture("ds_cnn"), models.architecture("low_latency_svdf")
    assert ds_cnn.parse_options("size=M") == {"size": "M"}
    assert svdf.parse_options(" rank=1, num_units = 64") == {"rank": 1, "num_units": 64}
    assert svdf.parse_options("") == {}
    assert models.architecture("tc_resnet").parse_options("width=1.5") == {"width": 1.5}
    assert svdf.options == {"rank": 2, "num_units": 1280}
    assert models.architecture("conv").options == {}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("ds_cnn", "siz=M", "ds_cnn has no option 'siz'; did you mean size?"),
        ("conv", "size=M", "conv has no option 'size'; it has none, leave it out"),
        ("ds_cnn", "M", "model option 'M' has no value; write it as NAME=VALUE"),
        ("low_latency_svdf", "rank=two", "rank is 'two', not of type int; the default is 2"),
    ],
)
def test_options_that_cannot_be_read(name, text, words):
    with pytest.raises(SettingsError, match=words):
        models.architecture(name).parse_options(text)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("ds_cnn", {"size": "XL"}, "ds_cnn has no size 'XL'; known are S, M, L"),
        ("ds_cnn", {"sizes": "S"}, "ds_cnn has no option 'sizes'; did you mean size?"),
        ("tc_resnet", {"depth": 9}, "tc_resnet has no depth 9; give 8 or 14"),
        ("tc_resnet", {"width": 0.0}, "tc_resnet's width=0.0 is not above 0"),
        ("raw_ds_conv", {"width": -1.0}, "raw_ds_conv's width=-1.0 is not above 0"),
        ("low_latency_svdf", {"rank": 0}, "rank=0 is not a whole number above 0"),
        ("svdf_stream", {"num_units": 0}, "num_units=0 is not a whole number above 0"),
        ("tiny_con", {}, "unknown architecture 'tiny_con'; did you mean tiny_conv"),
        ("tiny_conv", {"n_labels": 0}, "0 labels cannot be built"),
        ("tiny_conv", {"dropout_rate": 1.0}, "rate=1.0 is not in 0 to below 1"),
    ],
)
def test_what_cannot_be_built(name, options, words):
    with pytest.raises(SettingsError, match=words):
        build(name, **options)


@pytest.mark.parametrize(
    ("name", "input_shape", "words"),
    [
        (
            "low_latency_conv",
            (49, 5),
            r"^low_latency_conv cannot take features \(T=49, F=5\): layer first_conv: .* does not "
            r"fit into \(49, 5\); use a smaller kernel",
        ),
        ("raw_ds_conv", (20, 160), r"^raw_ds_conv cannot take features \(T=20, F=160\): layer "),
    ],
)
def test_features_that_are_too_small(name, input_shape, words):
    with pytest.raises(ShapeError, match=words) as caught:
        build(name, input_shape)
    assert str(caught.value).count(";") == 1
