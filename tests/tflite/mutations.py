"""Damage to models, from a seed: to the bytes of a file, or to what a graph says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from minikws.graph import Graph, Op, Subgraph, Tensor
from minikws.tflite.schema import ENUMS, OPTIONS, TENSOR_TYPES

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
SIZES = (0, 1, 2, 3, 7, 64, 1000, 2**15, 2**20, 2**27, 2**31 - 1)
NUMBERS = (-(2**31), -1000, -2, -1, 0, 1, 2, 3, 17, 4096, 2**20, 2**31 - 1)
SCALES = (0.0, -1.0, 1e-45, 1e-30, 1e-7, 1.0, 1e7, 3e38, float("inf"), float("nan"))
ENUM_VALUES = tuple(value for values in ENUMS.values() for value in values)


def damage_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip bits, cut, copy a part elsewhere, or write an extreme number, a few times."""
    out = bytearray(data)
    # Most of a file is weights, which may hold anything: aim at its tables half of the time.
    tables = np.flatnonzero(np.frombuffer(data[: len(data) // 4 * 4], "<u4") < 4096) * 4
    for _ in range(min(rng.geometric(0.5), 4)):
        kind = rng.integers(0, 6)
        at = int(rng.choice(tables)) if rng.random() < 0.5 else int(rng.integers(0, len(data)))
        if kind == 0:
            for place in rng.integers(0, len(out), rng.integers(1, 9)):
                out[place] ^= 1 << rng.integers(0, 8)
        elif kind == 1 and rng.random() < 0.3:
            out = out[: rng.integers(8, len(out))]
        elif kind == 2:
            length = int(rng.integers(1, 64))
            source = int(rng.integers(0, max(1, len(out) - length)))
            out[at : at + length] = out[source : source + length]
        elif kind == 3:
            out[at : at + 4] = int(rng.choice(EXTREMES)).to_bytes(4, "little")
        elif kind == 4:  # an offset that leads elsewhere, now and then back to where it stands
            target = int(rng.choice(tables)) if rng.random() < 0.8 else at
            out[at : at + 4] = ((target - at) % 2**32).to_bytes(4, "little")
        else:
            word = int.from_bytes(out[at : at + 4], "little")
            moved = (word + int(rng.integers(-16, 17))) % 2**32
            out[at : at + 4] = moved.to_bytes(4, "little")
        if len(out) < 16:
            break
    return bytes(out)


def damage_graph(graph: Graph, rng: np.random.Generator) -> Graph:
    """Change sizes, types, scales, options, wiring or order, one to three times."""
    for _ in range(min(rng.geometric(0.6), 3)):
        graph = GRAPH_DAMAGE[rng.integers(0, len(GRAPH_DAMAGE))](graph, rng)
    return graph


def _pick(values: tuple[Any, ...], rng: np.random.Generator) -> Any:
    return values[rng.integers(0, len(values))]


def _in_a_subgraph(change: Callable[[Subgraph, np.random.Generator], Subgraph]) -> Any:
    """Let `change` work on one subgraph of a graph."""

    def changed(graph: Graph, rng: np.random.Generator) -> Graph:
        subgraphs = list(graph.subgraphs)
        i = int(rng.integers(0, len(subgraphs)))
        subgraphs[i] = change(subgraphs[i], rng)
        return replace(graph, subgraphs=tuple(subgraphs))

    return changed


def _of_a_tensor(change: Callable[[Tensor, np.random.Generator], Tensor]) -> Any:
    def changed(subgraph: Subgraph, rng: np.random.Generator) -> Subgraph:
        tensors = list(subgraph.tensors)
        if tensors:
            i = int(rng.integers(0, len(tensors)))
            tensors[i] = change(tensors[i], rng)
        return replace(subgraph, tensors=tuple(tensors))

    return _in_a_subgraph(changed)


def _of_an_op(change: Callable[[Op, np.random.Generator], Op]) -> Any:
    def changed(subgraph: Subgraph, rng: np.random.Generator) -> Subgraph:
        ops = list(subgraph.ops)
        if ops:
            i = int(rng.integers(0, len(ops)))
            ops[i] = change(ops[i], rng)
        return replace(subgraph, ops=tuple(ops))

    return _in_a_subgraph(changed)


def _with_values(tensor: Tensor) -> Tensor:
    """Give a constant as many values as its shape and type ask for, if they are few."""
    if tensor.data is None:
        return tensor
    stored = "int8" if tensor.dtype == "int4" else tensor.dtype
    size = 1
    for n in tensor.shape:
        size *= n
    if not 0 <= size <= 10**5 or stored in ("string", "resource", "variant", "bfloat16"):
        return replace(tensor, data=None)
    values = np.resize(tensor.data.real.ravel(), tensor.shape).astype(stored)
    return replace(tensor, data=values)


def _shape(tensor: Tensor, rng: np.random.Generator) -> Tensor:
    shape = list(tensor.shape)
    kind = rng.integers(0, 4)
    if kind == 0 or not shape:
        shape.insert(int(rng.integers(0, len(shape) + 1)), int(_pick(SIZES[:6], rng)))
    elif kind == 1:
        del shape[rng.integers(0, len(shape))]
    elif kind == 2:
        shape[rng.integers(0, len(shape))] = int(_pick(SIZES, rng))
    else:
        rng.shuffle(shape)
    return _with_values(replace(tensor, shape=tuple(shape)))


def _size_everywhere(subgraph: Subgraph, rng: np.random.Generator) -> Subgraph:
    sizes = tuple(n for tensor in subgraph.tensors for n in tensor.shape)
    return stretched(subgraph, _pick(sizes, rng), int(_pick(SIZES, rng))) if sizes else subgraph


def stretched(subgraph: Subgraph, old: int, new: int) -> Subgraph:
    """Give a size another value in all tensors that have it: large, but consistent."""
    tensors = [
        _with_values(replace(t, shape=tuple(new if n == old else n for n in t.shape)))
        for t in subgraph.tensors
    ]
    return replace(subgraph, tensors=tuple(tensors))


def _dtype(tensor: Tensor, rng: np.random.Generator) -> Tensor:
    with np.errstate(all="ignore"):
        return _with_values(replace(tensor, dtype=_pick(tuple(TENSOR_TYPES), rng)))


def _dtype_everywhere(subgraph: Subgraph, rng: np.random.Generator) -> Subgraph:
    if not subgraph.tensors:
        return subgraph
    old, new = _pick(subgraph.tensors, rng).dtype, _pick(tuple(TENSOR_TYPES), rng)
    tensors = [replace(t, dtype=new) if t.dtype == old else t for t in subgraph.tensors]
    with np.errstate(all="ignore"):
        return replace(subgraph, tensors=tuple(_with_values(t) for t in tensors))


def _quantization(tensor: Tensor, rng: np.random.Generator) -> Tensor:
    kind = rng.integers(0, 4)
    if kind == 0:
        return replace(tensor, scale=(), zero_point=())
    if kind == 1:
        scale = float(np.float32(_pick(SCALES, rng)))
        return replace(tensor, scale=(scale,) * max(len(tensor.scale), 1))
    if kind == 2:
        zero_point = int(_pick(NUMBERS, rng))
        return replace(tensor, zero_point=(zero_point,) * max(len(tensor.zero_point), 1))
    n = int(rng.integers(0, 5))
    return replace(tensor, scale=(0.1,) * n, zero_point=(0,) * n, axis=int(rng.integers(-1, 4)))


def _values(tensor: Tensor, rng: np.random.Generator) -> Tensor:
    """Put extreme numbers into a constant, or make it one, or none."""
    if tensor.data is None:
        return replace(tensor, is_variable=not tensor.is_variable)
    if rng.random() < 0.2:
        return replace(tensor, data=None)
    values = tensor.data.copy()
    if values.size:
        with np.errstate(all="ignore"):
            number = np.array(_pick(NUMBERS, rng), np.int64).astype(values.dtype)
        values.reshape(-1)[rng.integers(0, values.size, rng.integers(1, 4))] = number
    return replace(tensor, data=values)


def _wiring(op: Op, rng: np.random.Generator) -> Op:
    side = "inputs" if rng.random() < 0.7 else "outputs"
    indices = [*getattr(op, side)]
    kind = rng.integers(0, 4)
    if kind == 0 or not indices:
        indices.insert(int(rng.integers(0, len(indices) + 1)), int(rng.integers(-1, 12)))
    elif kind == 1:
        del indices[rng.integers(0, len(indices))]
    elif kind == 2:
        indices[rng.integers(0, len(indices))] = int(rng.integers(-2, 12))
    else:
        rng.shuffle(indices)
    return replace(op, **{side: tuple(indices)})


def _options(op: Op, rng: np.random.Generator) -> Op:
    options = dict(op.options)
    row = OPTIONS.get(op.name)
    names = [field.name for field in row.fields] if row else list(options)
    if not names:
        return op
    field = _pick(tuple(names), rng)
    old = options.get(field, 0)
    if isinstance(old, bool):
        options[field] = not old
    elif isinstance(old, int) and rng.random() < 0.8:
        options[field] = int(_pick(NUMBERS, rng))
    elif isinstance(old, float):
        options[field] = float(np.float32(_pick(SCALES, rng)))
    else:
        options[field] = _pick(ENUM_VALUES, rng)
    return replace(op, options=options)


def _other_op(op: Op, rng: np.random.Generator) -> Op:
    """The same tensors and, as far as it has them, options, for another operator."""
    name = _pick(tuple(OPTIONS), rng)
    row = OPTIONS[name]
    known = {field.name for field in row.fields} if row else set()
    kept = {key: value for key, value in op.options.items() if key in known}
    return Op(name, op.inputs, op.outputs, kept, op.version)


def _order(subgraph: Subgraph, rng: np.random.Generator) -> Subgraph:
    ops = list(subgraph.ops)
    if ops and rng.random() < 0.5:
        ops.insert(int(rng.integers(0, len(ops) + 1)), _pick(subgraph.ops, rng))
    elif ops:
        del ops[rng.integers(0, len(ops))]
    rng.shuffle(ops)
    return replace(subgraph, ops=tuple(ops))


def _ends(subgraph: Subgraph, rng: np.random.Generator) -> Subgraph:
    """Other tensors go in or come out."""
    count = len(subgraph.tensors)
    indices = tuple(int(i) for i in rng.integers(0, count + 1, rng.integers(0, 4)))
    side = "inputs" if rng.random() < 0.5 else "outputs"
    return replace(subgraph, **{side: indices})


def _calls(graph: Graph, rng: np.random.Generator) -> Graph:
    """Call a subgraph, or list one twice."""
    subgraphs = list(graph.subgraphs)
    if rng.random() < 0.5:
        subgraphs.append(_pick(graph.subgraphs, rng))
    i = int(rng.integers(0, len(subgraphs)))
    target = {"init_subgraph_index": int(rng.integers(-1, len(subgraphs) + 1))}
    ops = (Op("CALL_ONCE", (), (), target), *subgraphs[i].ops)
    subgraphs[i] = replace(subgraphs[i], ops=ops)
    return replace(graph, subgraphs=tuple(subgraphs))


GRAPH_DAMAGE = (
    _of_a_tensor(_shape),
    _in_a_subgraph(_size_everywhere),
    _of_a_tensor(_dtype),
    _in_a_subgraph(_dtype_everywhere),
    _of_a_tensor(_quantization),
    _of_a_tensor(_values),
    _of_an_op(_wiring),
    _of_an_op(_options),
    _of_an_op(_options),
    _of_an_op(_other_op),
    _in_a_subgraph(_order),
    _in_a_subgraph(_ends),
    _calls,
)
