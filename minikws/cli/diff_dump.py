"""`minikws diff` against an NPZ: what a board dumped, all tensors or some, or features alone."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np

from minikws._typing import Array
from minikws.cli.diff_answer import Answer, fill
from minikws.cli.diff_causes import runtime_causes
from minikws.cli.model_inputs import (
    Given,
    as_tensor,
    given_inputs,
    input_names,
    plain,
    read_arrays,
    stored_inputs,
    to_input,
)
from minikws.cli.output import Output
from minikws.errors import SettingsError, ShapeError
from minikws.frontend.variants import layout_match, variant_matches
from minikws.runtime import Interpreter
from minikws.runtime.compare import (
    Difference,
    compare,
    compare_runs,
    computed_tensors,
    only_written,
    record,
    tensor_names,
)
from minikws.runtime.judge import judge_operators

if TYPE_CHECKING:
    from minikws.frontend import Frontend
    from minikws.graph import Graph


def with_dump(
    interpreter: Interpreter, frontend: Frontend | None, args: argparse.Namespace, out: Output
) -> Answer:
    """Hold the tensors of a dump against the model's."""
    graph = interpreter.graph
    arrays = read_arrays(args.other)
    if args.input is None:
        own = stored_inputs(graph, arrays, frontend, args.other)
        if own is None:
            raise SettingsError(
                f"{args.other} holds {', '.join(arrays) or 'nothing'} and not the model's input "
                f"({' or '.join(input_names(graph))}); say what the board was given, as "
                "--input CLIP or --input FILE.npz"
            )
        given = own
    else:
        given = given_inputs(graph, frontend, args, out)
    answer = Answer(args.other, given.what)
    expected = record(interpreter, given.rounds)
    found, unknown = _tensors_of(graph, arrays, frontend, len(given.rounds), args.other)
    if unknown:
        names = tensor_names(graph)
        known = [names[i] for i in computed_tensors(graph)]
        answer.notes.append(
            f"not compared: {', '.join(unknown)} in {args.other}; the model's tensors are "
            f"{', '.join(known[:12])}{' …' if len(known) > 12 else ''}"
        )
    found = only_written(graph, expected, found)
    differences = compare_runs(graph, expected, found, tolerance=args.tolerance)
    differences |= _constants(graph, arrays)
    if not differences:
        raise SettingsError(
            f"{args.other} holds {', '.join(arrays) or 'nothing'}, none of the model's tensors; "
            f"call its arrays {', '.join(tensor_names(graph)[i] for i in computed_tensors(graph))}"
        )
    fill(answer, graph, differences)
    if answer.first is None:
        return answer
    judged = judge_operators(graph, expected, found, tolerance=args.tolerance)
    index = graph.main.inputs[0]
    if args.input is not None and index in differences and differences[index].differing:
        answer.causes = _input_causes(interpreter, given, frontend, expected, found, args)
    if judged.at_fault or not answer.causes:
        answer.causes += runtime_causes(graph, differences, judged)
    return answer


def _tensors_of(
    graph: Graph, arrays: dict[str, Array], frontend: Frontend | None, n_runs: int, path: str
) -> tuple[list[dict[int, Array]], list[str]]:
    """Return each run's tensors by index, and the names that fit none.

    An array may hold the values of all runs, one after the other.
    """
    names = _known_names(graph)
    runs: list[dict[int, Array]] = [{} for _ in range(n_runs)]
    unknown = []
    for name, array in arrays.items():
        index = names.get(name)
        if index is None:
            unknown.append(name)
            continue
        tensor = graph.main.tensors[index]
        if tensor.data is not None:
            continue
        is_input = index == graph.main.inputs[0]
        if is_input:
            values = to_input(graph, array, frontend, lenient=True)
        else:
            values = as_tensor(tensor, array, lenient=True)
        size = int(np.prod(tensor.shape))
        if values.size != size * n_runs:
            times = f", for {n_runs} runs" if n_runs > 1 else ""
            raise ShapeError(
                f"{name} in {path} has {array.size} values {array.shape}, the tensor has {size} "
                f"{tensor.shape}{times}; dump the whole tensor"
            )
        for run, part in enumerate(values.reshape(n_runs, *tensor.shape)):
            runs[run][index] = part
    return runs, unknown


def _known_names(graph: Graph) -> dict[str, int]:
    """Return every name by which a dump may call a tensor."""
    names: dict[str, int] = {}
    if len(graph.main.inputs) == 1:
        names |= dict.fromkeys(input_names(graph), graph.main.inputs[0])
    if len(graph.main.outputs) == 1:
        names |= dict.fromkeys(("scores", "output"), graph.main.outputs[0])
    for side in ("inputs", "outputs"):
        names |= (graph.signature or {}).get(side, {})
    own = tensor_names(graph)
    names |= {f"tensor_{i}": i for i in own}  # as the test vectors of export --firmware
    names |= {plain(name): i for i, name in own.items()}
    return names | {name: i for i, name in own.items()}


def _constants(graph: Graph, arrays: dict[str, Array]) -> dict[int, Difference]:
    """Compare the weights that a dump holds."""
    names, found = _known_names(graph), {}
    for name, array in arrays.items():
        index = names.get(name, -1)
        data = graph.main.tensors[index].data if index >= 0 else None
        if data is not None:
            found[index] = compare(graph.main.tensors[index].name, data, array, tolerance=0)
    return found


def _input_causes(
    interpreter: Interpreter,
    given: Given,
    frontend: Frontend | None,
    expected: list[dict[int, Array]],
    found: list[dict[int, Array]],
    args: argparse.Namespace,
) -> list[str]:
    """Say why the dump's input is not what minikws makes of the sound."""
    graph = interpreter.graph
    index = graph.main.inputs[0]
    causes = []
    dumped = np.concatenate([run[index].ravel() for run in found])
    ours = np.concatenate([run[index].ravel() for run in expected])
    if given.clip is not None and frontend is not None:
        settings = frontend.settings
        layout = layout_match(ours.reshape(-1, settings.n_features), dumped)
        if layout is not None:
            causes.append(f"the features' layout: {layout}")
        else:
            causes.append(_variant_cause(graph, given, frontend, dumped))
    else:
        causes.append("another input: the dump's is not the one given")
    causes += _given_their_input(interpreter, found, args)
    return causes


def _variant_cause(graph: Graph, given: Given, frontend: Frontend, dumped: Array) -> str:
    """Name the frontend that made the dump's features, or the nearest."""
    assert given.clip is not None
    settings = frontend.settings

    def as_input(features: Array) -> Array:
        return to_input(graph, features, frontend).ravel()[: dumped.size]

    matches = variant_matches(given.clip, settings, dumped, as_input)
    own = getattr(settings, "variant", settings.kind)
    if matches[0].differing == 0:
        return (
            f"another frontend: {matches[0].name} made exactly these features, the model's is "
            f"{settings.kind} {own if own != settings.kind else ''}".rstrip()
        )
    nearest = f"{matches[0].name} differs in {matches[0].differing} of {dumped.size} values"
    return (
        f"another frontend or another sound: the nearest, {nearest}; compare window, hop, gain "
        "and the first samples"
    )


def _given_their_input(
    interpreter: Interpreter, found: list[dict[int, Array]], args: argparse.Namespace
) -> list[str]:
    """Run the model on the dump's own input, and say whether its other tensors follow."""
    graph = interpreter.graph
    index = graph.main.inputs[0]
    tensor = graph.main.tensors[index]
    fit = all(len(run) > 1 and run[index].dtype == tensor.dtype for run in found)
    if len(graph.main.inputs) != 1 or not fit:
        return []
    again = record(
        interpreter, [[run[index].reshape(graph.main.tensors[index].shape)] for run in found]
    )
    differences = compare_runs(graph, again, found, tolerance=args.tolerance)
    wrong = [d.name for d in differences.values() if d.differing]
    if wrong:
        return [f"run on the dump's own input, {len(wrong)} tensors differ, {wrong[0]} first"]
    return [
        f"run on the dump's own input, the model gives its other {len(differences) - 1} tensors "
        "exactly: only the input differs"
    ]
