"""Variant "pymicro" against pymicro-features 2.0.2, pushed 160 samples at a time."""

from __future__ import annotations

import os
import wave
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from minikws.frontend import Micro
from minikws.settings import MicroSettings

pymicro_features = pytest.importorskip(
    "pymicro_features", reason="oracle absent: pip install 'minikws[parity]'"
)
if version("pymicro-features") != "2.0.2":
    pytest.skip("the variant mirrors pymicro-features 2.0.2", allow_module_level=True)

N_CLIPS = 300 if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else 60
MICRO = Micro(MicroSettings(variant="pymicro", hop_ms=10.0))


def oracle(clip: np.ndarray) -> np.ndarray:
    frontend = pymicro_features.MicroFrontend()
    rows = []
    for start in range(0, len(clip) - 159, 160):
        found = frontend.process_samples(clip[start : start + 160].tobytes())
        if found.features:
            rows.append(found.features)
    return np.rint(np.array(rows) * 25.6).astype(np.int64)


def read(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)


def test_recorded_clips(shared_data: Path) -> None:
    files = sorted((shared_data / "speech_commands").rglob("*.wav"))
    files += sorted((shared_data / "tflm").glob("*_1000ms.wav"))
    chosen = np.random.default_rng(3).choice(len(files), N_CLIPS, replace=False).tolist()
    for index in [*chosen, -1, -2, -3, -4]:
        clip = read(files[index])[:16000]
        expected = oracle(clip)
        found = MICRO.extract_raw(clip)[: len(expected)]
        np.testing.assert_array_equal(found, expected, err_msg=str(files[index]))


@pytest.mark.parametrize("loudness", [1, 30, 1000, 30000, 80000])
def test_noise_of_any_loudness(loudness: int) -> None:
    rng = np.random.default_rng(loudness)
    clip = np.clip(rng.normal(0, loudness, 16000), -32768, 32767).astype(np.int16)
    expected = oracle(clip)
    assert expected.shape == (98, 40)
    np.testing.assert_array_equal(MICRO.extract_raw(clip), expected)


def test_full_scale_sound() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(8000)
    impulse = np.zeros(8000, np.int16)
    impulse[3000] = -32768
    square = np.where(np.sin(2 * np.pi * 440 * t / 16000) >= 0, 32767, -32768)
    for clip in (
        rng.choice([-32768, 32767], 8000),
        np.full(8000, -32768),
        square,
        impulse,
        np.zeros(8000),
    ):
        clip = np.asarray(clip).astype(np.int16)
        np.testing.assert_array_equal(MICRO.extract_raw(clip), oracle(clip))
