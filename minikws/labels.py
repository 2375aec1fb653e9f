"""The order of labels, decided in one place: silence, unknown, then the wanted words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from minikws.errors import SettingsError, nearest
from minikws.files import read_lines

SILENCE = "_silence_"
UNKNOWN = "_unknown_"
BACKGROUND_FOLDER = "_background_noise_"
EVERYTHING_ELSE = "*"  # in a map of labels


def label_order(
    wanted_words: Sequence[str], *, silence: bool = True, unknown: bool = True
) -> tuple[str, ...]:
    """Return all labels in the order of the model's outputs.

    Source: input_data.py, prepare_words_list.

    >>> label_order(["yes", "no"])
    ('_silence_', '_unknown_', 'yes', 'no')
    """
    return (SILENCE,) * silence + (UNKNOWN,) * unknown + tuple(wanted_words)


def parse_words(text: str) -> tuple[str, ...]:
    """Split a comma list of wanted words, in the given order.

    Raises
    ------
    SettingsError : no word, a word twice, or one of minikws' own labels.

    >>> parse_words("yes, no")
    ('yes', 'no')
    """
    words = tuple(word.strip().lower() for word in text.split(",") if word.strip())
    if not words:
        raise SettingsError(f"expected a comma list of words, found {text!r}; write yes,no")
    check_words(words)
    return words


def check_words(words: Sequence[str]) -> None:
    """Raise SettingsError for a word that stands twice, or is one of minikws' own labels."""
    for word in words:
        if words.count(word) > 1:
            raise SettingsError(
                f"the wanted word {word!r} stands twice in {','.join(words)!r}; name it once"
            )
        if word in (SILENCE, UNKNOWN, BACKGROUND_FOLDER):
            raise SettingsError(
                f"{word!r} is a label that minikws adds itself; leave it out of the wanted words"
            )


def read_labels(file_or_list: str) -> tuple[str, ...]:
    """Read labels in output order, from a file (one a line) or from a comma list.

    Raises
    ------
    SettingsError : no label in it, or a file that cannot be read.

    >>> read_labels("silence,unknown,yes,no")
    ('silence', 'unknown', 'yes', 'no')
    """
    path = Path(file_or_list)
    if "," not in file_or_list and (path.is_file() or path.suffix == ".txt"):
        lines = read_lines(path, what="the file of labels", form="one label a line")
        labels = tuple(line.strip() for line in lines if line.strip())
    else:
        labels = tuple(part.strip() for part in file_or_list.split(",") if part.strip())
    if not labels:
        raise SettingsError(f"no label in {file_or_list!r}; give a file or a comma list of labels")
    return labels


def read_label_map(path: str | Path) -> dict[str, str]:
    """Read which label becomes which, from a file of lines ``label,target``.

    The label ``*`` stands for everything else. Empty lines and lines that start with ``#`` do not
    count::

        # 32 words to 4 labels
        _silence_,_silence_
        yes,yes
        no,no
        *,_unknown_

    Raises
    ------
    SettingsError : no such file, a line of another form, a label twice, or no line at all.
    """
    lines = read_lines(path, what="the map of labels", form="a line label,target for each label")
    targets: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = [part.strip() for part in line.split(",")]
        if len(parts) != 2 or not all(parts):
            raise SettingsError(
                f"{path} line {number}: expected label,target, found {line.strip()!r}; write "
                "yes,yes to keep a label and *,_unknown_ for everything else"
            )
        if parts[0] in targets:
            raise SettingsError(
                f"{path} line {number}: the label {parts[0]!r} has the target "
                f"{targets[parts[0]]!r} already; name it once"
            )
        targets[parts[0]] = parts[1]
    if not targets:
        raise SettingsError(f"no line label,target in {path}; write yes,yes and *,_unknown_")
    return targets


def fold_labels(
    labels: Sequence[str], targets: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the folded labels, and for each of `labels` the index of what it becomes.

    Folded labels stand in the usual order: silence, unknown, then as the map names them.

    Raises
    ------
    SettingsError : the map names a label that is not there, or leaves one out.

    >>> fold_labels(["_silence_", "cat", "yes"], {"yes": "yes", "*": "_unknown_"})
    (('_unknown_', 'yes'), (0, 0, 1))
    """
    for label in targets:
        if label not in labels and label != EVERYTHING_ELSE:
            raise SettingsError(
                f"the map names the label {label!r}, which the model lacks; "
                f"{nearest(label, labels)}"
            )
    left_out = [label for label in labels if label not in targets]
    if left_out and EVERYTHING_ELSE not in targets:
        raise SettingsError(
            f"the map gives {', '.join(left_out)} no target; add a line for each, or one for "
            f"everything else: {EVERYTHING_ELSE},{UNKNOWN}"
        )
    becomes = [targets.get(label, targets.get(EVERYTHING_ELSE, "")) for label in labels]
    words = dict.fromkeys(target for target in targets.values() if target in becomes)
    folded = label_order(
        [word for word in words if word not in (SILENCE, UNKNOWN)],
        silence=SILENCE in words,
        unknown=UNKNOWN in words,
    )
    return folded, tuple(folded.index(target) for target in becomes)
