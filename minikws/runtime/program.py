"""The operators of one subgraph, prepared; and what all subgraphs of a model share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minikws._typing import Array
from minikws.errors import UnsupportedOpError
from minikws.graph import Graph, Tensor
from minikws.runtime.node import Kernel, Node, Shared


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
            if op.custom or op.name not in ops:
                raise UnsupportedOpError(
                    f"op {i + 1} of {len(subgraph.ops)} in {name} is {op.name}, which minikws "
                    f"does not run; it runs {', '.join(ops)}"
                )
        self.steps = []
        for i, op in enumerate(subgraph.ops):
            node = Node.of(subgraph, i, name, shared, index)
            self.steps.append(Step(ops[op.name], ops[op.name].prepare(node), op.inputs, op.outputs))
        self.held: list[Array | None] = [
            _fresh(tensor) if tensor.is_variable else tensor.data for tensor in subgraph.tensors
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

    def reset(self) -> None:
        """Give variable tensors their first values again."""
        for tensor, array in zip(self.subgraph.tensors, self.held, strict=True):
            if tensor.is_variable and array is not None:
                array[...] = _fresh(tensor)


def _fresh(tensor: Tensor) -> Array:
    """Return a variable's first values: the zero point of int8, else 0."""
    fill = tensor.zero_point[0] if tensor.dtype == "int8" and tensor.zero_point else 0
    return np.full(tensor.shape, fill, tensor.dtype)
