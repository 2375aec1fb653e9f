"""Trained models that help to train another one: teachers, and voters for unlabelled recordings.

A run's folder, a checkpoint or a .tflite file goes in, a function from sound to logits comes out,
over the frontend that the model itself was trained with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minikws._typing import Array, Float, Samples
from minikws.errors import SettingsError
from minikws.nn.losses import softmax
from minikws.pipeline import Model, load
from minikws.runs import load_network


@dataclass(frozen=True)
class Teacher:
    """A trained model: its name, its labels, and logits (B, L) of samples (B, N) int16."""

    name: str
    labels: tuple[str, ...]
    sample_rate_hz: int
    clip_samples: int
    logits: Callable[[Samples], Float]

    def probabilities(self, samples: Samples) -> Array:
        """Return the probabilities (B, L) of samples (B, N)."""
        return softmax(self.logits(samples))


def open_teacher(path: str | Path) -> Teacher:
    """Open a run's folder, a checkpoint or a .tflite file.

    Raises
    ------
    MinikwsError : nothing there, damaged, or a model file without labels or frontend.
    """
    path = Path(path)
    if path.suffix == ".tflite":
        model = load(path)
        return Teacher(
            str(path),
            model.labels,
            model.sample_rate_hz,
            model.clip_samples,
            lambda samples: _logits(model, samples),
        )
    found, frontend, network = load_network(path)
    return Teacher(
        str(path),
        found.config.labels,
        frontend.settings.sample_rate_hz,
        frontend.settings.clip_samples,
        lambda samples: network.predict(frontend.extract(samples)),
    )


def open_teachers(
    paths: Sequence[str | Path],
    labels: tuple[str, ...],
    *,
    sample_rate_hz: int,
    clip_samples: int,
) -> list[Teacher]:
    """Open models that must know the labels of a training, and hear what it hears.

    Raises
    ------
    SettingsError : other labels or another order, another sample rate or length of clip.
    """
    teachers = [open_teacher(path) for path in paths]
    for teacher in teachers:
        if teacher.labels != labels:
            raise SettingsError(
                f"{teacher.name} has the labels {','.join(teacher.labels)}, this training has "
                f"{','.join(labels)}; both need the same in the same order"
            )
        if (teacher.sample_rate_hz, teacher.clip_samples) != (sample_rate_hz, clip_samples):
            raise SettingsError(
                f"{teacher.name} takes {teacher.clip_samples} samples at "
                f"{teacher.sample_rate_hz} Hz, this training has {clip_samples} at "
                f"{sample_rate_hz} Hz; train both on clips of the same length and rate"
            )
    return teachers


def _logits(model: Model, samples: Samples) -> Float:
    """Return a file's scores as logits: ln p, which softmax turns back into p.

    An int8 score of 0 may be anything below half a step; it counts as that half step, 1/512.
    """
    outputs = model.outputs(samples)
    steps = model.interpreter.outputs[0].scale
    least = steps[0] / 2 if steps else np.finfo(np.float32).tiny
    probabilities = np.maximum(model.probabilities(outputs), least)
    return np.log(probabilities).astype(np.float32)
