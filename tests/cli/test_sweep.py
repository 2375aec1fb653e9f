"""A grid of trainings: read, trained on all cores or a cluster, interrupted, shown."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from minikws.cli.main import command_parser, main
from minikws.cli.sweep import train_cell
from minikws.cli.sweep_grid import read_grid
from minikws.errors import SettingsError, ShapeError
from minikws.plots import draw_sweep
from minikws.workers import run_all

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


def sweep(grid: Path, out: Path, capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    capsys.readouterr()
    assert main(["sweep", str(grid), "--out", str(out), "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_a_sweep_goes_on_where_it_was(
    grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="needs pip install 'minikws[plots]'")
    out = tmp_path / "out"
    first = sweep(grid, out, capsys, "--jobs", "1")
    assert [run["name"] for run in first["runs"]] == [c.name for c in read_grid(grid, KNOWN)]
    with open(out / "sweep.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["seed"]) for row in rows] == [
        ("single_fc", "1"),
        ("single_fc", "2"),
        ("tiny_conv", "1"),
        ("tiny_conv", "2"),
    ]
    assert (out / "sweep.png").read_bytes().startswith(b"\x89PNG")
    best = max(first["runs"], key=lambda run: run["validation_accuracy"])
    assert first["best"] == best["name"]

    # One run is lost, one was interrupted before its end: only these are trained again.
    kept = {path: path.stat().st_mtime_ns for path in out.glob("00[13]*/report.json")}
    lost, cut = out / "002-single_fc-2", out / "004-tiny_conv-2"
    for path in sorted(lost.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (cut / "report.json").unlink()
    again = sweep(grid, out, capsys, "--jobs", "1")
    for run in (*first["runs"], *again["runs"]):
        del run["seconds"]
    assert again["runs"] == first["runs"]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept

    grid.write_text(grid.read_text().replace("steps = 3", "steps = 4"))
    assert main(["sweep", str(grid), "--out", str(out)]) == 1
    assert "holds a sweep of another grid" in capsys.readouterr().err


@pytest.mark.slow
def test_a_training_that_fails_does_not_stop_the_others(
    grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid.write_text(grid.read_text().replace("seed = [1, 2]", "wanted-words = ['low', 'lwo']"))
    grid.write_text(grid.read_text().replace('wanted_words = ["low", "high"]\n', ""))
    assert main(["sweep", str(grid), "--out", str(tmp_path / "out"), "--jobs", "1"]) == 1
    said = capsys.readouterr().err
    assert "2 of 4 trainings failed, the first, 002-single_fc-lwo, because" in said
    assert "'lwo' has no clip" in said
    assert len(list((tmp_path / "out").glob("*/report.json"))) == 2


@pytest.mark.slow
@pytest.mark.children
def test_processes_give_the_same(
    grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("joblib", reason="needs pip install 'minikws[scale]'")
    monkeypatch.setenv("MINIKWS_JIT", "0")
    cells = read_grid(grid, KNOWN)
    work = [(str(tmp_path / cell.name), cell.options, 1) for cell in cells]
    found = dict(run_all(train_cell, work, n_jobs=2))
    assert sorted(found) == [0, 1, 2, 3]
    for number, cell in enumerate(cells):
        assert found[number]["run_dir"] == str(tmp_path / cell.name)
        assert (tmp_path / cell.name / "report.json").exists()


@pytest.mark.slow
@pytest.mark.children
def test_a_cluster_that_loses_a_worker(
    grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed", reason="needs pip install 'minikws[scale]'")
    monkeypatch.setenv("MINIKWS_JIT", "0")
    grid.write_text(grid.read_text().replace("seed = [1, 2]", "seed = [1, 2, 3, 4]"))
    cells = read_grid(grid, KNOWN)
    work = [(str(tmp_path / cell.name), cell.options, 1) for cell in cells]
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        pids = list(client.run(os.getpid).values())
        assert len(pids) == 2
        found: list[int] = []
        for number, record in run_all(
            train_cell, work, backend="dask", scheduler=cluster.scheduler_address
        ):
            assert "error" not in record
            found.append(number)
            if len(found) == 1:
                os.kill(pids[0], signal.SIGKILL)
    assert sorted(found) == list(range(8))
    alone = train_cell((str(tmp_path / "alone"), cells[-1].options, 1))
    there = json.loads((tmp_path / cells[-1].name / "report.json").read_text())
    assert alone["test_accuracy"] == there["test_accuracy"]


def double(x: int) -> int:
    return 2 * x


def test_one_job_needs_nothing() -> None:
    assert list(run_all(double, [1, 2, 3])) == [(0, 2), (1, 4), (2, 6)]
    assert list(run_all(double, [])) == []


def test_workers_refuse() -> None:
    with pytest.raises(SettingsError, match="unknown backend 'dusk'; did you mean dask"):
        next(run_all(double, [1], backend="dusk"))
    with pytest.raises(SettingsError, match="0 jobs"):
        next(run_all(double, [1], n_jobs=0))
    pytest.importorskip("joblib", reason="needs pip install 'minikws[scale]'")
    with pytest.raises(SettingsError, match="needs the address of its scheduler"):
        next(run_all(double, [1], backend="dask"))


def test_the_picture() -> None:
    pytest.importorskip("matplotlib", reason="needs pip install 'minikws[plots]'")
    figure = draw_sweep({"a": [0.5, 0.6], "b": [0.9]})
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b"]
    assert axes.lines[0].get_xdata().tolist() == [50, 60]
    with pytest.raises(ShapeError, match="no accuracy to draw"):
        draw_sweep({"a": []})
