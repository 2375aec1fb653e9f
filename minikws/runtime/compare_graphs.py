"""Two model files, without running them: operators, options, scales, weights, versions.

In come two graphs; out comes a list of what differs, in the order of the run, and which tensor
of one stands for which of the other. Files of two exporters name their tensors differently, so
tensors are paired by their place where both have the same operators, and by name otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from minikws._typing import Array
from minikws.fixedpoint import dequantize
from minikws.graph import Graph, Op, Tensor
from minikws.runtime.compare import Difference, compare, tensor_names
from minikws.tflite.schema import complete_options

# What an operator's constant inputs are called, by the operator and their place.
_CONSTANTS = {1: "weights", 2: "bias"}
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True)
class GraphDifference:
    """One thing in which two files differ.

    kind : "graph", "options", "shape", "dtype", "scale", "zero_point", "weights", "bias",
        "constant", "version".
    where : the operator or tensor in words.
    expected, found : what each file has; for constants the first value that differs.
    matters : whether it can change an integer; an operator's version does not.
    note : how many values of a constant differ.
    """

    kind: str
    where: str
    expected: Any
    found: Any
    matters: bool = True
    note: str = ""


@dataclass(frozen=True)
class Pairing:
    """How two graphs go together.

    tensors : index in the first -> index in the second, activations and constants.
    differences : in the order of the run.
    constants : index -> comparison, of the constants that differ.
    same_operators : whether both run the same operators in the same order.
    """

    tensors: dict[int, int]
    differences: tuple[GraphDifference, ...]
    constants: dict[int, Difference]
    same_operators: bool


def pair_graphs(one: Graph, other: Graph) -> Pairing:
    """Pair the tensors of two graphs' main subgraphs, and list what differs."""
    first, second = one.main, other.main
    names = [[op.name for op in main.ops] for main in (first, second)]
    found: list[GraphDifference] = []
    same = names[0] == names[1]
    if not same:
        found.append(_operator_lists(*names))
        pairs = _by_name(one, other)
    else:
        pairs = _by_place(one, other)
    constants: dict[int, Difference] = {}
    seen: set[int] = set()
    for i in first.inputs:
        if i in pairs and i not in seen:
            seen.add(i)
            found += _tensors(
                first.tensors[i], second.tensors[pairs[i]], f"the input {_name(one, i)}"
            )
    for number, op in enumerate(first.ops):
        where = f"op {number + 1} of {len(first.ops)} ({op.name})"
        if same:
            found += _operators(op, second.ops[number], where)
            found += _wiring(one, other, number, where, pairs)
        for place, i in enumerate((*op.inputs, *op.outputs)):
            if i == -1 or i not in pairs or i in seen:
                continue
            seen.add(i)
            a, b = first.tensors[i], second.tensors[pairs[i]]
            role = _role(op, place, a)
            what = f"{role} of {where}, {_name(one, i)}"
            found += _tensors(a, b, what)
            if a.data is not None and b.data is not None and a.data.size == b.data.size:
                difference = _constants(a, b)
                if difference.differing:
                    constants[i] = difference
                    kind = role if role in ("weights", "bias") else "constant"
                    found.append(
                        GraphDifference(
                            kind,
                            f"{what} at {list(difference.index or ())}",
                            difference.expected,
                            difference.found,
                            note=f"{difference.differing} of {difference.count} values differ",
                        )
                    )
    found += _other_subgraphs(one, other)
    return Pairing(pairs, tuple(found), constants, same)


def _other_subgraphs(one: Graph, other: Graph) -> Iterator[GraphDifference]:
    """Compare what runs beside the main subgraph, such as the first values of variables."""
    counts = len(one.subgraphs), len(other.subgraphs)
    if counts[0] != counts[1]:
        yield GraphDifference("graph", "the number of subgraphs", *counts)
    for number, (a, b) in enumerate(zip(one.subgraphs[1:], other.subgraphs[1:], strict=False), 1):
        mine, theirs = ([op.name for op in subgraph.ops] for subgraph in (a, b))
        if mine != theirs:
            yield GraphDifference("graph", f"the operators of subgraph {number}", mine, theirs)
            continue
        for first, second in zip(a.tensors, b.tensors, strict=False):
            what = f"{first.name} of subgraph {number}"
            yield from _tensors(first, second, what)
            if first.data is None or second.data is None or first.data.size != second.data.size:
                continue
            difference = _constants(first, second)
            if difference.differing:
                values = difference.expected, difference.found
                yield GraphDifference("constant", what, *values)


def _operator_lists(one: list[str], other: list[str]) -> GraphDifference:
    """Say where two lists of operators part."""
    at = next(n for n, (a, b) in enumerate(zip_longest(one, other)) if a != b)
    mine, theirs = (names[at] if at < len(names) else "nothing" for names in (one, other))
    where = f"op {at + 1} ({len(one)} operators against {len(other)})"
    return GraphDifference("graph", where, mine, theirs)


def _by_place(one: Graph, other: Graph) -> dict[int, int]:
    """Pair what the same operators read and write at the same places."""
    pairs: dict[int, int] = {}
    first, second = one.main, other.main
    sides = [(first.inputs, second.inputs), (first.outputs, second.outputs)]
    for a, b in zip(first.ops, second.ops, strict=True):
        sides += [(a.inputs, b.inputs), (a.outputs, b.outputs)]
    for places in sides:
        for i, j in zip(*places, strict=False):
            if i != -1 and j != -1:
                pairs.setdefault(i, j)
    return pairs


def _by_name(one: Graph, other: Graph) -> dict[int, int]:
    """Pair inputs and outputs by their order, and tensors of the same name and shape."""
    pairs = dict(zip(one.main.inputs, other.main.inputs, strict=False))
    pairs.update(zip(one.main.outputs, other.main.outputs, strict=False))
    theirs = {name: i for i, name in tensor_names(other).items()}
    for i, name in tensor_names(one).items():
        j = theirs.get(name)
        if j is not None and one.main.tensors[i].shape == other.main.tensors[j].shape:
            pairs.setdefault(i, j)
    return pairs


def _operators(one: Op, other: Op, where: str) -> Iterator[GraphDifference]:
    """Compare options and versions of two operators of one kind."""
    a, b = complete_options(one, where), complete_options(other, where)
    for name in sorted(a.keys() | b.keys()):
        if a.get(name) != b.get(name):
            yield GraphDifference("options", f"{name} of {where}", a.get(name), b.get(name))
    if one.version != other.version:
        yield GraphDifference("version", where, one.version, other.version, matters=False)


def _wiring(
    one: Graph, other: Graph, number: int, where: str, pairs: dict[int, int]
) -> Iterator[GraphDifference]:
    """Compare which tensors two operators of one kind are given; constants are compared apart."""
    a, b = one.main.ops[number], other.main.ops[number]
    counts = [sum(i != -1 for i in op.inputs) for op in (a, b)]
    if counts[0] != counts[1]:
        yield GraphDifference("graph", f"the inputs of {where}", counts[0], counts[1])
        return
    for i, j in zip(a.inputs, b.inputs, strict=False):
        computed = i != -1 and j != -1 and one.main.tensors[i].data is None
        if computed and pairs[i] != j:
            what = f"what {where} reads"
            yield GraphDifference("graph", what, _name(one, i), _name(other, j))
            return


def _tensors(one: Tensor, other: Tensor, what: str) -> Iterator[GraphDifference]:
    """Compare shape, type and quantisation of two tensors."""
    if one.shape != other.shape:
        yield GraphDifference("shape", what, one.shape, other.shape)
    if one.dtype != other.dtype:
        yield GraphDifference("dtype", what, one.dtype, other.dtype)
        return  # its scale follows
    for kind in ("scale", "zero_point"):
        a, b = np.asarray(getattr(one, kind)), np.asarray(getattr(other, kind))
        if a.shape != b.shape:
            yield GraphDifference(kind, what, f"{a.size} values", f"{b.size} values")
        elif (a != b).any():
            at = int(np.argmax(a != b))
            note = f" (channel {at})" if a.size > 1 else ""
            yield GraphDifference(kind, f"{what}{note}", a[at].item(), b[at].item())


def real_values(tensor: Tensor, values: Array) -> Array:
    """Return what a tensor's integers stand for, float32; floats as they are."""
    if not tensor.scale:
        return values.astype(np.float32)
    shape = [1] * values.ndim
    if len(tensor.scale) > 1:
        shape[tensor.axis] = len(tensor.scale)
    scale, zero_point = (
        np.reshape(np.asarray(part), shape) for part in (tensor.scale, tensor.zero_point)
    )
    return dequantize(values, scale, zero_point)


def _constants(one: Tensor, other: Tensor) -> Difference:
    """Compare constants: of one type exactly, of two to a quantisation's half step."""
    assert one.data is not None and other.data is not None
    if one.dtype == other.dtype:
        return compare(one.name, one.data, other.data, tolerance=0)
    step = max((*one.scale, *other.scale), default=0.0)
    real = real_values(one, one.data), real_values(other, other.data)
    return compare(one.name, *real, tolerance=0.501 * step)


def _role(op: Op, place: int, tensor: Tensor) -> str:
    """Return what a tensor is to its operator: "weights", "bias", "constant", "input", "output"."""
    if place >= len(op.inputs):
        return "output"
    if tensor.data is None:
        return "input"
    return _CONSTANTS.get(place, "constant") if op.name in _WEIGHTED else "constant"


def _name(graph: Graph, index: int) -> str:
    return graph.main.tensors[index].name
