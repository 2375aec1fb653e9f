"""What `minikws diff` found, and how it is shown: a table, one first difference, likely causes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite, prod
from typing import Any

from minikws.cli.output import Output
from minikws.cli.tables import columns
from minikws.graph import Graph
from minikws.runtime.compare import Difference, computed_tensors, first_of, tensor_names

SHOWN_TENSORS = 24  # a longer model's equal tensors are only counted


@dataclass
class Answer:
    """What one comparison found.

    what : OTHER in words; given : what both were fed with.
    differences : by name, in the order of the run.
    first : the name of the tensor that differs first.
    causes : sentences, the likeliest first.
    details : records for --json: what differs between two files.
    notes : what was not compared, or does not matter.
    operators : by tensor name, what makes it.
    input_shape, n_features : of the input; how many of its values make a frame, 0 if unknown.
    """

    what: str
    given: str
    differences: dict[str, Difference] = field(default_factory=dict)
    first: str | None = None
    causes: list[str] = field(default_factory=list)
    details: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    operators: dict[str, str] = field(default_factory=dict)
    input_shape: tuple[int, ...] = ()
    n_features: int = 0

    @property
    def equal(self) -> bool:
        """Whether nothing that matters differs."""
        return self.first is None and not any(d["matters"] for d in self.details)


def fill(answer: Answer, graph: Graph, differences: dict[int, Difference]) -> None:
    """Put differences by tensor index into an answer, by name."""
    names, made = tensor_names(graph), computed_tensors(graph)
    answer.differences = {names[i]: d for i, d in differences.items()}
    first = first_of(differences)
    answer.first = None if first is None else names[first]
    for i in differences:
        number = made.get(i)
        if number is not None:
            answer.operators[names[i]] = f"{number + 1} {graph.main.ops[number].name}"
        elif i in made:
            answer.operators[names[i]] = "input"
        else:  # a constant
            readers = [n for n, op in enumerate(graph.main.ops) if i in op.inputs]
            if readers:
                answer.operators[names[i]] = f"{readers[0] + 1} {graph.main.ops[readers[0]].name}"


def show(answer: Answer, args: argparse.Namespace, out: Output) -> None:
    """Print the answer."""
    first = None if answer.first is None else answer.differences[answer.first]
    out.result(
        {
            "model": args.model,
            "other": args.other,
            "input": answer.given,
            "equal": answer.equal,
            "first": first
            and {
                "tensor": answer.first,
                "index": list(first.index or ()),
                "expected": finite(first.expected),
                "found": finite(first.found),
                "run": first.run,
                "op": answer.operators.get(answer.first or ""),
            },
            "tensors": [
                {
                    "name": name,
                    "op": answer.operators.get(name),
                    "values": d.count,
                    "differing": d.differing,
                    "max_difference": finite(d.max_difference),
                }
                for name, d in answer.differences.items()
            ],
            "causes": answer.causes,
            "differences": answer.details,
            "notes": answer.notes,
        }
    )
    out.answer(f"{args.model} by minikws, against {answer.what}, on {answer.given}")
    rows = table(answer)
    if len(rows) > 1:
        out.answer("\n" + columns(rows) + "\n")
    for note in answer.notes:
        out.answer(note)
    if answer.equal:
        count = sum(d.count for d in answer.differences.values())
        n = len(answer.differences)
        out.answer(f"equal: {n} tensor{'s' * (n > 1)}, {count} values")
        return
    if first is not None:
        where = answer.operators.get(answer.first or "", "")
        place = f" (op {where})" if where and where != "input" else f" ({where})" * bool(where)
        run = f" of run {(first.run or 0) + 1}" if first.run else ""
        name = shortened(answer.first or "", 72)
        at = f"{list(first.index or ())}{frame_of(answer, first) if where == 'input' else ''}{run}"
        values = f"expected {number(first.expected)}, found {number(first.found)}"
        out.answer(f"first difference: {name}{place} at {at}: {values}")
    else:
        out.answer(
            "every tensor is equal on this input, the files are not:"
            if answer.differences
            else "the files differ:"
        )
    for cause in answer.causes:
        out.answer(f"likely cause: {cause}" if cause == answer.causes[0] else f"also: {cause}")


def table(answer: Answer) -> list[Sequence[Any]]:
    """Return a row a tensor, in the order of the run; equal ones of a long model are left out."""
    rows: list[Sequence[Any]] = [["tensor", "op", "values", "differing", "largest difference"]]
    shown = answer.differences.items()
    if len(answer.differences) > SHOWN_TENSORS:
        shown = {n: d for n, d in shown if d.differing or n == answer.first}.items()
        answer.notes.insert(0, f"{len(answer.differences) - len(shown)} equal tensors not shown")
    for name, d in shown:
        rows.append(
            [
                shortened(name, 40),
                answer.operators.get(name, ""),
                d.count,
                d.differing or "",
                number(d.max_difference) if d.differing else "",
            ]
        )
    return rows


def shortened(name: str, length: int) -> str:
    """Return a name that fits; converters put a tensor's whole history into it."""
    return name if len(name) <= length else f"{name[: length - 1]}…"


def frame_of(answer: Answer, first: Difference) -> str:
    """Say in which frame and channel a value of the input lies, where that is known."""
    if not answer.n_features or first.index is None or len(first.index) != len(answer.input_shape):
        return ""
    shape = answer.input_shape
    flat = sum(i * prod(shape[axis + 1 :]) for axis, i in enumerate(first.index))
    frame, channel = divmod(flat, answer.n_features)
    return f", frame {frame} channel {channel}"


def finite(value: Any) -> Any:
    """Return a value for JSON, which has neither NaN nor infinity."""
    return None if isinstance(value, float) and not isfinite(value) else value


def number(value: float | None) -> str:
    """Return a value as text: integers whole, floats with nine digits."""
    return f"{value:.9g}" if isinstance(value, float) else str(value)
