"""Which operators TFLite Micro refuses on uint8 tensors: what `resolver_of` says, all of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from minikws.graph import Graph, Subgraph, Tensor
from minikws.tflite import write_model
from minikws.tflite.resolver import resolver_of
from parity_tests.tflm_child import Refused, TFLiteMicro
from tests.tflite import tiny
from tests.tflite.every_op import every_op

pytest.importorskip("tflite_micro", reason="oracle absent: pip install 'minikws[parity]'")


def in_uint8(graph: Graph) -> Graph:
    """The same model, its int8 tensors uint8, the real values they stand for unchanged."""

    def changed(tensor: Tensor) -> Tensor:
        if tensor.dtype != "int8":
            return tensor
        zeros = tuple(zero + 128 for zero in tensor.zero_point)
        data = None if tensor.data is None else (tensor.data.view(np.uint8) ^ np.uint8(128))
        return replace(tensor, dtype="uint8", zero_point=zeros, data=data)

    def all_of(subgraph: Subgraph) -> Subgraph:
        return replace(subgraph, tensors=tuple(changed(tensor) for tensor in subgraph.tensors))

    return replace(graph, subgraphs=tuple(all_of(subgraph) for subgraph in graph.subgraphs))


def pair(name: str, x: str, y: str) -> Graph:
    """One value in, one value out, of two types."""
    tensors = [Tensor("x", (1, 4), x), Tensor("y", (1, 4), y)]
    quantized = [
        t if t.dtype == "float32" else replace(t, scale=(0.5,), zero_point=(0,)) for t in tensors
    ]
    return tiny.operator(name, [quantized[0]], quantized[1])


MODELS = {
    **every_op(),
    "into uint8": pair("QUANTIZE", "int8", "uint8"),
    "out of uint8": pair("QUANTIZE", "uint8", "int8"),
    "real": pair("DEQUANTIZE", "uint8", "float32"),
}


@pytest.mark.parametrize("name", MODELS)
def test_tflite_micro_refuses_what_the_resolver_says(name: str, oracle: TFLiteMicro) -> None:
    graph = in_uint8(MODELS[name])
    inputs = tuple(
        np.zeros(tensor.shape, tensor.dtype)
        for tensor in (graph.main.tensors[i] for i in graph.main.inputs)
    )
    try:
        oracle.run(write_model(graph), [inputs], outputs=len(graph.main.outputs))
        refused = False
    except Refused:
        refused = True
    assert refused == bool(resolver_of(graph).refused)
