"""What a network costs, layer by layer: parameters, multiply-adds, bytes, and bytes in int8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from minikws.nn import Layer, Network
from minikws.nn.layers import Sequential, Shape


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One layer: the shape of one clip's output, and what it takes.

    bytes : of the weights in float32, moving averages included.
    int8_bytes : of a weight 1 (an SVDF's in time 2), of a bias 4; batch norm is folded away.
    """

    name: str
    layer: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    bytes: int
    int8_bytes: int


def costs(network: Network) -> list[Cost]:
    """Return what each single layer costs, those in chains and branches too.

    >>> import numpy as np
    >>> from minikws.models import build
    >>> rng = np.random.default_rng(0)
    >>> network = build("single_fc", input_shape=(49, 40), n_labels=4, rng=rng)
    >>> [(cost.name, cost.parameters) for cost in costs(network)][-1]
    ('final_fc', 7844)
    """
    return [
        Cost(
            name=name,
            layer=repr(layer),
            output=layer.output_shape(shape),
            parameters=layer.n_parameters,
            multiply_adds=layer.multiply_adds(shape),
            bytes=4 * sum(a.size for a in (layer.params | layer.buffers).values()),
            int8_bytes=_int8_bytes(layer, layer.output_shape(shape)),
        )
        for name, layer, shape in _walk(network.layers, network.input_shape)
    ]


def _walk(layers: Sequence[tuple[str, Layer]], shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
    """Yield (name, layer, shape into it) of every single layer."""
    for name, layer in layers:
        inner = [(f"{name}.{part}", child) for part, child in layer.children()]
        if isinstance(layer, Sequential):
            yield from _walk(inner, shape)
        elif inner:  # ways side by side: the same shape goes into each
            for way in inner:
                yield from _walk([way], shape)
        else:
            yield name, layer, shape
        shape = layer.output_shape(shape)


def _int8_bytes(layer: Layer, output: Shape) -> int:
    """Estimate what a layer's weights take in an int8 file."""
    weights = {name: p.size for name, p in layer.params.items() if p.ndim > 1}
    if not weights:
        return 0
    biases = sum(p.size for p in layer.params.values() if p.ndim == 1) or output[-1]
    return sum(n * (2 if name == "weights_time" else 1) for name, n in weights.items()) + 4 * biases
