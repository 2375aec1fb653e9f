"""`minikws diff` of two model files: what stands in them, and what they compute."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from minikws._typing import Array
from minikws.cli.diff_answer import Answer, fill, finite
from minikws.cli.model_inputs import as_tensor, features_of, frontend_of, given_inputs
from minikws.cli.output import Output
from minikws.errors import MinikwsError
from minikws.runtime import Interpreter
from minikws.runtime.compare import Difference, compare, compare_runs, record
from minikws.runtime.compare_graphs import (
    GraphDifference,
    Pairing,
    pair_graphs,
    real_values,
)
from minikws.tflite import info_of, labels_of

if TYPE_CHECKING:
    from minikws.frontend import Frontend
    from minikws.graph import Graph, Tensor

# What a difference of each kind means, in the order in which one looks for a cause.
WORDS = {
    "frontend": "another frontend",
    "graph": "another graph",
    "options": "other options",
    "shape": "another shape",
    "dtype": "another type",
    "scale": "another scale",
    "zero_point": "another zero point",
    "weights": "other weights",
    "bias": "another bias",
    "constant": "another constant",
    "labels": "other labels",
    "version": "another operator version",
}


def with_file(
    interpreter: Interpreter, frontend: Frontend | None, args: argparse.Namespace, out: Output
) -> Answer:
    """Compare two files part by part, then run both on the same input."""
    other = Interpreter(args.other)
    graph = interpreter.graph
    pairing = pair_graphs(graph, other.graph)
    given = given_inputs(graph, frontend, args, out)
    answer = Answer(args.other, given.what)
    differences: dict[int, Difference] = dict(pairing.constants)
    shapes = [[t.shape for t in side.inputs] for side in (interpreter, other)]
    if shapes[0] == shapes[1]:
        expected = record(interpreter, given.rounds)
        found = _run_other(interpreter, other, pairing, given.rounds)
        expected = [_as_compared(graph, other.graph, pairing, run) for run in expected]
        differences |= compare_runs(graph, expected, found, tolerance=args.tolerance)
    else:
        answer.notes.append(
            f"not run: the inputs are {shapes[0]} and {shapes[1]}, one input cannot fill both"
        )
    fill(answer, graph, _in_order(graph, differences))
    found_in = [*_descriptions(graph, other.graph), *pairing.differences]
    answer.details = [
        {
            "kind": d.kind,
            "where": d.where,
            "expected": finite(d.expected),
            "found": finite(d.found),
            "matters": d.matters,
        }
        for d in found_in
    ]
    harmless = [d for d in found_in if not d.matters]
    answer.notes += [f"without effect: {sentence}" for sentence in _causes(harmless)]
    if any(d.kind == "dtype" for d in found_in):
        answer.notes.append("tensors of two types are compared in real units")
    answer.causes = _causes([d for d in found_in if d.matters])
    if answer.first is not None and not answer.causes:
        answer.causes.append("not known: the files hold the same operators and constants")
    theirs = frontend_of(other.graph, None)
    if given.clip is not None and theirs is not None and frontend is not None:
        _compare_features(answer, features_of(given), theirs, given.clip)
    return answer


def _run_other(
    interpreter: Interpreter,
    other: Interpreter,
    pairing: Pairing,
    rounds: Sequence[Sequence[Array]],
) -> list[dict[int, Array]]:
    """Run the other file on the same input; return its tensors under the first one's indices."""
    sides = list(zip(interpreter.inputs, other.inputs, strict=True))
    translated = [
        [_translate(array, *tensors) for array, tensors in zip(arrays, sides, strict=True)]
        for arrays in rounds
    ]
    runs = []
    graph = interpreter.graph
    for run in record(other, translated):
        kept: dict[int, Array] = {}
        for i, j in pairing.tensors.items():
            one, two = graph.main.tensors[i], other.graph.main.tensors[j]
            if j in run and run[j].size == prod(one.shape):
                kept[i] = run[j] if one.dtype == two.dtype else real_values(two, run[j])
        runs.append(kept)
    return runs


def _as_compared(
    graph: Graph, other: Graph, pairing: Pairing, run: dict[int, Array]
) -> dict[int, Array]:
    """Return values as they are, as real numbers where the other file has another type."""
    tensors = graph.main.tensors
    return {
        i: real_values(tensors[i], values)
        if i in pairing.tensors and other.main.tensors[pairing.tensors[i]].dtype != tensors[i].dtype
        else values
        for i, values in run.items()
    }


def _translate(array: Array, one: Tensor, two: Tensor) -> Array:
    """Return an input of one file for another: the same integers, or the same real values."""
    return array if one.dtype == two.dtype else as_tensor(two, real_values(one, array))


def _in_order(graph: Graph, differences: dict[int, Difference]) -> dict[int, Difference]:
    """Sort inputs first, then for each operator what it reads before what it writes."""
    order = list(graph.main.inputs)
    for op in graph.main.ops:
        order += [*op.inputs, *op.outputs]
    return {i: differences[i] for i in dict.fromkeys(order) if i in differences}


def _descriptions(one: Graph, other: Graph) -> list[GraphDifference]:
    """Compare what the files say of themselves: frontend and labels."""
    found = []
    first, second = info_of(one) or {}, info_of(other) or {}
    a, b = first.get("frontend"), second.get("frontend")
    if a is not None and b is not None and a != b:
        for key in sorted(a.keys() | b.keys()):
            if a.get(key) != b.get(key):
                found.append(GraphDifference("frontend", f"its {key}", a.get(key), b.get(key)))
    mine, theirs = labels_of(one), labels_of(other)
    if mine is not None and theirs is not None and mine != theirs:
        found.append(GraphDifference("labels", "the outputs", list(mine), list(theirs)))
    return found


def _causes(found: Sequence[GraphDifference]) -> list[str]:
    """Say what differs, a sentence a kind, the kinds that explain most first."""
    causes = []
    for kind, words in WORDS.items():
        these = [d for d in found if d.kind == kind]
        if these:
            d = these[0]
            note = f" ({d.note})" if d.note else ""
            more = f"; {len(these) - 1} more of this kind" if len(these) > 1 else ""
            values = f"{_short(d.expected)} against {_short(d.found)}"
            causes.append(f"{words}: {d.where}: {values}{note}{more}")
    return causes


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _compare_features(answer: Answer, ours: Array | None, theirs: Frontend, clip: Array) -> None:
    """Compare what both files' frontends make of the clip; it comes before any tensor."""
    if ours is None:
        return
    try:
        features = theirs.extract(clip)
        if features.size != ours.size:
            return
    except MinikwsError:
        return  # a frontend for another rate or length: said among the differences
    difference = compare("features", ours, features, tolerance=0)
    if difference.differing:
        name = "features (each file's own frontend)"
        answer.differences = {name: difference, **answer.differences}
        answer.first = name
