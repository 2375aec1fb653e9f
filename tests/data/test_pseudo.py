"""Pseudo labels: votes counted by hand, and the folders and models that cannot be used."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from minikws._typing import Array, Samples
from minikws.data import pseudo
from minikws.data.pseudo import PseudoLabel, Voter, find_wavs, pseudo_label, write_provenance
from minikws.errors import CorpusError, SettingsError

LABELS = ("yes", "no")
PATHS = [Path(f"{i}.wav") for i in range(5)]


def read(path: Path) -> Samples:
    """Return a clip that holds its own number."""
    return np.full(4, int(path.stem), np.int16)


def voter(name: str, *yes: float) -> Voter:
    """Return a model whose probability of yes is given for each clip."""

    def probabilities(samples: Samples) -> Array:
        share = np.array(yes)[samples[:, 0]]
        return np.stack([share, 1 - share], 1).astype(np.float32)

    return Voter(name, LABELS, probabilities)


def test_one_model_needs_the_threshold() -> None:
    found = pseudo_label(PATHS, [voter("a", 0.9, 0.55, 0.25, 0.5, 0.75)], threshold=0.75, read=read)
    assert [(one.path.stem, one.label) for one in found] == [("0", 0), ("2", 1), ("4", 0)]
    np.testing.assert_allclose([one.probability for one in found], [0.9, 0.75, 0.75], rtol=1e-6)


def test_several_need_agreement_and_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudo, "BLOCK", 2)  # the last block is not full
    voters = [
        voter("a", 0.9, 0.99, 0.6, 0.1, 0.55),
        voter("b", 0.7, 0.99, 0.7, 0.3, 0.95),
        voter("c", 0.8, 0.49, 0.6, 0.2, 0.90),
    ]
    # 0: mean 0.8. 1: mean 0.82 of yes, but c says no. 2: mean 0.63. 3: mean 0.8 of no. 4: mean 0.8.
    found = pseudo_label(PATHS, voters, threshold=0.7, read=read)
    assert [(one.path.stem, one.label) for one in found] == [("0", 0), ("3", 1), ("4", 0)]
    np.testing.assert_allclose([one.probability for one in found], 0.8, rtol=1e-6)


def test_no_file_gives_no_label() -> None:
    assert pseudo_label([], [voter("a", 1.0)], threshold=0.6, read=read) == []


def test_what_cannot_vote() -> None:
    one = voter("a", 1.0)
    with pytest.raises(SettingsError, match=r"threshold=60 is not a probability .*; 0.6 is usual"):
        pseudo_label(PATHS, [one], threshold=60, read=read)
    with pytest.raises(SettingsError, match=r"threshold=-0\.1"):
        pseudo_label(PATHS, [one], threshold=-0.1, read=read)
    with pytest.raises(SettingsError, match="threshold=nan"):
        pseudo_label(PATHS, [one], threshold=float("nan"), read=read)
    with pytest.raises(SettingsError, match="no model to label with"):
        pseudo_label(PATHS, [], threshold=0.6, read=read)
    other = Voter("b", ("no", "yes"), one.probabilities)
    with pytest.raises(
        SettingsError, match=r"a has the labels yes,no, b has no,yes; .* same order"
    ):
        pseudo_label(PATHS, [one, other], threshold=0.6, read=read)


def test_provenance(tmp_path: Path) -> None:
    labelled = [PseudoLabel(Path("a, b.wav"), 1, 0.75), PseudoLabel(Path("c.wav"), 0, 2 / 3)]
    voters = [voter("runs/a", 1.0), voter("b.tflite", 1.0)]
    path = write_provenance(tmp_path / "deep" / "pseudo.csv", labelled, voters)
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["file", "label", "probability", "models"],
        ["a, b.wav", "no", "0.750000", "runs/a;b.tflite"],
        ["c.wav", "yes", "0.666667", "runs/a;b.tflite"],
    ]


def test_wavs_are_found_at_any_depth(tmp_path: Path) -> None:
    names = ("b.wav", "a/c.WAV", "a/deep/d.wav")
    left_out = (".b.wav", "a/._c.wav", "a/notes.txt", "_background_noise_/hum.wav", ".old/e.wav")
    for name in names + left_out:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in find_wavs(tmp_path)]
    assert found == ["a/c.WAV", "a/deep/d.wav", "b.wav"]


def test_folders_without_sound(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="there is no folder"):
        find_wavs(tmp_path / "gone")
    with pytest.raises(CorpusError, match=r"no \.wav file below"):
        find_wavs(tmp_path)
