"""Options of the commands that run a model over a stream: which model, and when a word counts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minikws.cli.frontend_options import add_missing_options
from minikws.cli.output import Output

if TYPE_CHECKING:
    from minikws.pipeline import Model
    from minikws.streaming.recognize import Recognizer

FIELDS = ("average_window_ms", "detection_threshold", "suppression_ms", "minimum_count")


def add_stream_options(parser: argparse.ArgumentParser) -> None:
    """Add the options, under our names and the published tools'."""
    add = parser.add_argument
    add_missing_options(add)
    group = parser.add_argument_group("from scores to words")
    add = group.add_argument
    add(
        "--behaviour",
        choices=("cpp", "python", "device"),
        help="whose rules: TensorFlow's two tools' (cpp, the default), or micro_speech's (device, "
        "the default for a model without a label for silence: a word may repeat)",
    )
    add(
        "--stride-ms",
        "--clip-stride-ms",
        "--sample-stride-ms",
        type=float,
        metavar="MS",
        help="between two looks at the sound, a multiple of the hop (default 100)",
    )
    add(
        "--average-window-ms",
        "--average-window-duration-ms",
        type=float,
        metavar="MS",
        help="scores are averaged over it (default 500; device 1000)",
    )
    add(
        "--detection-threshold",
        type=float,
        metavar="SCORE",
        help="an average must exceed it (default 0.7; device 0.78125)",
    )
    add(
        "--suppression-ms",
        type=float,
        metavar="MS",
        help="after a word, others are held back so long (default 1500; python 500)",
    )
    add(
        "--minimum-count",
        type=int,
        metavar="N",
        help="of results in the window (default 3; python 4)",
    )


def open_stream_model(args: argparse.Namespace, path: str) -> Model:
    """Open a model file or a run, with a memory of its own for one stream."""
    from minikws.classifiers import open_model
    from minikws.labels import read_labels

    labels = read_labels(args.labels) if args.labels else None
    return open_model(Path(path), labels=labels, frontend=args.frontend).apart()


def recognizer_for(args: argparse.Namespace, model: Model) -> Recognizer:
    """Return the recogniser: given options first, then the model file's, then the defaults.

    Raises
    ------
    SettingsError : a parameter that cannot work.
    """
    from minikws.streaming.recognize import SILENCES, Recognizer

    stored = model.recognizer
    has_silence = any(label in SILENCES for label in model.labels)
    own = stored.get("behaviour", "cpp" if has_silence else "device")
    settings: dict[str, Any] = {"behaviour": args.behaviour or own}
    if settings["behaviour"] == own:  # another one's numbers mean something else
        settings |= {name: stored[name] for name in FIELDS if name in stored}
    settings |= {name: getattr(args, name) for name in FIELDS if getattr(args, name) is not None}
    return Recognizer(model.labels, **settings)


def stride_for(args: argparse.Namespace, model: Model) -> float | None:
    """Return the stride that was asked for, on the command line or in the file; else None.

    Raises
    ------
    SettingsError : the file's is no number.
    """
    if args.stride_ms is not None:
        return float(args.stride_ms)
    stored = model.recognizer.get("stride_ms")
    if stored is None:
        return None
    if isinstance(stored, bool) or not isinstance(stored, (int, float)):
        from minikws.errors import SettingsError

        raise SettingsError(
            f"the model's file gives the stride {stored!r}, expected a number of ms; give one "
            "with --stride-ms 100"
        )
    return float(stored)


def say_how(recognizer: Recognizer, stride_ms: float, out: Output) -> None:
    """Say by which numbers words are recognised."""
    out.say(
        f"a look every {stride_ms:g} ms; a word counts when its average over "
        f"{recognizer.average_window_ms:g} ms exceeds {recognizer.detection_threshold:g}, and "
        f"others wait {recognizer.suppression_ms:g} ms ({recognizer.behaviour})"
    )
