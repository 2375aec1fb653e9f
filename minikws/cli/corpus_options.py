"""Options that describe a corpus and its clips, shared by the commands that open one."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from minikws.errors import SettingsError


def comma_list(convert: Callable[[str], float]) -> Callable[[str], tuple[float, ...]]:
    """Return an option's type: a comma list of numbers."""

    def read(text: str) -> tuple[float, ...]:
        try:
            return tuple(convert(part) for part in text.split(","))
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a comma list of numbers; write 15000,3000"
            ) from None

    return read


def add_corpus_options(parser: argparse.ArgumentParser) -> None:
    """Add which words and which partitions."""
    group = parser.add_argument_group("the corpus")
    group.add_argument("--wanted-words", metavar="A,B", help="folder names, in label order")
    group.add_argument(
        "--silence-percentage", type=float, metavar="PCT", help="silence clips, %% of the wanted"
    )
    group.add_argument(
        "--unknown-percentage", type=float, metavar="PCT", help="unknown clips, %% of the wanted"
    )
    group.add_argument("--validation-percentage", type=float, metavar="PCT", help="default 10")
    group.add_argument("--testing-percentage", type=float, metavar="PCT", help="default 10")
    group.add_argument("--no-silence", action="store_true", help="no label _silence_")
    group.add_argument("--no-unknown", action="store_true", help="no label _unknown_")


def corpus_overrides(args: argparse.Namespace) -> dict[str, Any]:
    """Return the corpus settings that were given on the command line, by their field names."""
    from minikws.labels import parse_words

    given = {
        "silence_pct": args.silence_percentage,
        "unknown_pct": args.unknown_percentage,
        "validation_pct": args.validation_percentage,
        "testing_pct": args.testing_percentage,
        "silence": False if args.no_silence else None,
        "unknown": False if args.no_unknown else None,
        "wanted_words": parse_words(args.wanted_words) if args.wanted_words else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def need_data_dir(data_dir: str | None) -> str:
    """Return the data folder, or say how to get one.

    Raises
    ------
    SettingsError : none given.
    """
    if not data_dir:
        raise SettingsError(
            "no --data-dir; make a demo corpus with `minikws data synth --words yes,no --out DIR`, "
            "or fetch Speech Commands with `minikws data download --out DIR`"
        )
    return data_dir
