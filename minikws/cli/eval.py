"""minikws eval: accuracy with its interval, confusion matrix, precision and recall."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minikws.cli.corpus_options import add_corpus_options, corpus_overrides, need_data_dir
from minikws.cli.output import Output
from minikws.cli.tta_option import add_tta_option, copies_from

if TYPE_CHECKING:
    from minikws._typing import Array, Samples
    from minikws.cli.classifiers import Classifier
    from minikws.data.corpus import Corpus

HELP = "measure a run, a checkpoint or a .tflite file on a folder of clips"
EXAMPLE = "minikws eval yes_no.tflite --data-dir clips --partition testing"

PARTITION_NAMES = ("training", "validation", "testing", "all")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="a run's folder, a checkpoint or a .tflite file")
    add("--data-dir", metavar="DIR", help="default: the run's own")
    add("--partition", choices=PARTITION_NAMES, default="testing", help="default testing")
    add("--labels", metavar="FILE_OR_LIST", help="for a model file that holds none")
    add(
        "--frontend",
        "--preprocess",
        metavar="KIND",
        help="for a model file that names none; settings may follow, as average,hop_ms=20",
    )
    add("--png", metavar="FILE", help="draw the confusion matrix")
    add(
        "--map",
        metavar="FILE",
        help="fold labels: lines label,target (* for everything else), as yes,yes and *,_unknown_",
    )
    add_tta_option(parser)
    add_corpus_options(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    """Evaluate and print."""
    import numpy as np

    from minikws.cli.classifiers import open_classifier
    from minikws.cli.tables import columns, confusion_table
    from minikws.data.evaluate import predict_labels
    from minikws.labels import read_labels
    from minikws.metrics import accuracy, confusion_matrix, precision_recall, wilson_interval

    classifier = open_classifier(
        Path(args.model),
        labels=read_labels(args.labels) if args.labels else None,
        frontend=args.frontend,
    )
    labels, becomes = folding(classifier.labels, args.map)
    copies = copies_from(args)
    scores = scores_for(classifier, becomes if args.map else None, copies)
    corpus = corpus_for(classifier, args, out)
    parts = corpus.partitions
    clips = (
        [clip for part in parts.values() for clip in part]
        if args.partition == "all"
        else parts[args.partition]
    )
    true, predicted = predict_labels(scores, corpus, clips)
    # By name: the corpus may lack a label of the model's (--no-silence), or order them otherwise.
    counted = np.array([becomes[classifier.labels.index(label)] for label in corpus.labels])
    matrix = confusion_matrix(counted[true], predicted, len(labels))
    share, n_clips = accuracy(matrix), int(matrix.sum())
    low, high = wilson_interval(int(matrix.trace()), n_clips)
    precision, recall = precision_recall(matrix)
    per_label = [
        {
            "label": label,
            "precision": _number(precision[i]),
            "recall": _number(recall[i]),
            "count": int(matrix[i].sum()),
        }
        for i, label in enumerate(labels)
    ]
    if args.png:
        from minikws.plots import draw_confusion_matrix

        draw_confusion_matrix(matrix, labels, path=args.png)
        out.say(f"wrote {args.png}")
    out.result(
        {
            "model": args.model,
            "partition": args.partition,
            "count": n_clips,
            "accuracy": share,
            "interval_95": [low, high],
            "labels": list(labels),
            "confusion_matrix": matrix.tolist(),
            "per_label": per_label,
            "tta": list(copies),
            "map": args.map,
        }
    )
    out.answer(confusion_table(matrix.tolist(), labels))
    rows = [["label", "precision", "recall", "clips"]]
    rows += [
        [str(r["label"]), _percent(r["precision"]), _percent(r["recall"]), str(r["count"])]
        for r in per_label
    ]
    out.answer()
    out.answer(columns(rows))
    out.answer()
    out.answer(
        f"accuracy on {args.partition} = {100 * share:.1f}% (N={n_clips}, "
        f"95% interval {100 * low:.1f} to {100 * high:.1f}%)"
    )
    return 0


def folding(labels: tuple[str, ...], file: str | None) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the labels that are counted, and for each of the model's which of them it becomes.

    Raises
    ------
    SettingsError : the map cannot be read, or does not fit the model's labels.
    """
    from minikws.labels import fold_labels, read_label_map

    if file is None:
        return labels, tuple(range(len(labels)))
    return fold_labels(labels, read_label_map(file))


def scores_for(
    classifier: Classifier, becomes: tuple[int, ...] | None, copies: tuple[str, ...]
) -> Callable[[Samples], Array]:
    """Return what is asked for scores: the model, averaged over copies of a clip, then folded."""
    from minikws.metrics import fold_scores
    from minikws.tta import averaged

    if becomes is None and not copies:
        return classifier.classify
    rate = classifier.frontend.settings.sample_rate_hz
    mean = averaged(classifier.probabilities, copies, sample_rate_hz=rate)
    if becomes is None:
        return mean
    return lambda samples: fold_scores(mean(samples), becomes)


def corpus_for(classifier: Classifier, args: argparse.Namespace, out: Output) -> Corpus:
    """Open the corpus as the model's training saw it; given options come first.

    Raises
    ------
    SettingsError : no folder is known, or other wanted words than the model's.
    """
    from minikws.data.corpus import Corpus
    from minikws.errors import SettingsError
    from minikws.labels import SILENCE, UNKNOWN
    from minikws.settings import CorpusSettings

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
        out.say,
    )


def _number(value: float) -> float | None:
    """Return a share for JSON, which has no NaN."""
    return None if value != value else float(value)


def _percent(value: object) -> str:
    return f"{100 * value:.1f}%" if isinstance(value, float) else "-"
