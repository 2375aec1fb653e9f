"""A grid of trainings: read, trained on all cores or a cluster, interrupted, shown."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from minikws.cli.main import command_parser, main
from minikws.cli.sweep_grid import read_grid
from minikws.errors import SettingsError, ShapeError
from minikws.plots import draw_sweep

KNOWN = command_parser("train").known_options()

GRID = """
[train]
data-dir = "{corpus}"
wanted_words = ["low", "high"]
clip-duration-ms = 250
feature-bin-count = 8
batch-size = 4
steps = 3

[grid]
model = ["single_fc", "tiny_conv"]
seed = [1, 2]
"""


@pytest.fixture
def grid(tmp_path: Path, tone_corpus: Path) -> Path:
    path = tmp_path / "grid.toml"
    path.write_text(GRID.format(corpus=tone_corpus))
    return path


def test_a_grid_is_every_combination(grid: Path) -> None:
    cells = read_grid(grid, KNOWN)
    assert [cell.name for cell in cells] == [
        "001-single_fc-1",
        "002-single_fc-2",
        "003-tiny_conv-1",
        "004-tiny_conv-2",
    ]
    assert cells[2].values == {"model": "tiny_conv", "seed": "1"}
    assert cells[2].options[1:3] == ("--wanted-words=low,high", "--clip-duration-ms=250")
    assert cells[2].options[-2:] == ("--model=tiny_conv", "--seed=1")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[grid]\nmodle = ['conv']", r"unknown key 'modle' in \[grid\]; did you mean model"),
        ("[train]\nsteps = 3", r"\[grid\] of .* makes 0 trainings"),
        ("[grid]\nseed = []", "gives 'seed' no value"),
        ("[grid]\nseed = [1, 1]", "gives 'seed' a value twice"),
        ("[grid]\nseed = [1]\n[train]\nseed = 2", r"'seed' in \[train\] and in \[grid\]"),
        ("[grid]\nrun-dir = ['x']", "'run-dir' in .* which the sweep decides itself"),
        ("[grid]\nseed = [{a = 1}]", "gives 'seed' the value"),
        ("[grids]\nseed = [1]", "'grids' at its top, expected the sections"),
        ("seed = 1", "'seed' at its top"),
        ("[grid", "is no TOML"),
    ],
)
def test_a_bad_grid(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "grid.toml").write_text(text)
    with pytest.raises(SettingsError, match=sentence):
        read_grid(tmp_path / "grid.toml", KNOWN)


def test_no_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", str(tmp_path / "no.toml"), "--out", str(tmp_path / "out")]) == 1
    assert "no.toml cannot be read" in capsys.readouterr().err
    (tmp_path / "grid.toml").write_text("[grid]\nbatch-size = ['many']")
    assert main(["sweep", str(tmp_path / "grid.toml"), "--out", str(tmp_path / "out")]) == 1
    assert "001-many cannot begin" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def sweep(grid: Path, out: Path, *options: str) -> Any:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        assert main(["sweep", str(grid), "--out", str(out), "--json", *options]) == 0
    return json.loads(shown.getvalue())


def results(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [{k: v for k, v in run.items() if k != "seconds"} for run in found["runs"]]


@pytest.fixture(scope="module")
def swept(
    tone_corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Path, dict[str, Any]]]:
    """A grid, the folder of its sweep, and the answer; nothing is compiled for three steps."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "grid.toml").write_text(GRID.format(corpus=tone_corpus))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minikws._jit.ENABLED", False)
        patch.setenv("MINIKWS_JIT", "0")  # for children
        yield (
            folder / "grid.toml",
            folder / "out",
            sweep(folder / "grid.toml", folder / "out", "--jobs", "1"),
        )


@pytest.mark.slow
def test_a_sweep(swept: tuple[Path, Path, dict[str, Any]]) -> None:
    grid, out, found = swept
    assert [run["name"] for run in found["runs"]] == [c.name for c in read_grid(grid, KNOWN)]
    with open(out / "sweep.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["seed"]) for row in rows] == [
        ("single_fc", "1"),
        ("single_fc", "2"),
        ("tiny_conv", "1"),
        ("tiny_conv", "2"),
    ]
    best = max(found["runs"], key=lambda run: run["validation_accuracy"])
    assert found["best"] == best["name"]
    log = (out / "003-tiny_conv-1" / "log.txt").read_text()
    assert log.startswith("training tiny_conv on micro features")
    assert "Step 3: rate" in log
    if find_spec("matplotlib"):
        assert (out / "sweep.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_sweep_goes_on_where_it_was(
    swept: tuple[Path, Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid, first_out, first = swept
    out = shutil.copytree(first_out, tmp_path / "out")
    # One run is lost, one was interrupted before its end: only these are trained again.
    kept = {path: path.stat().st_mtime_ns for path in out.glob("00[13]*/report.json")}
    assert len(kept) == 2
    shutil.rmtree(out / "002-single_fc-2")
    (out / "004-tiny_conv-2" / "report.json").unlink()
    assert results(sweep(grid, out, "--jobs", "1")) == results(first)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept

    other = tmp_path / "other.toml"
    other.write_text(grid.read_text().replace("steps = 3", "steps = 4"))
    assert main(["sweep", str(other), "--out", str(out)]) == 1
    assert "holds a sweep of another grid" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.children
def test_processes_give_the_same(swept: tuple[Path, Path, dict[str, Any]], tmp_path: Path) -> None:
    pytest.importorskip("joblib", reason="needs pip install 'minikws[scale]'")
    grid, _, first = swept
    assert results(sweep(grid, tmp_path / "out", "--jobs", "2")) == results(first)


@pytest.mark.slow
def test_a_training_that_fails_does_not_stop_the_others(
    grid: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("minikws._jit.ENABLED", False)
    text = grid.read_text().replace('wanted_words = ["low", "high"]\n', "")
    text = text.replace('model = ["single_fc", "tiny_conv"]', "model = 'single_fc'")
    grid.write_text(text.replace("seed = [1, 2]", "wanted-words = ['low', 'lwo']"))
    out = tmp_path / "out"
    assert main(["sweep", str(grid), "--out", str(out), "--jobs", "1"]) == 1
    said = capsys.readouterr().err
    assert "1 of 2 trainings failed, the first, 002-single_fc-lwo, because" in said
    assert "'lwo' has no clip" in said
    assert [path.parent.name for path in out.glob("*/report.json")] == ["001-single_fc-low"]
    assert "'lwo' has no clip" in (out / "002-single_fc-lwo" / "log.txt").read_text()


def test_an_interrupted_training_ends_the_sweep(
    grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("minikws.cli.train.run", interrupted)
    assert main(["sweep", str(grid), "--out", str(tmp_path / "out"), "--jobs", "1"]) == 130
    assert len(list((tmp_path / "out").glob("*/log.txt"))) == 1


def test_the_picture() -> None:
    pytest.importorskip("matplotlib", reason="needs pip install 'minikws[plots]'")
    figure = draw_sweep({"a": [0.5, 0.6], "b": [0.9]})
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b"]
    assert axes.lines[0].get_xdata().tolist() == [50, 60]
    with pytest.raises(ShapeError, match="no accuracy to draw"):
        draw_sweep({"a": []})
