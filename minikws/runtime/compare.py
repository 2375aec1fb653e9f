"""Two runs of one model, tensor by tensor: what differs, where first, and by how much.

In come the values that minikws computed (expected) and those of another runtime, another file
or a board's dump (found), by tensor index; out come records for a table or for JSON. `references`
runs the other runtimes, `judge` finds the operators at fault, `cli.diff` reads the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from minikws._typing import Array
from minikws.errors import ShapeError
from minikws.graph import Graph
from minikws.runtime.interpreter import Interpreter

# Floats of another order of summation (design: "float layers").
FLOAT_SHARE, FLOAT_ABSOLUTE = 1e-5, 1e-6


@dataclass(frozen=True)
class Difference:
    """One tensor in two runs.

    name : the tensor's.
    count : values compared, over all inputs.
    differing : how many of them differ.
    max_difference : the largest distance, in steps of an integer tensor; 0 where equal.
    run, index, expected, found : the first that differs: in which input, where in the tensor,
        and both values; None where all are equal.
    """

    name: str
    count: int
    differing: int = 0
    max_difference: float = 0
    run: int | None = None
    index: tuple[int, ...] | None = None
    expected: float | None = None
    found: float | None = None


def compare(
    name: str, expected: Array, found: Array, *, run: int = 0, tolerance: float | None = None
) -> Difference:
    """Compare one tensor's values.

    Parameters
    ----------
    expected, found : the same number of values; the shape of `expected` gives the index.
    run : the number of the input, noted in the result.
    tolerance : for floats: the largest distance that counts as equal; by default 1e-5 of the
        largest value and 1e-6. Integers are compared exactly, NaN equals NaN.

    Raises
    ------
    ShapeError : another number of values.
    """
    if expected.size != found.size:
        raise ShapeError(
            f"{name} has {found.size} values {found.shape}, the model computes {expected.size} "
            f"{expected.shape}; dump the whole tensor"
        )
    other = found.reshape(expected.shape)
    if expected.dtype.kind in "iub" and other.dtype.kind in "iub":
        distance = np.abs(expected.astype(np.int64) - other.astype(np.int64))
        wrong = distance > 0
    else:
        ours, theirs = expected.astype(np.float64), other.astype(np.float64)
        with np.errstate(invalid="ignore"):
            distance = np.abs(ours - theirs)
        if tolerance is None:
            finite = np.abs(ours[np.isfinite(ours)])
            tolerance = FLOAT_SHARE * float(finite.max(initial=0)) + FLOAT_ABSOLUTE
        same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
        wrong = ~(same | (distance <= tolerance))
        distance = np.where(np.isnan(distance), np.inf, distance)
    if not wrong.any():
        return Difference(name, expected.size)
    first = int(np.argmax(wrong.ravel()))
    index = tuple(int(i) for i in np.unravel_index(first, expected.shape))
    return Difference(
        name,
        expected.size,
        int(wrong.sum()),
        distance[wrong].max().item(),
        run,
        index,
        expected[index].item(),
        other[index].item(),
    )


def join(parts: Sequence[Difference]) -> Difference:
    """Return what several inputs' comparisons of one tensor say together."""
    first = next((part for part in parts if part.differing), parts[0])
    return Difference(
        first.name,
        sum(part.count for part in parts),
        sum(part.differing for part in parts),
        max(part.max_difference for part in parts),
        first.run,
        first.index,
        first.expected,
        first.found,
    )


def computed_tensors(graph: Graph) -> dict[int, int | None]:
    """Return {tensor index: operator that makes it, None for an input} in the order of the run.

    Tensors of the main subgraph that can be compared: handles of variables cannot.
    """
    main = graph.main
    made: dict[int, int | None] = dict.fromkeys(main.inputs)
    for number, op in enumerate(main.ops):
        made.update({i: number for i in op.outputs if i not in made})
    return {i: number for i, number in made.items() if main.tensors[i].dtype != "resource"}


def tensor_names(graph: Graph) -> dict[int, str]:
    """Return a name for each tensor of the main subgraph; one that is shared gets "#" and index."""
    names = [tensor.name for tensor in graph.main.tensors]
    return {i: n if names.count(n) == 1 else f"{n}#{i}" for i, n in enumerate(names)}


def record(interpreter: Interpreter, rounds: Sequence[Sequence[Array]]) -> list[dict[int, Array]]:
    """Run inputs one after the other from the first state; return every computed tensor of each.

    Parameters
    ----------
    rounds : for each run the arrays of the model's inputs, in their order.
    """
    interpreter.reset()
    wanted = computed_tensors(interpreter.graph)
    names = [tensor.name for tensor in interpreter.inputs]
    runs = []
    for inputs in rounds:
        interpreter.run(dict(zip(names, inputs, strict=True)))
        runs.append({index: np.array(interpreter.tensor(index)) for index in wanted})
    interpreter.reset()
    return runs


def compare_runs(
    graph: Graph,
    expected: Sequence[Mapping[int, Array]],
    found: Sequence[Mapping[int, Array]],
    *,
    tolerance: float | None = None,
) -> dict[int, Difference]:
    """Compare the runs of one graph, tensor by tensor.

    Returns
    -------
    by tensor index, in the order of the run; tensors that `found` lacks are left out.
    """
    names, result = tensor_names(graph), {}
    for index in computed_tensors(graph):
        parts = [
            compare(names[index], ours[index], theirs[index], run=run, tolerance=tolerance)
            for run, (ours, theirs) in enumerate(zip(expected, found, strict=True))
            if index in theirs
        ]
        if parts:
            result[index] = join(parts)
    return result


def unwritten(graph: Graph) -> dict[int, Array]:
    """Return, by tensor index, which values TFLite Micro leaves as its memory was, as masks.

    SignalEnergy computes the bins from start_index to end_index; what follows casts the others.
    """
    main = graph.main
    masks: dict[int, Array] = {}
    for op in main.ops:
        if op.name == "SignalEnergy":
            bins = np.arange(prod(main.tensors[op.outputs[0]].shape))
            start, end = op.options["start_index"], op.options["end_index"]
            assert isinstance(start, int) and isinstance(end, int)
            masks[op.outputs[0]] = (bins < start) | (bins >= end)
        elif op.name == "CAST" and op.inputs[0] in masks:
            masks[op.outputs[0]] = masks[op.inputs[0]]
    return masks


def only_written(
    graph: Graph, expected: Sequence[Mapping[int, Array]], found: Sequence[Mapping[int, Array]]
) -> list[dict[int, Array]]:
    """Return found values, those that nothing wrote replaced by what minikws has there."""
    masks = unwritten(graph)
    return [
        {
            i: np.where(masks[i], ours[i].ravel(), values.ravel()).reshape(values.shape)
            if i in masks and i in ours
            else values
            for i, values in theirs.items()
        }
        for ours, theirs in zip(expected, found, strict=True)
    ]


def first_of(differences: Mapping[int, Difference]) -> int | None:
    """Return the index of the tensor that differs first: in the earliest input, then in order."""
    wrong = [(d.run, n, i) for n, (i, d) in enumerate(differences.items()) if d.run is not None]
    return min(wrong)[2] if wrong else None
