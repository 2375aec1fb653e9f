"""False alarms per hour against missed words, over all thresholds: which one to choose.

The averages of a recording do not depend on the threshold, so the model runs once; for each
threshold only the decisions are made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minikws.errors import CheckFailed
from minikws.streaming.evaluate import Spoken, Summary, Tally, summarize
from minikws.streaming.live import Window
from minikws.streaming.recognize import Recognizer

# An int8 score is a multiple of 1/256, at most 255/256; averages lie between.
THRESHOLDS = (*np.round(np.arange(0.05, 0.985, 0.01), 2).tolist(), 0.985, 0.99, 0.993, 0.996)


@dataclass(frozen=True)
class Point:
    """One threshold of the curve, and what comes of it."""

    threshold: float
    summary: Summary


@dataclass(frozen=True, slots=True)
class Top:
    """The largest average at a window: which label, how high, and when."""

    index: int
    score: float
    time_ms: float
    end_ms: float


def averages(windows: Iterable[Window], recognizer: Recognizer) -> Iterator[Top]:
    """Yield the largest average at each window where results are enough.

    All that the curve needs of a recording, however long.
    """
    for window in windows:
        largest = recognizer.average(window.scores, window.time_ms)
        if largest is not None:
            yield Top(*largest, window.time_ms, window.end_ms)


def sweep(
    tops: Sequence[Top],
    recognizer: Recognizer,
    truth: Sequence[Spoken],
    *,
    hours: float,
    tolerance_ms: float | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
) -> list[Point]:
    """Return the curve of a recording, lowest threshold first.

    Parameters
    ----------
    tops : of the whole recording, as `averages` gave them.
    recognizer : its parameters; the threshold is each of `thresholds` in turn.
    hours : length of the recording.
    """
    points = []
    for threshold in sorted(thresholds):
        settings = {**recognizer.settings, "detection_threshold": threshold}
        one = Recognizer(recognizer.labels, **settings)
        tally = Tally(truth, tolerance_ms, recognizer.behaviour)
        limit = one.threshold
        for top in tops:
            if top.score <= limit:  # nothing can happen; most of a day is this
                continue
            command = one.command(one.decide(top.index, top.score, top.time_ms), top.time_ms)
            if command is not None:
                tally.add(command.label, command.time_ms, top.end_ms)
        points.append(Point(threshold, summarize(tally, hours)))
    return points


def choose(points: Sequence[Point], false_alarms_per_hour: float) -> Point:
    """Return the threshold that misses the fewest words at no more than so many false alarms.

    Of several, the highest, which is the furthest from false alarms.

    Raises
    ------
    CheckFailed : no threshold is as quiet.
    """
    quiet = [p for p in points if p.summary.false_alarms_per_hour <= false_alarms_per_hour]
    if not quiet:
        best = min(points, key=lambda point: point.summary.false_alarms_per_hour)
        raise CheckFailed(
            f"no threshold gives {false_alarms_per_hour:g} false alarms an hour or fewer, the "
            f"fewest are {best.summary.false_alarms_per_hour:.1f} at {best.threshold:g}; train on "
            "more unknown words and noise (stream eval --mine keeps the false alarms as clips), on "
            "the micro frontend with --lead-in-ms 1000"
        )
    return min(quiet, key=lambda point: (point.summary.missed, -point.threshold))


def as_csv(points: Sequence[Point]) -> str:
    """Return the curve as CSV, one line a threshold."""
    lines = ["threshold,false_alarms,false_alarms_per_hour,missed,words,missed_share"]
    lines += [
        f"{p.threshold:g},{p.summary.false_alarms},{p.summary.false_alarms_per_hour:.4f},"
        f"{p.summary.missed},{p.summary.words},{p.summary.missed_share:.6f}"
        for p in points
    ]
    return "\n".join(lines) + "\n"
