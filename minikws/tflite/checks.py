"""What must hold in every graph, whoever made it: indices, order, sizes, quantization.

In comes a `Graph` that a file or the converter gave; nothing comes out, or a `ModelFileError`
that says which tensor or operator is wrong. Reader, writer and interpreter call it, so that
what lies behind them may trust the graph. What only one operator demands is checked where
that operator is prepared.
"""

from __future__ import annotations

import math

import numpy as np

from minikws.errors import ModelFileError
from minikws.graph import Graph, Op, Subgraph, Tensor
from minikws.tflite.schema import (
    MAX_TENSOR_BYTES,
    OPAQUE_TYPES,
    TENSOR_TYPES,
    complete_options,
    n_bytes_of,
)

MAX_RANK = 6
MAX_SUBGRAPHS = 100
OFFLINE_PLAN = "OfflineMemoryAllocation"
MAX_TENSORS = 2048  # of all subgraphs; keyword models have less than two hundred
ADVICE = "export the model again"


def describe(op: Op, index: int, subgraph: Subgraph, name: str) -> str:
    """Return how messages name an operator: "op 3 of 7 (CONV_2D) in m.tflite"."""
    return f"op {index + 1} of {len(subgraph.ops)} ({op.name}) in {name}"


def short(text: str, length: int = 60) -> str:
    """Return a part of a message, cut where a damaged file makes it long."""
    return text if len(text) <= length else f"{text[:length]}..."


def check_graph(graph: Graph, name: str = "the model") -> None:
    """Check a whole graph.

    Parameters
    ----------
    graph : what a file or the converter gave.
    name : how messages call it, a file name or "the model".

    Raises
    ------
    ModelFileError : the first thing that cannot be.
    """
    if not 1 <= len(graph.subgraphs) <= MAX_SUBGRAPHS:
        raise ModelFileError(
            f"{name} holds {len(graph.subgraphs)} subgraphs, expected 1 to {MAX_SUBGRAPHS}; "
            f"{ADVICE}"
        )
    n_tensors = sum(len(subgraph.tensors) for subgraph in graph.subgraphs)
    if n_tensors > MAX_TENSORS:
        raise ModelFileError(
            f"{name} holds {n_tensors} tensors, expected up to {MAX_TENSORS}; "
            "export a smaller model"
        )
    for index, subgraph in enumerate(graph.subgraphs):
        part = name if index == 0 else f"subgraph {index} of {name}"
        owners = _owners(subgraph, part)
        for i, tensor in enumerate(subgraph.tensors):
            _check_tensor(tensor, f"tensor {i} ({short(tensor.name)!r}) of {owners.get(i, part)}")
        _check_order(subgraph, part)
        for i, op in enumerate(subgraph.ops):
            complete_options(op, describe(op, i, subgraph, part))
    _check_calls(graph, name)
    _check_signature(graph, name)
    offline_offsets(graph, name)


def _owners(subgraph: Subgraph, part: str) -> dict[int, str]:
    """Return for each tensor how messages name the first operator that has it."""
    owners: dict[int, str] = {}
    for i, op in enumerate(subgraph.ops):
        what = describe(op, i, subgraph, part)
        for index in (*op.inputs, *op.outputs):
            owners.setdefault(index, what)
    return owners


def _check_tensor(tensor: Tensor, what: str) -> None:
    if tensor.dtype not in TENSOR_TYPES:
        raise ModelFileError(f"{what} has the unknown type {tensor.dtype!r}; {ADVICE}")
    if len(tensor.shape) > MAX_RANK or min(tensor.shape, default=0) < 0:
        raise ModelFileError(
            f"{what} has the shape {tensor.shape}, expected up to {MAX_RANK} dimensions of 0 or "
            "more; export it with fixed sizes"
        )
    # An array without values must have sizes that multiply, too: NumPy refuses others.
    if n_bytes_of(tensor.dtype, tuple(max(size, 1) for size in tensor.shape)) > MAX_TENSOR_BYTES:
        raise ModelFileError(
            f"{what} has the shape {tensor.shape} of {tensor.dtype}, expected up to "
            f"{MAX_TENSOR_BYTES} bytes; {ADVICE}"
        )
    if tensor.data is not None:
        if tensor.is_variable:
            raise ModelFileError(f"{what} is a variable and a constant; {ADVICE}")
        stored = "int8" if tensor.dtype == "int4" else tensor.dtype
        if (
            tensor.dtype in OPAQUE_TYPES
            or tensor.data.shape != tensor.shape
            or tensor.data.dtype != np.dtype(stored)
        ):
            raise ModelFileError(
                f"{what} is {tensor.dtype} {tensor.shape}, its constant is {tensor.data.dtype} "
                f"{tensor.data.shape}; {ADVICE}"
            )
    _check_quantization(tensor, what)


def _check_quantization(tensor: Tensor, what: str) -> None:
    scales, zero_points = tensor.scale, tensor.zero_point
    if len(scales) != len(zero_points):
        raise ModelFileError(
            f"{what} has {len(scales)} scales and {len(zero_points)} zero points, expected as "
            f"many of each; {ADVICE}"
        )
    if not scales:
        return
    bad = [scale for scale in scales if not (math.isfinite(scale) and scale > 0)]
    if bad:
        raise ModelFileError(f"{what} has the scale {bad[0]}, expected one above 0; {ADVICE}")
    if len(scales) > 1 and not (
        0 <= tensor.axis < len(tensor.shape) and tensor.shape[tensor.axis] == len(scales)
    ):
        raise ModelFileError(
            f"{what} has {len(scales)} scales along dimension {tensor.axis} of the shape "
            f"{tensor.shape}, expected 1 or one for each index; {ADVICE}"
        )
    if tensor.dtype in ("int8", "uint8", "int16", "int32"):
        limits = np.iinfo(tensor.dtype)
        outside = [z for z in zero_points if not limits.min <= z <= limits.max]
        if outside:
            raise ModelFileError(
                f"{what} has the zero point {outside[0]}, expected {limits.min} to {limits.max} "
                f"for {tensor.dtype}; {ADVICE}"
            )


def _check_order(subgraph: Subgraph, part: str) -> None:
    """Check that indices are in range and every tensor is made once, before it is used."""
    count = len(subgraph.tensors)

    def in_range(index: int, what: str) -> None:
        if not 0 <= index < count:
            raise ModelFileError(
                f"{what} is tensor {index}, {part} has {count}, expected 0 to {count - 1}; {ADVICE}"
            )

    def named(index: int) -> str:
        return f"{index} ({short(subgraph.tensors[index].name)!r})"

    # A tensor without values needs no buffer: a file cannot say whether it is a constant.
    empty = {i for i, tensor in enumerate(subgraph.tensors) if 0 in tensor.shape}
    ready = empty | {
        i
        for i, tensor in enumerate(subgraph.tensors)
        if tensor.data is not None or tensor.is_variable
    }
    for index in subgraph.inputs:
        in_range(index, f"an input of {part}")
        if index in ready and index not in empty:
            raise ModelFileError(
                f"input tensor {named(index)} of {part} is a constant, a variable or listed "
                f"twice, expected a tensor of its own; {ADVICE}"
            )
        ready.add(index)
    for i, op in enumerate(subgraph.ops):
        what = describe(op, i, subgraph, part)
        for index in op.inputs:
            if index == -1:
                continue
            in_range(index, f"an input of {what}")
            if index not in ready:
                maker = next((n for n, o in enumerate(subgraph.ops) if index in o.outputs), None)
                made = "no operator computes it" if maker is None else f"op {maker + 1} computes it"
                raise ModelFileError(
                    f"{what} uses tensor {named(index)} before it is computed ({made}), expected "
                    f"operators in the order they run; {ADVICE}"
                )
        for index in op.outputs:
            in_range(index, f"an output of {what}")
            if index in ready and index not in empty:
                raise ModelFileError(
                    f"{what} writes tensor {named(index)}, which is an input, a constant or "
                    f"already computed, expected a tensor of its own; {ADVICE}"
                )
            ready.add(index)
    computed = {index for op in subgraph.ops for index in op.outputs} | set(subgraph.inputs)
    for index in subgraph.outputs:
        in_range(index, f"an output of {part}")
        no_values = subgraph.tensors[index].data is None and not subgraph.tensors[index].is_variable
        if index not in ready or (no_values and index not in computed):
            raise ModelFileError(
                f"output tensor {named(index)} of {part} is computed by no operator; {ADVICE}"
            )


def _check_calls(graph: Graph, name: str) -> None:
    """Check that CALL_ONCE names subgraphs that exist and never calls in a circle."""
    calls: list[list[int]] = []
    for subgraph in graph.subgraphs:
        calls.append([])
        for i, op in enumerate(subgraph.ops):
            if op.name != "CALL_ONCE" or op.custom:
                continue
            target = complete_options(op, op.name)["init_subgraph_index"]
            assert isinstance(target, int)
            if not 0 <= target < len(graph.subgraphs):
                raise ModelFileError(
                    f"{describe(op, i, subgraph, name)} calls subgraph {target}, there are "
                    f"{len(graph.subgraphs)}; {ADVICE}"
                )
            called = graph.subgraphs[target]
            if called.inputs or called.outputs:
                raise ModelFileError(
                    f"{describe(op, i, subgraph, name)} calls subgraph {target} with "
                    f"{len(called.inputs)} inputs and {len(called.outputs)} outputs, expected "
                    f"none; {ADVICE}"
                )
            calls[-1].append(target)
    # Take away subgraphs that call nothing that is left; a cycle never becomes empty.
    waiting = set(range(len(calls)))
    while waiting:
        free = {i for i in waiting if not waiting.intersection(calls[i])}
        if not free:
            raise ModelFileError(f"the subgraphs of {name} call each other in a circle; {ADVICE}")
        waiting -= free


def _check_signature(graph: Graph, name: str) -> None:
    if graph.signature is None:
        return
    for side, indices in (("inputs", graph.main.inputs), ("outputs", graph.main.outputs)):
        for key, index in graph.signature.get(side, {}).items():
            if index not in indices:
                raise ModelFileError(
                    f"the signature of {name} names {short(key)!r} as tensor {index} among the "
                    f"{side}, which are {short(str(list(indices)))}; {ADVICE}"
                )


def offline_offsets(graph: Graph, name: str = "the model") -> dict[int, list[int]]:
    """Return subgraph -> arena offset of each tensor (-1: planned here), from the metadata.

    Raises
    ------
    ModelFileError : a list that does not fit the graph.
    """
    stored = graph.metadata.get(OFFLINE_PLAN)
    if stored is None:
        return {}
    if len(stored) < 12 or len(stored) % 4:
        raise ModelFileError(
            f"the offline memory plan of {name} has {len(stored)} bytes, expected 12 and 4 for "
            f"each tensor; {ADVICE}"
        )
    words = [
        int.from_bytes(stored[i : i + 4], "little", signed=True) for i in range(0, len(stored), 4)
    ]
    _, subgraph, count = words[:3]
    n_tensors = (
        len(graph.subgraphs[subgraph].tensors) if 0 <= subgraph < len(graph.subgraphs) else -1
    )
    if count != n_tensors or len(words) != 3 + count or min(words[3:], default=0) < -1:
        raise ModelFileError(
            f"the offline memory plan of {name} is for {count} tensors of subgraph {subgraph}, "
            f"expected one offset of -1 or more for each tensor there; {ADVICE}"
        )
    return {subgraph: words[3:]}
