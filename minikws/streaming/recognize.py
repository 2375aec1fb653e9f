"""From a stream of scores to commands: average, compare, and say each word once.

In comes one row of scores for each window of sound, with its time; out comes a command when a
word's average over the last moments is the largest, above a threshold, and not a repetition.
Three behaviours are published, and chosen by name: ``cpp`` and ``python`` are the two forms of
TensorFlow's RecognizeCommands, ``device`` is the one that micro_speech runs in integers.

=============  ===================  =====================  =========================
behaviour      the average          defaults               the same word again
=============  ===================  =====================  =========================
``cpp``        float32              500 ms, 0.7, 1500, 3   after another label only
``python``     float32 quotients    500 ms, 0.7, 500, 4    after another label only
               summed in float64
``device``     whole 1/256, cut     1000 ms, 200/256,      once the suppression time
                                    1500, 3                is over
=============  ===================  =====================  =========================

Source: tensorflow/examples/speech_commands/recognize_commands.{cc,py};
tflite-micro, micro_speech/recognize_commands.cc.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from minikws._typing import Array
from minikws.errors import SettingsError, ShapeError, nearest
from minikws.labels import SILENCE

Behaviour = Literal["cpp", "python", "device"]
BEHAVIOURS: tuple[Behaviour, ...] = ("cpp", "python", "device")

# What each behaviour's own tool uses where nothing else is asked for.
DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "cpp": {
            "average_window_ms": 500.0,
            "detection_threshold": 0.7,
            "suppression_ms": 1500.0,
            "minimum_count": 3,
        },
        "python": {
            "average_window_ms": 500.0,
            "detection_threshold": 0.7,
            "suppression_ms": 500.0,
            "minimum_count": 4,
        },
        "device": {
            "average_window_ms": 1000.0,
            "detection_threshold": 200 / 256,
            "suppression_ms": 1500.0,
            "minimum_count": 3,
        },
    }
)

SILENCES = (SILENCE, "silence")  # ours and TensorFlow's; micro_speech's
STEPS = 256  # of the device's scores: 1.0 would be 256


@dataclass(frozen=True)
class Command:
    """A word that was recognised: when, which, and its average score, 0 to 1."""

    time_ms: float
    label: str
    score: float


@dataclass(frozen=True)
class Result:
    """What the published algorithm reports at every step.

    label, score : the largest average, whether new or not; while too few results are there, the
        last command's label and 0.
    is_new : whether it is a new command. `_silence_` can be new too; it is no word.
    """

    label: str
    score: float
    is_new: bool


class Recognizer:
    """TensorFlow's RecognizeCommands.

    Parameters
    ----------
    labels : in the order of the scores.
    average_window_ms : how far back the averages reach.
    detection_threshold : an average must exceed it, 0 to 1.
    suppression_ms : after a word, others are held back for so long (leaving silence never waits).
    minimum_count : fewer results in the window than this, or a window filled to less than a
        quarter, are not trusted.
    behaviour : "cpp", "python" or "device"; what is None above is its default.

    Raises
    ------
    SettingsError : no label, an unknown behaviour, or a number that cannot work.

    >>> recognizer = Recognizer(["_silence_", "yes"], average_window_ms=200, minimum_count=2)
    >>> [recognizer.push([0.1, 0.9], time_ms) for time_ms in (0, 100)]
    [None, Command(time_ms=100, label='yes', score=0.8999999761581421)]
    """

    def __init__(
        self,
        labels: Sequence[str],
        average_window_ms: float | None = None,
        detection_threshold: float | None = None,
        suppression_ms: float | None = None,
        minimum_count: int | None = None,
        behaviour: Behaviour = "cpp",
    ) -> None:
        if behaviour not in BEHAVIOURS:
            raise SettingsError(
                f"unknown behaviour {behaviour!r}; {nearest(str(behaviour), BEHAVIOURS)}"
            )
        self.labels = tuple(labels)
        self.behaviour = behaviour
        default = DEFAULTS[behaviour]
        self.average_window_ms: float = _number(
            average_window_ms, default, "average_window_ms", 1, 1e7
        )
        self.detection_threshold: float = _number(
            detection_threshold, default, "detection_threshold", 0, 1
        )
        self.suppression_ms: float = _number(suppression_ms, default, "suppression_ms", 0, 1e7)
        self.minimum_count: int = _number(minimum_count, default, "minimum_count", 1, 1e6)
        if not self.labels:
            raise SettingsError("a recogniser needs labels and got none; name one for each score")
        self._silences = [label for label in self.labels if label in SILENCES] or [SILENCE]
        quarter = self.average_window_ms / 4
        self._shortest_ms = quarter if behaviour == "python" else math.floor(quarter)
        self.reset()

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"Recognizer({list(self.labels)!r}, {settings})"

    @property
    def settings(self) -> dict[str, Any]:
        """Every parameter but the labels, as `Recognizer(labels, **settings)` takes them."""
        return {name: getattr(self, name) for name in (*DEFAULTS["cpp"], "behaviour")}

    @property
    def repeats(self) -> bool:
        """Whether a word can be reported twice in a row, without another label in between."""
        return self.behaviour == "device"

    def reset(self) -> None:
        """Forget all results and the last command."""
        self._results: deque[tuple[float, Array]] = deque()
        self._last_label = self._silences[0]
        self._last_ms: float | None = None

    def expect_stride(self, every_ms: float) -> None:
        """Make sure that results at this pace can ever be enough.

        Raises
        ------
        SettingsError : the window holds fewer than `minimum_count` of them.
        """
        n_results = int(self.average_window_ms // every_ms) + 1
        if n_results < self.minimum_count or (n_results == 1 and self._shortest_ms > 0):
            needed = max(self.minimum_count, 2)
            raise SettingsError(
                f"an average over {self.average_window_ms:g} ms holds {n_results} results when one "
                f"comes every {every_ms:g} ms, and {needed} are needed, so nothing would ever be "
                f"heard; widen the window to {(needed - 1) * every_ms:g} ms, or infer more often"
            )

    def push(self, scores: ArrayLike, time_ms: float) -> Command | None:
        """Take the scores of one window; return the word that is now recognised, if any.

        Parameters
        ----------
        scores : (L,) probabilities, 0 to 1. For "device" also the model's integers: int8 from
            -128, or uint8.
        time_ms : of the window; not before earlier ones.

        Raises
        ------
        ShapeError : another number of scores than labels.
        SettingsError : a time before the oldest result in the window.
        """
        return self.command(self.process(scores, time_ms), time_ms)

    def command(self, result: Result, time_ms: float) -> Command | None:
        """Return a result as a command where it is new and a word."""
        if result.is_new and result.label not in self._silences:
            return Command(time_ms, result.label, result.score)
        return None

    def process(self, scores: ArrayLike, time_ms: float) -> Result:
        """Take the scores of one window; return what the published algorithm reports.

        Parameters and errors are those of `push`.
        """
        top = self.average(scores, time_ms)
        if top is None:
            return Result(self._last_label, 0.0, False)
        return self.decide(*top, time_ms)

    def average(self, scores: ArrayLike, time_ms: float) -> tuple[int, float] | None:
        """Take the scores of one window; return the largest average's index and value.

        None while the results in the window are too few. The first half of `process`, which
        knows nothing of thresholds: a sweep over them does it once.
        """
        row = self._checked(scores)
        results = self._results
        if results and time_ms < results[0][0]:
            raise SettingsError(
                f"results must come in increasing order of time, found {time_ms:g} ms after "
                f"{results[0][0]:g} ms; push them as they were heard, or reset() first"
            )
        results.append((time_ms, row))
        while results[0][0] < time_ms - self.average_window_ms:
            results.popleft()
        n = len(results)
        if n < self.minimum_count or time_ms - results[0][0] < self._shortest_ms:
            return None
        means = self._means(n)
        top = int(np.argmax(means))  # the lowest index where several are the largest
        if self.behaviour == "device":
            return top, int(means[top]) / STEPS
        return top, float(means[top])

    def decide(self, index: int, score: float, time_ms: float) -> Result:
        """Return whether the largest average is a new command: the second half of `process`."""
        label = self.labels[index]
        since_ms = math.inf
        if self._last_label not in self._silences and self._last_ms is not None:
            since_ms = time_ms - self._last_ms
        changed = label != self._last_label
        rested = since_ms > self.suppression_ms
        allowed = changed or rested if self.repeats else changed and rested
        is_new = score > self.threshold and allowed
        if is_new:
            self._last_label, self._last_ms = label, time_ms
        return Result(label, score, is_new)

    @property
    def threshold(self) -> float:
        """The threshold as the averages are compared with it: in the precision they have."""
        if self.behaviour == "device":
            return math.floor(self.detection_threshold * STEPS) / STEPS
        if self.behaviour == "cpp":
            return float(np.float32(self.detection_threshold))
        return self.detection_threshold

    def _means(self, n: int) -> Array:
        """Return the averages (L,), added oldest first, in the precision of the behaviour."""
        rows = [row for _, row in self._results]
        if self.behaviour == "device":
            whole: Array = np.stack(rows).sum(0) // n
            return whole
        precision = np.float32 if self.behaviour == "cpp" else np.float64
        means: Array = np.zeros(len(self.labels), precision)
        for row in rows:
            means = means + row / np.float32(n)
        return means

    def _checked(self, given: ArrayLike) -> Array:
        """Return scores (L,) as float32, or for the device as int64 from 0 to 256."""
        scores: Array = np.asarray(given)
        if scores.shape != (len(self.labels),):
            found = len(scores) if scores.ndim == 1 else scores.shape
            raise ShapeError(
                f"the results for recognition should contain {len(self.labels)} elements, but "
                f"there are {found}; give one score a label"
            )
        if self.behaviour != "device":
            return scores.astype(np.float32)
        if scores.dtype.kind == "f":
            scores = np.rint(scores * STEPS)
        from_zero: Array = scores.astype(np.int64) + (128 if scores.dtype == np.int8 else 0)
        return from_zero


def _number(
    given: Any, default: Mapping[str, Any], name: str, smallest: float, largest: float
) -> Any:
    """Return a parameter, its default where None, or say what is wrong with it."""
    value = default[name] if given is None else given
    whole = isinstance(default[name], int)
    right_type = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not right_type or not smallest <= value <= largest:
        raise SettingsError(
            f"{name}={value!r} is not a {'whole ' if whole else ''}number from {smallest:g} to "
            f"{largest:g}; {default[name]:g} is usual"
        )
    return value
