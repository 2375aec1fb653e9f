"""Variant "preprocessor" against TFLite Micro running its audio preprocessor models, by frame."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import numpy as np
import pytest

from minikws.frontend import Micro
from minikws.settings import MicroSettings

tflm_runtime = pytest.importorskip(
    "tflite_micro.python.tflite_micro.runtime",
    reason="oracle absent: pip install 'minikws[parity]'",
)
N_CLIPS = 60 if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else 12
MICRO = Micro(MicroSettings(variant="preprocessor"))


def preprocess(model: Path, clip: np.ndarray) -> np.ndarray:
    interpreter = tflm_runtime.Interpreter.from_file(str(model))
    frames = []
    for start in range(0, len(clip) - 479, 320):
        interpreter.set_input(clip[None, start : start + 480], 0)
        interpreter.invoke()
        frames.append(interpreter.get_output(0).reshape(-1))
    return np.stack(frames)


def read(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)


def artificial(n: int = 8000) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(11)
    t = np.arange(n)
    impulse = np.zeros(n)
    impulse[700] = -32768
    signals = {
        "silence": np.zeros(n),
        "impulse": impulse,
        "square": np.where(np.sin(2 * np.pi * 300 * t / 16000) >= 0, 32767, -32768),
        "constant": np.full(n, -32768),
        "full noise": rng.integers(-32768, 32768, n),
        "two values": rng.choice([-32768, 32767], n),
        "rare lowest": np.where(rng.uniform(0, 1, n) > 0.98, -32768, rng.integers(-9, 9, n)),
        "clipped noise": np.clip(rng.normal(0, 40000, n), -32768, 32767),
        "steps in loudness": rng.normal(0, 1, n) * 4.0 ** (t // 1000),
    }
    return {name: signal.astype(np.int16) for name, signal in signals.items()}


@pytest.mark.parametrize("name", ["yes", "no", "noise", "silence"])
def test_the_published_clips(tflm: Path, name: str) -> None:
    clip = read(tflm / f"{name}_1000ms.wav")
    found = MICRO.extract_int8(clip)
    np.testing.assert_array_equal(found, preprocess(tflm / "audio_preprocessor_int8.tflite", clip))
    stored = np.loadtxt(tflm / f"{name}_preproc_int8_49x40.csv", delimiter=",")
    np.testing.assert_array_equal(found, stored)


@pytest.mark.parametrize("name", artificial())
def test_artificial_sound(tflm: Path, name: str) -> None:
    clip = artificial()[name]
    expected = preprocess(tflm / "audio_preprocessor_int8.tflite", clip)
    np.testing.assert_array_equal(MICRO.extract_int8(clip), expected)
    # The float model's features are the same values, finer than int8.
    expected = preprocess(tflm / "audio_preprocessor_float.tflite", clip)
    np.testing.assert_array_equal(MICRO.extract(clip), expected)


def test_recorded_clips(shared_data: Path, tflm: Path) -> None:
    files = sorted((shared_data / "speech_commands").rglob("*.wav"))
    chosen = np.random.default_rng(2).choice(len(files), N_CLIPS, replace=False)
    for index in chosen.tolist():
        clip = read(files[index])[:16000]
        np.testing.assert_array_equal(
            MICRO.extract(clip),
            preprocess(tflm / "audio_preprocessor_float.tflite", clip),
            err_msg=str(files[index]),
        )
