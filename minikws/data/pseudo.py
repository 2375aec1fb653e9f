"""Labels for recordings that nobody labelled: what one model is sure of, or several agree on.

In: WAV files below a folder, and classifiers that were trained before. Out: the files that are
clear enough, with their label and its probability, and a CSV that says which model said so.
Training on them beside the labelled clips is what the best entries of the Speech Commands
challenge did: softmax of at least 0.6, or the agreement of three models.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minikws._typing import Array, Float64, Samples
from minikws.errors import CorpusError, SettingsError
from minikws.files import write_file
from minikws.labels import BACKGROUND_FOLDER

BLOCK = 500  # clips a block: bounds the memory of samples and features


@dataclass(frozen=True)
class Voter:
    """A trained model that has a say.

    name : how it is called in the CSV, a run's folder or a file.
    labels : in the order of its outputs.
    probabilities : from samples (B, N) int16 to probabilities (B, L).
    """

    name: str
    labels: tuple[str, ...]
    probabilities: Callable[[Samples], Array]


class PseudoLabel(NamedTuple):
    """A file, the index of its label, and the voters' mean probability of it."""

    path: Path
    label: int
    probability: float


def find_wavs(folder: str | Path) -> tuple[Path, ...]:
    """Return the WAV files below a folder, at any depth, sorted.

    Hidden files and folders and background noise, which is no clip, are left out.

    Raises
    ------
    CorpusError : no such folder, or no WAV file below it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CorpusError(f"there is no folder {folder}; name a folder of WAV files to be labelled")
    found = tuple(
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() == ".wav"
        and path.is_file()
        and not any(
            part.startswith(".") or part == BACKGROUND_FOLDER
            for part in path.relative_to(folder).parts
        )
    )
    if not found:
        raise CorpusError(
            f"no .wav file below {folder}; name a folder that holds recordings, at any depth"
        )
    return found


def pseudo_label(
    paths: Sequence[Path],
    voters: Sequence[Voter],
    *,
    threshold: float,
    read: Callable[[Path], Samples],
) -> list[PseudoLabel]:
    """Label the files that the voters agree on, and are sure enough of.

    Parameters
    ----------
    paths : WAV files.
    voters : one or several models of the same labels in the same order. Every one must name the
        same label.
    threshold : what the mean of their probabilities of that label must reach, 0 to 1.
    read : from a file to its samples (N,) int16, one length for all: `Corpus.samples`.

    Returns
    -------
    A `PseudoLabel` for each file that passed, in the order of `paths`; `label` is an index into
    the voters' labels.

    Raises
    ------
    SettingsError : no voter, voters of other labels, or a threshold that is no share.
    """
    if not 0 <= threshold <= 1:
        raise SettingsError(
            f"threshold={threshold:g} is not a probability between 0 and 1; 0.6 is usual"
        )
    shared_labels(voters)
    found: list[PseudoLabel] = []
    for block in _blocks(paths):
        samples = np.stack([read(path) for path in block])
        votes: Float64 = np.stack([v.probabilities(samples) for v in voters]).astype(np.float64)
        first = votes[0].argmax(1)
        agreed = np.all(votes.argmax(2) == first, axis=0)
        mean = votes.mean(0)[np.arange(len(block)), first]
        found += [
            PseudoLabel(path, int(label), float(probability))
            for path, label, probability, passed in zip(
                block, first, mean, agreed & (mean >= threshold), strict=True
            )
            if passed
        ]
    return found


def shared_labels(voters: Sequence[Voter]) -> tuple[str, ...]:
    """Return the labels that all voters have, in their order.

    Raises
    ------
    SettingsError : no voter, or two that differ.
    """
    if not voters:
        raise SettingsError("no model to label with; name at least one trained model")
    for voter in voters[1:]:
        if voter.labels != voters[0].labels:
            raise SettingsError(
                f"{voters[0].name} has the labels {','.join(voters[0].labels)}, {voter.name} "
                f"has {','.join(voter.labels)}; models that vote need the same in the same order"
            )
    return voters[0].labels


def write_provenance(
    path: str | Path, labelled: Sequence[PseudoLabel], voters: Sequence[Voter]
) -> Path:
    """Write where each label came from: a CSV of file, label, probability and models.

    Raises
    ------
    RunError : the file cannot be written.
    """
    labels = shared_labels(voters)
    models = ";".join(voter.name for voter in voters)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["file", "label", "probability", "models"])
    table.writerows(
        [str(one.path), labels[one.label], f"{one.probability:.6f}", models] for one in labelled
    )
    return write_file(path, text.getvalue())


def _blocks(paths: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for start in range(0, len(paths), BLOCK):
        yield paths[start : start + BLOCK]
