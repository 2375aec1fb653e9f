"""Options of the tutorial's programs that have no meaning here: accepted, with a line that says so.

So its published commands run when they are pasted after `minikws`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from minikws.cli.output import Output


def accept(parser: argparse.ArgumentParser, options: Mapping[str, str]) -> None:
    """Add options {"name": "what happens instead"}; they do not show in --help."""
    for name in options:
        parser.add_argument(f"--{name}", nargs="?", const="1", help=argparse.SUPPRESS)


def explain(args: argparse.Namespace, options: Mapping[str, str], out: Output) -> None:
    """Say of each of these options that was given what happens instead."""
    for name, instead in options.items():
        if getattr(args, name.replace("-", "_")) is not None:
            out.say(f"--{name} has no meaning here: {instead}")
