"""A log as a picture of the day and the week."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from minikws.cli.main import main
from minikws.errors import SettingsError, ShapeError
from minikws.plots import draw_diary
from minikws.streaming.log import Log

pytest.importorskip("matplotlib", reason="needs pip install 'minikws[plots]'")

LABELS = ("_silence_", "quiet", "crying")
MIDNIGHT = datetime(2026, 1, 15, tzinfo=UTC).timestamp()


def minutes(*hours: float) -> tuple[np.ndarray, np.ndarray]:
    """Return starts and means of one minute at each hour of the log: crying is hour / 100."""
    crying = np.array(hours) / 100
    mean = np.stack([np.zeros_like(crying), 1 - crying, crying], axis=1)
    return MIDNIGHT + 3600 * np.array(hours), mean


def test_the_last_day_and_the_week_before_it() -> None:
    start, mean = minutes(-40, -30, 1, 1 + 1 / 60, 20)
    figure = draw_diary(start, mean, LABELS, zone=UTC)
    top, low = figure.axes[:2]
    assert top.get_title() == "diary, 2026-01-15"
    assert [line.get_label() for line in top.lines] == ["silence", "quiet", "crying"]
    hours = top.lines[2].get_xdata()
    np.testing.assert_allclose(hours, [1, 1 + 1 / 60, np.nan, 20], rtol=1e-9)  # a gap breaks it
    np.testing.assert_allclose(top.lines[2].get_ydata()[-1], 0.2)
    week = low.images[0].get_array()
    heard = ~np.ma.getmaskarray(week)
    assert [tuple(np.flatnonzero(row)) for row in heard] == [
        (),
        (),
        (),
        (),
        (8 * 12, 18 * 12),  # 40 and 30 hours before midnight; bins of 5 minutes
        (),
        (12, 240),
    ]
    assert [text.get_text() for text in low.get_yticklabels()][-1] == "Thu 15 Jan"


def test_another_day_and_label() -> None:
    start, mean = minutes(-40, 20)
    figure = draw_diary(start, mean, LABELS, day=date(2026, 1, 13), label="quiet", zone=UTC)
    assert figure.axes[0].get_title() == "diary, 2026-01-13"
    assert "quiet" in figure.axes[1].get_title()
    with pytest.raises(SettingsError, match="no label 'cryin'; did you mean crying"):
        draw_diary(start, mean, LABELS, label="cryin", zone=UTC)
    with pytest.raises(SettingsError, match="nothing in the week that ends with 2025-12-31"):
        draw_diary(start, mean, LABELS, day=date(2025, 12, 31), zone=UTC)
    with pytest.raises(ShapeError, match="one row a period"):
        draw_diary(start, mean[:1], LABELS, zone=UTC)


@pytest.mark.parametrize("name", ["night.sqlite", "night.csv"])
def test_the_command(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(tmp_path / name, LABELS, warn=pytest.fail)
    for minute in range(3):
        log.add(MIDNIGHT + 60 * minute, np.array([0.0, 0.5, 0.5]))
    log.close()
    assert main(["plot", str(tmp_path / name), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["file"] == str(tmp_path / "night.png")
    assert record["rows"] == 3
    assert (record["begin"], record["end"]) == ("2026-01-15T00:00:00Z", "2026-01-15T00:03:00Z")
    assert record["mean"] == {"_silence_": 0.0, "quiet": 0.5, "crying": 0.5}
    assert (tmp_path / "night.png").read_bytes().startswith(b"\x89PNG")
    assert main(["plot", str(tmp_path / name), "--day", "yesterday"]) == 1
    assert "'yesterday' is no day" in capsys.readouterr().err
    assert main(["plot", str(tmp_path / "no.sqlite")]) == 1
    assert "there is no log" in capsys.readouterr().err
