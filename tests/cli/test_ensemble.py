"""Several models that label together."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from minikws.cli.ensemble import need_alike, together
from minikws.cli.main import main
from minikws.errors import SettingsError
from minikws.frontend import Micro
from minikws.pipeline import load
from minikws.settings import MicroSettings
from tests.tones import write_model_of_tones


def record(file: str, start_ms: int | None = None, **scores: float) -> dict:
    ranked = [{"label": label, "score": score} for label, score in scores.items()]
    where = {} if start_ms is None else {"start_ms": start_ms}
    return {"file": file, "scores": ranked, "output": [1], **where}


def test_scores_are_averaged_by_label_and_ranked_again() -> None:
    a = [record("x.wav", yes=0.6, no=0.4), record("y.wav", yes=0.5, no=0.5)]
    b = [record("x.wav", no=0.9, yes=0.1), record("y.wav", no=0.25, yes=0.75)]
    found = together([a, b])
    assert [[s["label"] for s in one["scores"]] for one in found] == [["no", "yes"], ["yes", "no"]]
    assert found[0]["scores"][0]["score"] == pytest.approx(0.65)
    assert found[1]["scores"][0]["score"] == pytest.approx(0.625)
    assert together([a])[1] == a[1]


def test_models_must_fit_together(tone_corpus: Path, tmp_path: Path) -> None:
    write_model_of_tones(tone_corpus, tmp_path / "tones.tflite")
    model = load(tmp_path / "tones.tflite")
    other = SimpleNamespace(labels=("a", "b"), frontend=model.frontend)
    with pytest.raises(SettingsError, match=r"x has the labels .*low,high, y a,b; only models"):
        need_alike(["x", "y"], [model, other])
    longer = SimpleNamespace(labels=model.labels, frontend=Micro(MicroSettings(clip_ms=500)))
    with pytest.raises(SettingsError, match=r"x takes clips of 250 ms, y of 500; only models"):
        need_alike(["x", "y"], [model, longer])


def test_the_command(tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sharp, dull = tmp_path / "sharp.tflite", tmp_path / "dull.TFLITE"
    write_model_of_tones(tone_corpus, sharp)
    write_model_of_tones(tone_corpus, dull, sharpness=1.0)
    clips = [str(path) for path in sorted((tone_corpus / "low").iterdir())[:3]]

    def scores(*models: Path) -> list[dict[str, float]]:
        capsys.readouterr()
        assert main(["label", *map(str, models), *clips, "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["models"] == [str(model) for model in models]
        return [{s["label"]: s["score"] for s in clip["scores"]} for clip in answer["clips"]]

    both, one, other = scores(sharp, dull), scores(sharp), scores(dull)
    for mean, a, b in zip(both, one, other, strict=True):
        assert mean == pytest.approx({label: (a[label] + b[label]) / 2 for label in a})
    assert one != other
    assert main(["label", str(sharp), str(dull)]) == 2
    assert "label needs a model and a clip" in capsys.readouterr().err
