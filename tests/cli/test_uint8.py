"""The commands on the uint8 model of 2018, which names neither labels nor frontend."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from minikws.cli.main import main

LABELS = "_silence_,_unknown_,yes,no"
FRONTEND = "average,hop_ms=20"


@pytest.fixture
def model(tflm: Path) -> Path:
    return tflm / "tiny_conv_simple_uint8.tflite"


def answer(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> dict[str, Any]:
    """Run a command with --json and return its object."""
    capsys.readouterr()
    code = main([*map(str, argv), "--json", "--quiet"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    found: dict[str, Any] = json.loads(shown.out)
    return found


def refusal(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> str:
    """Run a command that must fail; return what it says."""
    capsys.readouterr()
    assert main([*map(str, argv)]) == 1
    return capsys.readouterr().err


def test_label_gives_the_published_scores(
    model: Path, tflm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = [tflm / f"{word}_1000ms.wav" for word in ("yes", "no")]
    options = ("--labels", LABELS, "--frontend", FRONTEND)
    found = answer(capsys, "label", model, *clips, *options)
    assert [clip["output"] for clip in found["clips"]] == [[0, 5, 250, 1], [26, 26, 26, 178]]
    best = [clip["scores"][0] for clip in found["clips"]]
    assert best == [{"label": "yes", "score": 250 / 256}, {"label": "no", "score": 178 / 256}]


def test_eval_takes_the_same(
    model: Path, tflm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in ("yes", "no"):
        (tmp_path / word).mkdir()
        for speaker in range(30):  # enough for each partition to get one
            name = f"{speaker:08x}_nohash_0.wav"
            shutil.copy(tflm / f"{word}_1000ms.wav", tmp_path / word / name)
    found = answer(
        capsys,
        *("eval", model, "--data-dir", tmp_path, "--partition", "all", "--labels", LABELS),
        *("--frontend", FRONTEND, "--no-silence", "--no-unknown"),
    )
    assert (found["count"], found["accuracy"]) == (60, 1.0)


def test_info_shows_its_types(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "info", model)
    (source,), (scores,) = found["inputs"], found["outputs"]
    assert (source["dtype"], source["scale"], source["zero_point"]) == ("uint8", 0.5, 0)
    assert (scores["dtype"], scores["scale"], scores["zero_point"]) == ("uint8", 1 / 256, 0)
    assert found["multiply_adds"] == 352_000 + 17_600
    assert found["parameters"] == 640 + 8 + 17_600 + 4


@pytest.mark.parametrize(
    ("frontend", "words"),
    [
        ("average", "makes (98, 43) features from 1000 ms; use the frontend it was trained with"),
        ("average,hop=20", "average has no setting 'hop'"),
        ("average,20", "'20' in the frontend 'average,20' is no setting of its own"),
        ("average,hop_ms=20,hop_ms=10", "'hop_ms=10' in the frontend"),
        ("average,hop_ms=often", "hop_ms='often' is not a number"),
        ("mean,hop_ms=20", "unknown frontend 'mean'"),
    ],
)
def test_a_frontend_that_cannot_be(
    frontend: str, words: str, model: Path, tflm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--labels", LABELS, "--frontend", frontend)
    assert words in refusal(capsys, "label", model, tflm / "yes_1000ms.wav", *options)
