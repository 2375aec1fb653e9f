"""Label order and label files."""

from __future__ import annotations

from pathlib import Path

import pytest

from minikws.errors import SettingsError
from minikws.labels import label_order, parse_words, read_labels


def test_order() -> None:
    assert label_order(["b", "a"]) == ("_silence_", "_unknown_", "b", "a")
    assert label_order(["a"], silence=False) == ("_unknown_", "a")
    assert label_order(["a"], silence=False, unknown=False) == ("a",)


def test_words_are_lower_case_and_once() -> None:
    assert parse_words(" Yes,no ") == ("yes", "no")
    with pytest.raises(SettingsError, match="'yes' stands twice"):
        parse_words("yes,no,yes")
    with pytest.raises(SettingsError, match="found ''"):
        parse_words("")
    with pytest.raises(SettingsError, match="'_silence_' is a label that minikws adds"):
        parse_words("_silence_,yes")


def test_labels_from_a_file_or_a_list(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("_silence_\nyes\n\n")
    assert read_labels(str(file)) == ("_silence_", "yes")
    assert read_labels("_silence_, yes") == ("_silence_", "yes")
    with pytest.raises(SettingsError, match="no label"):
        read_labels(" , ")
