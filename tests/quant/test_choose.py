"""Which range each tensor gets, and what the table of tensors says of it."""

from __future__ import annotations

import numpy as np
import pytest

from minikws import models
from minikws.errors import SettingsError, ShapeError
from minikws.nn import Dense, Flatten, Network, ReLU
from minikws.quant import calibrate, convert, layer_noise, observe_ranges, to_float_graph
from minikws.quant.ranges import METHODS, quantization_of

SHAPE = (13, 10)
MICRO = (666 / (256 * 25.6), -128)


def rng() -> np.random.Generator:
    return np.random.default_rng(8)


def features(n_clips: int = 60) -> np.ndarray:
    """As cepstra: a first coefficient that is huge in a silent clip, and tells no words apart."""
    found = rng().normal(0, 2, (n_clips, *SHAPE))
    found[0, :, 0] = -250
    return found.astype(np.float32)


def deaf_to_loudness() -> Network:
    hidden = Dense(130, 20, rng=rng(), sigma=0.1)
    hidden.params["w"][::10] = 1e-5  # of the first coefficient
    layers = [
        ("flatten", Flatten()),
        ("hidden", hidden),
        ("hidden_relu", ReLU()),
        ("final_fc", Dense(20, 3, rng=rng(), sigma=0.3)),
    ]
    return Network(layers, input_shape=SHAPE)


def test_a_range_is_chosen_by_what_the_logits_lose():
    network, x = deaf_to_loudness(), features()
    whole = calibrate(network, x, "minmax")
    assert set(whole.methods) == {"features", "hidden_relu", "final_fc"}
    assert set(whole.methods.values()) == {"minmax"}
    assert whole.sqnr_db == whole.minmax_sqnr_db
    ranges = observe_ranges(network, x)
    assert whole.quantizations == {name: quantization_of(r) for name, r in ranges.items()}
    found = calibrate(network, x)
    # by its own error the input would keep its whole range
    assert calibrate(network, x, "mse").quantizations["features"][0] > 0.8
    assert found.methods["features"].startswith("percentile")
    assert found.quantizations["features"][0] < 0.5
    assert found.minmax_sqnr_db == whole.sqnr_db
    assert found.sqnr_db > whole.sqnr_db + 6
    # and that is what the file does
    table = {
        choice: {row.name: row for row in layer_noise(graph, to_float_graph(network), x)}
        for choice, graph in (
            ("auto", convert(network, found)),
            ("minmax", convert(network, x)),
        )
    }
    assert table["auto"]["final_fc"].sqnr_db > table["minmax"]["final_fc"].sqnr_db + 6
    assert table["auto"]["final_fc"].sqnr_db == pytest.approx(found.sqnr_db, abs=1.5)


def test_percentile_tries_only_percentiles_and_a_fixed_input_is_left_alone():
    network, x = deaf_to_loudness(), features()
    found = calibrate(network, x, "percentile", input_quantization=MICRO)
    assert set(found.methods) == {"hidden_relu", "final_fc"}
    assert all(method.startswith("percentile") for method in found.methods.values())
    assert found.methods.keys() < found.quantizations.keys()


def test_the_network_is_as_it_was():
    network, x = deaf_to_loudness(), features()
    before, logits = network.weights(), network.predict(x)
    calibrate(network, x)
    for name, array in network.weights().items():
        np.testing.assert_array_equal(array, before[name])
    np.testing.assert_array_equal(network.predict(x), logits)


@pytest.mark.parametrize("name", ["svdf_stream", "tc_resnet", "raw_ds_conv"])
def test_states_residuals_and_gates_have_their_ranges_too(name):
    shape, options = {
        "svdf_stream": (SHAPE, {"num_units": 4}),
        "tc_resnet": ((25, 10), {"width": 0.2}),
        "raw_ds_conv": ((100, 60), {"width": 0.02}),
    }[name]
    network = models.build(name, input_shape=shape, n_labels=3, rng=rng(), **options)
    x = rng().normal(size=(5, *shape)).astype(np.float32)
    found = calibrate(network, x)
    assert found.sqnr_db >= found.minmax_sqnr_db
    assert set(found.methods.values()) <= METHODS.keys()
    assert ("attention.gate" in found.methods) == (name == "raw_ds_conv")
    rows = layer_noise(convert(network, found), to_float_graph(network), x)
    assert rows[0].name == "features" and rows[0].op == ""
    assert [row.op for row in rows[-2:]] == ["FULLY_CONNECTED", "SOFTMAX"]
    assert all(row.op not in ("RESHAPE", "PAD") for row in rows)


def test_clipped_shares_are_counted_in_float():
    network, x = deaf_to_loudness(), features()
    graph = convert(network, x[1:10])  # no silent frame among them
    low, high = observe_ranges(network, x[1:10])["features"]
    rows = {row.name: row for row in layer_noise(graph, to_float_graph(network), x)}
    half = (high - low) / 255 / 2  # a step's half beyond the ends is still rounded to them
    outside = ((x < low - half) | (x > high + half)).mean()
    assert outside > 1 / 600  # the silent clip's first coefficient, and a few normal values
    assert rows["features"].clipped == pytest.approx(outside, abs=3e-4)
    assert rows["scores"].clipped is None
    whole = layer_noise(convert(network, x), to_float_graph(network), x)
    assert all(not row.clipped for row in whole)


def test_choices_that_cannot_be():
    network = deaf_to_loudness()
    with pytest.raises(SettingsError, match=r"unknown calibration 'maxmin'; .*minmax"):
        calibrate(network, features(), "maxmin")
    with pytest.raises(SettingsError, match="found none"):
        calibrate(network, features()[:0])
    with pytest.raises(ShapeError, match="they look transposed"):
        calibrate(network, features().transpose(0, 2, 1))
