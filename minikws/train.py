"""Train a network on a folder of clips: draw, featurise, forward, backward, update, repeat.

In: a `RunConfig` and its `Corpus`. Out: a run's folder (see `checkpoint`) and a `TrainReport`.
One seeded generator drives initial weights, batches, masks and dropout; it is stored in every
checkpoint, so a resumed run ends with the same weights as an uninterrupted one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from minikws import checkpoint
from minikws._typing import Array, Features, Int64, Samples
from minikws.checkpoint import Checkpoint, RunConfig
from minikws.data.batches import TrainingBatches, lead_in_samples
from minikws.data.corpus import Clip, Corpus
from minikws.data.evaluate import blocks, evaluate
from minikws.data.spec_augment import mask_features
from minikws.data.splits import PARTITIONS
from minikws.errors import RunError, SettingsError, nearest
from minikws.files import write_file
from minikws.metrics import accuracy
from minikws.models.own import is_own, split_name
from minikws.nn import OPTIMIZERS, softmax_cross_entropy
from minikws.nn.losses import l2_penalty
from minikws.nn.nans import NanWatch
from minikws.objective import Objective
from minikws.progress import Evaluation, TrainReport, read_metrics, write_metrics
from minikws.runs import OWN_MODEL, build, own_source, start_from, write_calibration
from minikws.schedule import make_schedule
from minikws.summaries import SummaryWriter
from minikws.unlabelled import label_folder, read_labelled

N_CALIBRATION_CLIPS = 300


class Trainer:
    """A run that can be stepped, saved and resumed.

    Parameters
    ----------
    config, corpus : what to train on what.
    run_dir : the run's folder; made if it is not there.
    resume : go on from the folder's newest checkpoint.
    check_nans : look at every tensor of every layer, and name the first that is not finite. Layers
        are then computed one by one, which may round otherwise than several at once.
    on_message : is told what people should know, such as weights that did not fit.

    Raises
    ------
    RunError : the folder holds another run, or cannot be written.
    SettingsError : settings that do not fit this corpus or network.
    """

    def __init__(
        self,
        config: RunConfig,
        corpus: Corpus,
        run_dir: str | Path,
        *,
        resume: bool = False,
        check_nans: bool = False,
        on_message: Callable[[str], None] = lambda text: None,
    ) -> None:
        settings = config.train
        if settings.optimizer not in OPTIMIZERS:
            raise SettingsError(
                f"unknown optimizer {settings.optimizer!r}; "
                f"{nearest(settings.optimizer, OPTIMIZERS)}"
            )
        self.config = config
        self.corpus = corpus
        self.run_dir = Path(run_dir)
        self.rng = np.random.default_rng(settings.seed)
        source = own_source(config, self.run_dir) if resume else None
        self.frontend, self.network = build(config, self.rng, source=source)
        self.optimizer = OPTIMIZERS[settings.optimizer](self.network.layers)
        self.schedule = make_schedule(settings)
        self.objective = Objective(config, corpus)
        self._say = on_message
        self.step = 0
        self.evaluations: list[Evaluation] = []
        self._seconds_before = 0.0
        self._since_evaluation: list[tuple[float, float]] = []
        self._validation: list[tuple[Features, Int64]] | None = None
        found = checkpoint.load(self.run_dir) if resume else None
        if found is None:
            self._check_is_new()
        else:
            self._check_is_same(found)
        share = config.pseudo.share if config.pseudo else 0.0
        extra = self._extra_clips(resume)
        self.batches = TrainingBatches(
            corpus,
            config.augment,
            extra=extra,
            extra_share=share,
            lead_in_samples=lead_in_samples(config.augment, self.frontend.settings),
        )
        if found is None:
            self._begin()
        else:
            self._restore(found)
        self._watch = NanWatch(self.network) if check_nans else None
        self._started = time.monotonic()

    def _check_is_new(self) -> None:
        if checkpoint.checkpoints_in(self.run_dir):
            raise RunError(
                f"{self.run_dir} already holds the checkpoints of a run; "
                "go on with --resume, or give another --run-dir"
            )

    def _check_is_same(self, found: Checkpoint) -> None:
        if found.config != self.config:
            raise RunError(
                f"{self.run_dir} was trained with other settings or on another corpus "
                f"({checkpoint.first_difference(found.config, self.config)}); "
                "resume with the run's own options, or give another --run-dir"
            )

    def _extra_clips(self, resume: bool) -> tuple[Clip, ...]:
        if self.config.pseudo is None:
            return ()
        if resume:
            return read_labelled(self.run_dir, self.corpus)
        return label_folder(self.config.pseudo, self.corpus, self.run_dir, self._say)

    def _begin(self) -> None:
        if self.config.start_checkpoint:
            left = start_from(self.network, self.config.start_checkpoint)
            fresh = "; ".join(left) or "none"
            self._say(f"weights start from {self.config.start_checkpoint}; fresh ones: {fresh}")
        self._write_config()
        if is_own(self.config.model):
            file, _ = split_name(self.config.model)
            write_file(self.run_dir / OWN_MODEL, file.read_bytes())
        self._write_calibration()
        self._write_metrics()

    def _write_config(self) -> None:
        write_file(self.run_dir / "config.json", json.dumps(self.config.to_json(), indent=2) + "\n")
        write_file(self.run_dir / "labels.txt", "\n".join(self.config.labels) + "\n")

    def _restore(self, found: Checkpoint) -> None:
        self._write_config()  # the checkpoint's: the files may have been lost or changed
        self.network.load_weights(found.weights)
        self.optimizer.load_state(found.optimizer)
        self.rng.bit_generator.state = found.generator
        if found.schedule:
            self.schedule.load_state(found.schedule)
        self.step = found.step
        self._seconds_before = found.seconds
        self.evaluations = read_metrics(self.run_dir / "metrics.csv", up_to=found.step)
        self._write_metrics()

    @property
    def seconds(self) -> float:
        """Time spent on this run so far, over all its sessions."""
        return self._seconds_before + time.monotonic() - self._started

    # What overflows is said by our own sentence, not by NumPy's warning.
    @np.errstate(over="ignore", invalid="ignore")
    def train_step(self) -> float:
        """Do one step: draw a batch, forward, backward, update; return the loss.

        Raises
        ------
        RunError : the loss (with `check_nans` any value) is not finite any more; the last
            checkpoint stands.
        """
        settings = self.config.train
        samples, labels = self.batches.draw(settings.batch_size, self.rng)
        features = self._masked(self._features(samples))
        self.step += 1
        rate = self.schedule.rate_at(self.step)
        if self._watch:
            self._watch.step, self._watch.learning_rate = self.step, rate
            logits = self._watch.forward(features)
        else:
            logits = self.network.forward(features, training=True)
        loss, dlogits = self.objective(logits, labels, samples[:, -self.corpus.clip_samples :])
        if not np.isfinite(loss):
            raise RunError(
                f"the loss is {loss} at step {self.step} with learning rate {rate:g}; "
                "lower the rate and resume from the last checkpoint, or find the layer with "
                "--check-nans"
            )
        (self._watch or self.network).backward(dlogits)
        if settings.l2:
            loss += l2_penalty(self.network.layers, settings.l2)
        self.optimizer.step(rate)
        if self._watch:
            self._watch.weights()
        self._since_evaluation.append((loss, float((logits.argmax(1) == labels).mean())))
        return loss

    def _features(self, samples: Samples) -> Features:
        """Return the clips' features (B, T, F) of a batch (B, M + N): no frame of the lead-in."""
        n_frames = self.frontend.settings.n_frames
        return np.ascontiguousarray(self.frontend.extract(samples)[:, -n_frames:])

    def _masked(self, features: Features) -> Features:
        """Hide what SpecAugment hides from a batch's features; no draw where it is off."""
        augment = self.config.augment
        if not (augment.time_masks or augment.frequency_masks):
            return features
        return mask_features(
            features,
            time_masks=augment.time_masks,
            time_mask_frames=augment.time_mask_frames,
            frequency_masks=augment.frequency_masks,
            frequency_mask_bins=augment.frequency_mask_bins,
            rng=self.rng,
        )

    def run(
        self,
        *,
        on_step: Callable[[int], None] = lambda step: None,
        on_evaluation: Callable[[Evaluation], None] = lambda evaluation: None,
        interrupted: Callable[[], bool] = lambda: False,
        summaries: SummaryWriter | None = None,
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
            if summaries:
                summaries.step(self.step, *self._since_evaluation[-1])
            is_last = self.step == settings.total_steps
            if self.step % settings.eval_interval == 0 or is_last:
                found = self.evaluate()
                on_evaluation(found)
                if summaries:
                    summaries.validation(
                        self.step, found.validation_loss, found.validation_accuracy
                    )
            if interrupted():
                self.save()
                raise KeyboardInterrupt
            if self.step % settings.save_interval == 0 or is_last:
                self.save()
        return self.finish()

    def classify(self, samples: Samples) -> Array:
        """Return the logits (B, L) of samples (B, N) int16, by the network as it is now."""
        return self.network.predict(self.frontend.extract(samples))

    def _validate(self) -> tuple[float, float]:
        """Return cross entropy and accuracy on the validation partition.

        Its features are computed once. Without a clip there they are nan and 0.
        """
        if self._validation is None:
            self._validation = [
                (self.frontend.extract(samples), labels)
                for samples, labels in blocks(self.corpus, self.corpus.partitions["validation"])
            ]
        n_clips = len(self.corpus.partitions["validation"])
        if n_clips == 0:
            return float("nan"), 0.0
        total_loss, n_right = 0.0, 0
        for features, labels in self._validation:
            logits = self.network.predict(features)
            total_loss += len(labels) * softmax_cross_entropy(logits, labels)[0]
            n_right += int((logits.argmax(1) == labels).sum())
        return total_loss / n_clips, n_right / n_clips

    def evaluate(self) -> Evaluation:
        """Evaluate on the validation partition and add a row to metrics.csv."""
        losses, shares = zip(*self._since_evaluation, strict=True)
        self._since_evaluation.clear()
        rate = self.schedule.rate_at(self.step)
        validation_loss, validation_accuracy = self._validate()
        self.schedule.evaluated(validation_accuracy)
        evaluation = Evaluation(
            step=self.step,
            learning_rate=rate,
            seconds=round(self.seconds, 3),
            loss=float(np.mean(losses)),
            training_accuracy=float(np.mean(shares)),
            validation_accuracy=validation_accuracy,
            validation_loss=validation_loss,
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
                schedule=self.schedule.state(),
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
        write_calibration(self.run_dir, self._features(samples))

    def _write_metrics(self) -> None:
        write_metrics(self.run_dir / "metrics.csv", self.evaluations)
