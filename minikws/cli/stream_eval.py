"""minikws stream eval: a model held against a long recording (test_streaming_accuracy)."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minikws.cli.listen import clock, command_record
from minikws.cli.output import Output, Recorded
from minikws.cli.stream_options import recognizer_for, say_how
from minikws.cli.stream_recording import add_recording_options, named, open_pair, pairs_of, watched
from minikws.cli.tables import columns
from minikws.cli.tutorial import accept, explain
from minikws.cli.worker_options import add_worker_options, workers_from

if TYPE_CHECKING:
    from minikws.streaming.evaluate import Summary
    from minikws.workers import Workers

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
    add("more", nargs="*", metavar="FILE", help="more models and recordings: each with each")
    add("--verbose", action="store_true", help="a line for each word as it is heard")
    add(
        "--mine",
        metavar="DIR",
        help="keep false alarms as clips in DIR/_unknown_, for the next training; mine another "
        "recording than the one you measure on",
    )
    add("--input-names", nargs="*", help=argparse.SUPPRESS)
    add_worker_options(parser, things="recordings and models, or stretches of --fresh-windows,")
    accept(parser, WITHOUT_MEANING)


def run(args: argparse.Namespace, out: Output) -> int:
    """Hold each model against each recording."""
    from minikws.cli.stream_windows import workers_of_one
    from minikws.errors import SettingsError
    from minikws.workers import run_in_order

    explain(args, WITHOUT_MEANING, out)
    pairs = pairs_of([*named(args), *args.more])
    if len(pairs) == 1:
        hold(args, *pairs[0], workers_of_one(args, out), out)
        return 0
    if args.ground_truth:
        raise SettingsError(
            f"--ground-truth {args.ground_truth} is of one recording; leave it out, and keep each "
            "one's truth beside it, as NAME_labels.txt"
        )
    rows = [["model", "recording", "missed", "false alarms an hour"]]
    work = [(args, *pair) for pair in pairs]
    for pair, said in zip(pairs, run_in_order(hold_apart, work, workers_from(args)), strict=True):
        out.answer(f"{' on '.join(pair)}")
        said.repeat(out)
        out.answer()
        last = said.records[-1]
        rows.append(
            [*pair, f"{last['missed']} of {last['words']}", f"{last['false_alarms_per_hour']:.1f}"]
        )
    out.answer(columns(rows))
    return 0


def hold_apart(work: tuple[argparse.Namespace, str, str]) -> Recorded:
    """Hold a model against a recording in whatever process; return what is to be said."""
    from minikws.workers import ALONE

    args, model_file, wav = work
    out = Recorded()
    hold(args, model_file, wav, ALONE, out)
    return out


def hold(
    args: argparse.Namespace, model_file: str, wav: str, workers: Workers, out: Output
) -> None:
    """Run a model over a recording, count, and say so.

    Parameters
    ----------
    workers : who scores --fresh-windows.
    """
    from minikws.cli.stream_windows import open_windows, score
    from minikws.streaming.evaluate import Tally, summarize
    from minikws.streaming.live import Listener
    from minikws.streaming.mine import Mine

    model, source, truth = open_pair(args, model_file, wav, out)
    windows = open_windows(args, model)
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
    for block, found in score(args, model_file, windows, watched(source, out), workers):
        n_samples += len(block)
        if mine is not None:
            mine.hear(block)
        for step in listener.decide(found):
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
            "model": model_file,
            "wav": wav,
            **asdict(tally.counts()),
            **summary_record(summary),
            "recognizer": {**listener.recognizer.settings, "stride_ms": windows.stride_ms},
            "fresh_windows": args.fresh_windows,
            "mined": mine.n_kept if mine is not None else 0,
        }
    )


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
