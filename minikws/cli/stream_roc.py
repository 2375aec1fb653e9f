"""minikws stream roc: false alarms per hour against missed words, and the threshold to choose."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minikws.cli.output import Output
from minikws.cli.stream_eval import summary_record
from minikws.cli.stream_options import recognizer_for
from minikws.cli.stream_recording import (
    add_recording_options,
    named,
    open_pair,
    pair_of,
    watched,
)
from minikws.cli.worker_options import add_worker_options

if TYPE_CHECKING:
    from minikws.streaming.curve import Point, Top

HELP = "try every threshold on a long recording; choose the one for a wished rate of false alarms"
EXAMPLE = (
    "minikws stream roc yes_no.tflite streaming_test.wav --false-alarms-per-hour 1 --png curve.png"
)

SHOWN = (0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)  # rows of the printed table


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_recording_options(parser)
    add = parser.add_argument
    add(
        "--false-alarms-per-hour",
        type=float,
        metavar="N",
        help="choose the threshold that misses fewest at no more than N (exit code 3 if there is "
        "none), and write it into MODEL; not with --fresh-windows, which listen does not have",
    )
    add("--no-write", action="store_true", help="leave MODEL as it is")
    add("--png", metavar="FILE", help="draw the curve")
    add("--csv", metavar="FILE", help="write the curve")
    add_worker_options(parser, things="stretches of --fresh-windows")


def run(args: argparse.Namespace, out: Output) -> int:
    """Sweep, show, choose."""
    from minikws.cli.stream_windows import open_windows, score, workers_of_one
    from minikws.errors import CheckFailed, SettingsError
    from minikws.files import write_file
    from minikws.streaming.curve import as_csv, averages, choose, sweep

    wish = args.false_alarms_per_hour
    if wish is not None and not 0 <= wish < 1e6:
        raise SettingsError(f"--false-alarms-per-hour {wish:g} is no rate; 1 is usual")
    model_file, wav = pair_of(named(args))
    model, source, truth = open_pair(args, model_file, wav, out)
    windows, workers = open_windows(args, model), workers_of_one(args, out)
    recognizer = recognizer_for(args, model)
    recognizer.expect_stride(windows.stride_ms)
    settings = {**recognizer.settings, "stride_ms": windows.stride_ms}
    tops: list[Top] = []
    n_samples = 0
    for block, found in score(args, model_file, windows, watched(source, out), workers):
        n_samples += len(block)
        tops += averages(found, recognizer)
    hours = n_samples / source.sample_rate_hz / 3600
    points = sweep(tops, recognizer, truth, hours=hours, tolerance_ms=args.time_tolerance_ms)
    if args.csv:
        write_file(args.csv, as_csv(points))
        out.say(f"wrote {args.csv}")
    out.answer(table([p for p in points if p.threshold in SHOWN]))
    chosen, refusal = None, None
    if wish is not None:
        try:
            chosen = choose(points, wish)
        except CheckFailed as error:
            refusal = error
    if args.png:
        draw(points, chosen, args.png)
        out.say(f"wrote {args.png}")
    if refusal is not None:  # the picture shows why
        raise refusal
    written = None
    if chosen is not None:
        out.answer(
            f"\ndetection threshold {chosen.threshold:g}: "
            f"{chosen.summary.false_alarms_per_hour:.1f} false alarms an hour, "
            f"{100 * chosen.summary.missed_share:.1f}% of the words missed"
        )
        written = keep_choice(args, Path(model_file), settings, chosen, hours, out)
    out.result(
        {
            "points": [point_record(point) for point in points],
            "chosen": None if chosen is None else point_record(chosen),
            "written": None if written is None else str(written),
            "recognizer": settings,
        }
    )
    return 0


def keep_choice(
    args: argparse.Namespace,
    path: Path,
    settings: dict[str, Any],
    chosen: Point,
    hours: float,
    out: Output,
) -> Path | None:
    """Write the threshold into the model where `listen` will find it; return the file, if one."""
    from minikws.classifiers import is_model_file

    by_hand = f"give --detection-threshold {chosen.threshold:g}"
    if args.no_write:
        return None
    if args.fresh_windows:
        out.say(f"not written: listen has no fresh windows; {by_hand}")
        return None
    if not is_model_file(path):
        out.say(f"not written: a run keeps no threshold; {by_hand}, or export it first")
        return None
    write_choice(path, settings, chosen, hours)
    out.say(
        f"written into {path}; listen and stream eval take it from there. It was chosen on this "
        "recording: measure it on another (stream synth --seed 2, stream eval)"
    )
    return path


def write_choice(path: Path, settings: dict[str, Any], chosen: Point, hours: float) -> None:
    """Write a recogniser's parameters, and what they gave, into a model's description.

    Raises
    ------
    ModelFileError, RunError : the file cannot be read or written; it stays as it was.
    """
    from minikws.files import write_file
    from minikws.tflite import attach, info_of, read_model, write_model

    graph = read_model(path)
    record = {
        **settings,
        "detection_threshold": chosen.threshold,
        "measured": {
            "hours": round(hours, 4),
            "false_alarms_per_hour": round(chosen.summary.false_alarms_per_hour, 3),
            "missed_share": round(chosen.summary.missed_share, 4),
        },
    }
    write_file(path, write_model(attach(graph, {**(info_of(graph) or {}), "recognizer": record})))


def point_record(point: Point) -> dict[str, Any]:
    """Return a point of the curve for --json."""
    return {"threshold": point.threshold, **summary_record(point.summary)}


def table(points: list[Point]) -> str:
    """Return some points as columns."""
    from minikws.cli.tables import columns

    rows = [["threshold", "false alarms/h", "missed"]]
    rows += [
        [
            f"{p.threshold:g}",
            f"{p.summary.false_alarms_per_hour:.1f}",
            f"{100 * p.summary.missed_share:.1f}%",
        ]
        for p in points
    ]
    return columns(rows)


def draw(points: list[Point], chosen: Point | None, path: str) -> None:
    """Draw the curve."""
    from minikws.plots import draw_stream_curve

    draw_stream_curve(
        [point.summary.false_alarms_per_hour for point in points],
        [point.summary.missed_share for point in points],
        thresholds=[point.threshold for point in points],
        chosen=None if chosen is None else chosen.threshold,
        path=path,
    )
