"""A training in TensorFlow 2 alone: its ops, its layers, its rules; for a side-by-side run.

tiny_conv, conv and ds_cnn S on the features and with the optimiser of their recipes, the same as

    minikws train --data-dir ../shared/data/speech_commands --wanted-words yes,no,... --model M

by the rules of TensorFlow's speech_commands example: speakers split by hash, silence and unknown
in percent of the wanted clips, background mixed in, clips shifted, features of every batch
computed anew by TensorFlow's own ops. It shares no code with minikws.

Reasons to doubt the figures: all recordings are read before the clock starts; TensorFlow traces
its graph in the first step, which counts; `conv` and `ds_cnn` get the features of the whole batch
as one graph of a hundred clips, the fastest form of them; other work on the machine.

    python benchmarks/training_tensorflow.py --model ds_cnn --steps 4000 --rate 0.0005 --seed 1
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import random
import time
import wave
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers
from tensorflow.lite.experimental.microfrontend.python.ops import audio_microfrontend_op

PARTITIONS = ("validation", "testing", "training")
SAMPLES = 16_000
MAX_SHIFT = 1_600  # 100 ms
SILENCE, UNKNOWN = 0, 1
BACKGROUND_FREQUENCY, BACKGROUND_VOLUME = 0.8, 0.1


def read(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


def partition_of(path: Path) -> str:
    digest = hashlib.sha1(path.name.partition("_nohash_")[0].encode()).hexdigest()
    position = (int(digest, 16) % 2**27) * (100.0 / (2**27 - 1))
    return "validation" if position < 10 else "testing" if position < 20 else "training"


@dataclass
class Corpus:
    """The clips of each partition in memory, and the background recordings."""

    folder: Path
    words: list[str]
    silence_pct: float
    unknown_pct: float
    seed: int
    clips: dict[str, np.ndarray] = field(default_factory=dict)
    labels: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        random.seed(59185)
        wanted: dict[str, list] = {p: [] for p in PARTITIONS}
        unknown: dict[str, list] = {p: [] for p in PARTITIONS}
        for path in sorted(self.folder.glob("*/*.wav")):
            word = path.parent.name.lower()
            if word == "_background_noise_":
                continue
            partition = partition_of(path)
            if word in self.words:
                wanted[partition].append((path, self.words.index(word) + 2))
            else:
                unknown[partition].append((path, UNKNOWN))
        for partition in PARTITIONS:
            entries = wanted[partition]
            n = len(entries)
            n_silence = math.ceil(n * self.silence_pct / 100)
            n_unknown = math.ceil(n * self.unknown_pct / 100)
            random.shuffle(unknown[partition])
            entries += [(None, SILENCE)] * n_silence + unknown[partition][:n_unknown]
            random.shuffle(entries)
            clips = np.zeros((len(entries), SAMPLES), np.float32)
            for clip, (path, _) in zip(clips, entries, strict=True):
                if path is not None:
                    samples = read(path)[:SAMPLES]
                    clip[: len(samples)] = samples
            self.clips[partition] = clips
            self.labels[partition] = np.array([label for _, label in entries], np.int32)
        background = self.folder / "_background_noise_"
        self.backgrounds = [read(path) for path in sorted(background.glob("*.wav"))]

    def batch(self, partition: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return samples (B, 16000) float32 and labels: input_data.py's get_data."""
        training = partition == "training"
        samples, labels = self.clips[partition][indices], self.labels[partition][indices]
        for clip, label in zip(samples, labels, strict=True):
            if training:
                shift = self.rng.integers(-MAX_SHIFT, MAX_SHIFT)
                clip[:] = np.roll(clip, shift)
                if shift > 0:
                    clip[:shift] = 0
                elif shift < 0:
                    clip[shift:] = 0
            if training or label == SILENCE:
                background = self.backgrounds[self.rng.integers(len(self.backgrounds))]
                start = self.rng.integers(0, len(background) - SAMPLES)
                if label == SILENCE:
                    volume = self.rng.uniform(0, 1)
                elif self.rng.uniform(0, 1) < BACKGROUND_FREQUENCY:
                    volume = self.rng.uniform(0, BACKGROUND_VOLUME)
                else:
                    continue
                clip += background[start : start + SAMPLES] * np.float32(volume)
        return samples, labels


def micro_features(samples: tf.Tensor) -> tf.Tensor:
    """Return (B, 49, 40): the op on each clip, with the wrapper's defaults."""
    integers = tf.cast(tf.clip_by_value(samples, -1.0, 1.0) * 32768, tf.int16)
    frames = [
        audio_microfrontend_op.audio_microfrontend(
            clip,
            sample_rate=16_000,
            window_size=30,
            window_step=20,
            num_channels=40,
            out_scale=1,
            out_type=tf.float32,
        )
        for clip in tf.unstack(integers)
    ]
    return tf.stack(frames) * (10.0 / 256.0)


def mfcc_features(samples: tf.Tensor, window: int, hop: int, n_mfcc: int) -> tf.Tensor:
    """Return (B, T, n_mfcc); window and hop in samples."""
    frames = []
    for clip in tf.unstack(samples):
        power = tf.raw_ops.AudioSpectrogram(
            input=clip[:, None], window_size=window, stride=hop, magnitude_squared=True
        )
        frames.append(
            tf.raw_ops.Mfcc(spectrogram=power, sample_rate=16_000, dct_coefficient_count=n_mfcc)[0]
        )
    return tf.stack(frames)


def tiny_conv(n_labels: int) -> list[layers.Layer]:
    """Return micro_speech's layers."""
    drawn = {"kernel_initializer": keras.initializers.TruncatedNormal(stddev=0.01)}
    return [
        layers.Conv2D(8, (10, 8), strides=2, padding="same", activation="relu", **drawn),
        layers.Dropout(0.5),
        layers.Flatten(),
        layers.Dense(n_labels, **drawn),
    ]


def conv(n_labels: int) -> list[layers.Layer]:
    """Return the tutorial's layers."""
    drawn = {"kernel_initializer": keras.initializers.TruncatedNormal(stddev=0.01)}
    return [
        layers.Conv2D(64, (20, 8), padding="same", activation="relu", **drawn),
        layers.Dropout(0.5),
        layers.MaxPool2D(2, padding="same"),
        layers.Conv2D(64, (10, 4), padding="same", activation="relu", **drawn),
        layers.Dropout(0.5),
        layers.Flatten(),
        layers.Dense(n_labels, **drawn),
    ]


def ds_cnn(n_labels: int) -> list[layers.Layer]:
    """Return the small size of "Hello Edge"."""

    def norm() -> list[layers.Layer]:
        return [
            layers.BatchNormalization(momentum=0.96, epsilon=1e-3, scale=False),
            layers.ReLU(),
        ]

    stack = [layers.Conv2D(64, (10, 4), strides=2, padding="same"), *norm()]
    for _ in range(4):
        stack += [layers.DepthwiseConv2D(3, padding="same"), *norm()]
        stack += [layers.Conv2D(64, 1), *norm()]
    return [*stack, layers.GlobalAveragePooling2D(), layers.Dense(n_labels)]


# Layers, features, optimiser.
MODELS = {
    "tiny_conv": (
        tiny_conv,
        micro_features,
        lambda: keras.optimizers.SGD(momentum=0.9, nesterov=True),
    ),
    "conv": (conv, lambda samples: mfcc_features(samples, 480, 160, 40), keras.optimizers.SGD),
    "ds_cnn": (
        ds_cnn,
        lambda samples: mfcc_features(samples, 640, 320, 10),
        keras.optimizers.Adam,
    ),
}


class Training:
    """A model with its features and its optimiser."""

    def __init__(self, name: str, n_labels: int) -> None:
        make_layers, self.features, make_optimizer = MODELS[name]
        self.network = keras.Sequential(make_layers(n_labels))
        self.optimizer = make_optimizer()
        self.loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(self, samples: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Compute features, forward, backward and update; return the loss."""
        features = self.features(samples)[..., None]
        with tf.GradientTape() as tape:
            loss = self.loss(labels, self.network(features, training=True))
        variables = self.network.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    @tf.function
    def predict(self, samples: tf.Tensor) -> tf.Tensor:
        """Return the label of each clip."""
        return tf.argmax(self.network(self.features(samples)[..., None]), axis=1)

    def accuracy(self, corpus: Corpus, partition: str, block: int = 100) -> tuple[float, int]:
        """Return the share of right answers and the number of clips."""
        n_clips = len(corpus.labels[partition])
        n_right = 0
        for start in range(0, n_clips, block):
            indices = np.arange(start, min(start + block, n_clips))
            samples, labels = corpus.batch(partition, indices)
            padded = np.zeros((block, SAMPLES), np.float32)  # one shape, one traced graph
            padded[: len(samples)] = samples
            n_right += int((self.predict(padded).numpy()[: len(labels)] == labels).sum())
        return n_right / n_clips, n_clips


def comma_list(kind):
    return lambda text: [kind(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data-dir", type=Path, default=Path("../shared/data/speech_commands"))
    add(
        "--wanted-words",
        type=comma_list(str),
        default=["yes", "no", "up", "down", "left", "right", "stop"],
    )
    add("--silence-percentage", type=float, default=10.0)
    add("--unknown-percentage", type=float, default=10.0)
    add("--steps", type=comma_list(int), default=[4000], help="of each phase")
    add("--rate", type=comma_list(float), default=[0.001], help="of each phase")
    add("--model", choices=MODELS, default="tiny_conv")
    add("--batch", type=int, default=100)
    add("--seed", type=int, default=59185)
    add("--threads", type=int, default=2)
    options = parser.parse_args()
    if len(options.steps) != len(options.rate):
        parser.error(f"{len(options.steps)} phases of steps and {len(options.rate)} rates")
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)

    corpus = Corpus(
        options.data_dir,
        options.wanted_words,
        options.silence_percentage,
        options.unknown_percentage,
        options.seed,
    )
    keras.utils.set_random_seed(options.seed)
    model = Training(options.model, len(options.wanted_words) + 2)
    n_clips = len(corpus.labels["training"])
    n_steps = sum(options.steps)
    report_every = max(1, n_steps // 10)
    start = time.perf_counter()
    done = 0
    for n_phase, rate in zip(options.steps, options.rate, strict=True):
        model.optimizer.learning_rate = rate
        for _ in range(n_phase):
            samples, labels = corpus.batch(
                "training", corpus.rng.integers(0, n_clips, options.batch)
            )
            loss = model.step(samples, labels)
            done += 1
            if done % report_every == 0:
                print(f"step {done} of {n_steps}: loss {float(loss):.4f}", flush=True)
    seconds = time.perf_counter() - start
    for partition in ("validation", "testing"):
        share, n = model.accuracy(corpus, partition)
        print(f"{partition} accuracy {100 * share:.1f} % (N={n})")
    print(f"{n_steps} steps in {seconds:.1f} s, {1000 * seconds / n_steps:.1f} ms a step")


if __name__ == "__main__":
    main()
