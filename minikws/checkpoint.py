"""A run's folder: its configuration, and checkpoints that lose nothing.

config.json               what was asked for: model, frontend, corpus, training settings
labels.txt                one label a line, in the order of the outputs
metrics.csv               one row an evaluation
calibration.npz           features of some training clips, for the int8 export
model.py                  the source of an architecture of one's own
pseudo_labels.csv         what unlabelled recordings were taken for, and by which models
checkpoints/checkpoint-STEP.npz   weights, optimiser, generator, step; the newest three and the best
report.json               the final test, and the last export's measurements
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minikws._typing import Array
from minikws.errors import RunError, SettingsError
from minikws.files import write_file
from minikws.settings import (
    AugmentSettings,
    CorpusSettings,
    PseudoSettings,
    TeacherSettings,
    TrainSettings,
)

FORMAT = 1
KEEP_NEWEST = 3

# What NumPy and json raise for a file that is cut, overwritten or something else.
_DAMAGED = (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides a training run, as `config.json` and every checkpoint hold it.

    frontend : the frontend's settings in their JSON form ({"kind": "micro", …}).
    labels : in the order of the outputs.
    corpus_digest : which recordings were there (names and sizes).
    model : a name of `ARCHITECTURES`, or FILE.py:FUNCTION.
    model_options : what its builder is given beside, by name.
    start_checkpoint : the run or checkpoint whose weights this one began with.
    teacher, pseudo : other models that help, and recordings without labels.
    """

    model: str
    frontend: Mapping[str, Any]
    labels: tuple[str, ...]
    data_dir: str
    corpus_digest: str
    corpus: CorpusSettings
    augment: AugmentSettings
    train: TrainSettings
    model_options: Mapping[str, Any] = field(default_factory=dict)
    start_checkpoint: str | None = None
    teacher: TeacherSettings | None = None
    pseudo: PseudoSettings | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"format": FORMAT, **asdict(self), "frontend": dict(self.frontend)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], *, source: str) -> RunConfig:
        """Build the record from its JSON form; what older versions did not store is at its default.

        Raises
        ------
        RunError : another format number, or a field that is missing or of a wrong type.
        """
        if stored.get("format") != FORMAT:
            raise RunError(
                f"{source} has format {stored.get('format')!r}, this minikws reads {FORMAT}; "
                "train again, or use the version that wrote it"
            )
        try:
            teacher, pseudo = stored.get("teacher"), stored.get("pseudo")
            return cls(
                model=stored["model"],
                frontend=dict(stored["frontend"]),
                labels=tuple(stored["labels"]),
                data_dir=stored["data_dir"],
                corpus_digest=stored["corpus_digest"],
                corpus=CorpusSettings(**stored["corpus"]),
                augment=AugmentSettings(**stored["augment"]),
                train=TrainSettings(**stored["train"]),
                model_options=dict(stored.get("model_options", {})),
                start_checkpoint=stored.get("start_checkpoint"),
                teacher=TeacherSettings(**teacher) if teacher else None,
                pseudo=PseudoSettings(**pseudo) if pseudo else None,
            )
        except (KeyError, TypeError, SettingsError) as error:
            raise RunError(
                f"{source} holds no usable configuration ({error}); train again"
            ) from error


def first_difference(old: RunConfig, new: RunConfig) -> str:
    """Return the first setting that differs, as "train.batch_size was 20, now 30"."""

    def flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name, value in record.items():
            if isinstance(value, Mapping):
                out |= flat(value, f"{prefix}{name}.")
            else:
                out[prefix + name] = value
        return out

    before, now = flat(old.to_json()), flat(new.to_json())
    different = [n for n in sorted(before | now) if before.get(n) != now.get(n)]
    # Two kinds of frontend differ in all their settings: the kind says it.
    name = "frontend.kind" if "frontend.kind" in different else different[0]
    return f"{name} was {before.get(name)}, now {now.get(name)}"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of a run after `step` steps; with it a run goes on as if never interrupted.

    schedule : what the learning rate's schedule remembers.
    """

    step: int
    seconds: float
    config: RunConfig
    weights: Mapping[str, Array]
    optimizer: Mapping[str, Array]
    generator: Mapping[str, Any]
    validation_accuracy: float | None
    schedule: Mapping[str, float] = field(default_factory=dict)


def checkpoints_in(run_dir: Path) -> list[Path]:
    """Return a run's checkpoint files, oldest first."""
    found = []
    for path in (run_dir / "checkpoints").glob("checkpoint-*.npz"):
        if match := re.fullmatch(r"checkpoint-(\d+)\.npz", path.name):
            found.append((int(match[1]), path))
    return [path for _, path in sorted(found)]


def save(checkpoint: Checkpoint, run_dir: Path) -> Path:
    """Write a checkpoint beside and rename it; then drop all but the newest three and the best.

    Raises
    ------
    RunError : no permission or no space; the older checkpoints stay as they are.
    """
    state = {
        "format": FORMAT,
        "step": checkpoint.step,
        "seconds": checkpoint.seconds,
        "validation_accuracy": checkpoint.validation_accuracy,
        "generator": checkpoint.generator,
        "schedule": checkpoint.schedule,
        "config": checkpoint.config.to_json(),
    }
    arrays = {f"weights/{name}": value for name, value in checkpoint.weights.items()}
    arrays |= {f"optimizer/{name}": value for name, value in checkpoint.optimizer.items()}

    def write(file: BinaryIO) -> None:
        np.savez(file, state=np.array(json.dumps(state)), **arrays)  # type: ignore[arg-type]

    path = run_dir / "checkpoints" / f"checkpoint-{checkpoint.step}.npz"
    write_file(path, write)
    _prune(run_dir)
    return path


def _prune(run_dir: Path) -> None:
    older = checkpoints_in(run_dir)[:-KEEP_NEWEST]
    accuracies = {path: _validation_accuracy(path) for path in checkpoints_in(run_dir)}
    best = max(accuracies, key=lambda path: accuracies[path])
    for path in older:
        if path != best:
            path.unlink(missing_ok=True)


def _validation_accuracy(path: Path) -> float:
    """Return a checkpoint's accuracy without reading its arrays; -1 where it has none."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            found = json.loads(str(stored["state"]))["validation_accuracy"]
    except _DAMAGED:
        return -1.0
    return -1.0 if found is None else float(found)


def load(path: str | Path) -> Checkpoint:
    """Read a checkpoint: a file, or the newest one of a run's folder.

    Raises
    ------
    RunError : nothing there, or a file that is damaged or something else.
    """
    path = Path(path)
    if path.is_dir():
        found = checkpoints_in(path)
        if not found:
            raise RunError(
                f"{path} holds no checkpoints/checkpoint-STEP.npz; give the folder that "
                "minikws train --run-dir wrote"
            )
        path = found[-1]
    if not path.exists():
        raise RunError(f"there is no run or checkpoint {path}; give a run's folder or a .npz file")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            state = json.loads(str(stored["state"]))
            arrays = {name: stored[name] for name in stored.files if name != "state"}
        return Checkpoint(
            step=int(state["step"]),
            seconds=float(state["seconds"]),
            config=RunConfig.from_json(state["config"], source=str(path)),
            weights=_group(arrays, "weights/"),
            optimizer=_group(arrays, "optimizer/"),
            generator=state["generator"],
            schedule=state.get("schedule", {}),
            validation_accuracy=state["validation_accuracy"],
        )
    except _DAMAGED as error:
        raise RunError(
            f"{path} is not a checkpoint of minikws or is damaged ({error}); "
            "use another checkpoint of the run, or train again"
        ) from error


def _group(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
