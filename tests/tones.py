"""A small model that tells tones apart, made without training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minikws.data.corpus import Corpus
from minikws.frontend import make_frontend
from minikws.models import build
from minikws.quant.convert import convert
from minikws.settings import CorpusSettings, MicroSettings
from minikws.tflite import attach, write_model

SETTINGS = MicroSettings(clip_ms=250, n_mels=16)
LABELS = ("_silence_", "_unknown_", "low", "high")


def write_model_of_tones(corpus_folder: Path, path: Path, *, sharpness: float = 6.0) -> None:
    """Write a model of one layer, its weights by least squares: good enough, and no training."""
    frontend = make_frontend(SETTINGS)
    corpus = Corpus(
        corpus_folder,
        CorpusSettings(wanted_words=("low", "high"), silence_pct=100, unknown_pct=100),
        16_000,
        4000,
    )
    clips = [clip for part in corpus.partitions.values() for clip in part]
    samples = corpus.clean(clips)  # few at a time: nothing is compiled for them
    features = np.concatenate([frontend.extract(some) for some in np.array_split(samples, 8)])
    x = features.reshape(len(clips), -1).astype(np.float64)
    targets = sharpness * np.eye(4)[corpus.label_indices(clips)]
    weights = np.linalg.solve(x.T @ x + 300 * np.eye(x.shape[1]), x.T @ targets)
    network = build("single_fc", input_shape=(SETTINGS.n_frames, SETTINGS.n_features), n_labels=4,
                    rng=np.random.default_rng(0))  # fmt: skip
    network.load_weights(
        {
            name: weights.astype(np.float32) if value.shape == weights.shape else 0 * value
            for name, value in network.weights().items()
        }
    )
    graph = convert(network, features, input_quantization=frontend.quantization)
    info = {"labels": LABELS, "frontend": SETTINGS.to_json()}
    path.write_bytes(write_model(attach(graph, info)))
