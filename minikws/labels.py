"""The order of labels, decided in one place: silence, unknown, then the wanted words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from minikws.errors import SettingsError

SILENCE = "_silence_"
UNKNOWN = "_unknown_"
BACKGROUND_FOLDER = "_background_noise_"


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
    for word in words:
        if words.count(word) > 1:
            raise SettingsError(f"the wanted word {word!r} stands twice in {text!r}; name it once")
        if word in (SILENCE, UNKNOWN, BACKGROUND_FOLDER):
            raise SettingsError(
                f"{word!r} is a label that minikws adds itself; leave it out of the wanted words"
            )
    return words


def read_labels(file_or_list: str) -> tuple[str, ...]:
    """Read labels in output order, from a file (one a line) or from a comma list.

    Raises
    ------
    SettingsError : no label in it.

    >>> read_labels("silence,unknown,yes,no")
    ('silence', 'unknown', 'yes', 'no')
    """
    path = Path(file_or_list)
    if "," not in file_or_list and path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines()
        labels = tuple(line.strip() for line in lines if line.strip())
    else:
        labels = tuple(part.strip() for part in file_or_list.split(",") if part.strip())
    if not labels:
        raise SettingsError(f"no label in {file_or_list!r}; give a file or a comma list of labels")
    return labels
