"""minikws plot: a log of listen as a picture of the day and the week."""

from __future__ import annotations

import argparse
from pathlib import Path

from minikws.cli.output import Output

HELP = "draw the day and the week that listen --log has written down"
EXAMPLE = "minikws plot night.sqlite --label crying"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("log", metavar="LOG", help="the .sqlite or .csv file of listen --log")
    add("--png", metavar="FILE", help="default: LOG with the ending .png")
    add("--label", metavar="NAME", help="of the week (default: the last one)")
    add("--day", metavar="YYYY-MM-DD", help="default: the last one in the log")


def run(args: argparse.Namespace, out: Output) -> int:
    """Draw the picture."""
    from datetime import date

    import numpy as np

    from minikws.errors import SettingsError
    from minikws.plots import draw_diary
    from minikws.streaming.log import iso
    from minikws.streaming.log_table import read_log

    try:
        day = date.fromisoformat(args.day) if args.day else None
    except ValueError as error:
        raise SettingsError(f"{args.day!r} is no day; write it as 2026-01-31") from error
    table = read_log(args.log)
    path = Path(args.png) if args.png else Path(args.log).with_suffix(".png")
    draw_diary(
        table.start_s,
        table.mean,
        table.labels,
        seconds=float(table.seconds.max()),
        label=args.label,
        day=day,
        title=Path(args.log).name,
        path=path,
    )
    begin, end = iso(table.start_s.min()), iso((table.start_s + table.seconds).max())
    out.answer(f"{path}: {len(table.start_s)} rows from {begin} to {end}")
    means = np.nanmean(table.mean, axis=0)
    out.result(
        {
            "file": str(path),
            "rows": len(table.start_s),
            "begin": begin,
            "end": end,
            "mean": dict(zip(table.labels, means.round(6).tolist(), strict=True)),
        }
    )
    return 0
