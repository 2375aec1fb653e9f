"""What was said in a recording, as text: the published tools' list, or Audacity's labels.

::

    yes, 1034.562500                 ground truth: label, when its clip begins in ms
    1.034562<tab>2.034562<tab>yes    Audacity: begin and end in seconds, label

Both can be read; which one it is, the first line shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from minikws.errors import SettingsError
from minikws.files import read_lines, write_file
from minikws.streaming.evaluate import Spoken


def read_truth(path: str | Path) -> list[Spoken]:
    """Read a list of words with their times, in either form.

    Raises
    ------
    SettingsError : no such file, or a line of another form, with its number.

    Source: accuracy_utils.py, ReadGroundTruth. Differs: a line that cannot be read is an error,
    not skipped: the word on it would count as a false alarm.
    """
    lines = read_lines(
        path,
        what="the ground truth",
        form="a line LABEL, TIME in ms for each word, as stream synth writes it",
    )
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    is_audacity = bool(numbered) and "\t" in numbered[0][1]
    words = []
    for number, line in numbered:
        # Audacity puts a second line, which begins with a backslash, under labels with a pitch.
        if is_audacity and line.startswith("\\"):
            continue
        word = _audacity_line(line) if is_audacity else _published_line(line)
        if word is None:
            form = "start, end and label, parted by tabs" if is_audacity else "label, time in ms"
            raise SettingsError(
                f"{path} line {number}: expected {form}, found {line.strip()!r}; write "
                + ("1.034<tab>2.034<tab>yes" if is_audacity else "yes, 1034.5")
            )
        words.append(word)
    return words


def write_truth(path: str | Path, words: Sequence[Spoken]) -> Path:
    """Write the published tools' form, one line ``LABEL, TIME`` a word."""
    return write_file(path, "".join(f"{word.label}, {word.time_ms:f}\n" for word in words))


def write_audacity(path: str | Path, words: Sequence[Spoken], *, clip_ms: float) -> Path:
    """Write Audacity's form (File, Import, Labels shows it under the sound)."""
    lines = [
        f"{word.time_ms / 1000:.6f}\t{(word.time_ms + clip_ms) / 1000:.6f}\t{word.label}\n"
        for word in words
    ]
    return write_file(path, "".join(lines))


def _published_line(line: str) -> Spoken | None:
    label, comma, time = line.rpartition(",")
    time_ms = _number(time)
    if not comma or not label.strip() or "," in label or time_ms is None:
        return None
    return Spoken(time_ms, label.strip())


def _audacity_line(line: str) -> Spoken | None:
    parts = line.split("\t")
    start_s = _number(parts[0])
    if len(parts) != 3 or start_s is None or _number(parts[1]) is None or not parts[2].strip():
        return None
    return Spoken(start_s * 1000, parts[2].strip())


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
