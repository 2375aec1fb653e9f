"""A model that is quick to make, and a sound in which it hears words: for the tests of listen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minikws._typing import Samples
from minikws.audio import write_wav
from minikws.frontend import make_frontend
from minikws.models import build
from minikws.quant.convert import convert
from minikws.settings import MicroSettings
from minikws.tflite import attach, write_model

SETTINGS = MicroSettings(clip_ms=250, n_mels=16)
LABELS = ["_silence_", "_unknown_", "low", "high"]
# An untrained network is sure of nothing: every change of its mind shall be a word.
EAGER = [
    *("--detection-threshold", "0.2", "--stride-ms", "20", "--average-window-ms", "60"),
    *("--suppression-ms", "0", "--minimum-count", "1"),
]


def noise() -> Samples:
    """Return ten seconds of noise that is louder and softer every tenth of a second."""
    rng = np.random.default_rng(1)
    loudness = np.repeat(rng.uniform(0, 9000, 100), 1600)
    return (rng.normal(0, 1, len(loudness)) * loudness).astype(np.int16)


def write_listening(folder: Path) -> Path:
    """Write model.tflite, bare.tflite (without labels and frontend) and sound.wav."""
    sound = noise()
    frontend = make_frontend(SETTINGS)
    network = build(
        "single_fc",
        input_shape=(SETTINGS.n_frames, SETTINGS.n_features),
        n_labels=4,
        rng=np.random.default_rng(0),
    )
    # Far from zero: its mind changes.
    network.load_weights({name: 100 * value for name, value in network.weights().items()})
    features = frontend.extract(sound[: 4000 * 20].reshape(-1, 4000))
    graph = convert(network, features, input_quantization=frontend.quantization)
    info = {"labels": LABELS, "frontend": SETTINGS.to_json()}
    (folder / "model.tflite").write_bytes(write_model(attach(graph, info)))
    (folder / "bare.tflite").write_bytes(write_model(graph))
    write_wav(folder / "sound.wav", sound, 16_000)
    return folder
