"""The line that lives, and how other words make it go away."""

from __future__ import annotations

import errno
import io
import os
import re
import sys

import numpy as np
import pytest

from minikws.cli import meter as module
from minikws.cli.meter import Meter, MeterOutput, level_text
from minikws.cli.output import ERASE, Output
from minikws.streaming.live import Step, Window
from minikws.streaming.recognize import Result


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal in the place of stderr; within a test, because pytest puts its own there."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(module, "EVERY_S", 0.0)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((60, 24)))
    return screen


def step(*scores: float) -> Step:
    return Step(Window(0, 1000, 16_000, np.array(scores)), Result("yes", 0.5, False), None)


@pytest.mark.parametrize(
    ("amplitude", "level", "n_bars", "clips"),
    [
        (0, " -60", 0, False),
        (32_767, "   0", 20, True),
        (3277, " -20", 13, False),
        (1, " -60", 0, False),
    ],
)
def test_the_level(amplitude: int, level: str, n_bars: int, clips: bool) -> None:
    text = level_text(100.0 * amplitude**2, 100, amplitude)
    assert text.startswith(f"{level} dB [")
    assert text.count("#") == n_bars
    assert text.endswith("clip") is clips
    assert len(text) == len(level_text(0.0, 0, 0))


def test_one_line_is_drawn_over(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    meter = Meter(["yes", "no"])
    meter.follow(step(0.25, 0.75), 0.0)
    meter.hear(np.full(100, 3277, np.int16))
    meter.hear(np.full(100, -32768, np.int16))
    lines = terminal.getvalue().split(ERASE)[1:]
    assert lines[0] == " -20 dB [#############       ]       yes 0.25  no 0.75"
    assert lines[1] == "   0 dB [####################] clip  yes 0.25  no 0.75"
    meter.close()
    assert terminal.getvalue().endswith(ERASE)
    assert "\n" not in terminal.getvalue()


def test_a_narrow_terminal_and_many_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    labels = [f"word{i}" for i in range(12)]
    meter = Meter(labels)
    meter.follow(step(*np.arange(12) / 12), 0.0)
    meter.hear(np.ones(10, np.int16))
    (line,) = terminal.getvalue().split(ERASE)[1:]
    assert len(line) == 59
    assert re.search(r"word11 0\.92  word", line)  # the highest come first


def test_other_words_take_the_line_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    meter = Meter(["yes"])
    out = MeterOutput(Output(), meter)
    for print_it in (out.answer, out.say, out.warn, lambda text: out.result({"text": text})):
        meter.hear(np.ones(10, np.int16))
        terminal.truncate(0)
        print_it("hello")
        assert terminal.getvalue().lstrip("\0").startswith(ERASE)
    terminal.truncate(0)
    out.say("hello")  # nothing is there to be taken away
    assert terminal.getvalue().lstrip("\0") == "hello\n"


def test_a_terminal_that_closes_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    meter = Meter(["yes", "no"])
    meter.hear(np.zeros(100, np.int16))
    monkeypatch.setattr(terminal, "write", gone)
    meter.hear(np.zeros(100, np.int16))
    MeterOutput(Output(), meter).say("one more word")
    meter.close()


def gone(text: str) -> int:
    raise OSError(errno.EIO, os.strerror(errno.EIO))
