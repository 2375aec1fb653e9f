"""Clips beside the corpus: recordings that trained models labelled, or a folder of word folders.

The labels are found once, when a run begins, and kept in its folder as pseudo_labels.csv (file,
label, probability, models): a resumed run reads them there, even where the models are gone.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from minikws._typing import Array, Samples
from minikws.classifiers import open_classifiers
from minikws.data.corpus import Clip, Corpus
from minikws.data.pseudo import PseudoLabel, Voter, find_wavs, pseudo_label, write_provenance
from minikws.errors import CorpusError, RunError, SettingsError
from minikws.labels import UNKNOWN
from minikws.settings import PseudoSettings

PROVENANCE = "pseudo_labels.csv"


def label_folder(
    settings: PseudoSettings,
    corpus: Corpus,
    run_dir: Path,
    on_message: Callable[[str], None] = lambda text: None,
) -> tuple[Clip, ...]:
    """Label the folder's recordings, write the run's pseudo_labels.csv, return the clips.

    Recordings of the corpus's own validation and test partitions are left out: nobody may train
    on them, whatever their label.

    Raises
    ------
    CorpusError : no recording, or none that is clear enough.
    SettingsError : a model with other labels.
    """
    held_out = {
        clip.path.resolve()
        for clip in (*corpus.partitions["validation"], *corpus.partitions["testing"])
        if clip.path is not None
    }
    found = find_wavs(settings.folder)
    paths = [path for path in found if path.resolve() not in held_out]
    voters = [
        Voter(teacher.name, teacher.labels, teacher.probabilities)
        for teacher in open_classifiers(
            settings.models,
            corpus.labels,
            sample_rate_hz=corpus.sample_rate_hz,
            clip_samples=corpus.clip_samples,
        )
    ]
    if voters:
        labelled = pseudo_label(paths, voters, threshold=settings.threshold, read=corpus.samples)
    else:
        voters = [Voter("names of the folders", corpus.labels, _unasked)]
        labelled = _by_folder(paths, corpus)
    if not labelled:
        raise CorpusError(
            f"none of the {len(paths)} recordings below {settings.folder} reaches the threshold "
            f"{settings.threshold:g}; lower it, or label with better models"
        )
    write_provenance(run_dir / PROVENANCE, labelled, voters)
    on_message(
        f"{len(labelled)} of {len(found)} recordings below {settings.folder} have a label, "
        f"they make {settings.share:.0%} of each batch; see {run_dir / PROVENANCE}"
    )
    return tuple(Clip(one.label, corpus.labels[one.label], one.path) for one in labelled)


def read_labelled(run_dir: Path, corpus: Corpus) -> tuple[Clip, ...]:
    """Return the clips that a run's pseudo_labels.csv names.

    Raises
    ------
    RunError : the file is missing or damaged.
    """
    path = run_dir / PROVENANCE
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return tuple(
                Clip(corpus.labels.index(row["label"]), row["label"], Path(row["file"]))
                for row in csv.DictReader(file)
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path} is missing or damaged ({error}), the labels that the run began with; "
            "train again in another --run-dir"
        ) from error


def _by_folder(paths: list[Path], corpus: Corpus) -> list[PseudoLabel]:
    """Take the name of each recording's folder as its label; words that are none are unknown."""
    labels = corpus.labels
    words = [path.parent.name.lower() for path in paths]
    if not set(words) & set(labels):
        raise SettingsError(
            f"no folder of the unlabelled recordings is named after a label ({', '.join(labels)}), "
            f"found {', '.join(sorted(set(words))[:5])}; name models to label them: "
            "--pseudo-models MODEL,MODEL"
        )
    return [
        PseudoLabel(path, labels.index(word if word in labels else UNKNOWN), 1.0)
        for path, word in zip(paths, words, strict=True)
        if word in labels or UNKNOWN in labels
    ]


def _unasked(samples: Samples) -> Array:
    """Stand for the folders' names among the voters, which nobody asks for probabilities."""
    return samples
