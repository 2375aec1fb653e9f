"""Which operators of another runtime differ by themselves, and by which rule of rounding.

A difference travels: after the first tensor that differs, nearly all do. So each operator is run
by minikws on the inputs that the other runtime had; whose output then differs is at fault, the
others only pass on what came before. In come both runs' tensors; out come operator numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minikws._typing import Array
from minikws.graph import Graph, Op
from minikws.runtime.compare import compare
from minikws.runtime.node import Inputs, Node, Outputs
from minikws.runtime.ops import OPS
from minikws.runtime.rounding import RULES, with_rule

REMEMBERING_OPS = (
    *("ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "SVDF", "VAR_HANDLE"),
    *("SignalDelay", "SignalFilterBankSpectralSubtraction", "SignalFramer"),
    *("SignalOverlapAdd", "SignalStacker"),
)
# They only move values: what they make of a dumped tensor need not be dumped, too.
MOVING_OPS = ("EXPAND_DIMS", "RESHAPE", "SPLIT", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE")


@dataclass(frozen=True)
class Operators:
    """How the operators of another runtime do on its own values.

    at_fault : numbers of the operators whose output differs from what minikws makes of the same
        inputs; the others only pass on what came before.
    rules : {number: names of `rounding.RULES` that give their outputs exactly in every run},
        for those at fault that scale integer sums.
    judged : how many operators had all their values at hand.
    """

    at_fault: tuple[int, ...]
    rules: Mapping[int, tuple[str, ...]]
    judged: int


def judge_operators(
    graph: Graph,
    expected: Sequence[Mapping[int, Array]],
    found: Sequence[Mapping[int, Array]],
    *,
    tolerance: float | None = None,
) -> Operators:
    """Find the operators that differ by themselves: each is run on the inputs found.

    Operators with a memory are left out: it holds more than their inputs.
    """
    at_fault, rules, judged = [], {}, 0
    found = [moved_on(graph, dict(run)) for run in found]
    for number, op in enumerate(graph.main.ops):
        cases = [
            inputs
            for runs in zip(expected, found, strict=True)
            if (inputs := _inputs_found(graph, op, *runs)) is not None
        ]
        if not cases or op.name in REMEMBERING_OPS:
            continue
        judged += 1
        node = Node.of(graph.main, number, "the model")
        state = OPS[op.name].prepare(node)
        evaluate = OPS[op.name].evaluate

        def gives(
            state: Any,
            cases: list[tuple[list[Array | None], Array]] = cases,
            evaluate: Callable[[Any, Inputs], Outputs] = evaluate,
        ) -> bool:
            return not any(
                compare("", evaluate(state, inputs)[0], output, tolerance=tolerance).differing
                for inputs, output in cases
            )

        if gives(state):
            continue
        at_fault.append(number)
        varied = {name: with_rule(node, state, rule) for name, rule in RULES.items()}
        if None not in varied.values():
            rules[number] = tuple(name for name, other in varied.items() if gives(other))
    return Operators(tuple(at_fault), rules, judged)


def moved_on(graph: Graph, found: dict[int, Array]) -> dict[int, Array]:
    """Return found tensors, and what `MOVING_OPS` make of them."""
    tensors = graph.main.tensors
    for number, op in enumerate(graph.main.ops):
        activations = [i for i in op.inputs if i != -1 and tensors[i].data is None]
        if (
            op.name not in MOVING_OPS
            or all(i in found for i in op.outputs)
            or not all(i in found and found[i].dtype == tensors[i].dtype for i in activations)
        ):
            continue
        state = OPS[op.name].prepare(Node.of(graph.main, number, "the model"))
        inputs = [
            None
            if i == -1
            else found[i].reshape(tensors[i].shape)
            if i in found
            else tensors[i].data
            for i in op.inputs
        ]
        for i, values in zip(op.outputs, OPS[op.name].evaluate(state, inputs), strict=True):
            found.setdefault(i, values)
    return found


def _inputs_found(
    graph: Graph, op: Op, ours: Mapping[int, Array], theirs: Mapping[int, Array]
) -> tuple[list[Array | None], Array] | None:
    """Return an operator's inputs and first output as found; None where one is not known."""
    tensors = graph.main.tensors
    inputs: list[Array | None] = []
    for i in op.inputs:
        if i == -1 or tensors[i].data is not None:
            inputs.append(None if i == -1 else tensors[i].data)
        elif i in theirs and i in ours and theirs[i].dtype == ours[i].dtype:
            inputs.append(theirs[i].reshape(ours[i].shape))
        else:
            return None
    if not op.outputs or op.outputs[0] not in theirs or op.outputs[0] not in ours:
        return None
    return inputs, theirs[op.outputs[0]].reshape(ours[op.outputs[0]].shape)
