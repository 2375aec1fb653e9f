"""Train a network on a folder of clips: draw, featurise, forward, backward, update, repeat.

In: a `RunConfig` and its `Corpus`. Out: a run's folder (see `checkpoint`) and a `TrainReport`.
One seeded generator drives initial weights, batches and dropout; it is stored in every
checkpoint, so a resumed run ends with the same weights as an uninterrupted one.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minikws import checkpoint, models
from minikws._typing import Array, Features, Int64, Samples
from minikws.checkpoint import Checkpoint, RunConfig
from minikws.data.batches import TrainingBatches
from minikws.data.corpus import Corpus
from minikws.data.evaluate import blocks, evaluate
from minikws.data.splits import PARTITIONS
from minikws.errors import RunError, SettingsError, nearest
from minikws.files import write_file
from minikws.frontend import Frontend, make_frontend
from minikws.metrics import accuracy
from minikws.nn import OPTIMIZERS, Network, softmax_cross_entropy

N_CALIBRATION_CLIPS = 300

METRICS = ("step", "learning_rate", "seconds", "loss", "training_accuracy", "validation_accuracy")


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One row of metrics.csv: means over the steps since the last one, and the validation.

    training_accuracy is that of the augmented batches, with dropout: lower than it will be.
    """

    step: int
    learning_rate: float
    seconds: float
    loss: float
    training_accuracy: float
    validation_accuracy: float


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


def build(config: RunConfig, rng: np.random.Generator) -> tuple[Frontend, Network]:
    """Make the frontend and the untrained network that a configuration asks for."""
    frontend = make_frontend(config.frontend)
    network = models.build(
        config.model,
        input_shape=(frontend.settings.n_frames, frontend.settings.n_features),
        n_labels=len(config.labels),
        rng=rng,
        dropout_rate=config.train.dropout_rate,
    )
    return frontend, network


def load_network(path: str | Path) -> tuple[Checkpoint, Frontend, Network]:
    """Read a run's folder or a checkpoint file: its state, its frontend, its trained network.

    Raises
    ------
    RunError : nothing there, or damaged.
    """
    found = checkpoint.load(path)
    frontend, network = build(found.config, np.random.default_rng(0))
    network.load_weights(found.weights)
    return found, frontend, network


def open_corpus(config: RunConfig, on_message: Callable[[str], None] | None = None) -> Corpus:
    """Open the corpus that a configuration names, as this run used it."""
    settings = make_frontend(config.frontend).settings
    return Corpus(
        Path(config.data_dir),
        config.corpus,
        settings.sample_rate_hz,
        settings.clip_samples,
        on_message,
    )


class Trainer:
    """A run that can be stepped, saved and resumed.

    Parameters
    ----------
    config, corpus : what to train on what.
    run_dir : the run's folder; made if it is not there.
    resume : go on from the folder's newest checkpoint.

    Raises
    ------
    RunError : the folder holds another run, or cannot be written.
    """

    def __init__(
        self, config: RunConfig, corpus: Corpus, run_dir: str | Path, *, resume: bool = False
    ) -> None:
        if config.train.optimizer not in OPTIMIZERS:
            raise SettingsError(
                f"unknown optimizer {config.train.optimizer!r}; "
                f"{nearest(config.train.optimizer, OPTIMIZERS)}"
            )
        self.config = config
        self.corpus = corpus
        self.run_dir = Path(run_dir)
        self.rng = np.random.default_rng(config.train.seed)
        self.frontend, self.network = build(config, self.rng)
        self.optimizer = OPTIMIZERS[config.train.optimizer](self.network.layers)
        self.batches = TrainingBatches(corpus, config.augment)
        self.step = 0
        self.evaluations: list[Evaluation] = []
        self._seconds_before = 0.0
        self._since_evaluation: list[tuple[float, float]] = []
        self._validation: list[tuple[Features, Int64]] | None = None
        if resume:
            self._restore(checkpoint.load(self.run_dir))
        else:
            self._begin()
        self._started = time.monotonic()

    def _begin(self) -> None:
        if checkpoint.checkpoints_in(self.run_dir):
            raise RunError(
                f"{self.run_dir} already holds the checkpoints of a run; "
                "go on with --resume, or give another --run-dir"
            )
        write_file(self.run_dir / "config.json", json.dumps(self.config.to_json(), indent=2) + "\n")
        write_file(self.run_dir / "labels.txt", "\n".join(self.config.labels) + "\n")
        self._write_calibration()
        self._write_metrics()

    def _restore(self, found: Checkpoint) -> None:
        if found.config != self.config:
            raise RunError(
                f"{self.run_dir} was trained with other settings or on another corpus "
                f"({_first_difference(found.config, self.config)}); "
                "resume with the run's own options, or give another --run-dir"
            )
        self.network.load_weights(found.weights)
        self.optimizer.load_state(found.optimizer)
        self.rng.bit_generator.state = found.generator
        self.step = found.step
        self._seconds_before = found.seconds
        self.evaluations = _read_metrics(self.run_dir / "metrics.csv", up_to=found.step)
        self._write_metrics()

    @property
    def seconds(self) -> float:
        """Time spent on this run so far, over all its sessions."""
        return self._seconds_before + time.monotonic() - self._started

    def train_step(self) -> float:
        """Do one step: draw a batch, forward, backward, update; return the loss.

        Raises
        ------
        RunError : the loss is not finite any more; the last checkpoint stands.
        """
        settings = self.config.train
        samples, labels = self.batches.draw(settings.batch_size, self.rng)
        logits = self.network.forward(self.frontend.extract(samples), training=True)
        loss, dlogits = softmax_cross_entropy(logits, labels)
        self.step += 1
        rate = settings.rate_at(self.step)
        if not np.isfinite(loss):
            raise RunError(
                f"the loss is {loss} at step {self.step} with learning rate {rate:g}; "
                "lower the rate and resume from the last checkpoint"
            )
        self.network.backward(dlogits)
        self.optimizer.step(rate)
        self._since_evaluation.append((loss, float((logits.argmax(1) == labels).mean())))
        return loss

    def run(
        self,
        *,
        on_step: Callable[[int], None] = lambda step: None,
        on_evaluation: Callable[[Evaluation], None] = lambda evaluation: None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> TrainReport:
        """Train to the end, evaluate on the test partition and write `report.json`.

        Raises
        ------
        KeyboardInterrupt : `interrupted()` was true after a step; a checkpoint was saved first.
        """
        settings = self.config.train
        while self.step < settings.total_steps:
            self.train_step()
            on_step(self.step)
            is_last = self.step == settings.total_steps
            if self.step % settings.eval_interval == 0 or is_last:
                on_evaluation(self.evaluate())
            if interrupted():
                self.save()
                raise KeyboardInterrupt
            if self.step % settings.save_interval == 0 or is_last:
                self.save()
        return self.finish()

    def classify(self, samples: Samples) -> Array:
        """Return the logits (B, L) of samples (B, N) int16, by the network as it is now."""
        return self.network.predict(self.frontend.extract(samples))

    def _validate(self) -> float:
        """Return the accuracy on the validation partition, whose features are computed once."""
        if self._validation is None:
            self._validation = [
                (self.frontend.extract(samples), labels)
                for samples, labels in blocks(self.corpus, self.corpus.partitions["validation"])
            ]
        n_right = sum(
            int((self.network.predict(features).argmax(1) == labels).sum())
            for features, labels in self._validation
        )
        return n_right / max(1, len(self.corpus.partitions["validation"]))

    def evaluate(self) -> Evaluation:
        """Evaluate on the validation partition and add a row to metrics.csv."""
        losses, shares = zip(*self._since_evaluation, strict=True)
        self._since_evaluation.clear()
        evaluation = Evaluation(
            step=self.step,
            learning_rate=self.config.train.rate_at(self.step),
            seconds=round(self.seconds, 3),
            loss=float(np.mean(losses)),
            training_accuracy=float(np.mean(shares)),
            validation_accuracy=self._validate(),
        )
        self.evaluations.append(evaluation)
        self._write_metrics()
        return evaluation

    def save(self) -> Path:
        """Write a checkpoint of the run as it is now."""
        last = self.evaluations[-1] if self.evaluations else None
        return checkpoint.save(
            Checkpoint(
                step=self.step,
                seconds=self.seconds,
                config=self.config,
                weights=self.network.weights(),
                optimizer=self.optimizer.state(),
                generator=self.rng.bit_generator.state,
                validation_accuracy=(
                    last.validation_accuracy if last and last.step == self.step else None
                ),
            ),
            self.run_dir,
        )

    def finish(self) -> TrainReport:
        """Evaluate on every partition and write `report.json`."""
        matrices = {
            partition: evaluate(self.classify, self.corpus, self.corpus.partitions[partition])
            for partition in PARTITIONS
        }
        matrix = matrices["testing"]
        report = TrainReport(
            run_dir=str(self.run_dir),
            checkpoint=str(checkpoint.checkpoints_in(self.run_dir)[-1]),
            labels=self.config.labels,
            steps=self.step,
            seconds=round(self.seconds, 3),
            train_accuracy=accuracy(matrices["training"]),
            validation_accuracy=accuracy(matrices["validation"]),
            test_accuracy=accuracy(matrix),
            test_count=int(matrix.sum()),
            confusion_matrix=matrix.tolist(),
            parameters=self.network.n_parameters,
        )
        write_file(self.run_dir / "report.json", json.dumps(asdict(report), indent=2) + "\n")
        return report

    def _write_calibration(self) -> None:
        """Keep features of some augmented training clips: what the int8 export calibrates on."""
        rng = np.random.default_rng(self.config.train.seed)
        samples, _ = self.batches.draw(N_CALIBRATION_CLIPS, rng)
        features = self.frontend.extract(samples)

        def write(file: BinaryIO) -> None:
            np.savez_compressed(file, features=features)

        write_file(self.run_dir / "calibration.npz", write)

    def _write_metrics(self) -> None:
        text = io.StringIO()
        rows = csv.DictWriter(text, METRICS, lineterminator="\n")
        rows.writeheader()
        rows.writerows(asdict(evaluation) for evaluation in self.evaluations)
        write_file(self.run_dir / "metrics.csv", text.getvalue())


def read_calibration(run_or_checkpoint: str | Path) -> Features:
    """Return the features (n, T, F) that a run kept for the int8 export.

    Raises
    ------
    RunError : the run's folder has no usable calibration.npz.
    """
    path = Path(run_or_checkpoint)
    folder = path if path.is_dir() else path.parent.parent
    try:
        with np.load(folder / "calibration.npz", allow_pickle=False) as stored:
            features: Array = stored["features"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise RunError(
            f"{folder / 'calibration.npz'} is missing or damaged ({error}); export from a run's "
            "folder as minikws train wrote it"
        ) from error
    return features


def _read_metrics(path: Path, *, up_to: int) -> list[Evaluation]:
    """Return the rows of metrics.csv up to a step; none where the file is not readable."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                Evaluation(step=int(row["step"]), **{k: float(row[k]) for k in METRICS[1:]})
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [row for row in rows if row.step <= up_to]


def _first_difference(old: RunConfig, new: RunConfig) -> str:
    def flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name, value in record.items():
            if isinstance(value, Mapping):
                out |= flat(value, f"{prefix}{name}.")
            else:
                out[prefix + name] = value
        return out

    before, now = flat(old.to_json()), flat(new.to_json())
    name = next(n for n in sorted(before | now) if before.get(n) != now.get(n))
    return f"{name} was {before.get(name)}, now {now.get(name)}"
