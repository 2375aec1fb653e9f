"""Read back what `minikws.streaming.log` has written: starts, labels, means."""

from __future__ import annotations

import csv
import io
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minikws._typing import Float64
from minikws.errors import RunError
from minikws.streaming.log import COLUMNS

Row = tuple[str, int, float, str, float]  # start, which of those with this start, seconds, label …


class LogTable(NamedTuple):
    """A whole log: (N,) starts in seconds since 1970, the labels, and (N, L) means; NaN: none."""

    start_s: Float64
    seconds: Float64
    labels: tuple[str, ...]
    mean: Float64


def read_log(path: str | Path) -> LogTable:
    """Read a log that `Log` has written, in the order of time.

    Raises
    ------
    RunError : not there, something else, or without a row.
    """
    path = Path(path)
    if not path.exists():
        raise RunError(f"there is no log {path}; make one with: minikws listen MODEL --log {path}")
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _sqlite_rows(path)
    if not rows:
        raise RunError(f"{path} holds no row yet; the first is written when a period is over")
    rows.sort(key=lambda row: row[:2])
    labels = tuple(dict.fromkeys(row[3] for row in rows))
    columns = {label: i for i, label in enumerate(labels)}
    starts = list(dict.fromkeys(row[:2] for row in rows))
    places = {start: i for i, start in enumerate(starts)}
    mean = np.full((len(starts), len(labels)), np.nan, np.float64)
    for start, number, _, label, value in rows:
        mean[places[start, number], columns[label]] = value
    seconds = {row[:2]: row[2] for row in rows}
    return LogTable(
        np.array([_seconds_of(start, path) for start, _ in starts], np.float64),
        np.array([seconds[start] for start in starts], np.float64),
        labels,
        mean,
    )


def _sqlite_rows(path: Path) -> list[Row]:
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)
        try:
            return db.execute(
                "SELECT start, period, seconds, label, mean FROM periods "
                "JOIN scores ON scores.period = periods.id ORDER BY scores.rowid"
            ).fetchall()
        finally:
            db.close()
    except sqlite3.DatabaseError as error:
        raise RunError(
            f"{path} is no log ({error}); name a file that listen --log has made"
        ) from error


def _csv_rows(path: Path) -> list[Row]:
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = csv.reader(io.StringIO(text[: text.rfind("\n") + 1]))  # a torn last line is left out
    if tuple(next(lines, ())) != COLUMNS:
        raise RunError(f"{path} is no log: its first line is not {','.join(COLUMNS)}; name another")
    rows: list[Row] = []
    seen: dict[tuple[str, str], int] = {}
    for number, line in enumerate(lines, 2):
        try:
            start, seconds, _, label, mean, _ = line
            which = seen[start, label] = seen.get((start, label), -1) + 1
            rows.append((start, which, float(seconds), label, float(mean)))
        except ValueError as error:
            raise RunError(
                f"line {number} of {path} is {','.join(line)[:60]!r}, expected "
                f"{','.join(COLUMNS)}; delete the line"
            ) from error
    return rows


def _seconds_of(start: str, path: Path) -> float:
    try:
        return datetime.fromisoformat(start).timestamp()
    except ValueError as error:
        raise RunError(f"{path} holds the time {start!r}, which is none; delete the row") from error
