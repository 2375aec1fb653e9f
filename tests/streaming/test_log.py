"""The diary of scores: minutes, restarts, torn lines, full disks, and a process that is killed."""

from __future__ import annotations

import errno
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from minikws.errors import RunError, SettingsError
from minikws.streaming.log import Averager, Log, iso
from minikws.streaming.log_table import read_log

NOON = 1_700_049_600.0  # 2023-11-15 12:00:00 UTC
LABELS = ("quiet", "crying")
KINDS = pytest.mark.parametrize("name", ["night.sqlite", "night.csv"])


def scores(crying: float) -> np.ndarray:
    return np.array([1 - crying, crying])


def test_minutes_begin_at_whole_minutes() -> None:
    averager = Averager(60)
    assert averager.add(NOON + 59.5, scores(1.0)) is None
    assert averager.add(NOON + 59.9, scores(0.0)) is None
    first = averager.add(NOON + 60.0, scores(0.25))
    assert first is not None
    assert (first.start_s, first.seconds, first.n_windows) == (NOON, 60, 2)
    assert first.mean.tolist() == [0.5, 0.5]
    assert first.largest.tolist() == [1.0, 1.0]
    rest = averager.finish()
    assert rest is not None
    assert rest.start_s == NOON + 60
    assert averager.finish() is None


@KINDS
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    log = Log(tmp_path / name, LABELS, warn=pytest.fail)
    for second in range(0, 180, 20):
        log.add(NOON + second, scores(second / 1000))
    log.close()
    table = read_log(tmp_path / name)
    assert table.labels == LABELS
    np.testing.assert_array_equal(table.start_s, [NOON, NOON + 60, NOON + 120])
    np.testing.assert_array_equal(table.seconds, 60)
    np.testing.assert_allclose(table.mean[:, 1], [0.02, 0.08, 0.14], atol=1e-6)


@KINDS
def test_a_log_is_continued_also_by_another_model(tmp_path: Path, name: str) -> None:
    for start, labels in ((NOON, LABELS), (NOON + 600, ("quiet", "dog"))):
        log = Log(tmp_path / name, labels, warn=pytest.fail)
        log.add(start, scores(0.5))
        log.close()
    table = read_log(tmp_path / name)
    assert table.labels == ("quiet", "crying", "dog")
    np.testing.assert_array_equal(np.isnan(table.mean[:, 1]), [False, True])
    np.testing.assert_array_equal(np.isnan(table.mean[:, 2]), [True, False])


@KINDS
def test_a_clock_that_is_set_back_loses_nothing(tmp_path: Path, name: str) -> None:
    log = Log(tmp_path / name, LABELS, warn=pytest.fail)
    for second in (0, 60, 120, 30, 90, 150):
        log.add(NOON + second, scores(second / 1000))
    log.close()
    table = read_log(tmp_path / name)
    starts = (table.start_s - NOON).tolist()
    assert starts == [0, 0, 60, 60, 120, 120]
    assert sorted(table.mean[:, 1].round(3).tolist()) == [0, 0.03, 0.06, 0.09, 0.12, 0.15]


def test_others_may_read_while_it_is_written(tmp_path: Path) -> None:
    log = Log(tmp_path / "night.sqlite", LABELS, warn=pytest.fail)
    for minute in range(3):
        log.add(NOON + 60 * minute, scores(0.5))
    assert len(read_log(tmp_path / "night.sqlite").start_s) == 2
    log.close()


def test_the_view_is_what_the_manual_says(tmp_path: Path) -> None:
    log = Log(tmp_path / "night.sqlite", LABELS, warn=pytest.fail)
    log.add(NOON, scores(0.25))
    log.close()
    with sqlite3.connect(tmp_path / "night.sqlite") as db:
        rows = db.execute("SELECT start, label, mean FROM log WHERE label = 'crying'").fetchall()
    db.close()
    assert rows == [("2023-11-15T12:00:00Z", "crying", 0.25)]


def test_a_torn_last_line_is_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "night.csv"
    log = Log(path, LABELS, warn=pytest.fail)
    log.add(NOON, scores(0.25))
    log.close()
    whole = path.read_bytes()
    for n_bytes in range(len(whole) + 1):  # the power may go at any byte
        path.write_bytes(whole[:n_bytes])
        log = Log(path, LABELS, warn=pytest.fail)
        log.add(NOON + 60, scores(0.5))
        log.close()
        kept = path.read_bytes()
        complete = whole[: whole[:n_bytes].rfind(b"\n") + 1] or whole[: whole.find(b"\n") + 1]
        assert kept.startswith(complete)
        assert len(kept.splitlines()) == len(complete.splitlines()) + 2


@KINDS
def test_a_full_disk_is_said_once_and_nothing_is_lost(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    log = Log(tmp_path / name, LABELS, warn=said.append)
    log.add(NOON, scores(0.5))
    log.add(NOON + 60, scores(0.5))
    works = log._writer.write

    def full(periods: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(log._writer, "write", full)
    for minute in range(2, 10):
        log.add(NOON + 60 * minute, scores(0.5))
    assert len(said) == 1
    assert "No space left" in said[0]
    monkeypatch.setattr(log._writer, "write", works)
    log.add(NOON + 600, scores(0.5))
    log.close()
    assert len(said) == 2
    assert "9 rows were waiting" in said[1]
    np.testing.assert_array_equal(
        read_log(tmp_path / name).start_s, NOON + 60 * np.arange(11, dtype=np.float64)
    )


def test_a_database_that_may_not_grow(tmp_path: Path) -> None:
    """SQLite's own answer to a full disk."""
    said: list[str] = []
    log = Log(tmp_path / "night.sqlite", LABELS, every_s=1, warn=said.append)
    database = log._writer._db  # type: ignore[attr-defined]
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages + 1}")
    for second in range(400):
        log.add(NOON + second, scores(0.5))
    assert "full" in said[0]
    database.execute("PRAGMA max_page_count = 100000")
    log.close()
    assert len(said) == 2
    assert len(read_log(tmp_path / "night.sqlite").start_s) == 400


def test_what_a_full_disk_kept_out_to_the_end_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    log = Log(tmp_path / "night.csv", LABELS, every_s=1, warn=said.append)
    (tmp_path / "night.csv").unlink()
    (tmp_path / "night.csv").symlink_to("/dev/full")
    for second in range(3):
        log.add(NOON + second, scores(0.5))
    log.close()
    assert "cannot be written ([Errno 28] No space left" in said[0]
    assert said[1] == f"3 rows are not in {tmp_path / 'night.csv'} and are lost"


LISTENER = """
import sys
from minikws.streaming.log import Log
import numpy as np
log = Log(sys.argv[1], ("quiet", "crying"), every_s=1, warn=print)
start = int(sys.argv[2])
for second in range(100_000):
    log.add(start + second, np.array([0.25, 0.75]))
    print(second, flush=True)  # all seconds before this one are written
"""


@pytest.mark.children
@pytest.mark.slow
@KINDS
def test_killed_at_any_moment(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    rng = random.Random(5)
    promised: set[int] = set()
    n_kills = settings().max_examples // 5  # 5 in CI, 100 in the deep run
    for kill in range(n_kills):
        start = int(NOON) + 1_000_000 * kill
        child = subprocess.Popen(
            [sys.executable, "-c", LISTENER, str(path), str(start)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        assert child.stdout is not None
        child.stdout.readline()  # it listens
        time.sleep(rng.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        reported = [line for line in child.communicate()[0].split("\n")[:-1] if line]
        promised |= {start + second for second in range(int(reported[-1]) if reported else 0)}
    if name.endswith("sqlite"):
        with sqlite3.connect(path) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()
    log = Log(path, LABELS, warn=pytest.fail)  # it goes on
    log.add(NOON - 60, scores(0.5))
    log.close()
    table = read_log(path)
    assert promised <= set(table.start_s.astype(int).tolist())
    assert len(promised) > n_kills
    assert not np.isnan(table.mean).any()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"start,seconds,windows\n", "begins with 'start,seconds,windows"),
        (b"shopping: milk", "begins with 'shopping: milk'"),
    ],
)
def test_another_csv_stays_as_it_is(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "night.csv"
    path.write_bytes(content)
    with pytest.raises(RunError, match=sentence):
        Log(path, LABELS, warn=pytest.fail)
    assert path.read_bytes() == content


def test_another_database_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mail.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE letters (text TEXT)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(RunError, match="other tables: letters"):
        Log(path, LABELS, warn=pytest.fail)
    assert path.read_bytes() == before
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(RunError, match="not a database"):
        Log(path, LABELS, warn=pytest.fail)
    with pytest.raises(RunError, match="is no log"):
        read_log(path)


def test_bad_logs_and_settings(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no log"):
        read_log(tmp_path / "none.sqlite")
    with pytest.raises(RunError, match="cannot be used as a log"):
        Log(tmp_path / "no_folder" / "night.sqlite", LABELS, warn=pytest.fail)
    with pytest.raises(RunError, match="cannot be used as a log"):
        Log(tmp_path / "no_folder" / "night.csv", LABELS, warn=pytest.fail)
    Log(tmp_path / "night.csv", LABELS, warn=pytest.fail).close()
    with pytest.raises(RunError, match="holds no row yet"):
        read_log(tmp_path / "night.csv")
    with open(tmp_path / "night.csv", "a") as file:
        file.write("2023-11-15T12:00:00Z,60,oops\n")
    with pytest.raises(RunError, match=r"line 2 of .*night\.csv is"):
        read_log(tmp_path / "night.csv")
    for every_s in (0, -1, float("nan"), 1e9):
        with pytest.raises(SettingsError, match="a row every"):
            Averager(every_s)


def test_times_are_utc() -> None:
    assert iso(NOON) == "2023-11-15T12:00:00Z"
    assert iso(NOON + 0.5).startswith("2023-11-15T12:00:00.5")
