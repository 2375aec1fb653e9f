"""minikws eval: accuracy with its interval, confusion matrix, precision and recall."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Sequence

from minikws.cli.corpus_options import add_corpus_options
from minikws.cli.frontend_options import add_missing_options
from minikws.cli.output import Output
from minikws.cli.tta_option import add_tta_option, copies_from
from minikws.cli.worker_options import add_worker_options, workers_from

HELP = "measure a run, a checkpoint or a .tflite file on a folder of clips"
EXAMPLE = "minikws eval yes_no.tflite --data-dir clips --partition testing"

PARTITION_NAMES = ("training", "validation", "testing", "all")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="a run's folder, a checkpoint or a .tflite file")
    add("--data-dir", metavar="DIR", help="default: the run's own")
    add("--partition", choices=PARTITION_NAMES, default="testing", help="default testing")
    add_missing_options(add)
    add("--png", metavar="FILE", help="draw the confusion matrix")
    add("--csv", metavar="FILE", help="write lines fname,label: Kaggle's submission form")
    add(
        "--map",
        metavar="FILE",
        help="fold labels: lines label,target (* for everything else), as yes,yes and *,_unknown_",
    )
    add_tta_option(parser)
    add_corpus_options(parser)
    add_worker_options(parser, things="blocks of 500 clips")


def run(args: argparse.Namespace, out: Output) -> int:
    """Evaluate and print."""
    import numpy as np

    from minikws.cli.eval_blocks import predictions
    from minikws.cli.tables import columns, confusion_table
    from minikws.metrics import accuracy, confusion_matrix, precision_recall, wilson_interval

    exam, true, predicted = predictions(args, workers_from(args), out.say)
    labels, own = exam.labels, exam.classifier.labels
    # By name: the corpus may lack a label of the model's (--no-silence), or order them otherwise.
    counted = np.array([exam.becomes[own.index(label)] for label in exam.corpus.labels])
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
    if args.csv:
        from minikws.files import write_file

        named = [clip.path.name if clip.path else None for clip in exam.clips]
        write_file(args.csv, submission(named, [labels[i] for i in predicted]))
        out.say(f"wrote {args.csv}")
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
            "tta": list(copies_from(args)),
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


def submission(names: Sequence[str | None], labels: Sequence[str]) -> str:
    """Return lines fname,label; silence that is no file is left out, as are marks around labels.

    Source: the sample submission of Kaggle's TensorFlow Speech Recognition Challenge.

    >>> print(submission(["a.wav", None], ["_unknown_", "_silence_"]), end="")
    fname,label
    a.wav,unknown
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["fname", "label"])
    writer.writerows(
        [name, label.strip("_")] for name, label in zip(names, labels, strict=True) if name
    )
    return text.getvalue()


def _number(value: float) -> float | None:
    """Return a share for JSON, which has no NaN."""
    return None if value != value else float(value)


def _percent(value: object) -> str:
    return f"{100 * value:.1f}%" if isinstance(value, float) else "-"
