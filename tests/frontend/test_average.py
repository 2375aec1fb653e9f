"""The averaged spectrogram: micro_speech's published features, and settings that cannot work."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws.audio import read_wav
from minikws.errors import SettingsError
from minikws.fixedpoint import quantize
from minikws.frontend import Average
from minikws.frontend.average import to_uint8
from minikws.settings import AVERAGE_ARITHMETICS, AverageArithmetic, AverageSettings


def golden(tflm: Path, word: str) -> np.ndarray:
    return np.loadtxt(tflm / f"{word}_features_uint8_49x43.csv", delimiter=",", dtype=np.uint8)


def seed(arithmetic: AverageArithmetic = "training") -> Average:
    return Average(AverageSettings(hop_ms=20.0, arithmetic=arithmetic))


@pytest.mark.parametrize(
    ("arithmetic", "word", "checksum", "n_off"),
    # micro_speech.md 1.2: the device's fixed point is off by 1 in one value of "no".
    [
        ("training", "yes", 0x774439D5, 0),
        ("training", "no", 0x4CC8CC4B, 0),
        ("device_float", "yes", 0x774439D5, 0),
        ("device_float", "no", 0x4CC8CC4B, 0),
        ("device_fixed", "yes", 0x774439D5, 0),
        ("device_fixed", "no", 0x82E54BF1, 1),
    ],
)
def test_published_features(
    tflm: Path, arithmetic: AverageArithmetic, word: str, checksum: int, n_off: int
) -> None:
    samples = read_wav(tflm / f"{word}_1000ms.wav").samples
    found = seed(arithmetic).extract_uint8(samples.reshape(-1))
    expected = golden(tflm, word)
    assert found.shape == (49, 43)
    assert zlib.crc32(found.tobytes()) == checksum
    difference = np.abs(found.astype(np.int64) - expected)
    assert difference.max() == (1 if n_off else 0)
    assert np.count_nonzero(difference) == n_off


@pytest.mark.parametrize("arithmetic", AVERAGE_ARITHMETICS)
@pytest.mark.parametrize(
    ("word", "start", "expected"),
    # micro_speech.md 1.2: the slices of the device's own tests.
    [
        ("yes", 8000, [8, 89, 8, 0, 0, 0, 0, 0, 0, 0, 0, 4, 13, 1, 6, 23, 20, 6, 4]),
        ("no", 8960, [255, 7, 6]),
    ],
)
def test_published_slices(
    tflm: Path, arithmetic: AverageArithmetic, word: str, start: int, expected: list[int]
) -> None:
    samples = read_wav(tflm / f"{word}_1000ms.wav").samples.reshape(-1)[start : start + 480]
    found = seed(arithmetic).extract_uint8(samples)
    assert found[0].tolist() == expected + [0] * (43 - len(expected))


def test_the_last_bucket_tells_training_from_device() -> None:
    # A tone at 7.95 kHz fills bins 253 to 256: training averages bins 252 to 256, the device adds
    # 252 to 255 and divides by 6.
    tone = np.rint(3000 * np.sin(2 * np.pi * 7968.75 * np.arange(480) / 16000)).astype(np.int16)
    power = 0.5 * (3000 / 32768) ** 2 * 512 * 480 * 0.375 / 2  # Parseval, half of it above 0
    training, device = (
        seed(arithmetic).extract(tone)[0, 42] for arithmetic in ("training", "device_float")
    )
    assert 5 * training > 6 * device > 0
    assert 0.5 * power < 5 * training < 2 * power


def test_int8_and_uint8() -> None:
    features = np.array([[0.0, 0.24, 0.26, 63.75, 127.5, 1000.0]], np.float32)
    assert to_uint8(features).tolist() == [[0, 0, 1, 128, 255, 255]]
    assert Average().quantization == (0.5, -128)
    clip = np.random.default_rng(0).integers(-9999, 9999, 16000).astype(np.int16)
    as_int8 = Average().extract_int8(clip)
    assert as_int8.dtype == np.int8
    np.testing.assert_array_equal(as_int8, quantize(Average().extract(clip), 0.5, -128))
    np.testing.assert_array_equal(
        as_int8.astype(np.int16) + 128, Average().extract_uint8(clip).astype(np.int16)
    )


@pytest.mark.parametrize("arithmetic", ["device_float", "device_fixed"])
def test_a_device_has_steps_of_a_half(arithmetic: AverageArithmetic) -> None:
    clip = np.random.default_rng(0).integers(-9999, 9999, 1600).astype(np.int16)
    frontend = seed(arithmetic)
    features = frontend.extract(clip)
    np.testing.assert_array_equal(features * 2, frontend.extract_uint8(clip))
    # Both imitate training, whose values they round; fixed point loses some more.
    np.testing.assert_allclose(
        features[:, :42], np.minimum(seed().extract(clip)[:, :42], 127.5), atol=1.0
    )


@pytest.mark.parametrize(
    ("given", "width", "n_features"),
    # speech_commands.md 3.1 and 3.6
    [
        ({}, 6, 43),
        ({"window_ms": 10.0, "hop_ms": 20.0}, 3, 43),
        ({"feature_bin_count": 36}, 7, 37),
        ({"feature_bin_count": 257}, 1, 257),
        ({"feature_bin_count": 1}, 257, 1),
    ],
)
def test_buckets(given: dict[str, Any], width: int, n_features: int) -> None:
    settings = AverageSettings(**given)
    assert (settings.bucket_bins, settings.n_features) == (width, n_features)
    assert Average(settings).centers_hz.shape == (n_features,)
    assert Average(settings).extract(np.zeros(16000, np.int16)).shape[1] == n_features


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"feature_bin_count": 258}, "feature_bin_count=258 .* from 1 to 257, .*; 40 works"),
        ({"feature_bin_count": 40, "window_ms": 2.0}, "from 1 to 17, .* 32 samples; 17 works"),
        ({"feature_bin_count": 0}, "feature_bin_count=0 is not"),
        ({"arithmetic": "device_flot"}, "unknown arithmetic .*; did you mean device_float"),
        ({"arithmetic": "cmsis"}, "known are training, device_float, device_fixed"),
    ],
)
def test_settings_that_cannot_work(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        AverageSettings.from_json(given)
