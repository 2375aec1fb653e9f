"""Commands from scores: the published algorithm, written out here from its description."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from minikws.errors import SettingsError, ShapeError
from minikws.streaming.recognize import BEHAVIOURS, Behaviour, Command, Recognizer

LABELS = ("_silence_", "a", "b")


class Published:
    """RecognizeCommands as speech_commands.md 7.1 and micro_speech.md 8 describe it.

    Plain lists and one number at a time; only float32 needs NumPy's scalars.
    """

    def __init__(
        self,
        labels: Sequence[str],
        window_ms: int,
        threshold: float,
        suppression_ms: int,
        minimum_count: int,
        behaviour: str,
    ) -> None:
        self.labels, self.window_ms, self.behaviour = labels, window_ms, behaviour
        self.suppression_ms, self.minimum_count = suppression_ms, minimum_count
        self.threshold: Any = threshold
        if behaviour == "cpp":
            self.threshold = np.float32(threshold)
        if behaviour == "device":
            self.threshold = int(threshold * 256)
        self.queue: list[tuple[int, list[float]]] = []
        self.top_label, self.top_ms = "_silence_", -math.inf

    def process(self, scores: list[float], t: int) -> tuple[str, float, bool]:
        self.queue.append((t, scores))
        while self.queue[0][0] < t - self.window_ms:
            self.queue.pop(0)
        n, d = len(self.queue), t - self.queue[0][0]
        quarter = self.window_ms / 4 if self.behaviour == "python" else self.window_ms // 4
        if n < self.minimum_count or d < quarter:
            return self.top_label, 0.0, False
        average = [self.average([row[i] for _, row in self.queue], n) for i in range(len(scores))]
        top, score = 0, average[0]
        for i, value in enumerate(average):
            if value > score:
                top, score = i, value
        label = self.labels[top]
        since = t - self.top_ms
        if self.top_label == "_silence_":
            since = math.inf
        new = score > self.threshold
        if self.behaviour == "device":
            new = new and (label != self.top_label or since > self.suppression_ms)
        else:
            new = new and label != self.top_label and since > self.suppression_ms
        if new:
            self.top_label, self.top_ms = label, t
        return label, float(score) / (256 if self.behaviour == "device" else 1), bool(new)

    def average(self, column: list[float], n: int) -> Any:
        if self.behaviour == "device":  # scores are whole, 0 to 256
            return sum(int(score * 256) for score in column) // n
        total: Any = np.float32(0) if self.behaviour == "cpp" else 0.0
        for score in column:
            quotient = np.float32(score) / np.float32(n)
            total = total + (quotient if self.behaviour == "cpp" else float(quotient))
        return total


def random_sequence(rng: np.random.Generator) -> tuple[dict[str, Any], np.ndarray, list[int]]:
    """Settings, scores (N, 3) and times of one stream: words that come, stay and go."""
    n = int(rng.integers(4, 16))
    top = np.repeat(rng.integers(3, size=n), rng.integers(1, 6, size=n))[:n]
    sharp = rng.uniform(0, 8)
    scores = np.exp(sharp * (np.eye(3)[top] + rng.normal(0, 0.3, (n, 3))))
    scores /= scores.sum(1, keepdims=True)
    scores = np.floor(scores * 256) / 256 if rng.random() < 0.5 else scores.astype(np.float32)
    steps = np.full(n, 100) if rng.random() < 0.5 else rng.integers(0, 400, n)
    settings = {
        "average_window_ms": int(rng.choice([200, 250, 500, 1000, 1003])),
        "detection_threshold": float(rng.choice([0.2, 0.5, 0.7, 200 / 256])),
        "suppression_ms": int(rng.choice([0, 200, 500, 1500])),
        "minimum_count": int(rng.integers(1, 5)),
    }
    return settings, scores, np.cumsum(steps).tolist()


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.slow
@pytest.mark.slow
def test_ten_thousand_random_streams(behaviour: Behaviour) -> None:
    rng = np.random.default_rng(11)
    n_new = 0
    for _ in range(10_000):
        settings, scores, times = random_sequence(rng)
        if behaviour == "device":
            scores = np.floor(scores * 256) / 256
        ours = Recognizer(LABELS, **settings, behaviour=behaviour)
        theirs = Published(LABELS, *settings.values(), behaviour)
        for row, t in zip(scores, times, strict=True):
            expected = theirs.process(row.tolist(), t)
            found = ours.process(row, t)
            assert (found.label, found.score, found.is_new) == expected, (settings, scores, times)
            n_new += found.is_new
    assert n_new > 5_000  # the streams were not idle


def vector(recognizer: Recognizer) -> list[tuple[int, str, float]]:
    """The specification's stream: a for a second, then b for a second."""
    rows = [(t, (0.0, 1.0, 0.0)) for t in range(0, 1000, 100)]
    rows += [(t, (0.0, 0.0, 1.0)) for t in range(1000, 2000, 100)]
    results = [(t, recognizer.process(scores, t)) for t, scores in rows]
    return [(t, result.label, result.score) for t, result in results if result.is_new]


@pytest.mark.parametrize("behaviour", ["cpp", "python"])
@pytest.mark.parametrize(("minimum_count", "first_ms"), [(3, 300), (4, 300)])
def test_the_specifications_example(
    behaviour: Behaviour, minimum_count: int, first_ms: int
) -> None:
    found = vector(Recognizer(LABELS, 1000, 0.2, 500, minimum_count, behaviour))
    assert [(t, label) for t, label, _ in found] == [(first_ms, "a"), (1500, "b")]
    assert found[0][2] == pytest.approx(1.0)
    assert found[1][2] == pytest.approx(6 / 11)


def test_what_the_published_class_refuses() -> None:
    recognizer = Recognizer(LABELS, 1000, 0.2, 500, 3)
    with pytest.raises(ShapeError, match="should contain 3 elements, but there are 2; give one"):
        recognizer.push([0.5, 0.5], 0)
    recognizer.push([0, 1, 0], 100)
    with pytest.raises(SettingsError, match=r"increasing order of time, found 0 ms after 100 ms"):
        recognizer.push([0, 1, 0], 0)


def test_a_time_between_the_oldest_and_the_newest_passes() -> None:
    recognizer = Recognizer(LABELS)
    for t in (0, 300, 200):
        recognizer.push([1, 0, 0], t)


def test_silence_is_new_but_no_command() -> None:
    recognizer = Recognizer(LABELS, 200, 0.5, 0, 1)
    recognizer.push([0, 1, 0], 0)
    assert recognizer.push([0, 1, 0], 100) == Command(100, "a", 1.0)
    results = [recognizer.process([1, 0, 0], t) for t in (200, 300, 400)]
    assert [(r.label, r.is_new) for r in results][-1] == ("_silence_", False)
    assert any(r.is_new for r in results)
    assert recognizer.push([1, 0, 0], 500) is None


def said(behaviour: Behaviour, labels: Sequence[str] = LABELS) -> list[float]:
    """When a word that never ends is reported, at 100 ms a step for five seconds."""
    recognizer = Recognizer(labels, behaviour=behaviour)
    row = np.eye(len(labels))[-1]
    commands = [recognizer.push(row, t) for t in range(0, 5000, 100)]
    return [command.time_ms for command in commands if command]


def test_only_the_device_repeats_a_word() -> None:
    assert said("cpp") == [200]  # 3 results; a quarter of 500 ms
    assert said("python") == [300]  # 4 results
    # Every time more than 1500 ms are over; the first when 250 ms of sound are averaged.
    assert said("device") == [300, 1900, 3500]
    assert said("device", ["okay_nabu"]) == [300, 1900, 3500]


def test_the_device_takes_the_models_integers() -> None:
    probabilities = np.array([3, 250, 3]) / 256
    for integers in (np.array([3, 250, 3], np.uint8), np.array([-125, 122, -125], np.int8)):
        one = Recognizer(LABELS, behaviour="device")
        other = Recognizer(LABELS, behaviour="device")
        for t in range(0, 600, 100):
            assert one.process(integers, t) == other.process(probabilities, t)
    assert one.process(integers, 600).score == 250 / 256


def test_the_devices_threshold_is_two_hundred() -> None:
    for score, expected in ((200, False), (201, True)):
        recognizer = Recognizer(LABELS, behaviour="device")
        results = [recognizer.process(np.array([0, score, 0]), t) for t in range(0, 400, 100)]
        assert any(r.is_new for r in results) == expected


def test_a_reset_forgets() -> None:
    recognizer = Recognizer(LABELS, 1000, 0.2, 500, 3)
    first = vector(recognizer)
    recognizer.reset()
    assert vector(recognizer) == first


def test_settings_make_the_same_recogniser_again() -> None:
    one = Recognizer(LABELS, 400, 0.6, 700, 2, "python")
    other = Recognizer(LABELS, **one.settings)
    assert vector(one) == vector(other)
    assert "behaviour='python'" in repr(other)


def test_a_stride_that_could_never_be_heard() -> None:
    recognizer = Recognizer(LABELS)  # 500 ms, 3 results
    recognizer.expect_stride(250)
    with pytest.raises(SettingsError, match=r"holds 2 results.*every 300 ms, and 3 are needed"):
        recognizer.expect_stride(300)
    with pytest.raises(SettingsError, match="holds 1 results"):
        Recognizer(LABELS, minimum_count=1).expect_stride(600)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"behaviour": "c++"}, r"unknown behaviour 'c\+\+'; known are cpp, python, device"),
        ({"detection_threshold": 1.5}, r"detection_threshold=1\.5 is not a number from 0 to 1"),
        ({"detection_threshold": math.nan}, "detection_threshold=nan is not"),
        ({"minimum_count": 2.5}, r"minimum_count=2\.5 is not a whole number"),
        ({"average_window_ms": 0}, "average_window_ms=0 is not a number from 1"),
        ({"suppression_ms": "long"}, "suppression_ms='long' is not a number"),
    ],
)
def test_numbers_that_cannot_work(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Recognizer(LABELS, **wrong)


def test_no_labels() -> None:
    with pytest.raises(SettingsError, match="needs labels"):
        Recognizer([])
