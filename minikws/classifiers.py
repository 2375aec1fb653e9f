"""Trained models, whatever they are kept as: a run's folder, a checkpoint or a .tflite file.

What is asked for logits or probabilities is a `Classifier`: by `eval` against a corpus, by a
training as its teacher or for clips without labels. What is asked for words, on clips or on a
stream, is a `pipeline.Model` (`open_model`). Either hears through the frontend that the model was
trained with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minikws._typing import Array, Float, Samples
from minikws.errors import SettingsError
from minikws.pipeline import Model, load

if TYPE_CHECKING:
    from minikws.checkpoint import RunConfig
    from minikws.frontend import Frontend

CORPUS_PERCENTAGES = ("silence_pct", "unknown_pct", "validation_pct", "testing_pct")


@dataclass(frozen=True)
class Classifier:
    """Labels, frontend, and functions from samples (B, N) int16 to numbers (B, L).

    scores : as they come, logits or a file's raw outputs: what asks for their order alone.
    logits : what a teacher gives; of a model file ln p, so it must end in probabilities.
    probabilities : of a model file its own scores, of a run the softmax of its logits.
    config : the run it came from, where that is known.
    corpus_percentages : how a model file's training cut its corpus, as `CorpusSettings` fields.
    """

    name: str
    labels: tuple[str, ...]
    frontend: Frontend
    scores: Callable[[Samples], Array]
    logits: Callable[[Samples], Float]
    probabilities: Callable[[Samples], Array]
    config: RunConfig | None = None
    corpus_percentages: Mapping[str, float] = field(default_factory=dict)


def is_model_file(path: Path) -> bool:
    """Whether a path is to be read as a .tflite file rather than as a run or checkpoint."""
    return path.suffix.lower() == ".tflite" or (path.is_file() and path.suffix != ".npz")


def open_classifier(
    path: str | Path, *, labels: Sequence[str] | None = None, frontend: str | None = None
) -> Classifier:
    """Open a run's folder, a checkpoint or a model file.

    Parameters
    ----------
    labels, frontend : for a file without them.

    Raises
    ------
    MinikwsError : nothing there, damaged, or a model file without labels or frontend.
    SettingsError : labels or a frontend for a run, which has its own.
    """
    path = Path(path)
    if is_model_file(path):
        model = load(path, labels=labels, frontend=frontend)
        percentages = {
            name: float(value)
            for name, value in model.training.items()
            if name in CORPUS_PERCENTAGES and isinstance(value, (int, float))
        }
        return Classifier(
            str(path),
            model.labels,
            model.frontend,
            model.outputs,
            lambda samples: _logits(model, samples),
            lambda samples: model.probabilities(model.outputs(samples)),
            corpus_percentages=percentages,
        )
    from minikws.nn.losses import softmax
    from minikws.runs import load_network

    _need_nothing_given(path, labels, frontend)
    found, maker, network = load_network(path)

    def logits(samples: Samples) -> Float:
        return network.predict(maker.extract(samples))

    return Classifier(
        str(path),
        found.config.labels,
        maker,
        logits,
        logits,
        lambda samples: softmax(logits(samples)),
        found.config,
    )


def open_classifiers(
    paths: Sequence[str | Path],
    labels: tuple[str, ...],
    *,
    sample_rate_hz: int,
    clip_samples: int,
) -> list[Classifier]:
    """Open models that must know the labels of a training, and hear what it hears.

    Raises
    ------
    SettingsError : other labels or another order, another sample rate or length of clip.
    MinikwsError : as `open_classifier`.
    """
    classifiers = [open_classifier(path) for path in paths]
    for one in classifiers:
        if one.labels != labels:
            raise SettingsError(
                f"{one.name} has the labels {','.join(one.labels)}, this training has "
                f"{','.join(labels)}; both need the same in the same order"
            )
        heard = one.frontend.settings
        if (heard.sample_rate_hz, heard.clip_samples) != (sample_rate_hz, clip_samples):
            raise SettingsError(
                f"{one.name} takes {heard.clip_samples} samples at {heard.sample_rate_hz} Hz, this "
                f"training has {clip_samples} at {sample_rate_hz} Hz; train both on clips of the "
                "same length and rate"
            )
    return classifiers


def open_model(
    path: str | Path, *, labels: Sequence[str] | None = None, frontend: str | None = None
) -> Model:
    """Open a model file, or a run or checkpoint as the float file that `export --float` writes.

    Parameters and errors are those of `open_classifier`.
    """
    path = Path(path)
    if is_model_file(path):
        return load(path, labels=labels, frontend=frontend)
    from minikws.quant import to_float_graph
    from minikws.runs import load_network
    from minikws.runtime import Interpreter

    _need_nothing_given(path, labels, frontend)
    found, maker, network = load_network(path)
    return Model(Interpreter(to_float_graph(network)), maker, found.config.labels)


def _need_nothing_given(path: Path, labels: Sequence[str] | None, frontend: str | None) -> None:
    if labels or frontend:
        raise SettingsError(
            f"{path} is a run, which has its labels and its frontend; leave --labels and "
            "--frontend out"
        )


def _logits(model: Model, samples: Samples) -> Float:
    """Return a file's scores as logits: ln p, which softmax turns back into p.

    An int8 score of 0 may be anything below half a step; it counts as that half step, 1/512.
    """
    outputs = model.outputs(samples)
    steps = model.interpreter.outputs[0].scale
    least = steps[0] / 2 if steps else np.finfo(np.float32).tiny
    probabilities = np.maximum(model.probabilities(outputs), least)
    return np.log(probabilities).astype(np.float32)
