"""A model, a long recording and what is said in it: opened by what the commands are told."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minikws.cli.listen import clock
from minikws.cli.main import UsageError
from minikws.cli.output import Output, draw_over
from minikws.cli.stream_options import add_stream_options, open_stream_model
from minikws.cli.stream_synth import beside

if TYPE_CHECKING:
    from minikws._typing import Samples
    from minikws.pipeline import Model
    from minikws.streaming.evaluate import Spoken
    from minikws.streaming.sources import Source


def add_recording_options(parser: argparse.ArgumentParser) -> None:
    """Add a model, a recording and what is said in it; `stream roc` has them too."""
    add = parser.add_argument
    add("model", nargs="?", metavar="MODEL", help="a .tflite file, or a run's folder")
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
    add(
        "--fresh-windows",
        action="store_true",
        help="compute each window's features from nothing, as the published tool did; any stride",
    )
    add_stream_options(parser)


def named(args: argparse.Namespace) -> list[str]:
    """Return the files that these options name: the model, then the recording."""
    return [name for name in (args.graph, args.model, args.wav, args.recording) if name]


def pairs_of(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return each model with each recording; of more than two files, those in .wav are recordings.

    Raises
    ------
    UsageError : no model, or no recording.
    """
    recordings = [name for name in names if name.lower().endswith(".wav")]
    models = [name for name in names if name not in recordings]
    if len(names) < 3 or not models or not recordings:
        return [pair_of(names)]
    return [(model, recording) for model in models for recording in recordings]


def pair_of(names: Sequence[str]) -> tuple[str, str]:
    """Return the model and the recording.

    Raises
    ------
    UsageError : not two names.
    """
    if len(names) != 2:
        raise UsageError(
            "expected a model and a recording, found "
            f"{', '.join(names) or 'neither'}; write minikws stream eval MODEL WAV"
        )
    return names[0], names[1]


def open_pair(
    args: argparse.Namespace, model_file: str, wav: str, out: Output
) -> tuple[Model, Source, list[Spoken]]:
    """Return a model, a sound at its rate, and what is said in it.

    Raises
    ------
    MinikwsError : a file that cannot be read.
    """
    from minikws.streaming.sources import at_rate, open_wav
    from minikws.streaming.truth import read_truth

    model = open_stream_model(args, model_file)
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
            draw_over(f"{_length(n_samples, source)} of {total}")
    if shown:
        draw_over()


def _length(n_samples: int, source: Source) -> str:
    return clock(1000 * n_samples / source.sample_rate_hz)
