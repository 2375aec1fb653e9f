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
    open_stream_model,
    recognizer_for,
    say_how,
    stride_for,
)

if TYPE_CHECKING:
    from minikws.streaming.follower import Follower
    from minikws.streaming.live import Window
    from minikws.streaming.recognize import Command

HELP = "say the words in a sound as they come, for hours or months"
EXAMPLE = "arecord -f S16_LE -r 16000 -t raw | minikws listen yes_no.tflite -"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("model", nargs="?", metavar="MODEL", help="a .tflite file, or a run's folder")
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
    from minikws.cli.listen_followers import SoundClock, Words, make_followers, with_meter
    from minikws.cli.main import UsageError
    from minikws.errors import AudioError
    from minikws.streaming.live import Listener, ScoreStream
    from minikws.streaming.sources import at_rate

    if args.list:
        return list_inputs(out)
    if args.model is None:
        raise UsageError("listen needs a model; name a .tflite file, as in: minikws listen MODEL")
    model = open_stream_model(args, args.model)
    windows = ScoreStream(model, stride_for(args, model))
    listener = Listener(windows, recognizer_for(args, model))
    meter, out = with_meter(args, model, out)
    words = Words(out)
    followers: list[Follower] = [words, *meter]
    rate = args.input_rate or model.sample_rate_hz
    source = open_input(args.input or args.sound, rate, out, command="minikws listen MODEL")
    n_samples = 0
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
            n_missed = source.missed()
            n_samples += n_missed + len(block)
            if n_missed:
                windows.skip(n_missed)
                for follower in followers:
                    follower.skip(n_missed)
            for follower in followers:
                follower.hear(block)
            for step in listener.push(block):
                time_s = when.time_s(step)
                for follower in followers:
                    follower.follow(step, time_s)
    if n_samples == 0 and not ending.requested():
        raise AudioError(f"{source.name} holds no sound; record it again, or check the pipe")
    out.say(f"{words.count} words in {clock(1000 * n_samples / source.sample_rate_hz)}")
    if words.lost is not None:
        raise words.lost
    return ending.exit_code


def close_all(followers: Sequence[Follower]) -> None:
    """Close the followers, also those that came later than this was planned."""
    for follower in followers:
        follower.close()


def command_record(command: Command, window: Window) -> dict[str, Any]:
    """Return a command for --json: when its window begins and ends, which word, what score.

    Times are in ms since listening began; while a microphone is gone they go on.
    """
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
