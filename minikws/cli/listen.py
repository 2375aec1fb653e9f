"""minikws listen: words as they are spoken, from a microphone, a pipe of samples or a file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from minikws.cli.listen_options import add_follower_options
from minikws.cli.output import Output
from minikws.cli.stream_options import (
    add_stream_options,
    open_model,
    recognizer_for,
    say_how,
    stride_for,
)

if TYPE_CHECKING:
    from minikws.streaming.follower import Follower
    from minikws.streaming.live import Step, Window
    from minikws.streaming.recognize import Command

HELP = "say the words in a sound as they come, for hours or months"
EXAMPLE = "arecord -f S16_LE -r 16000 -t raw | minikws listen yes_no.tflite -"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("model", nargs="?", metavar="MODEL", help="a .tflite file")
    add("sound", nargs="?", metavar="INPUT", help="as --input")
    add(
        "--input",
        metavar="FILE|-|DEVICE",
        help="a WAV file of any length, raw 16-bit samples (-), or a microphone "
        "(default: the default one)",
    )
    add("--input-rate", type=int, metavar="HZ", help="of raw samples (default: the model's)")
    add("--list", action="store_true", help="show the microphones and their rates")
    add_follower_options(parser)
    add_stream_options(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    """Listen until the sound ends, or somebody ends it."""
    from minikws.cli.ending import Ending
    from minikws.cli.inputs import list_inputs, open_input
    from minikws.cli.listen_followers import SoundClock, make_followers, with_meter
    from minikws.errors import AudioError, SettingsError
    from minikws.streaming.live import Listener, ScoreStream
    from minikws.streaming.sources import at_rate

    if args.list:
        return list_inputs(out)
    if args.model is None:
        raise SettingsError(
            "listen needs a model; name a .tflite file, as in: minikws listen MODEL"
        )
    model = open_model(args, args.model)
    windows = ScoreStream(model, stride_for(args, model))
    listener = Listener(windows, recognizer_for(args, model))
    followers, out = with_meter(args, model, out)
    rate = args.input_rate or model.sample_rate_hz
    source = open_input(args.input or args.sound, rate, out, command="minikws listen MODEL")
    n_samples = n_words = 0
    with Ending() as ending, ExitStack() as closing:
        closing.callback(close_all, followers)
        closing.callback(source.close)
        if source.sample_rate_hz != model.sample_rate_hz:
            out.say(f"{source.name} is {source.sample_rate_hz} Hz, resampled as it comes")
            source = at_rate(source, model.sample_rate_hz)
        followers += make_followers(args, model, source, out)
        say_how(listener.recognizer, windows.stride_ms, out)
        when = SoundClock(source)
        for block in ending.each(source.blocks):
            n_samples += len(block)
            for follower in followers:
                follower.hear(block)
            for step in listener.push(block):
                n_words += tell(step, out)
                time_s = when.time_s(step)
                for follower in followers:
                    follower.follow(step, time_s)
    if n_samples == 0 and not ending.requested():
        raise AudioError(f"{source.name} holds no sound; record it again, or check the pipe")
    out.say(f"{n_words} words in {clock(1000 * n_samples / source.sample_rate_hz)}")
    return ending.exit_code


def close_all(followers: Sequence[Follower]) -> None:
    """Close the followers, also those that came later than this was planned."""
    for follower in followers:
        follower.close()


def tell(step: Step, out: Output) -> int:
    """Print a step's word, if it has one; return how many it has."""
    command = step.command
    if command is None:
        return 0
    out.result(command_record(command, step.window))
    out.answer(f"{clock(command.time_ms)}  {command.label} ({command.score:.2f})")
    return 1


def command_record(command: Command, window: Window) -> dict[str, Any]:
    """Return a command for --json: when its window begins and ends, which word, what score."""
    return {
        "time_ms": command.time_ms,
        "label": command.label,
        "score": round(command.score, 6),
        "end_ms": window.end_ms,
    }


def clock(time_ms: float) -> str:
    """Return a time as people read it.

    >>> clock(3_723_400)
    '1:02:03.4'
    """
    tenths = int(time_ms // 100)
    hours, tenths = divmod(tenths, 36_000)
    minutes, tenths = divmod(tenths, 600)
    return f"{hours}:{minutes:02}:{tenths // 10:02}.{tenths % 10}"
