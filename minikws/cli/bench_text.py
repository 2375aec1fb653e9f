"""The tables of `minikws bench`."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minikws.cli.output import Output
from minikws.cli.tables import columns


def show(record: Mapping[str, Any], args: argparse.Namespace, out: Output) -> None:
    """Print a record of `bench_measure.measure`."""
    out.answer(
        f"{record['model']}: {record['bytes']} bytes, {record['parameters']} parameters, "
        f"{record['multiply_adds']} multiply-adds, arena {record['arena_bytes']} bytes"
    )
    out.answer(
        f"on {record['input']}, {record['rounds']} rounds of turns, one thread each; "
        f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}"
    )
    out.answer("\n" + columns(_times(record)))
    if record["stream"]:
        told = ", ".join(
            f"{100 * s['share']:.2g} % every {s['every_ms']:g} ms"
            for s in record["stream"]["shares_of_real_time"]
        )
        out.answer(f"share of real time, asked for scores: {told}")
    out.answer("\n" + columns(_runtimes(record["runtimes"])))
    if record["compile_seconds"] is not None:
        out.answer(f"the compiled form was ready after {record['compile_seconds']:.2f} s")
    for absent in record["not_measured"]:
        out.answer(f"not measured: {absent['name']}: {absent['reason']}")
    for wanted, rows in (
        (args.show_run_order, record["ops"]),
        (args.show_time, sorted(record["ops"], key=lambda op: -op["microseconds"])),
    ):
        if wanted:
            out.answer("\n" + columns(_operators(rows)))
    if args.show_type:
        out.answer("\n" + columns(_kinds(record["ops"])))
    budget = record["budget"]
    slow = budget["milliseconds_found"] > budget["milliseconds"]
    large = budget["bytes_found"] > budget["bytes"]
    out.answer(
        f"\nbudget, on this machine: {_ms(budget['milliseconds_found'])} of "
        f"{budget['milliseconds']:g} ms a clip, "
        f"{'OVER' if slow else 'within'}; {budget['bytes_found']} of {budget['bytes']} bytes, "
        f"{'OVER' if large else 'within'}"
    )


def _times(record: Mapping[str, Any]) -> list[list[str]]:
    """Return minikws' own times: clip, features, model, hop."""
    rows = [["minikws", "mean", "p50", "p95"]]
    hop = record["stream"] and f"stream, a hop of {record['stream']['hop_ms']:g} ms"
    for name, times in (
        ("clip, features and model", record["clip"]),
        ("  features", record["features"]),
        ("  model", record["runtimes"][0]),
        (hop, record["stream"]),
    ):
        if times:
            rows.append([name, *_spread(times)])
    return rows


def _runtimes(runtimes: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the runtimes side by side; the ratio is of the medians."""
    rows = [["the model alone", "mean", "p50", "p95", "/ minikws", "peak memory", "version"]]
    for runtime in runtimes:
        peak = runtime["peak_memory_bytes"]
        rows.append(
            [
                runtime["name"],
                *_spread(runtime),
                f"{runtime['ratio']:.2f}",
                "" if peak is None else f"{peak / 1e6:.0f} MB",
                (runtime["version"] or "").rpartition(" ")[2],
            ]
        )
    return rows


def _operators(ops: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    rows = [["op", "output", "multiply-adds", "us", "share"]]
    for op in ops:
        shape = "x".join(map(str, op["output"])) or "-"
        time = f"{op['microseconds']:.1f}"
        rows.append([op["op"], shape, str(op["multiply_adds"]), time, f"{100 * op['share']:.1f}%"])
    return rows


def _kinds(ops: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the operators summed by kind, the slowest kind first."""
    kinds: dict[str, list[float]] = {}
    for op in ops:
        total = kinds.setdefault(op["name"], [0, 0, 0, 0])
        for place, value in enumerate((1, op["multiply_adds"], op["microseconds"], op["share"])):
            total[place] += value
    rows = [["kind", "count", "multiply-adds", "us", "share"]]
    for name, (count, adds, time, share) in sorted(kinds.items(), key=lambda kind: -kind[1][2]):
        rows.append([name, f"{count:.0f}", f"{adds:.0f}", f"{time:.1f}", f"{100 * share:.1f}%"])
    return rows


def _spread(times: Mapping[str, float]) -> list[str]:
    return [_ms(times[name]) for name in ("mean_ms", "p50_ms", "p95_ms")]


def _ms(milliseconds: float) -> str:
    """Return a time in the unit that shows three digits."""
    if milliseconds < 1:
        return f"{1000 * milliseconds:.3g} us" if milliseconds < 0.9995 else "1.00 ms"
    return f"{milliseconds:.3g} ms" if milliseconds < 999.5 else f"{milliseconds:.0f} ms"
