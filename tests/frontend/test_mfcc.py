"""The MFCC frontend against the published values, and settings that cannot work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minikws.errors import SettingsError
from minikws.frontend import Mfcc, make_frontend
from minikws.settings import MfccSettings


def test_published_coefficients() -> None:
    # speech_commands.md 3.5, made with TensorFlow 2.21.
    samples = ((7919 * np.arange(16000)) % 65536 - 32768).astype(np.int16)
    features = Mfcc().extract(samples)
    expected = [16.061008, -4.9981098, -0.53138685, -0.31701624, -1.0653832, -0.83115566]
    np.testing.assert_array_equal(features[0, :6], np.array(expected, np.float32))
    np.testing.assert_allclose(features.sum(dtype=np.float64), 697.76776707, rtol=1e-9)


def test_silence_is_the_lower_end_of_the_tutorials_range() -> None:
    features = Mfcc().extract(np.zeros(16000, np.int16))
    np.testing.assert_array_equal(features[:, 0], np.float32(-247.13936))


@pytest.mark.parametrize(
    ("given", "n_frames"),
    # speech_commands.md 3.1
    [({}, 98), ({"hop_ms": 20.0}, 49), ({"sample_rate_hz": 22_050, "clip_ms": 5000.0}, 499)],
)
def test_frames(given: dict[str, Any], n_frames: int) -> None:
    settings = MfccSettings(**given)
    assert (settings.n_frames, settings.n_features) == (n_frames, 40)
    assert Mfcc(settings).extract(np.zeros(settings.clip_samples, np.int16)).shape == (n_frames, 40)


def test_the_count_on_the_command_line_is_that_of_coefficients() -> None:
    settings = MfccSettings(**MfccSettings.feature_count(13))
    assert (settings.n_mfcc, settings.n_mels) == (13, 40)


def test_fewer_coefficients_are_the_first_ones() -> None:
    clip = np.random.default_rng(0).integers(-999, 999, 8000).astype(np.int16)
    few = Mfcc(MfccSettings(n_mfcc=13)).extract(clip)
    np.testing.assert_array_equal(few, Mfcc().extract(clip)[:, :13])
    assert Mfcc().quantization is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n_mfcc": 50}, r"n_mfcc=50 coefficients are more than the n_mels=40 .*; ask for 40"),
        ({"n_mfcc": 0}, r"n_mfcc=0 is not a whole number from 1"),
        ({"n_mels": 40.5}, r"n_mels=40.5 is not a whole number"),
        ({"upper_hz": 9000.0}, r"20 to 9000 Hz does not fit into 0 to 8000 Hz.*at most 8000"),
        ({"lower_hz": 5000.0}, r"the band 5000 to 4000 Hz"),
        ({"lower_hz": -1.0}, r"the band -1 to"),
        ({"sample_rate_hz": 6000}, r"20 to 4000 Hz does not fit into 0 to 3000 Hz"),
        ({"window_ms": 5.0}, r"mel channel 0 of n_mels=40 .* 125 Hz apart .*; n_mels=26 works"),
        ({"lower_hz": 100.0, "upper_hz": 101.0, "n_mels": 1, "n_mfcc": 1}, "lengthen the window"),
    ],
)
def test_settings_that_cannot_work(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        make_frontend({"kind": "mfcc", **given})


def test_what_the_error_offers_works() -> None:
    make_frontend({"kind": "mfcc", "window_ms": 5.0, "n_mels": 26, "n_mfcc": 26})
