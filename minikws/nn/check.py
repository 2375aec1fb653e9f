"""Prove a gradient: compare backward with central differences of forward, in float64.

For your own layer: `gradient_errors(MyLayer(…, dtype=np.float64), x)` gives one number for the
input and one for each parameter; below 1e-6 the formulas agree.
"""

from __future__ import annotations

import numpy as np

from minikws._typing import Float, Float64
from minikws.errors import SettingsError
from minikws.nn.layers import Layer


def gradient_errors(
    layer: Layer,
    x: Float64,
    *,
    step: float = 1e-5,
    n_points: int = 100,
    training: bool = False,
    rng: np.random.Generator | None = None,
) -> dict[str, float]:
    """Compare a layer's gradients with central differences of a random mix of its outputs.

    loss = sum(r * forward(x)) with random r; numeric = (loss(v + step) - loss(v - step)) / 2 step
    for single values v, at most `n_points` a tensor, chosen at random.

    Parameters
    ----------
    layer : with float64 parameters.
    x : (B, …) float64. Keep values of a ReLU's input away from 0, where it has no derivative.
    training : which form of forward to check; of a layer without dropout, whose masks change.

    Returns
    -------
    {"x": error, parameter name: error}; error = largest difference over the largest gradient.

    Raises
    ------
    SettingsError : something is not float64, where differences would drown in rounding.
    """
    rng = rng or np.random.default_rng(0)
    tensors = {"x": x, **layer.params}
    for name, tensor in tensors.items():
        if tensor.dtype != np.float64:
            raise SettingsError(
                f"{name} is {tensor.dtype}, a gradient check needs float64; pass dtype=np.float64"
            )
    x = tensors["x"] = x.copy()

    def forward() -> Float:
        return layer.forward(x, training=training)

    mix = rng.standard_normal(forward().shape)
    gradients = {"x": layer.backward(mix), **layer.grads}

    errors = {}
    for name, tensor in tensors.items():
        flat = rng.permutation(tensor.size)[:n_points]
        where = np.unravel_index(flat, tensor.shape)
        numeric = np.empty(flat.size)
        for i, index in enumerate(zip(*where, strict=True)):
            value = tensor[index]
            tensor[index] = value + step
            above = np.sum(mix * forward())
            tensor[index] = value - step
            below = np.sum(mix * forward())
            tensor[index] = value
            numeric[i] = (above - below) / (2 * step)
        largest = max(np.abs(numeric).max(), np.abs(gradients[name]).max(), 1e-12)
        errors[name] = float(np.abs(numeric - gradients[name][where]).max() / largest)
    return errors
