"""A partition's clips by blocks: opened from the command's options alone, in whatever process.

A block is always of the same size, and so is its arithmetic: more jobs change no prediction.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from minikws._typing import Array, Int64, Samples
from minikws.classifiers import Classifier, open_classifier
from minikws.cli.corpus_options import corpus_overrides, need_data_dir
from minikws.cli.tta_option import copies_from
from minikws.data.corpus import Clip, Corpus
from minikws.data.evaluate import BLOCK, predict_labels
from minikws.errors import CorpusError, SettingsError
from minikws.labels import SILENCE, UNKNOWN, fold_labels, read_label_map, read_labels
from minikws.metrics import fold_scores
from minikws.settings import CorpusSettings
from minikws.tta import averaged
from minikws.workers import Workers, kept, run_in_order


@dataclass(frozen=True)
class Exam:
    """A model before the clips it is asked about.

    labels : that are counted.
    becomes : for each of the model's labels, which of them.
    scores : from samples (B, N) to scores (B, L) of the counted labels.
    messages : what was done to the sound, so far.
    """

    classifier: Classifier
    labels: tuple[str, ...]
    becomes: tuple[int, ...]
    scores: Callable[[Samples], Array]
    corpus: Corpus
    clips: Sequence[Clip]
    messages: list[str]


def open_exam(args: argparse.Namespace) -> Exam:
    """Open what `eval`'s options name.

    Raises
    ------
    MinikwsError : a model, map or corpus that cannot be read or does not fit the others.
    """
    classifier = open_classifier(
        args.model,
        labels=read_labels(args.labels) if args.labels else None,
        frontend=args.frontend,
    )
    labels, becomes = folding(classifier.labels, args.map)
    messages: list[str] = []
    corpus = corpus_for(classifier, args, messages.append)
    parts = corpus.partitions
    clips = (
        [clip for part in parts.values() for clip in part]
        if args.partition == "all"
        else parts[args.partition]
    )
    if not clips:
        raise CorpusError(
            f"no clip of {corpus.folder} falls into the {args.partition} partition; name another "
            "--partition, or give a percentage above 0"
        )
    scores = scores_for(classifier, becomes if args.map else None, copies_from(args))
    return Exam(classifier, labels, becomes, scores, corpus, clips, messages)


def predictions(
    args: argparse.Namespace, workers: Workers, say: Callable[[str], None]
) -> tuple[Exam, Int64, Int64]:
    """Return the exam, and the true (of the corpus) and predicted (counted) label of each clip."""
    name = uuid4().hex
    exam = kept(name, lambda: open_exam(args))
    for message in exam.messages:
        say(message)
    work = [(name, args, start, start + BLOCK) for start in range(0, len(exam.clips), BLOCK)]
    none = np.zeros(0, np.int64)
    found = [(none, none)]
    for true, predicted, messages in run_in_order(predict_block, work, workers):
        found.append((true, predicted))
        for message in messages:
            say(message)
    true, predicted = (np.concatenate(each) for each in zip(*found, strict=True))
    return exam, true, predicted


def predict_block(
    work: tuple[str, argparse.Namespace, int, int],
) -> tuple[Int64, Int64, list[str]]:
    """Return the labels of a block's clips, true and predicted, and what was done to the sound."""
    name, args, start, stop = work
    exam = kept(name, lambda: open_exam(args))
    exam.messages.clear()
    true, predicted = predict_labels(exam.scores, exam.corpus, exam.clips[start:stop])
    return true, predicted, list(exam.messages)


def folding(labels: tuple[str, ...], file: str | None) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the labels that are counted, and for each of the model's which of them it becomes.

    Raises
    ------
    SettingsError : the map cannot be read, or does not fit the model's labels.
    """
    if file is None:
        return labels, tuple(range(len(labels)))
    return fold_labels(labels, read_label_map(file))


def scores_for(
    classifier: Classifier, becomes: tuple[int, ...] | None, copies: tuple[str, ...]
) -> Callable[[Samples], Array]:
    """Return what is asked for scores: the model, averaged over copies of a clip, then folded."""
    if becomes is None and not copies:
        return classifier.scores
    rate = classifier.frontend.settings.sample_rate_hz
    mean = averaged(classifier.probabilities, copies, sample_rate_hz=rate)
    if becomes is None:
        return mean
    return lambda samples: fold_scores(mean(samples), becomes)


def corpus_for(
    classifier: Classifier, args: argparse.Namespace, say: Callable[[str], None]
) -> Corpus:
    """Open the corpus as the model's training saw it; given options come first.

    Raises
    ------
    SettingsError : no folder is known, or other wanted words than the model's.
    """
    config = classifier.config
    settings = classifier.frontend.settings
    words = tuple(w for w in classifier.labels if w not in (SILENCE, UNKNOWN))
    given: dict[str, Any] = corpus_overrides(args)
    if given.get("wanted_words", words) != words:
        raise SettingsError(
            f"the model's words are {','.join(words)}, not {','.join(given['wanted_words'])}; "
            "leave --wanted-words out, they come from the model"
        )
    stored = (
        config.corpus
        if config
        else CorpusSettings(
            wanted_words=words,
            silence=SILENCE in classifier.labels,
            unknown=UNKNOWN in classifier.labels,
            **classifier.corpus_percentages,
        )
    )
    data_dir = need_data_dir(args.data_dir or (config.data_dir if config else None))
    return Corpus(
        Path(data_dir),
        replace(stored, **given),
        settings.sample_rate_hz,
        settings.clip_samples,
        say,
    )
