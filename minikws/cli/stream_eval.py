"""minikws stream eval: a model held against a long recording (test_streaming_accuracy)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minikws.cli.listen import clock, command_record
from minikws.cli.output import Output
from minikws.cli.stream_options import (
    add_stream_options,
    open_model,
    recognizer_for,
    say_how,
    stride_for,
)
from minikws.cli.stream_synth import beside
from minikws.cli.tutorial import accept, explain

if TYPE_CHECKING:
    from minikws._typing import Samples
    from minikws.pipeline import Model
    from minikws.streaming.evaluate import Spoken, Summary
    from minikws.streaming.sources import Source

HELP = "count matched, correct and wrong words, false alarms and latency on a long recording"
EXAMPLE = "minikws stream eval yes_no.tflite streaming_test.wav --verbose"

WITHOUT_MEANING = {
    "input-data-name": "the file names its tensors",
    "input-rate-name": "the file names its tensors",
    "output-name": "the file names its tensors",
    "clip-duration-ms": "it comes from the model",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add_recording_options(parser)
    add("--verbose", action="store_true", help="a line for each word as it is heard")
    add(
        "--fresh-windows",
        action="store_true",
        help="compute each window's features from nothing, as the published tool did; any stride",
    )
    add(
        "--mine",
        metavar="DIR",
        help="keep false alarms as clips in DIR/_unknown_, for the next training; mine another "
        "recording than the one you measure on",
    )
    add("--input-names", nargs="*", help=argparse.SUPPRESS)
    accept(parser, WITHOUT_MEANING)


def add_recording_options(parser: argparse.ArgumentParser) -> None:
    """Add a model, a recording and what is said in it; `stream roc` has them too."""
    add = parser.add_argument
    add("model", nargs="?", metavar="MODEL", help="a .tflite file")
    add("wav", nargs="?", metavar="WAV", help="a recording of any length")
    add("--graph", "--model", dest="graph", metavar="FILE", help="the model, as the tools spell it")
    add("--wav", dest="recording", metavar="FILE", help="the recording, as the tools spell it")
    add(
        "--ground-truth",
        metavar="FILE",
        help="lines LABEL, TIME in ms, or Audacity's labels (default: beside the recording, as "
        "streaming_test_labels.txt)",
    )
    add(
        "--time-tolerance-ms",
        type=float,
        metavar="MS",
        help="how far a command may be from its word (default 750; python 1500)",
    )
    add_stream_options(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    """Run the model over the recording and count."""
    from minikws.streaming.evaluate import Tally, summarize
    from minikws.streaming.live import FreshWindows, Listener, ScoreStream
    from minikws.streaming.mine import Mine

    explain(args, WITHOUT_MEANING, out)
    model, source, truth = open_recording(args, out)
    make_windows = FreshWindows if args.fresh_windows else ScoreStream
    windows = make_windows(model, stride_for(args, model))
    listener = Listener(windows, recognizer_for(args, model))
    say_how(listener.recognizer, windows.stride_ms, out)
    tally = Tally(truth, args.time_tolerance_ms, listener.recognizer.behaviour)
    mine = None
    if args.mine:
        mine = Mine(
            args.mine,
            Path(source.name).stem,
            truth,
            sample_rate_hz=model.sample_rate_hz,
            clip_samples=model.clip_samples,
        )
    n_samples = 0
    for block in watched(source, out):
        n_samples += len(block)
        if mine is not None:
            mine.hear(block)
        for step in listener.push(block):
            if step.command is None:
                continue
            command, window = step.command, step.window
            heard = tally.add(command.label, command.time_ms, window.end_ms)
            out.result({**command_record(command, window), "state": heard.state.lower()})
            if args.verbose:
                out.answer(tally.word_line(heard, command.score))
                out.answer(tally.line(command.time_ms))
            if mine is not None:
                mine.keep(heard)
    hours = n_samples / source.sample_rate_hz / 3600
    summary = summarize(tally, hours)
    out.answer(tally.line())
    out.answer(summary_text(summary))
    if mine is not None:
        out.say(mine.report())
    out.result(
        {
            **asdict(tally.counts()),
            **summary_record(summary),
            "recognizer": {**listener.recognizer.settings, "stride_ms": windows.stride_ms},
            "fresh_windows": args.fresh_windows,
            "mined": mine.n_kept if mine is not None else 0,
        }
    )
    return 0


def open_recording(args: argparse.Namespace, out: Output) -> tuple[Model, Source, list[Spoken]]:
    """Return the model, the sound at its rate, and what is said in it.

    Raises
    ------
    SettingsError : no model or recording named, or no ground truth.
    """
    from minikws.errors import SettingsError
    from minikws.streaming.sources import at_rate, open_wav
    from minikws.streaming.truth import read_truth

    names = [name for name in (args.graph, args.model, args.wav, args.recording) if name]
    if len(names) != 2:
        raise SettingsError(
            "expected a model and a recording, found "
            f"{', '.join(names) or 'neither'}; write minikws stream eval MODEL WAV"
        )
    model_file, wav = names
    model = open_model(args, model_file)
    source = open_wav(wav)
    truth_file = Path(args.ground_truth or beside(Path(wav), "labels"))
    truth = read_truth(truth_file)
    said = {spoken.label for spoken in truth}
    strange = sorted(said - set(model.labels) - {"_unknown_"})
    if strange:
        out.warn(
            f"{', '.join(strange)} in {truth_file} is no label of the model and counts as missed"
        )
    if source.sample_rate_hz != model.sample_rate_hz:
        out.say(f"{wav} is {source.sample_rate_hz} Hz, resampled as it comes")
        source = at_rate(source, model.sample_rate_hz)
    return model, source, truth


def watched(source: Source, out: Output) -> Iterator[Samples]:
    """Yield a sound's blocks; on a terminal, show how far we are."""
    shown = sys.stderr.isatty() and not out.quiet
    total = "" if source.n_samples is None else _length(source.n_samples, source)
    n_samples = 0
    for block in source.blocks:
        yield block
        n_samples += len(block)
        if shown:
            print(f"\r{_length(n_samples, source)} of {total}\033[K", end="", file=sys.stderr)
    if shown:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _length(n_samples: int, source: Source) -> str:
    return clock(1000 * n_samples / source.sample_rate_hz)


def summary_record(summary: Summary) -> dict[str, Any]:
    """Return false alarms, missed words and latency for --json."""
    latency = summary.latency_ms
    return {
        "hours": summary.hours,
        "words": summary.words,
        "missed": summary.missed,
        "false_alarms": summary.false_alarms,
        "false_alarms_per_hour": summary.false_alarms_per_hour,
        "latency_ms": None if latency is None else {"median": latency[0], "p95": latency[1]},
        "per_label": [asdict(row) for row in summary.labels],
    }


def summary_text(summary: Summary) -> str:
    """Return the same in words, with a table of the labels."""
    from minikws.cli.tables import columns

    rows: list[list[Any]] = [["word", "said", "heard", "missed", "false alarms"]]
    rows += [
        [row.label, row.said, row.correct, row.said - row.correct, row.false_alarms]
        for row in summary.labels
    ]
    lines = [
        "",
        columns(rows),
        "",
        f"{summary.missed} of {summary.words} words missed ({100 * summary.missed_share:.1f}%), "
        f"{summary.false_alarms} false alarms in {clock(3_600_000 * summary.hours)}: "
        f"{summary.false_alarms_per_hour:.1f} an hour",
    ]
    if summary.latency_ms is not None:
        middle, slow = summary.latency_ms
        lines.append(
            "from the beginning of a word's clip to its command: "
            f"{middle:.0f} ms (median), {slow:.0f} ms (95 of 100)"
        )
    return "\n".join(lines)
