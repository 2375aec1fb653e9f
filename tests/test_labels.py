"""Label order and label files."""

from __future__ import annotations

from pathlib import Path

import pytest

from minikws.errors import SettingsError
from minikws.labels import fold_labels, label_order, parse_words, read_label_map, read_labels


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


def test_a_file_of_labels_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\nyes\n")
    for name, reason in (("latin.txt", "it is no UTF-8 text"), ("no.txt", "No such file")):
        with pytest.raises(SettingsError, match=f"the file of labels .*{reason}"):
            read_labels(str(tmp_path / name))
    # As Windows' editor writes it.
    (tmp_path / "marked.txt").write_bytes(b"\xef\xbb\xbf_silence_\r\nyes\r\n")
    assert read_labels(str(tmp_path / "marked.txt")) == ("_silence_", "yes")


def test_a_map_folds_labels(tmp_path: Path) -> None:
    file = tmp_path / "map.txt"
    file.write_text("# the dog is a cat\n\n no , no\ncat,pet\ndog,pet\n*,_unknown_\n")
    targets = read_label_map(file)
    assert targets == {"no": "no", "cat": "pet", "dog": "pet", "*": "_unknown_"}
    labels = ("_silence_", "_unknown_", "cat", "no", "dog", "bird")
    # Unknown comes first as everywhere, then the targets in the order of the file: no, pet.
    assert fold_labels(labels, targets) == (("_unknown_", "no", "pet"), (0, 0, 2, 1, 2, 0))
    # Without "everything else" where nothing is left, and a line for it that no label needs.
    assert fold_labels(("cat", "no"), {"cat": "pet", "no": "no"}) == (("pet", "no"), (0, 1))
    assert fold_labels(("cat",), {"cat": "pet", "*": "_unknown_"}) == (("pet",), (0,))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("yes,yes\nno\n", "line 2: expected label,target, found 'no'; write"),
        ("yes,\n", "line 1: expected label,target, found 'yes,'"),
        ("yes,no,maybe\n", "found 'yes,no,maybe'"),
        ("a,b\n\na,c\n", "line 3: the label 'a' has the target 'b' already; name it once"),
        ("# only this\n", "no line label,target in"),
    ],
)
def test_a_map_that_cannot_be_read(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "map.txt"
    file.write_text(text)
    with pytest.raises(SettingsError) as refused:
        read_label_map(file)
    assert sentence in str(refused.value)


def test_a_map_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read \(No such file"):
        read_label_map(tmp_path / "gone.txt")
    (tmp_path / "noise.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"cannot be read \(it is no UTF-8 text\)"):
        read_label_map(tmp_path / "noise.txt")


def test_a_map_that_does_not_fit_the_model() -> None:
    with pytest.raises(SettingsError, match=r"the label 'sevn', which .* did you mean seven\?"):
        fold_labels(("seven", "no"), {"sevn": "a", "*": "b"})
    with pytest.raises(SettingsError, match=r"gives no, up no target; .* else: \*,_unknown_"):
        fold_labels(("yes", "no", "up"), {"yes": "yes"})
