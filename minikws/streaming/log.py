"""A diary of scores: the mean of each label over each minute, in SQLite or CSV, for months.

What a room sounded like last night fits into one row a minute. A row is on the disk before the
next one begins, in SQLite by its write-ahead log, in CSV by a whole line at a time; so whatever
happens, the power going off included, costs the minute that was running and nothing else. A disk
that is full costs nothing at all as long as memory holds the rows that wait (`PENDING`).

Times are seconds since 1970 (UTC); periods begin at whole multiples of their length, whenever
listening begins. A clock that is set back begins a new row, and no old one is touched.

    SELECT start, label, mean FROM log WHERE label = 'crying' ORDER BY start;
"""

from __future__ import annotations

import csv
import io
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from minikws._typing import Float64
from minikws.errors import RunError, SettingsError

PENDING = 10_080  # rows that wait for a disk: a week of minutes
COLUMNS = ("start", "seconds", "windows", "label", "mean", "largest")
SCHEMA = """
CREATE TABLE IF NOT EXISTS periods (
    id INTEGER PRIMARY KEY,
    start TEXT NOT NULL,      -- UTC, ISO 8601
    seconds REAL NOT NULL,    -- length of the period
    windows INTEGER NOT NULL  -- looks at the sound that fell into it
);
CREATE TABLE IF NOT EXISTS scores (
    period INTEGER NOT NULL REFERENCES periods (id),
    label TEXT NOT NULL,
    mean REAL NOT NULL,
    largest REAL NOT NULL,
    UNIQUE (period, label)
);
CREATE INDEX IF NOT EXISTS periods_by_start ON periods (start);
CREATE VIEW IF NOT EXISTS log AS
    SELECT start, seconds, windows, label, mean, largest
    FROM periods JOIN scores ON scores.period = periods.id;
"""


class Period(NamedTuple):
    """What was heard in one period.

    start_s : seconds since 1970, UTC.
    seconds : its length.
    n_windows : looks at the sound.
    mean, largest : (L,) of each label's scores.
    """

    start_s: float
    seconds: float
    n_windows: int
    mean: Float64
    largest: Float64


class Averager:
    """Scores as they come, to one `Period` after the other.

    Parameters
    ----------
    every_s : length of a period, seconds.

    Raises
    ------
    SettingsError : no positive length.
    """

    def __init__(self, every_s: float) -> None:
        if not 0 < every_s <= 86_400:
            raise SettingsError(
                f"a row every {every_s:g} s is not between 0 and 86400; 60 is usual"
            )
        self.every_s = every_s
        self._number: int | None = None  # of the running period, counted from 1970
        self._n_windows = 0
        self._sum: Any = 0.0
        self._largest: Any = -np.inf

    def add(self, time_s: float, scores: Float64) -> Period | None:
        """Take the scores (L,) of a moment; return the period before, if that is over."""
        number = int(time_s // self.every_s)
        done = self.finish() if number != self._number else None
        self._number = number
        self._n_windows += 1
        self._sum = self._sum + scores
        self._largest = np.maximum(self._largest, scores)
        return done

    def finish(self) -> Period | None:
        """End the running period; None where nothing was heard in it."""
        if self._number is None or self._n_windows == 0:
            return None
        n, mean, largest = self._n_windows, self._sum / self._n_windows, self._largest
        self._n_windows, self._sum, self._largest = 0, 0.0, -np.inf
        return Period(self._number * self.every_s, self.every_s, n, mean, largest)


class Writer(Protocol):
    """Where periods go; a period that was written stays."""

    def write(self, periods: Sequence[Period]) -> None:
        """Write all of them, or none; OSError or sqlite3.Error where that is not possible."""
        ...

    def close(self) -> None:
        """Let the file go."""
        ...


class SqliteWriter:
    """Periods in an SQLite database, which other programs may read at the same time."""

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        self._labels = labels
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
            tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master")}
            if tables and "periods" not in tables:
                raise sqlite3.DatabaseError(f"it is a database with other tables: {min(tables)}, …")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")  # a commit waits for the disk
            self._db.executescript(SCHEMA)
            self._db.execute(
                "SELECT start, seconds, windows, label, mean, largest FROM log LIMIT 0"
            )
        except sqlite3.DatabaseError as error:
            raise RunError(
                f"{path} cannot be used as a log ({error}); name a new file, or one that listen "
                "--log has made"
            ) from error

    def write(self, periods: Sequence[Period]) -> None:
        """Write the periods in one transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for period in periods:
                row = self._db.execute(
                    "INSERT INTO periods (start, seconds, windows) VALUES (?, ?, ?)",
                    (iso(period.start_s), period.seconds, period.n_windows),
                )
                self._db.executemany(
                    "INSERT INTO scores VALUES (?, ?, ?, ?)",
                    [(row.lastrowid, *numbers) for numbers in _by_label(self._labels, period)],
                )
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:  # a full disk may have ended it already
                self._db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Let the file go; the write-ahead log is merged into it."""
        self._db.close()


class CsvWriter:
    """Periods as lines of a CSV file, one a label, which grows at its end."""

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        self._labels, self._path = labels, path
        try:
            with open(path, "ab+") as file:
                _expect_header(file, path)
                _drop_torn_line(file)
        except OSError as error:
            raise RunError(
                f"{path} cannot be used as a log ({error.strerror or error}); check the folder "
                "and its permissions"
            ) from error

    def write(self, periods: Sequence[Period]) -> None:
        """Append the periods and wait for the disk."""
        lines = _csv_lines(
            (
                iso(period.start_s),
                period.seconds,
                period.n_windows,
                label,
                f"{mean:.6f}",
                f"{top:.6f}",
            )
            for period in periods
            for label, mean, top in _by_label(self._labels, period)
        )
        with open(self._path, "ab", buffering=0) as file:
            end = file.tell()
            try:
                if file.write(lines) != len(lines):
                    raise OSError("only a part could be written")
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):  # the first reason is the one to tell
                    file.truncate(end)
                raise

    def close(self) -> None:
        """Nothing is held open."""


class Log:
    """The diary: takes scores, writes periods, and goes on when it cannot.

    Parameters
    ----------
    path : ``.csv`` is CSV, any other ending SQLite. An existing log is continued.
    labels : of the scores.
    every_s : length of a period, seconds.
    warn : is told when writing fails, and when it works again.

    Raises
    ------
    RunError : the file cannot be made, or is something else.
    SettingsError : a length that makes no sense.
    """

    def __init__(
        self,
        path: str | Path,
        labels: Sequence[str],
        *,
        every_s: float = 60.0,
        warn: Callable[[str], None],
    ) -> None:
        path = Path(path)
        self._averager = Averager(every_s)
        self._name, self._warn = str(path), warn
        self._waiting: deque[Period] = deque(maxlen=PENDING)
        self._fails = False
        make = CsvWriter if path.suffix.lower() == ".csv" else SqliteWriter
        self._writer: Writer = make(path, labels)

    def add(self, time_s: float, scores: Float64) -> None:
        """Take the scores (L,) of a moment, seconds since 1970."""
        done = self._averager.add(time_s, scores)
        if done is not None:
            self._waiting.append(done)
            self._write()

    def close(self) -> None:
        """Write what is left, also of a period that is not over; say what stays unwritten."""
        last = self._averager.finish()
        if last is not None:
            self._waiting.append(last)
        if self._waiting:
            self._write()
        if self._waiting:
            self._warn(f"{len(self._waiting)} rows are not in {self._name} and are lost")
        self._writer.close()

    def _write(self) -> None:
        try:
            self._writer.write(tuple(self._waiting))
        except (OSError, sqlite3.Error) as error:
            if not self._fails:
                self._warn(
                    f"{self._name} cannot be written ({error}); listening goes on, and up to "
                    f"{PENDING} rows wait in memory; make room, or check the disk"
                )
            self._fails = True
            return
        if self._fails:
            self._warn(f"{self._name} can be written again; {len(self._waiting)} rows were waiting")
        self._fails = False
        self._waiting.clear()


def iso(time_s: float) -> str:
    """Return a time as the log writes it.

    >>> iso(1_700_000_040)
    '2023-11-14T22:14:00Z'
    """
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")


def _by_label(labels: Sequence[str], period: Period) -> list[tuple[str, float, float]]:
    return list(zip(labels, period.mean.tolist(), period.largest.tolist(), strict=True))


def _csv_lines(rows: object) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)  # type: ignore[arg-type]
    return text.getvalue().encode()


def _expect_header(file: io.BufferedRandom, path: Path) -> None:
    """Write the first line of a new file; refuse a file that begins with another one."""
    header = _csv_lines([COLUMNS])
    file.seek(0)
    found = file.read(len(header))
    if found == header:
        return
    if not header.startswith(found):
        raise RunError(
            f"{path} begins with {found.decode('utf-8', 'replace')!r}, a log with "
            f"{header.decode().rstrip()!r}; name a new file, or one that listen --log has made"
        )
    file.truncate(0)  # nothing yet, or a header that was being written
    file.write(header)


def _drop_torn_line(file: io.BufferedRandom) -> None:
    """Cut off what stands behind the last newline: a line that was being written."""
    size = file.seek(0, os.SEEK_END)
    begin = max(0, size - 4096)
    file.seek(begin)
    tail = file.read()
    file.truncate(begin + tail.rfind(b"\n") + 1)
