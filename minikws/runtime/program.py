"""The operators of one subgraph, prepared; and what all subgraphs of a model share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from minikws._typing import Array
from minikws.errors import ModelFileError, UnsupportedOpError
from minikws.graph import Graph, Tensor
from minikws.runtime.node import NOT_HELD, Kernel, Node, Shared
from minikws.runtime.uint8 import moved
from minikws.tflite.checks import short
from minikws.tflite.schema import CUSTOM_OPTIONS


class Step(NamedTuple):
    """A prepared operator: its code, its state, and the tensors it reads and writes."""

    kernel: Kernel
    state: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def run(self, values: Sequence[Array | None]) -> tuple[Array, ...]:
        """Compute the outputs from the values of all tensors."""
        arrays = [None if i == -1 else values[i] for i in self.inputs]
        return self.kernel.evaluate(self.state, arrays)


class Program:
    """One subgraph that is ready to run.

    steps : its operators in order.
    held : what stays between runs: constants, and variable tensors, which operators change.
    """

    def __init__(
        self, graph: Graph, index: int, ops: Mapping[str, Kernel], shared: Shared, name: str
    ) -> None:
        self.subgraph = subgraph = graph.subgraphs[index]
        for i, op in enumerate(subgraph.ops):
            if op.name not in ops or op.custom != (op.name in CUSTOM_OPTIONS):
                raise UnsupportedOpError(
                    f"op {i + 1} of {len(subgraph.ops)} in {name} is {op.name}, which minikws "
                    f"does not run; it runs {', '.join(ops)}"
                )
        for i, tensor in enumerate(subgraph.tensors):
            if (tensor.is_variable or i in subgraph.inputs) and tensor.dtype in NOT_HELD:
                raise ModelFileError(
                    f"tensor {i} ({short(tensor.name)!r}) of {name} is an input or a variable of "
                    f"type {tensor.dtype}, which minikws does not hold; convert the model with "
                    "int8 or float32 inputs"
                )
        self.steps = []
        for i, op in enumerate(subgraph.ops):
            node, kernel = moved(Node.of(subgraph, i, name, shared, index), ops[op.name])
            self.steps.append(Step(kernel, kernel.prepare(node), op.inputs, op.outputs))
        self.held: list[Array | None] = [
            _fresh(tensor) if _is_there(tensor) else tensor.data for tensor in subgraph.tensors
        ]

    def run(self, inputs: Sequence[Array]) -> list[Array | None]:
        """Run every operator and return the values of all tensors."""
        values = list(self.held)
        for index, array in zip(self.subgraph.inputs, inputs, strict=True):
            values[index] = array
        for step in self.steps:
            for i, array in zip(step.outputs, step.run(values), strict=True):
                values[i] = array
        return values

    def time_steps(self, values: list[Array | None]) -> list[float]:
        """Run each operator on the values of the last run; return their seconds."""
        times = []
        for step in self.steps:
            start = perf_counter()
            step.run(values)
            times.append(perf_counter() - start)
        return times

    def reset(self) -> None:
        """Give variable tensors their first values again."""
        for tensor, array in zip(self.subgraph.tensors, self.held, strict=True):
            if tensor.is_variable and array is not None:
                array[...] = _fresh(tensor)


def _is_there(tensor: Tensor) -> bool:
    """Whether a tensor needs no operator: a variable, or one that holds no values."""
    return tensor.is_variable or (0 in tensor.shape and tensor.dtype not in NOT_HELD)


def _fresh(tensor: Tensor) -> Array:
    """Return a variable's first values: the zero point of int8, else 0."""
    fill = tensor.zero_point[0] if tensor.dtype == "int8" and tensor.zero_point else 0
    return np.full(tensor.shape, fill, tensor.dtype)
