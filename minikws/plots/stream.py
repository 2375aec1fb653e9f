"""Pictures of listening: what a threshold costs, and a diary of days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minikws._typing import Array
from minikws.errors import SettingsError, ShapeError, import_extra, nearest
from minikws.plots.figure import finish, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DAYS = 7  # of a diary


def draw_stream_curve(
    false_alarms_per_hour: Sequence[float],
    missed_share: Sequence[float],
    *,
    thresholds: Sequence[float],
    chosen: float | None = None,
    title: str = "threshold and false alarms",
    path: str | Path | None = None,
) -> Figure:
    """Draw what each threshold costs on a stream: false alarms against missed words.

    Parameters
    ----------
    false_alarms_per_hour, missed_share, thresholds : (N,) each; a share is 0 to 1.
    chosen : a threshold to mark.

    Raises
    ------
    ShapeError : no point, or lists of several lengths.
    MissingExtraError, SettingsError, RunError : no Matplotlib; an unknown ending; cannot write.
    """
    lengths = {len(false_alarms_per_hour), len(missed_share), len(thresholds)}
    if len(lengths) != 1 or 0 in lengths:
        raise ShapeError(
            f"expected lists of one length of at least 1, found {sorted(lengths)}; give the false "
            "alarms and the missed share of each threshold"
        )
    figure, (left, right) = new_figure(width=9.0, height=3.6, n_columns=2)
    missed_pct = [100 * share for share in missed_share]
    left.plot(false_alarms_per_hour, missed_pct, marker="o", markersize=2.5, color="tab:blue")
    left.set(title=title, xlabel="false alarms an hour", ylabel="missed words in %")
    left.set_xscale("symlog", linthresh=1)  # 0 has a place on it
    left.set_xlim(left=0)
    left.set_ylim(bottom=0)
    right.plot(thresholds, false_alarms_per_hour, color="tab:orange")
    right.set(title="by threshold", xlabel="detection threshold")
    right.set_ylabel("false alarms an hour", color="tab:orange")
    right.set_yscale("symlog", linthresh=1)
    right.set_ylim(bottom=0)
    beside = right.twinx()
    beside.plot(thresholds, missed_pct, color="tab:blue")
    beside.set_ylabel("missed words in %", color="tab:blue")
    beside.set_ylim(0, 100)
    if chosen is not None:
        at = min(range(len(thresholds)), key=lambda i: abs(thresholds[i] - chosen))
        left.plot(false_alarms_per_hour[at], missed_pct[at], "o", color="tab:red")
        note = {"xytext": (6, 6), "textcoords": "offset points", "color": "tab:red"}
        left.annotate(f"{chosen:g}", (false_alarms_per_hour[at], missed_pct[at]), **note)
        right.axvline(chosen, color="tab:red", linestyle=":")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    left.spines[["top", "right"]].set_visible(False)
    return finish(figure, path)


def draw_diary(
    start_s: Array,
    mean: Array,
    labels: Sequence[str],
    *,
    seconds: float = 60.0,
    label: str | None = None,
    day: date | None = None,
    zone: tzinfo | None = None,
    title: str = "diary",
    path: str | Path | None = None,
) -> Figure:
    """Draw a log of scores: one day, every label; and the week that ends with it, one label.

    Parameters
    ----------
    start_s : (N,) seconds since 1970.
    mean : (N, L) of each period; NaN where a label was not listened for.
    seconds : length of a period; where nothing was heard for longer, the line breaks.
    label : of the week; the last where None.
    day : the last one where None.
    zone : of the clock; this machine's where None.

    Raises
    ------
    ShapeError : arrays that do not fit together, or no period.
    SettingsError : an unknown label, or a day without a period in the week before it.
    MissingExtraError, RunError : no Matplotlib; cannot write.
    """
    if len(start_s) == 0 or mean.shape != (len(start_s), len(labels)):
        raise ShapeError(
            f"expected (N,) starts and (N, {len(labels)}) means, found {start_s.shape} and "
            f"{mean.shape}; give one row a period"
        )
    label = labels[-1] if label is None else label
    if label not in labels:
        raise SettingsError(f"the log has no label {label!r}; {nearest(label, labels)}")
    times = [datetime.fromtimestamp(float(start), zone) for start in start_s]
    hours = np.array([t.hour + t.minute / 60 + t.second / 3600 for t in times])
    dates = np.array([t.date().toordinal() for t in times])
    last = int(dates[np.argmax(start_s)]) if day is None else day.toordinal()
    days_ago = last - dates
    if not ((days_ago >= 0) & (days_ago < DAYS)).any():
        raise SettingsError(
            f"the log has nothing in the week that ends with {date.fromordinal(last)}; it goes "
            f"from {date.fromordinal(int(dates.min()))} to {date.fromordinal(int(dates.max()))}"
        )
    figure, (top, low) = new_figure(width=9.0, height=5.6, n_rows=2)
    today = days_ago == 0
    gaps = np.flatnonzero(np.diff(hours[today]) > 1.5 * seconds / 3600) + 1
    for column, name in enumerate(labels):
        top.plot(
            np.insert(hours[today], gaps, np.nan),
            np.insert(mean[today, column], gaps, np.nan),
            linewidth=0.9,
            label=name.strip("_"),  # Matplotlib leaves names like _silence_ out
        )
    top.set_ylim(-0.02, 1.02)
    top.set(
        title=f"{title}, {date.fromordinal(last)}", ylabel="mean score", xlabel="hour of the day"
    )
    top.legend(loc="upper left", fontsize="small", bbox_to_anchor=(1.0, 1.0))

    n_bins = min(24 * 60, max(24, round(86_400 / max(seconds, 300.0))))
    week = np.full((DAYS, n_bins), np.nan)
    values = mean[:, labels.index(label)]
    bins = (hours * n_bins / 24).astype(int)
    for row in range(DAYS):
        for place in np.unique(bins[days_ago == row]):
            here = values[(days_ago == row) & (bins == place)]
            if not np.isnan(here).all():
                week[DAYS - 1 - row, place] = np.nanmax(here)
    colors = import_extra("matplotlib", extra="plots", purpose="drawing a picture").colormaps
    picture = low.imshow(
        week,
        aspect="auto",
        interpolation="nearest",
        extent=(0, 24, DAYS - 0.5, -0.5),
        vmin=0,
        vmax=1,
        cmap=colors["viridis"].with_extremes(bad="lightgray"),
    )
    names = [date.fromordinal(last - DAYS + 1 + row).strftime("%a %d %b") for row in range(DAYS)]
    low.set_yticks(range(DAYS), names, fontsize="small")
    low.set(title=f"the week: {label}; gray is not heard", xlabel="hour of the day")
    figure.colorbar(picture, ax=low, label=f"largest mean of {1440 / n_bins:g} minutes")
    for axes in (top, low):
        axes.set_xlim(0, 24)
        axes.set_xticks(range(0, 25, 3))
    return finish(figure, path)
