"""What running a graph takes, known before anything is made: memory and work, within bounds.

A damaged file may ask for an activation of a gigabyte, or a kernel that reaches over millions
of values; NumPy would try. In come shapes and options, of which nothing is run; out comes
nothing, or a `ModelFileError` that names the operator. The bounds lie far above any keyword
model, and so low that a process stays below 256 MB and a run below a second.
"""

from __future__ import annotations

import math

from minikws.errors import ModelFileError
from minikws.graph import Graph, Op, Subgraph, Tensor
from minikws.runtime.summary import multiply_adds
from minikws.tflite.checks import describe, short
from minikws.tflite.schema import n_bytes_of

MAX_BYTES = 2**27  # all activations, and what the hungriest operator needs beside them
MAX_STEPS = 2**32  # about a second: a step is one product of a matrix product

# Integer operators scale in int64, with several arrays of it alive; float32 keeps its width.
_BYTES_OF_INTEGER, _BYTES_OF_FLOAT = 64, 24
_BYTES_OF_PATCH = 8  # an input value as a convolution's column, float64
_STEPS_OF_VALUE, _STEPS_OF_TAP = 128, 16
_KERNELS = ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D")


def check_limits(graph: Graph, name: str = "the model") -> None:
    """Refuse a graph whose run would take too much.

    Parameters
    ----------
    graph : checked by `minikws.tflite.check_graph`.
    name : how messages call it, a file name or "the model".

    Raises
    ------
    ModelFileError : more than `MAX_BYTES` of memory or `MAX_STEPS` of work.
    """
    computed = [t for s in graph.subgraphs for t in s.tensors if t.data is None]
    kept = sum(n_bytes_of(tensor.dtype, tensor.shape) for tensor in computed)
    if kept > MAX_BYTES:
        largest = max(computed, key=lambda tensor: n_bytes_of(tensor.dtype, tensor.shape))
        raise ModelFileError(
            f"the activations of {name} take {kept} bytes, the largest, {short(largest.name)!r} "
            f"{largest.dtype} {largest.shape}, {n_bytes_of(largest.dtype, largest.shape)}, "
            f"expected up to {MAX_BYTES} for all; export a smaller model"
        )
    steps = 0
    for index, subgraph in enumerate(graph.subgraphs):
        part = name if index == 0 else f"subgraph {index} of {name}"
        for i, op in enumerate(subgraph.ops):
            n_bytes, n_steps = cost(op, subgraph)
            steps += n_steps
            if kept + n_bytes > MAX_BYTES or steps > MAX_STEPS:
                found = (
                    f"{n_bytes} bytes of memory beside {kept} for activations, expected up to "
                    f"{MAX_BYTES} in all"
                    if kept + n_bytes > MAX_BYTES
                    else f"{n_steps} steps of work, {steps} so far, expected up to {MAX_STEPS}"
                )
                shapes = ", ".join(
                    f"{short(t.name)!r} {t.shape}" for t in _tensors(op, subgraph)[:4]
                )
                raise ModelFileError(
                    f"{describe(op, i, subgraph, part)} on {shapes} would take about {found}; "
                    "export a smaller model"
                )


def cost(op: Op, subgraph: Subgraph) -> tuple[int, int]:
    """Return what one operator takes at most: bytes beside its tensors, steps of work."""
    tensors = _tensors(op, subgraph)
    n_values = sum(math.prod(tensor.shape) for tensor in tensors)
    a_value = (
        _BYTES_OF_FLOAT
        if all(t.dtype == "float32" or t.data is not None for t in tensors)
        else _BYTES_OF_INTEGER
    )
    n_bytes, n_steps = a_value * n_values, _STEPS_OF_VALUE * n_values
    if op.name in _KERNELS and op.inputs and op.outputs:
        patch_values, taps = _patches(op, subgraph)
        n_bytes += _BYTES_OF_PATCH * patch_values
        n_steps += (1 if op.name == "CONV_2D" else _STEPS_OF_TAP) * taps
    else:
        n_steps += multiply_adds(op, subgraph)
    return n_bytes, n_steps


def _tensors(op: Op, subgraph: Subgraph) -> list[Tensor]:
    return [subgraph.tensors[i] for i in (*op.inputs, *op.outputs) if i != -1]


def _patches(op: Op, subgraph: Subgraph) -> tuple[int, int]:
    """Return how many values a kernel's padded input and columns hold, and how many it adds."""
    x, y = subgraph.tensors[op.inputs[0]], subgraph.tensors[op.outputs[0]]
    kernel: tuple[int, ...]
    if op.name.endswith("POOL_2D"):
        kernel = (_number(op, "filter_height"), _number(op, "filter_width"))
    else:
        weights = subgraph.tensors[op.inputs[1]].shape if len(op.inputs) > 1 else ()
        kernel = weights[1:3] if len(weights) == 4 else ()
    if len(kernel) != 2 or len(x.shape) != 4 or len(y.shape) != 4:
        return 0, 0  # refused where the operator is prepared
    padded = x.shape[0] * x.shape[3]
    for axis, letter in enumerate("hw"):
        reach = (kernel[axis] - 1) * _number(op, f"dilation_{letter}_factor") + 1
        span = (y.shape[1 + axis] - 1) * _number(op, f"stride_{letter}") + reach
        padded *= max(x.shape[1 + axis], span)
    positions = y.shape[0] * y.shape[1] * y.shape[2] * math.prod(kernel)
    if op.name == "CONV_2D":
        return padded + positions * x.shape[3], multiply_adds(op, subgraph)
    columns = positions if x.shape[3] == 1 and op.name == "DEPTHWISE_CONV_2D" else 0
    return padded + columns, positions * y.shape[3]


def _number(op: Op, option: str) -> int:
    value = op.options.get(option, 1)
    assert isinstance(value, int)
    return max(value, 1)
