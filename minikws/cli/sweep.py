"""minikws sweep: many trainings over a grid, on all cores or on a cluster."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minikws.cli.output import Output, Recorded
from minikws.cli.sweep_grid import Cell, read_grid
from minikws.cli.tables import columns
from minikws.cli.worker_options import add_worker_options, workers_from

HELP = "train every combination of a grid of settings; stopped, it goes on where it was"
EXAMPLE = """minikws sweep grid.toml --out sweeps/first --jobs 2

  grid.toml: the keys are options of minikws train
    [train]
    data-dir = "speech_commands"
    wanted-words = "yes,no"
    steps = "3000,1000"
    [grid]
    model = ["tiny_conv", "ds_cnn"]
    learning-rate = ["0.001,0.0001", "0.0005,0.0001"]
    seed = [1, 2, 3]"""

RESULTS = ("validation_accuracy", "test_accuracy", "test_count", "parameters", "seconds")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("grid", metavar="GRID.toml", help="what all trainings share, and what is tried")
    add("--out", required=True, metavar="DIR", help="a folder of runs, a table and a picture")
    add_worker_options(parser, things="trainings", default="one a core")


def run(args: argparse.Namespace, out: Output) -> int:
    """Train what is not trained yet, then show all results."""
    from minikws.cli.main import command_parser
    from minikws.errors import RunError
    from minikws.workers import run_all

    workers = workers_from(args, n_jobs=os.cpu_count() or 1)
    folder = Path(args.out).resolve()
    cells = read_grid(args.grid, command_parser("train").known_options())
    for cell in cells:
        _check(cell)
    _keep_grid(Path(args.grid), folder)
    results = {cell.name: found for cell in cells if (found := _finished(folder / cell.name))}
    left = [cell for cell in cells if cell.name not in results]
    out.say(f"{len(cells)} trainings, {len(results)} of them done")
    failed: dict[str, str] = {}
    work = [(str(folder / cell.name), cell.options) for cell in left]
    for number, record in run_all(train_cell, work, workers):
        name = left[number].name
        if "error" in record:
            failed[name] = record["error"]
            out.warn(f"{name}: {record['error']}")
            continue
        results[name] = record
        out.say(
            f"{len(results)} of {len(cells)}: {name}, validation "
            f"{100 * record['validation_accuracy']:.1f} %"
        )
        _write_table(folder, cells, results)
    if failed:
        first = min(failed)
        raise RunError(
            f"{len(failed)} of {len(cells)} trainings failed, the first, {first}, because: "
            f"{failed[first]}; run the same command again for those, the others are kept"
        )
    table = _write_table(folder, cells, results)
    picture = _draw(folder, cells, results, out)
    best = max(cells, key=lambda cell: results[cell.name]["validation_accuracy"])
    out.result(
        {
            "out": str(folder),
            "table": str(table),
            "picture": picture,
            "best": best.name,
            "runs": [
                {"name": c.name, **c.values, **{key: results[c.name][key] for key in RESULTS}}
                for c in cells
            ],
        }
    )
    out.answer(_text_table(cells, results))
    out.answer(f"\nbest on validation: {folder / best.name}; table: {table}")
    return 0


def train_cell(work: tuple[str, Sequence[str]]) -> dict[str, Any]:
    """Train one cell, or go on with it; return `train --json`'s record, or its error.

    Its messages go to log.txt in the run's folder.
    """
    from minikws.cli import train
    from minikws.cli.main import parse
    from minikws.errors import MinikwsError
    from minikws.files import write_file

    run_dir, options = work
    folder, diary = Path(run_dir), Recorded()
    found = _finished(folder)
    if found:
        return found
    argv = ["train", *options, "--run-dir", run_dir, "--no-report"]
    if any((folder / "checkpoints").glob("checkpoint-*.npz")):
        argv.append("--resume")
    try:
        train.run(parse(argv), diary)
    except MinikwsError as error:
        diary.warn(str(error))
        return {"error": str(error)}
    finally:
        write_file(folder / "log.txt", "\n".join([*diary.messages, ""]))
    return diary.records[-1]


def _check(cell: Cell) -> None:
    """Raise SettingsError where the command line would not be understood."""
    from minikws.cli.main import UsageError, parse
    from minikws.errors import SettingsError

    try:
        parse(["train", *cell.options])
    except UsageError as error:
        raise SettingsError(f"the training {cell.name} cannot begin: {error}") from error


def _keep_grid(grid: Path, folder: Path) -> None:
    """Copy the grid into the sweep's folder; another one there is refused."""
    from minikws.errors import RunError
    from minikws.files import write_file

    kept, text = folder / "grid.toml", grid.read_bytes()
    if kept.exists() and kept.read_bytes() != text:
        raise RunError(
            f"{folder} holds a sweep of another grid; name another --out, or go on with its own: "
            f"minikws sweep {kept} --out {folder}"
        )
    write_file(kept, text)


def _finished(run_dir: Path) -> dict[str, Any] | None:
    """Return a finished run's report, None where it is not finished."""
    try:
        record: dict[str, Any] = json.loads((run_dir / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record


def _write_table(folder: Path, cells: Sequence[Cell], results: Mapping[str, Any]) -> Path:
    from minikws.files import write_file

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", *cells[0].values, *RESULTS])
    for cell in cells:
        if cell.name in results:
            found = results[cell.name]
            writer.writerow([cell.name, *cell.values.values(), *(found[key] for key in RESULTS)])
    return write_file(folder / "sweep.csv", text.getvalue())


def _draw(
    folder: Path, cells: Sequence[Cell], results: Mapping[str, Any], out: Output
) -> str | None:
    from minikws.errors import MissingExtraError
    from minikws.plots import draw_sweep

    groups = {
        name: [results[cell.name]["validation_accuracy"] for cell in group]
        for name, group in _by_settings(cells).items()
    }
    try:
        draw_sweep(groups, path=folder / "sweep.png")
    except MissingExtraError as error:
        out.say(f"no picture: {error}")
        return None
    return str(folder / "sweep.png")


def _by_settings(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Return the cells that differ in nothing but the seed, by what they share."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        values = [value for key, value in cell.values.items() if key != "seed"]
        groups.setdefault(" ".join(values) or "all seeds", []).append(cell)
    return groups


def _text_table(cells: Sequence[Cell], results: Mapping[str, Any]) -> str:
    """Return a line a setting, the best on validation first; means over the seeds."""
    rows = []
    for name, group in _by_settings(cells).items():
        found = [results[cell.name] for cell in group]
        mean = {key: sum(one[key] for one in found) / len(found) for key in RESULTS}
        spread = [100 * one["validation_accuracy"] for one in found]
        rows.append(
            (
                mean["validation_accuracy"],
                [
                    name,
                    f"{100 * mean['validation_accuracy']:.1f}%",
                    f"{min(spread):.1f} to {max(spread):.1f}" if len(found) > 1 else "-",
                    f"{100 * mean['test_accuracy']:.1f}%",
                    f"{mean['parameters']:.0f}",
                    f"{mean['seconds']:.0f} s",
                ],
            )
        )
    rows.sort(key=lambda row: -row[0])
    heads = ["setting", "validation", "seeds", "test", "parameters", "time"]
    return columns([heads, *(row for _, row in rows)])
