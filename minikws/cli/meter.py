"""One line in the terminal that lives: how loud it is, and what the model thinks."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from minikws._typing import Samples
from minikws.audio import FULL_SCALE
from minikws.cli.output import Output, draw_over
from minikws.streaming.follower import Follower
from minikws.streaming.live import Step

EVERY_S = 0.1  # between two drawings
WIDTH = 20  # of the bar
FLOOR_DB = -60  # where the bar begins; 0 dB is as loud as 16 bits can be
MOST_LABELS = 6  # more have no place: the highest are shown


class Meter(Follower):
    """Draws the line on stderr over and over, and takes it away for other words."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._squares, self._n, self._peak = 0.0, 0, 0
        self._scores = ""
        self._drawn_at = float("-inf")
        self._is_shown = False

    def hear(self, block: Samples) -> None:
        """Measure the sound, and draw if it is time."""
        values = block.astype(np.float64)
        self._squares += float(values @ values)
        self._n += len(block)
        self._peak = max(self._peak, int(np.abs(values).max(initial=0)))
        if time.monotonic() - self._drawn_at >= EVERY_S:
            self._draw()

    def follow(self, step: Step, time_s: float) -> None:
        """Remember the scores for the next drawing."""
        scores = step.window.scores
        shown: list[int] = list(range(len(self._labels)))
        if len(shown) > MOST_LABELS:
            shown = np.argsort(-scores, kind="stable")[:MOST_LABELS].tolist()
        self._scores = "  ".join(f"{self._labels[i]} {scores[i]:.2f}" for i in shown)

    def close(self) -> None:
        """Take the line away."""
        self.erase()

    def erase(self) -> None:
        """Take the line away until it is drawn again."""
        if self._is_shown:
            draw_over()
        self._is_shown = False

    def _draw(self) -> None:
        level = level_text(self._squares, self._n, self._peak)
        line = f"{level}  {self._scores}"[: shutil.get_terminal_size().columns - 1]
        draw_over(line)
        self._is_shown = True
        self._drawn_at = time.monotonic()
        self._squares, self._n, self._peak = 0.0, 0, 0


class MeterOutput(Output):
    """An output that takes the meter's line away before it prints one."""

    def __init__(self, out: Output, meter: Meter) -> None:
        super().__init__(json_wanted=out.json_wanted, quiet=out.quiet)
        self._meter = meter

    def answer(self, text: str = "") -> None:
        """Print a line of the answer."""
        self._meter.erase()
        super().answer(text)

    def result(self, record: dict[str, Any]) -> None:
        """Print a record, where --json asks for it."""
        self._meter.erase()
        super().result(record)

    def say(self, text: str) -> None:
        """Print a message about the work."""
        self._meter.erase()
        super().say(text)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self._meter.erase()
        super().warn(text)


def level_text(squares: float, n: int, peak: int) -> str:
    """Return the root mean square of n samples as dB and a bar, and whether the loudest clips.

    >>> level_text(1024.0**2 * 100, 100, 2000)
    ' -30 dB [##########          ]     '
    """
    level_db = FLOOR_DB
    if squares > 0:
        level_db = max(FLOOR_DB, round(10 * np.log10(squares / n / FULL_SCALE**2)))
    bar = "#" * round(WIDTH * (1 - level_db / FLOOR_DB))
    return f"{level_db:4} dB [{bar:<{WIDTH}}] " + ("clip" if peak >= FULL_SCALE - 1 else "    ")
