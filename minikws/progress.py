"""What a training run says of itself: a row an evaluation in metrics.csv, and its last report."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from minikws.files import write_file


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One row of metrics.csv: means over the steps since the last one, and the validation.

    training_accuracy is that of the augmented batches, with dropout: lower than it will be.
    validation_loss is the cross entropy alone, without smoothing, weights or penalty.
    """

    step: int
    learning_rate: float
    seconds: float
    loss: float
    training_accuracy: float
    validation_accuracy: float
    validation_loss: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """The end of a run: accuracies without augmentation or dropout, and the test's confusions."""

    run_dir: str
    checkpoint: str
    labels: tuple[str, ...]
    steps: int
    seconds: float
    train_accuracy: float
    validation_accuracy: float
    test_accuracy: float
    test_count: int
    confusion_matrix: list[list[int]]
    parameters: int


METRICS = tuple(field.name for field in fields(Evaluation))


def write_metrics(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """Write metrics.csv.

    Raises
    ------
    RunError : the file cannot be written.
    """
    text = io.StringIO()
    rows = csv.DictWriter(text, METRICS, lineterminator="\n")
    rows.writeheader()
    rows.writerows(asdict(evaluation) for evaluation in evaluations)
    write_file(path, text.getvalue())


def read_metrics(path: Path, *, up_to: int) -> list[Evaluation]:
    """Return the rows of metrics.csv up to a step; none where the file is not readable."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                Evaluation(
                    step=int(row["step"]), **{k: float(row[k]) for k in METRICS[1:] if k in row}
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [row for row in rows if row.step <= up_to]
