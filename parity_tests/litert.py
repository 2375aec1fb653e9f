"""LiteRT's reference kernels, every tensor kept: the oracle of uint8, which TFLM refuses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from minikws.graph import Graph
from minikws.runtime import Interpreter
from minikws.runtime.reference_child import make_runtime
from minikws.tflite import write_model

litert = pytest.importorskip(
    "ai_edge_litert.interpreter", reason="oracle absent: pip install 'minikws[parity]'"
)


class LiteRT:
    """A model in the reference kernels: no delegate, and nothing but plain C++ loops.

    In this process, unlike `runtime.references`: thousands of small models are asked.
    """

    def __init__(self, model: bytes) -> None:
        self._runtime = make_runtime("litert-reference")
        self._runtime.load(model, n_outputs=0, arena_bytes=0, keep_tensors=True)

    def run(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """Return the outputs."""
        return self._runtime.invoke(arrays)

    def tensor(self, index: int) -> np.ndarray:
        """Return a tensor of the last run."""
        return self._runtime.tensor(index)


def assert_equal(graph: Graph, arrays: Sequence[tuple[np.ndarray, ...]]) -> None:
    """Run both on each tuple of inputs and compare all outputs."""
    model = write_model(graph)
    theirs, ours = LiteRT(model), Interpreter(model)
    names = [graph.main.tensors[i].name for i in graph.main.inputs]
    for inputs in arrays:
        found = ours.run(dict(zip(names, inputs, strict=True))).values()
        for mine, expected in zip(found, theirs.run(*inputs), strict=True):
            assert mine.dtype == expected.dtype
            np.testing.assert_array_equal(mine.ravel(), expected.ravel())


def assert_every_tensor_equal(model: bytes, inputs: Sequence[np.ndarray]) -> None:
    """Run both on each input of a model with one, and compare every computed tensor."""
    theirs, ours = LiteRT(model), Interpreter(model)
    computed = [i for i, tensor in enumerate(ours.graph.main.tensors) if tensor.data is None]
    for x in inputs:
        ours.invoke(x)
        theirs.run(x)
        for index in computed:
            np.testing.assert_array_equal(
                ours.tensor(index).ravel(),
                theirs.tensor(index).ravel(),
                err_msg=ours.graph.main.tensors[index].name,
            )
