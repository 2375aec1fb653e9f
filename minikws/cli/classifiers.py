"""What `eval` and `export` can hold against a corpus: a run, a checkpoint or a .tflite file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from minikws._typing import Array, Samples

if TYPE_CHECKING:
    from minikws.checkpoint import RunConfig
    from minikws.frontend import Frontend

CORPUS_PERCENTAGES = ("silence_pct", "unknown_pct", "validation_pct", "testing_pct")


@dataclass(frozen=True)
class Classifier:
    """Labels, frontend, and functions from samples (B, N) to scores (B, L).

    classify : the scores as they come, logits or raw integers: what their order needs.
    probabilities : the same as real numbers that add up to 1: what sums and means need.
    config : the run it came from, where that is known.
    corpus_percentages : how a model file's training cut its corpus, as `CorpusSettings` fields.
    """

    labels: tuple[str, ...]
    frontend: Frontend
    classify: Callable[[Samples], Array]
    probabilities: Callable[[Samples], Array]
    config: RunConfig | None = None
    corpus_percentages: Mapping[str, float] = field(default_factory=dict)


def is_model_file(path: Path) -> bool:
    """Whether a path is to be read as a .tflite file rather than as a run or checkpoint."""
    return not path.is_dir() and path.suffix != ".npz"


def open_classifier(
    path: Path, *, labels: tuple[str, ...] | None = None, frontend: str | None = None
) -> Classifier:
    """Open a run's folder, a checkpoint or a model file.

    Raises
    ------
    MinikwsError : nothing there, damaged, or a model file without labels or frontend.
    """
    if is_model_file(path):
        from minikws.pipeline import load

        model = load(path, labels=labels, frontend=frontend)
        percentages = {
            name: float(value)
            for name, value in model.training.items()
            if name in CORPUS_PERCENTAGES and isinstance(value, (int, float))
        }
        return Classifier(
            model.labels,
            model.frontend,
            model.outputs,
            lambda samples: model.probabilities(model.outputs(samples)),
            corpus_percentages=percentages,
        )
    from minikws.nn.losses import softmax
    from minikws.runs import load_network

    found, maker, network = load_network(path)

    def logits(samples: Samples) -> Array:
        return network.predict(maker.extract(samples))

    return Classifier(
        found.config.labels,
        maker,
        logits,
        lambda samples: softmax(logits(samples)),
        found.config,
    )
