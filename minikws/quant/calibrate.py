"""How large do values get? Run real features through a network and note every layer's range.

In come a trained network and training features; out comes the smallest and the largest value of
the input and of each layer's output, or a histogram between the two, of which `quant.ranges` says
what 8 bits shall hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from minikws._typing import Features, Float, Float64, Int64
from minikws.errors import SettingsError
from minikws.nn import Layer, Network
from minikws.nn.layers import AttentionPool, Residual, Sequential

Range = tuple[float, float]

INPUT = "features"  # name of the network's input among the ranges
BLOCK = 100
N_BINS = 2048  # eight to each of the 255 steps


@dataclass(frozen=True)
class Histogram:
    """How often values fall into `N_BINS` equal parts of a range: counts (N_BINS,) int64."""

    range: Range
    counts: Int64

    @property
    def centers(self) -> Float64:
        """The middle of each part, (N_BINS,)."""
        low, high = self.range
        step = (high - low) / len(self.counts)
        return low + step * np.arange(0.5, len(self.counts), dtype=np.float64)


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
    for name, values in _activations(network, features):
        _widen(ranges, name, values)
    for name, (low, high) in ranges.items():
        if not np.isfinite([low, high]).all():
            raise SettingsError(
                f"{name} reaches from {low} to {high} in calibration, finite numbers are needed; "
                "train again with a lower learning rate"
            )
    return ranges


def observe_histograms(network: Network, features: Features) -> dict[str, Histogram]:
    """Return how the values of the input and of each layer are spread over their range.

    Parameters and errors are those of `observe_ranges`; the features go through the network twice.
    """
    ranges = observe_ranges(network, features)
    counts = {name: np.zeros(N_BINS, np.int64) for name in ranges}
    for name, values in _activations(network, features):
        counts[name] += np.histogram(values, bins=N_BINS, range=ranges[name])[0]
    return {name: Histogram(range_, counts[name]) for name, range_ in ranges.items()}


def _activations(network: Network, features: Features) -> Iterator[tuple[str, Float]]:
    """Yield input and outputs by name, a block of clips after the other."""
    network.predict(features[:1])  # says what is wrong with their shape
    for start in range(0, len(features), BLOCK):
        x: Float = features[start : start + BLOCK]
        yield INPUT, x
        for name, layer in network.layers:
            for part, values in _outputs(name, layer, x):
                yield part, values
            x = values


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
