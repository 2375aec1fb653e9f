"""Where a command's words go: answers to stdout, messages to stderr, JSON with --json."""

from __future__ import annotations

import json
import sys
from typing import Any


class Output:
    """The three voices of a command.

    answer : what was asked for; stdout, left out with --json.
    say : progress and messages; stderr, left out with --quiet.
    warn : what the user should know even with --quiet; stderr.
    """

    def __init__(self, *, json_wanted: bool = False, quiet: bool = False) -> None:
        self.json_wanted = json_wanted
        self.quiet = quiet

    def answer(self, text: str = "") -> None:
        """Print a line of the answer."""
        if not self.json_wanted:
            print(text, flush=True)

    def result(self, record: dict[str, Any]) -> None:
        """Print the whole answer as one JSON object, where --json asks for it."""
        if self.json_wanted:
            print(json.dumps(record, ensure_ascii=False), flush=True)

    def say(self, text: str) -> None:
        """Print a message about the work."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Print a warning."""
        print(f"minikws: warning: {text}", file=sys.stderr, flush=True)
