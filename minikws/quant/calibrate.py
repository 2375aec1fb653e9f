"""How large do values get? Run real features through a network and note every layer's range.

In come a trained network and training features; out comes the smallest and the largest value of
the input and of each layer's output, from which `quant.convert` picks scales and zero points.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minikws._typing import Features, Float
from minikws.errors import SettingsError
from minikws.nn import Layer, Network
from minikws.nn.layers import AttentionPool, Residual, Sequential

Range = tuple[float, float]

INPUT = "features"  # name of the network's input among the ranges
BLOCK = 100


def observe_ranges(network: Network, features: Features) -> dict[str, Range]:
    """Return {"features" or layer name: (smallest, largest value)}, 0 always inside.

    Parts of a composite layer are named "layer.part", an attention's gate "layer.gate".

    Parameters
    ----------
    features : (n, T, F) real training features, some hundreds.

    Raises
    ------
    SettingsError : no features, or values that are not finite.
    ShapeError : features of another size than the network's.
    """
    if len(features) == 0:
        raise SettingsError(
            "calibration needs features of some hundred training clips, found none; "
            "give the run's calibration features"
        )
    ranges: dict[str, Range] = {}
    network.predict(features[:1])  # says what is wrong with their shape
    for start in range(0, len(features), BLOCK):
        block = features[start : start + BLOCK]
        _widen(ranges, INPUT, block)
        x = block
        for name, layer in network.layers:
            for part, values in _outputs(name, layer, x):
                _widen(ranges, part, values)
            x = values
    for name, (low, high) in ranges.items():
        if not np.isfinite([low, high]).all():
            raise SettingsError(
                f"{name} reaches from {low} to {high} in calibration, finite numbers are needed; "
                "train again with a lower learning rate"
            )
    return ranges


def _outputs(name: str, layer: Layer, x: Float) -> Iterator[tuple[str, Float]]:
    """Yield the outputs of a layer's parts as "layer.part", and last the layer's own."""
    if isinstance(layer, Sequential):
        for part, inner in layer.children():
            for path, values in _outputs(f"{name}.{part}", inner, x):
                yield path, values
            x = values
        yield name, x
        return
    if isinstance(layer, Residual):
        for part, inner in layer.children():
            yield from _outputs(f"{name}.{part}", inner, x)
    if isinstance(layer, AttentionPool):
        yield f"{name}.gate", layer.scores(x)
    yield name, layer.forward(x)


def _widen(ranges: dict[str, Range], name: str, values: Float) -> None:
    low, high = ranges.get(name, (0.0, 0.0))
    # np.minimum keeps a NaN, Python's min may lose it
    ranges[name] = (
        float(np.minimum(low, values.min())),
        float(np.maximum(high, values.max())),
    )
