"""Why two runs differ: the sentences under `minikws diff`'s table.

What the numbers say is found in `runtime.compare` (which operators differ by themselves, and
which rounding rule gives their values) and `frontend.variants`; here it becomes language.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from minikws.runtime.compare import Difference, computed_tensors, first_of
from minikws.runtime.judge import MOVING_OPS, Operators

if TYPE_CHECKING:
    from minikws.graph import Graph

# The rules of `runtime.rounding` in words.
RULE_WORDS = {
    "float32": "XNNPACK's float32 requantisation (the int32 sum as float32, times the scale as "
    "float32, halves to even)",
    "single": "single rounding (the sum times the multiplier, rounded once, as with "
    "TFLITE_SINGLE_ROUNDING)",
    "float64": "one rounding in float64 (the sum times the real scale, halves away from zero, as "
    "LiteRT's dense layers)",
}
# What each runtime is known to do, where several rules give its values.
KNOWN_RULES = {"litert": "float32", "tensorflow": "float32", "litert-reference": "float64"}
REMEDY = {
    "litert": "compare with litert-reference or tflm, which round as the device does",
    "tensorflow": "compare with litert-reference or tflm, which round as the device does",
    "litert-reference": "TFLite Micro rounds twice there, and so does minikws; compare with tflm",
}


def runtime_causes(
    graph: Graph,
    differences: Mapping[int, Difference],
    judged: Operators,
    reference: str | None = None,
) -> list[str]:
    """Say why another runtime's values differ from minikws'.

    Parameters
    ----------
    differences : by tensor index, of which at least one differs.
    judged : which operators differ by themselves.
    reference : the runtime's name in `references.REFERENCES`, None for a board's dump.
    """
    causes = [
        f"other weights: {d.name} is not the file's, {d.differing} of {d.count} values differ"
        for i, d in differences.items()
        if d.differing and graph.main.tensors[i].data is not None
    ]
    first = first_of(differences)
    maker = None if first is None else computed_tensors(graph).get(first)
    rounding = [n for n in judged.at_fault if judged.rules.get(n)]
    told = False
    # What made the first difference comes first, the rest in the order of the run.
    for number in sorted(judged.at_fault, key=lambda n: n != maker):
        if number not in rounding:
            causes.append(_kernel(graph, number, differences, number in judged.rules))
        elif not told:
            common = set.intersection(*(set(judged.rules[n]) for n in rounding))
            causes.append(_rounding(graph, rounding, common, reference))
            told = True
    if not causes and first is not None:
        causes.append(_unjudged(graph, first, differences, judged))
    return causes


def _kernel(graph: Graph, number: int, differences: Mapping[int, Difference], sums: bool) -> str:
    """Say what is known of an operator that differs, and by no rule of rounding."""
    op = graph.main.ops[number]
    made = differences.get(op.outputs[0])
    where = f"op {number + 1} {op.name}"
    by = f" by up to {made.max_difference:g}" if made and made.differing else ""
    if graph.main.tensors[op.outputs[0]].dtype == "float32":
        return f"floats: {where} adds up in another order, or is another kernel{by}"
    if sums:
        return (
            f"{where} gets other sums{by}: none of the known rounding rules gives its values from "
            "its own inputs; compare its weights, bias, scales and padding"
        )
    if made and made.max_difference <= 1:
        return f"rounding: {where} has a kernel of its own, which is one step off at times"
    return f"{where} has another kernel: from the same inputs it differs{by}"


def _rounding(graph: Graph, numbers: list[int], common: set[str], reference: str | None) -> str:
    """Name the rule that explains operators which scale sums."""
    ops = graph.main.ops
    listed = ", ".join(f"{n + 1} {ops[n].name}" for n in numbers[:3])
    more = f" and {len(numbers) - 3} more" if len(numbers) > 3 else ""
    which = f"op{'s' * (len(numbers) > 1)} {listed}{more}"
    known = KNOWN_RULES.get(reference or "")
    if not common:
        rule, proof = "rules other than TFLite Micro's, not the same everywhere", "they give"
    elif known in common or len(common) == 1:
        rule, proof = RULE_WORDS[known if known in common else min(common)], "this gives"
    else:
        names = " or ".join(RULE_WORDS[name] for name in RULE_WORDS if name in common)
        rule, proof = f"once instead of twice, by {names}", "each gives"
    remedy = f"; {REMEDY[reference]}" if reference in REMEDY else ""
    return f"rounding: {rule}; {proof} every value of {which}, from the inputs found{remedy}"


def _unjudged(
    graph: Graph, first: int, differences: Mapping[int, Difference], judged: Operators
) -> str:
    """Say what is known where no operator could be found at fault."""
    main = graph.main
    number = computed_tensors(graph)[first]
    if number is None:
        if judged.judged:
            return (
                f"another input: the {judged.judged} operators whose tensors are at hand are right "
                "for what they were given"
            )
        return "another input"
    op = main.ops[number]
    lacking = _lacking(graph, number, differences)
    if lacking:
        return (
            f"not known: it may lie in op {number + 1} {op.name} or before; "
            f"dump {', '.join(lacking)}, too"
        )
    return f"op {number + 1} {op.name} remembers other values than minikws; start both afresh"


def _lacking(graph: Graph, number: int, known: Mapping[int, Difference]) -> list[str]:
    """Return the tensors between an operator and the ones at hand before it, in order."""
    main, made = graph.main, computed_tensors(graph)
    missing: set[int] = set()
    waiting = [number]
    while waiting:
        for i in main.ops[waiting.pop()].inputs:
            if i == -1 or i in known or i in missing or i not in made:
                continue
            missing.add(i)
            maker = made[i]
            if maker is not None:
                waiting.append(maker)
    moved = {i for i in missing if (n := made[i]) is not None and main.ops[n].name in MOVING_OPS}
    return [main.tensors[i].name for i in made if i in missing - moved]
