"""Quantisation-aware training: what is rounded, what stays, and what the export takes from it."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from minikws import models
from minikws.cli.main import main
from minikws.errors import SettingsError, ShapeError
from minikws.fixedpoint import round_half_away
from minikws.graph import Graph, Tensor
from minikws.nn import Conv2D, Dense, DepthwiseConv2D, FakeQuant, Flatten, Momentum, Network, ReLU
from minikws.nn import functional as fn
from minikws.nn.layers import (
    SVDF,
    AttentionPool,
    BatchNorm,
    Dropout,
    HardSwish,
    Residual,
    Sequential,
)
from minikws.quant import convert, is_quantization_aware, quantization_aware, to_float_graph
from minikws.quant.qat import Quantized, round_weights, trained_quantizations, without_rounding

MICRO = (666 / (256 * 25.6), -128)


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def features(n_clips: int = 20) -> np.ndarray:
    return rng().uniform(0, 26, (n_clips, 13, 10)).astype(np.float32)


def tiny_conv() -> Network:
    network = models.build(
        "tiny_conv", input_shape=(13, 10), n_labels=3, rng=rng(), dropout_rate=0.0
    )
    network.load_weights({k: rng().normal(0, 0.1, w.shape) for k, w in network.weights().items()})
    return network


def seen(network: Network, x: np.ndarray | None = None) -> Network:
    for _ in range(3):
        network.forward(features() if x is None else x, training=True)
    return network


def outputs(network: Network) -> dict[str, FakeQuant]:
    wrapped = [(name, layer) for name, layer in network.layers if isinstance(layer, Quantized)]
    return {name: layer.output for name, layer in wrapped if layer.output is not None}


def tensor(graph: Graph, name: str) -> Tensor:
    (found,) = [t for t in graph.main.tensors if t.name == name]
    return found


def test_names_stay_and_only_ranges_are_added():
    plain = tiny_conv()
    network = quantization_aware(plain, MICRO)
    added = network.weights().keys() - plain.weights().keys()
    assert added == {
        f"{owner}.{name}"
        for owner in ("input", "relu.output", "final_fc.output")
        for name in ("averages", "weight")
    }
    assert plain.weights().keys() < network.weights().keys()
    assert (network.n_parameters, network.multiply_adds) == (
        plain.n_parameters,
        plain.multiply_adds,
    )
    assert network.dtype == np.float32
    with pytest.raises(ShapeError, match="lack"):
        network.load_weights(plain.weights())
    with pytest.raises(ShapeError, match="too much"):
        plain.load_weights(network.weights())
    assert "Quantized(Dense" in repr(network)


def test_parameters_stay_the_float_arrays_that_the_optimiser_moves():
    plain = tiny_conv()
    weights = {name: layer.params for name, layer in plain.layers}
    network = quantization_aware(plain)
    before = plain.weights()
    y = network.forward(features(), training=True)
    np.testing.assert_array_equal(plain.weights()["final_fc.w"], before["final_fc.w"])
    network.backward(np.ones_like(y))
    Momentum(network.layers).step(0.1)
    for name, layer in network.layers:
        for key, array in layer.params.items():
            assert array is weights[name][key]
            assert (array != before[f"{name}.{key}"]).any()


def test_forward_is_the_float_network_with_everything_rounded():
    plain = tiny_conv()
    network = seen(quantization_aware(plain, MICRO))
    x = features()
    ranges = outputs(network)

    def rounded(values, name):
        return fn.fake_quant(values, *ranges[name].range)[0]

    w = plain.weights()
    high = np.float32(MICRO[0]) * 255
    h = fn.fake_quant(x, np.float32(0), high)[0][..., None]
    kernel = w["first_conv.w"].reshape(-1, 8)
    largest = abs(kernel).max(0)
    kernel = fn.fake_quant(kernel, -largest, largest, narrow_range=True)[0].reshape(10, 8, 1, 8)
    h, _ = fn.conv2d(h, kernel, w["first_conv.b"], strides=(2, 2), padding="SAME")
    h = rounded(np.maximum(h, 0), "relu")
    largest = abs(w["final_fc.w"]).max()
    matrix = fn.fake_quant(w["final_fc.w"], -largest, largest, narrow_range=True)[0]
    expected = rounded(h.reshape(len(x), -1) @ matrix + w["final_fc.b"], "final_fc")
    found = network.forward(x)
    step = float(ranges["final_fc"].grid.scale)
    # a value near a tie may land on the next step where a sum's order differs
    assert np.abs(found - expected).max() <= 2.01 * step
    assert np.isclose(found, expected, rtol=0, atol=0.01 * step).mean() > 0.9


def test_gradients_pass_straight_through_inside_the_range():
    layer = Dense(4, 3, rng=rng(), sigma=1.0)
    layer.params["b"][:] = [0, 0, 9]
    wrapped = Quantized(layer, FakeQuant(fixed=(-2.0, 2.0)))
    x = rng().normal(size=(6, 4)).astype(np.float32) / 4
    wrapped.forward(x)
    dy = rng().normal(size=(6, 3)).astype(np.float32)
    dx = wrapped.backward(dy)
    inside = dy * [1, 1, 0]  # the third output lies above the range
    rounded = round_weights(layer.params["w"], channel_axes=0)
    assert (rounded != layer.params["w"]).any()
    np.testing.assert_allclose(dx, inside @ rounded.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(wrapped.grads["w"], x.T @ inside, rtol=1e-5, atol=1e-6)
    whole = copy.deepcopy(wrapped.grads)
    wrapped.backward_params(dy)
    np.testing.assert_array_equal(wrapped.grads["w"], whole["w"])


def test_the_export_has_the_trained_scales_and_needs_no_calibration():
    network = seen(quantization_aware(tiny_conv(), MICRO))
    graph = convert(network, None, input_quantization=MICRO)
    grids = {name: output.grid for name, output in outputs(network).items()}
    for name, grid in (("first_conv", grids["relu"]), ("final_fc", grids["final_fc"])):
        stored = tensor(graph, name)
        assert stored.scale == (float(grid.scale),)
        assert stored.zero_point == (int(grid.zero_point) - 128,)
    assert tensor(graph, "first_conv").zero_point == (-128,)
    source = tensor(graph, "features")
    assert source.scale == (float(network.layers[0][1].grid.scale),)
    assert source.zero_point == (-128,)
    # without a fixed input the trained range is taken
    free = seen(quantization_aware(tiny_conv()))
    assert tensor(convert(free, None), "features").scale == (float(free.layers[0][1].grid.scale),)


def test_exported_weights_are_those_of_the_forward_pass():
    network = seen(quantization_aware(tiny_conv(), MICRO))
    graph = convert(network, None, input_quantization=MICRO)
    weights = network.weights()
    stored = tensor(graph, "first_conv/weights")
    real = stored.data.transpose(1, 2, 3, 0) * np.float32(stored.scale)
    np.testing.assert_array_equal(real, round_weights(weights["first_conv.w"], channel_axes=1))
    stored = tensor(graph, "final_fc/weights")
    real = stored.data.T * np.float32(stored.scale)
    np.testing.assert_array_equal(real, round_weights(weights["final_fc.w"], channel_axes=0))


def test_without_rounding_gives_the_float_network_back():
    plain = tiny_conv()
    network = seen(quantization_aware(plain))
    found = without_rounding(network)
    assert [name for name, _ in found.layers] == [name for name, _ in plain.layers]
    assert all(a is b for (_, a), (_, b) in zip(found.layers, plain.layers, strict=True))
    assert without_rounding(plain) is plain
    assert (is_quantization_aware(network), is_quantization_aware(plain)) == (True, False)
    names = [op.name for op in to_float_graph(network).main.ops]
    assert names == [op.name for op in to_float_graph(plain).main.ops]


def test_batch_normalisation_needs_no_folding_while_training():
    layer = Conv2D(2, 5, (3, 3), rng=rng(), sigma=1.0, dtype=np.float64)
    w, factor = layer.params["w"], rng().normal(size=5)
    largest = np.abs(w).max((0, 1, 2))

    def integers(weights):
        return round_half_away(weights / (np.abs(weights).max((0, 1, 2)) / 127))

    np.testing.assert_array_equal(integers(w * factor), integers(w) * np.sign(factor))
    np.testing.assert_allclose(
        round_weights(w * factor, channel_axes=1),
        round_weights(w, channel_axes=1) * factor,
        atol=1e-12 * largest.max(),
    )


def test_a_depthwise_kernel_has_a_scale_for_each_channel_and_pattern():
    w = rng().normal(size=(3, 3, 4, 2)) * np.arange(1, 9).reshape(4, 2)
    rounded = round_weights(w, channel_axes=2)
    for c, m in np.ndindex(4, 2):
        scale = np.abs(w[..., c, m]).max() / 127
        expected = round_half_away(w[..., c, m] / scale) * scale
        np.testing.assert_allclose(rounded[..., c, m], expected, rtol=1e-12)
    layer = DepthwiseConv2D(4, (3, 3), rng=rng())
    wrapped = Quantized(layer, None)
    x = rng().normal(size=(2, 5, 5, 4)).astype(np.float32)
    kernel = layer.params["w"].copy()
    found = wrapped.forward(x)
    layer.params["w"][:] = round_weights(kernel, channel_axes=2)
    np.testing.assert_array_equal(found, layer.forward(x))


def test_export_of_layers_without_bias_and_with_dilation():
    layers = [
        ("conv", Conv2D(1, 2, (3, 3), dilations=(2, 1), bias=False, rng=rng(), sigma=0.1)),
        ("flatten", Flatten()),
        ("fc", Dense(260, 3, bias=False, rng=rng(), sigma=0.1)),
    ]
    network = seen(
        quantization_aware(Network(layers, input_shape=(13, 10, 1))), x=features()[..., None]
    )
    graph = convert(network, None)
    assert graph.main.ops[-3].options["dilation_h_factor"] == 2
    assert not tensor(graph, "fc/bias").data.any()


def block_network() -> Network:
    def conv(n_in: int, n_out: int) -> Conv2D:
        return Conv2D(n_in, n_out, (3, 3), rng=rng(), sigma=0.1)

    main_way = Sequential(
        [
            ("conv_a", conv(1, 2)),
            ("norm_a", BatchNorm(2)),
            ("relu_a", ReLU()),
            ("conv_b", conv(2, 1)),
        ]
    )
    return Network(
        [
            ("first", Sequential([("conv", conv(1, 1)), ("norm", BatchNorm(1))])),
            ("first_relu", ReLU()),
            ("block", Residual(main_way)),
            ("block_relu", ReLU()),
            ("flatten", Flatten()),
            ("fc", Dense(36, 2, rng=rng())),
        ],
        input_shape=(6, 6, 1),
    )


def test_ranges_stand_where_the_int8_file_has_tensors():
    plain = block_network()
    network = quantization_aware(plain)
    x = rng().normal(size=(4, 6, 6, 1)).astype(np.float32)
    network.forward(x, training=True)
    assert set(trained_quantizations(network)) == {
        "features",
        "first_relu",  # convolution, normalisation and ReLU are one operator
        "block.main.relu_a",
        "block.main.conv_b",  # what the addition takes
        "block_relu",  # the addition with its ReLU
        "fc",
    }
    assert plain.weights().keys() < network.weights().keys()
    back = without_rounding(network)
    np.testing.assert_array_equal(back.forward(x), plain.forward(x))
    network.backward(np.ones((4, 2), np.float32))
    Momentum(network.layers).step(0.01)  # every parameter has its gradient


def attention_network() -> Network:
    pool = AttentionPool(13, 10, rate=0.0, rng=rng(), sigma=0.5)
    return Network(
        [("pool", pool), ("fc", Dense(20, 2, rng=rng(), sigma=0.5))], input_shape=(13, 10)
    )


def test_an_attentions_gate_is_rounded_and_its_gradient_passes():
    plain = attention_network()
    pool = plain.layers[0][1]
    network = seen(quantization_aware(plain))
    wrapped = network.layers[1][1]
    assert set(trained_quantizations(network)) == {"features", "pool.gate", "pool", "fc"}
    assert {"pool.gate.averages", "pool.output.averages"} < network.weights().keys()
    x = features(5)
    rounded_x = network.layers[0][1].forward(x)
    w = round_weights(pool.params["w"], channel_axes=0)
    scores = rounded_x.reshape(5, -1) @ w + pool.params["b"]
    gate = wrapped.gate.forward(scores)
    assert (gate != scores).any()
    expected, cache = fn.gated_pool(rounded_x, gate)
    found = wrapped.forward(rounded_x)
    np.testing.assert_allclose(found, wrapped.output.forward(expected), atol=1e-5)
    dy = rng().normal(size=found.shape).astype(np.float32)
    wrapped.backward(dy)
    _, dscores = fn.gated_pool_backward(wrapped.output.backward(dy), cache)
    dscores = wrapped.gate.backward(dscores)
    np.testing.assert_allclose(
        wrapped.grads["w"], rounded_x.reshape(5, -1).T @ dscores, rtol=1e-4, atol=1e-4
    )
    whole = {name: grad.copy() for name, grad in wrapped.grads.items()}
    wrapped.backward_params(dy)
    for name, grad in wrapped.grads.items():
        np.testing.assert_array_equal(grad, whole[name])
    # the layer itself is shared, and knows nothing of it
    assert pool.scores_through is None
    exact, _ = fn.gated_pool(x, pool.scores(x))
    np.testing.assert_allclose(without_rounding(network).layers[0][1].forward(x), exact, atol=1e-5)
    assert [op.name for op in convert(network, None).main.ops][-2:] == [
        "FULLY_CONNECTED",
        "SOFTMAX",
    ]


def test_an_svdfs_weights_in_frequency_are_rounded_and_those_in_time_are_not():
    layer = SVDF(10, 3, 13, rng=rng(), sigma=0.3)
    wrapped = Quantized(layer, None)
    x = features(4)
    exact = layer.params["weights_frequency"].copy()
    found = wrapped.forward(x)
    np.testing.assert_array_equal(layer.params["weights_frequency"], exact)
    rounded = round_weights(exact, channel_axes=0)
    assert (rounded != exact).any()
    layer.params["weights_frequency"][...] = rounded
    np.testing.assert_array_equal(found, layer.forward(x))


def test_activations_that_stand_alone_have_ranges():
    layers = [
        ("hard", HardSwish()),
        ("first", SVDF(10, 4, 13, rng=rng(), sigma=0.3)),
        ("dropout", Dropout(0.0, rng=rng())),
        ("relu", ReLU()),  # not right after the SVDF: an operator of its own
        ("fc", Dense(4, 2, rng=rng(), sigma=0.3)),
    ]
    network = seen(quantization_aware(Network(layers, input_shape=(13, 10))))
    assert set(trained_quantizations(network)) == {"features", "hard", "first", "relu", "fc"}
    names = [op.name for op in convert(network, None).main.ops]
    assert names == ["HARD_SWISH", "SVDF", "RELU", "FULLY_CONNECTED", "SOFTMAX"]


def test_an_untrained_network_has_no_ranges_to_export():
    with pytest.raises(SettingsError, match="has not seen a batch; train it first"):
        convert(quantization_aware(tiny_conv(), MICRO), None)
    with pytest.raises(SettingsError, match="found none"):
        convert(tiny_conv(), None)


def test_fake_quant_follows_the_data_in_training_only():
    layer = FakeQuant(decay=0.75)
    x = np.array([[-1.0, 2.55]], np.float32)
    assert layer.forward(x) is x  # no range yet
    layer.forward(x, training=True)
    np.testing.assert_allclose(layer.range, [-1, 2.55], rtol=1e-6)  # the first counts in full
    layer.forward(2 * x)
    np.testing.assert_allclose(layer.range, [-1, 2.55], rtol=1e-6)
    layer.forward(3 * x, training=True)
    share = 0.25 / (1 - 0.75**2)
    np.testing.assert_allclose(layer.range, (1 + 2 * share) * x[0], rtol=1e-6)
    assert repr(layer) == "FakeQuant(8 bits, decay 0.75)"


def test_fake_quant_with_a_range_a_channel_or_a_fixed_one():
    x = rng().normal(size=(7, 5, 3)).astype(np.float32)
    layer = FakeQuant(n_channels=3)
    y = layer.forward(x, training=True)
    low, high = layer.range
    assert (low.shape, high.shape) == ((3,), (3,))
    np.testing.assert_allclose(high, x.max((0, 1)), rtol=1e-6)
    assert np.abs(y - x).max() <= layer.grid.scale.max()
    assert layer.output_shape((5, 3)) == (5, 3)
    with pytest.raises(ShapeError, match="give n_channels"):
        layer.output_shape((5, 4))
    fixed = FakeQuant(fixed=(0.0, 127.5))
    fixed.forward(1000 * np.abs(x), training=True)
    assert float(fixed.grid.scale) == 0.5
    assert fixed.forward(x + 1000).max() == 127.5


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point", "ends"),
    [  # speech_commands.md 5.5
        (0, 127.5, 0.5, 0, (0, 127.5)),
        (-247, 30, 1.0862745, 227, (-246.58432, 30.415686)),
        (0, 26, 0.10196079, 0, (0, 26)),
        (-6, 6, 0.04705882, 128, (-6.0235295, 5.9764705)),
    ],
)
def test_nudged_ranges_of_the_published_frontends(low, high, scale, zero_point, ends):
    grid = fn.nudge(np.float32(low), np.float32(high))
    assert grid.zero_point == zero_point
    np.testing.assert_allclose([grid.scale, grid.low, grid.high], [scale, *ends], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FakeQuant(num_bits=1), "num_bits=1 is not in 2 to 16"),
        (lambda: FakeQuant(decay=1), "decay=1 is not between 0 and 1"),
        (lambda: FakeQuant(fixed=(1.0, 2.0)), "1 … 2 does not hold 0"),
    ],
)
def test_settings_that_cannot_work(make, words):
    with pytest.raises(SettingsError, match=words):
        make()


TRAIN = [
    *(
        "--wanted-words",
        "low,high",
        "--clip-duration-ms",
        "250",
        "--steps",
        "30",
        "--learning-rate",
        "0.001",
    ),
    *("--eval-step-interval", "30", "--batch-size", "20", "--time-shift-ms", "0"),
]


@pytest.mark.slow
def test_train_quantized_resume_and_export_without_calibration(
    tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    data = ["--data-dir", str(tone_corpus)]
    assert main(["train", *data, *TRAIN, "--quantize", "--run-dir", str(run)]) == 0
    assert json.loads((run / "config.json").read_text())["train"]["quantize"] is True
    assert main(["train", *data, *TRAIN, "--quantize=1", "--run-dir", str(run), "--resume"]) == 0
    (run / "calibration.npz").unlink()
    capsys.readouterr()
    assert main(["export", str(run), "--json"]) == 0
    answer = capsys.readouterr()
    assert "no calibration needed" in answer.err
    record = json.loads(answer.out)
    assert record["changed"] <= 0.05 * record["count"]
    # a run in float is another run
    assert main(["train", *data, *TRAIN, "--quantize=0", "--run-dir", str(run), "--resume"]) == 1
    assert "quantize" in capsys.readouterr().err
