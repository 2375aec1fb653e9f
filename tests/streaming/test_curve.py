"""The sweep gives what each threshold alone would give; the choice keeps the wish."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from minikws.errors import CheckFailed
from minikws.streaming.curve import THRESHOLDS, Point, as_csv, averages, choose, sweep
from minikws.streaming.evaluate import Spoken, Summary, Tally, summarize
from minikws.streaming.live import Window
from minikws.streaming.recognize import BEHAVIOURS, Behaviour, Recognizer

LABELS = ("_silence_", "_unknown_", "yes", "no")


def stream(n: int) -> tuple[list[Window], list[Spoken]]:
    """Scores every 100 ms in which words rise more or less clearly, some of them wrong."""
    rng = np.random.default_rng(4)
    logits = rng.normal(0, 0.4, (n, 4))
    logits[:, 0] += 2
    truth = []
    for at in range(20, n - 20, 25):
        word = int(rng.integers(1, 4))
        heard = word if rng.random() < 0.7 else int(rng.integers(1, 4))
        logits[at : at + 8, heard] += rng.uniform(1, 6)
        truth.append(Spoken(100.0 * at, LABELS[word]))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    rows = np.floor(shares * 256) / 256
    return [Window(1600 * i, 1600 * i + 16_000, 16_000, row) for i, row in enumerate(rows)], truth


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_each_point_is_what_a_recogniser_alone_gives(behaviour: Behaviour) -> None:
    windows, truth = stream(800)
    recognizer = Recognizer(LABELS, behaviour=behaviour)
    tops = list(averages(windows, recognizer))
    points = sweep(tops, recognizer, truth, hours=1 / 45)
    assert [point.threshold for point in points] == sorted(THRESHOLDS)
    for point in points[::12]:
        recognizer = Recognizer(LABELS, behaviour=behaviour, detection_threshold=point.threshold)
        tally = Tally(truth, behaviour=behaviour)
        for window in windows:
            command = recognizer.push(window.scores, window.time_ms)
            if command:
                tally.add(command.label, command.time_ms, window.end_ms)
        assert point.summary == summarize(tally, 1 / 45)
    assert points[0].summary.false_alarms > points[-1].summary.false_alarms
    assert points[0].summary.missed < points[-1].summary.missed


def point(threshold: float, false_alarms: int, missed: int) -> Point:
    return Point(threshold, Summary(2.0, 100, missed, false_alarms, None, ()))


def test_the_choice_misses_fewest_within_the_wish() -> None:
    points = [point(0.5, 20, 5), point(0.7, 4, 8), point(0.8, 2, 8), point(0.9, 0, 30)]
    assert choose(points, 100).threshold == 0.5
    assert choose(points, 2).threshold == 0.8  # as good as 0.7, and further from false alarms
    assert choose(points, 0).threshold == 0.9
    with pytest.raises(CheckFailed, match=r"no threshold gives 1 .* fewest are 2\.0 at 0\.7"):
        choose(points[:2], 1)


def test_the_csv_can_be_read() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv([point(0.5, 20, 5)]))))
    assert rows == [
        {
            "threshold": "0.5",
            "false_alarms": "20",
            "false_alarms_per_hour": "10.0000",
            "missed": "5",
            "words": "100",
            "missed_share": "0.050000",
        }
    ]
