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


class Recorded(Output):
    """Keeps what is said, to be said later or elsewhere; several may share a process.

    said : (voice, text or record), in order.
    """

    def __init__(self) -> None:
        super().__init__(json_wanted=True, quiet=True)  # nothing is drawn on the terminal either
        self.said: list[tuple[str, Any]] = []

    def answer(self, text: str = "") -> None:
        """Keep a line of the answer."""
        self.said.append(("answer", text))

    def result(self, record: dict[str, Any]) -> None:
        """Keep a record."""
        self.said.append(("result", record))

    def say(self, text: str) -> None:
        """Keep a message."""
        self.said.append(("say", text))

    def warn(self, text: str) -> None:
        """Keep a warning."""
        self.said.append(("warn", text))

    def repeat(self, out: Output) -> None:
        """Say all of it."""
        for voice, what in self.said:
            getattr(out, voice)(what)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records, in order."""
        return [what for voice, what in self.said if voice == "result"]

    @property
    def messages(self) -> list[str]:
        """Messages and warnings, in order."""
        return [what for voice, what in self.said if voice in ("say", "warn")]
