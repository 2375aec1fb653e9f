"""Hold commands against what was said: matched, correct, wrong, false positives.

The truth is a list of words with the times at which their clips begin. Each command is held
against the **first** word that lies within the tolerance of its time: the same label, and not
counted before, is correct; anything else is wrong; no word there is a false positive::

    said       yes             no                        yes
    within   <--+-->        <--+-->                   <--+-->
    heard        yes           yes        no
               correct        wrong   false positive    (missed)

Source: tensorflow/examples/speech_commands/accuracy_utils.{cc,py}. The two forms differ in
details, which are chosen by name as in `minikws.streaming.recognize`; "device" counts as "cpp".
`minikws.streaming.truth` reads and writes the lists.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from minikws.errors import SettingsError
from minikws.labels import UNKNOWN
from minikws.streaming.recognize import SILENCES, Behaviour

TOLERANCE_MS = {"cpp": 750.0, "python": 1500.0, "device": 750.0}  # the tools' defaults

CORRECT, WRONG, FALSE_POSITIVE = "Correct", "Wrong", "False Positive"

NO_WORDS = (*SILENCES, UNKNOWN, "unknown")  # labels whose command is no alarm to anybody


@dataclass(frozen=True)
class Spoken:
    """A word of the truth: when its clip begins, and which it is."""

    time_ms: float
    label: str


@dataclass(frozen=True)
class Heard:
    """A counted command.

    time_ms, end_ms : when its window begins, and when the last of it was heard.
    state : CORRECT, WRONG or FALSE_POSITIVE.
    spoken : the word it was held against, None for a false positive.
    """

    time_ms: float
    label: str
    end_ms: float
    state: str
    spoken: Spoken | None


@dataclass(frozen=True)
class Counts:
    """The published tool's numbers.

    total : words of the truth, up to the time that was asked for.
    matched : of them, how many a command was held against ("python": how many commands were, so
        that a word heard twice counts twice).
    """

    total: int
    matched: int
    correct: int
    wrong: int
    false_positives: int


class Tally:
    """Counts commands as they come, in the order of their times.

    Parameters
    ----------
    truth : in any order; "python" rounds its times to whole ms, the others cut them.
    tolerance_ms : how far a command's time may lie from a word's; None: the behaviour's own.

    Raises
    ------
    SettingsError : a tolerance that is no time.
    """

    def __init__(
        self,
        truth: Sequence[Spoken],
        tolerance_ms: float | None = None,
        behaviour: Behaviour = "cpp",
    ) -> None:
        whole = round if behaviour == "python" else int
        words = [Spoken(whole(spoken.time_ms), spoken.label) for spoken in truth]
        self.truth = sorted(words, key=lambda spoken: spoken.time_ms)
        self.tolerance_ms = TOLERANCE_MS[behaviour] if tolerance_ms is None else tolerance_ms
        if not 0 <= self.tolerance_ms < 1e7:
            raise SettingsError(
                f"the tolerance of {self.tolerance_ms:g} ms is no time; {TOLERANCE_MS['cpp']:g} "
                "is usual"
            )
        self.behaviour = behaviour
        self.heard: list[Heard] = []
        self._n_states = Counter[str]()
        self._times = [spoken.time_ms for spoken in self.truth]
        self._matched: set[float] = set()

    def add(self, label: str, time_ms: float, end_ms: float | None = None) -> Heard:
        """Count a command, and return it with its state."""
        spoken, state = self._first_within(time_ms), FALSE_POSITIVE
        if spoken is not None:
            right = spoken.label == label and spoken.time_ms not in self._matched
            state = CORRECT if right else WRONG
            self._matched.add(spoken.time_ms)
        heard = Heard(time_ms, label, time_ms if end_ms is None else end_ms, state, spoken)
        self.heard.append(heard)
        self._n_states[state] += 1
        return heard

    def counts(self, up_to_ms: float | None = None) -> Counts:
        """Return the numbers so far, against the words up to a time (None: all)."""
        total = len(self.truth)
        if up_to_ms is not None:
            total = bisect_right(self._times, up_to_ms + self.tolerance_ms)
        n = self._n_states
        n_matched = n[CORRECT] + n[WRONG] if self.behaviour == "python" else len(self._matched)
        return Counts(total, n_matched, n[CORRECT], n[WRONG], n[FALSE_POSITIVE])

    def line(self, up_to_ms: float | None = None) -> str:
        """Return the published tool's summary, letter for letter.

        >>> tally = Tally([Spoken(1000, "a"), Spoken(9000, "b")], tolerance_ms=500)
        >>> [tally.add(*command).state for command in [("a", 1200), ("b", 5000), ("a", 8700)]]
        ['Correct', 'False Positive', 'Wrong']
        >>> tally.line()
        '100.0% matched, 50.0% correctly, 50.0% wrongly, 50.0% false positives '
        """
        counts = self.counts(up_to_ms)
        python = self.behaviour == "python"
        if counts.total == 0:
            space = "" if python else " "
            return f"No ground truth yet, {counts.false_positives}{space}false positives"
        shares = [
            f"{100 * n / counts.total:.1f}%"
            for n in (counts.matched, counts.correct, counts.wrong, counts.false_positives)
        ]
        words = ("correct", "wrong", "false positive") if python else _CPP_WORDS
        parts = [f"{share} {word}" for share, word in zip(shares, ("matched", *words), strict=True)]
        return ", ".join(parts)

    def word_line(self, heard: Heard, score: float) -> str:
        """Return the published tool's line for one command."""
        if self.behaviour == "python":
            return f"{heard.time_ms:.0f}ms {heard.label}:{score:.2f}({heard.state})"
        return f"{heard.time_ms:.0f}ms: {heard.label}: {score:.2f} ({heard.state})"

    def _first_within(self, time_ms: float) -> Spoken | None:
        first = bisect_left(self._times, time_ms - self.tolerance_ms)
        if first < len(self.truth) and self._times[first] <= time_ms + self.tolerance_ms:
            return self.truth[first]
        return None


_CPP_WORDS = ("correctly", "wrongly", "false positives ")  # the blank at the end is published


@dataclass(frozen=True)
class LabelRow:
    """One word's share: how often it was said, correctly heard, and heard where it was not."""

    label: str
    said: int
    correct: int
    false_alarms: int


@dataclass(frozen=True)
class Summary:
    """What a day with the model would be like.

    hours : length of the sound.
    words : wanted words that were said; `_unknown_` is none.
    missed : of them, how many have no correct command.
    false_alarms : commands of wanted words that are wrong or false positives.
    latency_ms : from the beginning of a word's clip to the moment its command was known, the
        median and the 95th percentile over the correct ones; None without any.
    labels : the same by word.
    """

    hours: float
    words: int
    missed: int
    false_alarms: int
    latency_ms: tuple[float, float] | None
    labels: tuple[LabelRow, ...]

    @property
    def false_alarms_per_hour(self) -> float:
        """False alarms per hour; 0 for no sound."""
        return self.false_alarms / self.hours if self.hours else 0.0

    @property
    def missed_share(self) -> float:
        """Missed words of all; 0 without any."""
        return self.missed / self.words if self.words else 0.0


def summarize(tally: Tally, hours: float) -> Summary:
    """Count false alarms, missed words and latency over a recording of so many hours."""
    labels = {spoken.label for spoken in tally.truth} | {heard.label for heard in tally.heard}
    rows = tuple(_row(tally, label) for label in sorted(labels - set(NO_WORDS)))
    words, correct = sum(row.said for row in rows), sum(row.correct for row in rows)
    waits = sorted(
        heard.end_ms - heard.spoken.time_ms
        for heard in tally.heard
        if heard.state == CORRECT and heard.spoken is not None and heard.label not in NO_WORDS
    )
    latency = (median(waits), waits[-1 - len(waits) // 20]) if waits else None
    return Summary(
        hours, words, words - correct, sum(row.false_alarms for row in rows), latency, rows
    )


def is_false_alarm(heard: Heard) -> bool:
    """Whether a wanted word was heard where it was not said."""
    return heard.state != CORRECT and heard.label not in NO_WORDS


def _row(tally: Tally, label: str) -> LabelRow:
    heard = [heard for heard in tally.heard if heard.label == label]
    return LabelRow(
        label,
        sum(spoken.label == label for spoken in tally.truth),
        sum(each.state == CORRECT for each in heard),
        sum(map(is_false_alarm, heard)),
    )
