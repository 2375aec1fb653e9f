"""Counting by the published rule, and the lists of what was said."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws.errors import SettingsError
from minikws.streaming.evaluate import Spoken, Tally, summarize
from minikws.streaming.recognize import Behaviour
from minikws.streaming.truth import read_truth, write_audacity, write_truth

TRUTH = [Spoken(9000, "b"), Spoken(1000, "a")]
FOUND = [("a", 1200), ("b", 5000), ("a", 8700)]


def statistics(
    found: list[tuple[str, int]], truth: list[tuple[float, str]], up_to: float, tolerance: float
) -> dict[str, Any]:
    """speech_commands.md 7.3, line by line; `matched` both ways."""
    latest = math.inf if up_to == -1 else up_to + tolerance
    counts: dict[str, Any] = {
        "total": sum(t <= latest for t, _ in truth),
        "correct": 0,
        "wrong": 0,
        "false_positives": 0,
    }
    marked: list[float] = []
    for label, time in found:
        false_positive = True
        for t, said in truth:
            if t > time + tolerance or t > latest:
                break
            if t < time - tolerance:
                continue
            counts["correct" if label == said and t not in marked else "wrong"] += 1
            marked.append(t)
            false_positive = False
            break
        counts["false_positives"] += false_positive
    return {**counts, "cpp": len(set(marked)), "python": len(marked)}


def test_the_specifications_example() -> None:
    tally = Tally(TRUTH, 500)
    states = [tally.add(*command).state for command in FOUND]
    assert states == ["Correct", "False Positive", "Wrong"]
    counts = tally.counts(10_000)
    assert (counts.total, counts.matched) == (2, 2)
    assert (counts.correct, counts.wrong, counts.false_positives) == (1, 1, 1)


@pytest.mark.parametrize("behaviour", ["cpp", "python"])
def test_random_streams_are_counted_as_published(behaviour: Behaviour) -> None:
    rng = np.random.default_rng(2)
    for _ in range(500):
        tolerance = float(rng.choice([0, 100, 750, 1500]))
        truth = [
            (float(t), str(rng.choice(["a", "b", "_unknown_"])))
            for t in np.sort(rng.integers(0, 20_000, rng.integers(0, 12)))
        ]
        found = [
            (str(rng.choice(["a", "b", "_unknown_"])), int(t))
            for t in np.sort(rng.integers(0, 200, rng.integers(0, 15))) * 100
        ]
        tally = Tally([Spoken(t, label) for t, label in truth], tolerance, behaviour)
        for i, (label, time) in enumerate(found, 1):
            tally.add(label, time)
            expected = statistics(found[:i], truth, time, tolerance)
            counts = tally.counts(time)
            assert counts.matched == expected[behaviour]
            for name in ("total", "correct", "wrong", "false_positives"):
                assert getattr(counts, name) == expected[name], name
        assert tally.counts().total == len(truth)


def test_the_lines_are_the_published_ones() -> None:
    cpp, python = (
        Tally([Spoken(1230, "yes"), Spoken(9000, "no")]),
        Tally([Spoken(1230, "yes"), Spoken(9000, "no")], behaviour="python"),
    )
    one, other = cpp.add("yes", 1230), python.add("yes", 1230)
    assert cpp.word_line(one, 0.8312) == "1230ms: yes: 0.83 (Correct)"
    assert python.word_line(other, 0.8312) == "1230ms yes:0.83(Correct)"
    line = "50.0% matched, 50.0% correctly, 0.0% wrongly, 0.0% false positives "
    assert cpp.line() == line
    assert python.line() == "50.0% matched, 50.0% correct, 0.0% wrong, 0.0% false positive"
    assert cpp.line(1230) == line.replace("50.0", "100.0")  # the second word is still to come
    assert Tally([Spoken(9000, "no")]).line(100) == "No ground truth yet, 0 false positives"
    assert Tally([], behaviour="python").line() == "No ground truth yet, 0false positives"


def test_times_are_cut_or_rounded_to_whole_ms() -> None:
    words = [Spoken(1000.5, "a"), Spoken(2001.5, "a"), Spoken(3000.9, "a")]
    assert [s.time_ms for s in Tally(words).truth] == [1000, 2001, 3000]
    assert [s.time_ms for s in Tally(words, behaviour="python").truth] == [1000, 2002, 3001]


def test_python_counts_a_word_heard_twice_twice() -> None:
    for behaviour, matched in (("cpp", 1), ("python", 2)):
        tally = Tally([Spoken(1000, "a")], 500, behaviour)  # type: ignore[arg-type]
        assert [tally.add("a", 1000).state, tally.add("a", 1400).state] == ["Correct", "Wrong"]
        assert tally.counts().matched == matched


def test_twenty_seconds_by_hand() -> None:
    """Eight words said; what a person would count, beside the published numbers.

    said   1 yes   4 no   7 yes   9 (unknown)   12 no   14 yes   16 (unknown)   18 no
    heard  1.2 yes 4.1 no 7.3 no  9.2 yes       --      14.0 yes 16.0 unknown   18.1 no  19.5 yes
    """
    said = [(1, "yes"), (4, "no"), (7, "yes"), (9, "_unknown_"), (12, "no"), (14, "yes"),
            (16, "_unknown_"), (18, "no")]  # fmt: skip
    heard = [(1.2, "yes"), (4.1, "no"), (7.3, "no"), (9.2, "yes"), (14.0, "yes"),
             (16.0, "_unknown_"), (18.1, "no"), (19.5, "yes")]  # fmt: skip
    tally = Tally([Spoken(1000 * t, label) for t, label in said])
    for t, label in heard:
        tally.add(label, 1000 * t, 1000 * t + 1000)
    counts = tally.counts()
    assert (counts.total, counts.matched) == (8, 7)
    assert (counts.correct, counts.wrong, counts.false_positives) == (5, 2, 1)
    summary = summarize(tally, 20 / 3600)
    assert (summary.words, summary.missed, summary.false_alarms) == (6, 2, 3)
    assert summary.false_alarms_per_hour == pytest.approx(540)
    assert summary.missed_share == pytest.approx(1 / 3)
    # yes 1200, no 1100, yes 1000, no 1100 ms after the clip began; _unknown_ does not count.
    assert summary.latency_ms == (1100, 1200)
    rows = {row.label: (row.said, row.correct, row.false_alarms) for row in summary.labels}
    assert rows == {"yes": (3, 2, 2), "no": (3, 2, 1)}


@pytest.mark.parametrize("tolerance_ms", [-1, math.nan, math.inf])
def test_a_tolerance_that_is_no_time(tolerance_ms: float) -> None:
    with pytest.raises(SettingsError, match="is no time; 750 is usual"):
        Tally([], tolerance_ms)


def test_nothing_said_and_nothing_heard() -> None:
    summary = summarize(Tally([]), 0)
    assert (summary.false_alarms_per_hour, summary.missed_share) == (0, 0)
    assert summary.latency_ms is None


def test_both_forms_of_the_truth_can_be_read_again(tmp_path: Path) -> None:
    words = [Spoken(1034.5625, "yes"), Spoken(4001.25, "_unknown_")]
    path = write_truth(tmp_path / "labels.txt", words)
    assert path.read_text() == "yes, 1034.562500\n_unknown_, 4001.250000\n"
    assert read_truth(path) == words
    path = write_audacity(tmp_path / "audacity.txt", words, clip_ms=1000)
    assert path.read_text().splitlines()[1] == "4.001250\t5.001250\t_unknown_"
    again = read_truth(path)
    assert [word.label for word in again] == ["yes", "_unknown_"]
    assert [word.time_ms for word in again] == pytest.approx([1034.562, 4001.25], abs=1e-3)


def test_audacitys_second_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("1.0\t2.0\tyes\n\\\t200.0\t3000.0\n\n3.0\t3.0\tno\n")
    assert read_truth(path) == [Spoken(1000, "yes"), Spoken(3000, "no")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("yes, 100\nno 200\n", r"labels\.txt line 2: expected label, time in ms, found 'no 200'"),
        ("yes, soon\n", r"line 1: expected label, time in ms, found 'yes, soon'"),
        ("\n\n, 100\n", "line 3"),
        ("yes, no, 100\n", "line 1"),
        ("yes, nan\n", "line 1"),
        ("1.0\t2.0\tyes\n3.0\tno\n", "line 2: expected start, end and label, parted by tabs"),
        ("1.0\tx\tyes\n", "line 1"),
    ],
)
def test_a_bad_line_is_named(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(text)
    with pytest.raises(SettingsError, match=sentence):
        read_truth(path)


def test_no_file_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read \(No such file.*stream synth"):
        read_truth(tmp_path / "none.txt")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="it is no UTF-8 text"):
        read_truth(tmp_path / "bytes.txt")
