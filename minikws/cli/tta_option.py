"""The option --tta, shared by the commands that ask a model about clips."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import zip_longest

from minikws.copies import COPIES, GROUPS, parse_copies


def add_tta_option(parser: argparse.ArgumentParser) -> None:
    """Add --tta, alone or with the names of the copies to average."""
    parser.add_argument(
        "--tta",
        nargs="?",
        const="",
        metavar="COPIES",
        help="average the scores with those of copies of each clip: left,louder (the default), "
        "right, quieter, slower, faster; shift, gain, stretch mean both ways of each",
    )


def copies_from(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the names of the copies; none without --tta.

    Raises
    ------
    SettingsError : an unknown name.
    """
    return () if args.tta is None else parse_copies(args.tta)


def with_tta_apart(argv: Sequence[str]) -> list[str]:
    """Return the arguments with a bare --tta closed, so that it does not swallow a file's name.

    >>> with_tta_apart(["--tta", "model.tflite", "clip.wav"])
    ['--tta=', 'model.tflite', 'clip.wav']
    >>> with_tta_apart(["model.tflite", "clip.wav", "--tta", "shift,gain"])
    ['model.tflite', 'clip.wav', '--tta', 'shift,gain']
    """
    names = {*COPIES, *GROUPS}
    return [
        "--tta=" if word == "--tta" and not names & set(after.lower().split(",")) else word
        for word, after in zip_longest(argv, argv[1:], fillvalue="")
    ]
