"""The same work on many items: here, in processes, on a cluster; refusals and losses."""

from __future__ import annotations

import os
import signal

import pytest

from minikws.errors import AudioError, RunError, SettingsError
from minikws.workers import Workers, kept, run_all, run_in_order


def double(x: int) -> int:
    return 2 * x


def refuse(x: int) -> int:
    raise AudioError(f"{x} is no sound; say something")


def die(x: int) -> int:
    if x == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def test_one_job_needs_nothing() -> None:
    assert list(run_all(double, [1, 2, 3])) == [(0, 2), (1, 4), (2, 6)]
    assert list(run_all(double, [])) == []
    assert list(run_all(double, [1], Workers(8))) == [(0, 2)]
    assert list(run_in_order(double, [3, 2, 1])) == [6, 4, 2]


def test_the_order_is_the_items(monkeypatch: pytest.MonkeyPatch) -> None:
    done = [(2, "c"), (0, "a"), (3, "d"), (1, "b")]
    monkeypatch.setattr("minikws.workers.run_all", lambda *_: iter(done))
    assert list(run_in_order(double, range(4))) == ["a", "b", "c", "d"]


def test_what_is_kept() -> None:
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return name

    assert [kept(key, lambda key=key: make(key)) for key in "aabba"] == list("aabba")
    assert made == ["a", "b", "a"]
    with pytest.raises(ZeroDivisionError):
        kept("c", lambda: 1 / 0)
    assert kept("c", lambda: make("c")) == "c"


def test_workers_refuse() -> None:
    with pytest.raises(SettingsError, match="unknown backend 'dusk'; did you mean dask"):
        Workers(backend="dusk")
    with pytest.raises(SettingsError, match="0 jobs"):
        Workers(0)
    pytest.importorskip("distributed", reason="needs pip install 'minikws[scale]'")
    with pytest.raises(SettingsError, match="needs the address of its scheduler"):
        next(run_all(double, [1], Workers(backend="dask")))
    with pytest.raises(SettingsError, match="no Dask scheduler answers at no place"):
        next(run_all(double, [1], Workers(backend="dask", scheduler="no place")))


@pytest.mark.slow
@pytest.mark.children
def test_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("joblib", reason="needs pip install 'minikws[scale]'")
    monkeypatch.setenv("MINIKWS_JIT", "0")
    assert sorted(run_all(double, range(5), Workers(2))) == [(i, 2 * i) for i in range(5)]
    assert list(run_in_order(double, range(5), Workers(2))) == [0, 2, 4, 6, 8]
    with pytest.raises(AudioError, match="is no sound; say something"):
        list(run_all(refuse, range(2), Workers(2)))
    with pytest.raises(RunError, match="a process was killed at its work"):
        list(run_all(die, range(4), Workers(2)))
