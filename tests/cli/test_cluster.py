"""A real Dask cluster of two workers, one of which is killed on the way: none lost, none twice."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minikws.workers
from minikws.cli import eval_blocks, feature_batches, stream_windows
from minikws.cli.main import main
from minikws.workers import Workers, run_all, run_in_order
from tests.tones import write_model_of_tones

pytestmark = [pytest.mark.slow, pytest.mark.children]

SETTINGS = """
data-dir = "{corpus}"
wanted_words = ["low", "high"]
clip-duration-ms = 250
feature-bin-count = 8
batch-size = 4
steps = 3
"""
GRID = f"[train]{SETTINGS}[grid]\nmodel = ['single_fc', 'tiny_conv']\nseed = [1, 2, 3]\n"


def answer(*argv: str | Path) -> list[dict[str, Any]]:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        assert main([*map(str, argv), "--json", "--quiet"]) == 0
    return [json.loads(line) for line in shown.getvalue().splitlines()]


@dataclass
class Cluster:
    """A scheduler, and worker processes that nobody starts again."""

    client: Any
    folder: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def fill_up(self, n_workers: int = 2) -> None:
        """Start workers until there are so many."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        address = self.client.scheduler.address
        command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny"]
        command += ["--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder)]
        while len(self.workers) < n_workers:
            quiet = subprocess.DEVNULL
            self.workers.append(subprocess.Popen(command, stdout=quiet, stderr=quiet))
        self.client.wait_for_workers(n_workers, timeout=120)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    distributed = pytest.importorskip("distributed", reason="needs pip install 'minikws[scale]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIKWS_JIT", "0")  # in the workers; nothing is worth compiling
        patch.setattr("minikws._jit.ENABLED", False)
        patch.setattr("minikws.runtime.interpreter.ENABLED", False)
        with (
            distributed.LocalCluster(n_workers=0, dashboard_address=None) as scheduler,
            distributed.Client(scheduler) as client,
        ):
            found = Cluster(client, tmp_path_factory.mktemp("workers"))
            yield found
            for worker in found.workers:
                worker.kill()
                worker.wait()


@pytest.fixture
def on_a_cluster(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[dict[str, Any]]]:
    """Run a command on the cluster; a worker is killed when the first result has come."""
    cluster.fill_up()
    numbers: list[int] = []
    run_all = minikws.workers.run_all

    def run_and_kill(*arguments: Any) -> Iterator[tuple[int, Any]]:
        for number, result in run_all(*arguments):
            numbers.append(number)
            if len(numbers) == 1:
                cluster.workers[0].kill()
                cluster.workers[0].wait()
            yield number, result

    def run(*argv: str | Path) -> list[dict[str, Any]]:
        monkeypatch.setattr(minikws.workers, "run_all", run_and_kill)
        address = cluster.client.scheduler.address
        found = answer(*argv, "--backend", "dask", "--scheduler", address)
        monkeypatch.setattr(minikws.workers, "run_all", run_all)
        assert len(numbers) >= 6
        assert sorted(numbers) == list(range(len(numbers)))
        return found

    return run


@pytest.fixture(scope="module")
def run_dir(tone_corpus: Path, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "grid.toml").write_text(GRID.format(corpus=tone_corpus).replace("1, 2, 3", "2"))
    answer("sweep", folder / "grid.toml", "--out", folder / "out", "--jobs", "1")
    return folder / "out" / "002-tiny_conv-2"


def test_one_worker_is_enough(cluster: Cluster) -> None:
    address = cluster.client.scheduler.address
    where = Workers(backend="dask", scheduler=address)
    assert list(run_all(os.readlink, [], where)) == []
    cluster.fill_up(1)
    (worker,) = cluster.workers
    # The link names the process that reads it.
    found = list(run_in_order(os.readlink, ["/proc/self"] * 5, where))
    assert found == [str(worker.pid)] * 5


def test_sweep(
    on_a_cluster: Callable[..., list[dict[str, Any]]],
    run_dir: Path,
    tone_corpus: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "grid.toml").write_text(GRID.format(corpus=tone_corpus))
    (found,) = on_a_cluster("sweep", tmp_path / "grid.toml", "--out", tmp_path / "out")
    assert len(found["runs"]) == 6
    here = json.loads((run_dir / "report.json").read_text())
    (there,) = [run for run in found["runs"] if run["name"] == "005-tiny_conv-2"]
    assert there["test_accuracy"] == here["test_accuracy"]
    assert there["validation_accuracy"] == here["validation_accuracy"]


def test_eval(
    on_a_cluster: Callable[..., list[dict[str, Any]]],
    run_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(eval_blocks, "BLOCK", 10)
    command = ("eval", run_dir, "--partition", "training", "--tta")
    (alone,) = answer(*command)
    assert alone["count"] > 60
    assert on_a_cluster(*command) == [alone]


def test_features(
    on_a_cluster: Callable[..., list[dict[str, Any]]],
    tone_corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feature_batches, "BLOCK_BYTES", 40_000)
    command = ("features", tone_corpus / "low", tone_corpus / "high", "--npz", "--out")
    (alone,), (there,) = answer(*command, tmp_path / "a"), on_a_cluster(*command, tmp_path / "b")
    assert [clip["file"] for clip in there["clips"]] == [clip["file"] for clip in alone["clips"]]
    for one, other in zip(alone["clips"], there["clips"], strict=True):
        (mine,), (its,) = one["written"], other["written"]
        assert Path(its) == tmp_path / "b" / Path(mine).relative_to(tmp_path / "a")
        np.testing.assert_array_equal(np.load(its)["features"], np.load(mine)["features"])


def test_stream_eval(
    on_a_cluster: Callable[..., list[dict[str, Any]]],
    tone_corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_windows, "STRETCH", 160)
    model, wav = tmp_path / "tones.tflite", tmp_path / "stream.wav"
    write_model_of_tones(tone_corpus, model)
    answer(
        *("stream", "synth", "--data-dir", tone_corpus, "--wanted-words", "low,high"),
        *("--clip-duration-ms", "250", "--word-gap-ms", "1000", "--seconds", "60", "--out", wav),
    )
    command = [
        *("stream", "eval", model, wav, "--fresh-windows", "--stride-ms", "20"),
        *("--average-window-ms", "60", "--suppression-ms", "300"),
    ]
    alone = answer(*command)
    assert len(alone) > 10
    assert on_a_cluster(*command) == alone
