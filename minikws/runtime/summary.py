"""What a graph costs: multiply-adds, parameters and bytes, operator by operator.

In comes a graph, of which nothing is run; out come counts that hold for any runtime. A
multiply-add is one product added to one sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from minikws.graph import Graph, Op, Subgraph
from minikws.tflite.schema import n_bytes_of

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "SVDF")


@dataclass(frozen=True)
class OpSummary:
    """One operator: its name, output shape, cost.

    parameters : values of its constant weights and biases.
    parameter_bytes : what they take in the file.
    """

    name: str
    output_shape: tuple[int, ...]
    multiply_adds: int
    parameters: int
    parameter_bytes: int


@dataclass(frozen=True)
class Summary:
    """All operators of the main subgraph; weights that two of them share count once."""

    ops: tuple[OpSummary, ...]

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one run."""
        return sum(op.multiply_adds for op in self.ops)

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum(op.parameters for op in self.ops)


def summarize(graph: Graph) -> Summary:
    """Count the cost of a graph's main subgraph."""
    main = graph.main
    counted: set[int] = set()
    rows: list[OpSummary] = []
    for op in main.ops:
        own = [
            i
            for i in op.inputs[1:]
            if op.name in _WEIGHTED
            and i >= 0
            and i not in counted
            and main.tensors[i].data is not None
        ]
        counted.update(own)
        tensors = [main.tensors[i] for i in own]
        rows.append(
            OpSummary(
                name=op.name,
                output_shape=main.tensors[op.outputs[0]].shape if op.outputs else (),
                multiply_adds=multiply_adds(op, main),
                parameters=sum(math.prod(tensor.shape) for tensor in tensors),
                parameter_bytes=sum(n_bytes_of(t.dtype, t.shape) for t in tensors),
            )
        )
    return Summary(tuple(rows))


def multiply_adds(op: Op, subgraph: Subgraph) -> int:
    """Return the multiply-adds of one operator; 0 for those that only move or scale values."""
    if op.name not in _WEIGHTED or len(op.inputs) < 2 or not op.outputs or op.inputs[1] == -1:
        return 0
    weights = subgraph.tensors[op.inputs[1]].shape
    outputs = math.prod(subgraph.tensors[op.outputs[0]].shape)
    if op.name == "SVDF":
        both = [subgraph.tensors[i].shape for i in op.inputs[1:3] if i != -1]
        batch = subgraph.tensors[op.inputs[0]].shape[:1]
        return math.prod(batch) * sum(math.prod(shape) for shape in both)
    if op.name == "DEPTHWISE_CONV_2D":
        return outputs * math.prod(weights[:-1])
    return outputs * math.prod(weights[1:])  # a patch, or a row, for each output
