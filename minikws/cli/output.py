"""Where a command's words go: answers to stdout, messages to stderr, JSON with --json."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any

from minikws.errors import RunError

ERASE = "\r\x1b[K"  # the terminal's line


class AnswerLost(RunError):
    """The answer cannot be written to where stdout leads."""


class Output:
    """The three voices of a command.

    answer : what was asked for; stdout, left out with --json. AnswerLost where that is full.
    say : progress and messages; stderr, left out with --quiet.
    warn : what the user should know even with --quiet; stderr. Where that is full nobody is told.
    """

    def __init__(self, *, json_wanted: bool = False, quiet: bool = False) -> None:
        self.json_wanted = json_wanted
        self.quiet = quiet

    def answer(self, text: str = "") -> None:
        """Print a line of the answer."""
        if not self.json_wanted:
            _print_answer(text)

    def result(self, record: dict[str, Any]) -> None:
        """Print the whole answer as one JSON object, where --json asks for it."""
        if self.json_wanted:
            _print_answer(json.dumps(record, ensure_ascii=False))

    def say(self, text: str) -> None:
        """Print a message about the work."""
        if not self.quiet:
            _print_message(text)

    def warn(self, text: str) -> None:
        """Print a warning."""
        _print_message(f"minikws: warning: {text}")


def _print_answer(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:  # its reader has enough: no fault
        raise
    except OSError as error:
        raise AnswerLost(
            f"standard output cannot be written ({error.strerror}); make room, or send it elsewhere"
        ) from error


def _print_message(text: str, end: str = "\n") -> None:
    with suppress(OSError):
        print(text, end=end, file=sys.stderr, flush=True)


def draw_over(text: str = "") -> None:
    """Write over the terminal's line, or take it away; where that fails nobody is told."""
    _print_message(ERASE + text, end="")


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
