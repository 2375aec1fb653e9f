"""Fold a batch normalisation into the layer before it: a file knows no normalisation.

With the stored statistics it multiplies each channel and adds to it, which the weights and biases
of the convolution or dense layer before it can do themselves, at no cost.
"""

from __future__ import annotations

import numpy as np

from minikws._typing import Float
from minikws.errors import ShapeError
from minikws.nn import BatchNorm


def folded(w: Float, b: Float | None, norm: BatchNorm) -> tuple[Float, Float]:
    """Return weights and biases that do what the layer and its normalisation do in inference.

    scale = gamma / sqrt(variance + epsilon), one number an output channel
    w' = w * scale;  b' = (b - mean) * scale + beta

    Parameters
    ----------
    w : (…, C_in, C_out) of a convolution, (N, M) of a dense layer, or (…, C, M) of a depthwise
        convolution, whose output channels are the C * M pairs.
    b : (n_channels,), or None for 0.
    norm : the normalisation right after that layer.

    Returns
    -------
    new w and b, w's dtype; computed in float64.

    Raises
    ------
    ShapeError : the normalisation has another number of channels than the layer's output.

    Source: Jacob and others 2017, section 3.2.
    """
    n_channels = norm.n_channels
    if w.shape[-1] == n_channels:
        by_channel: tuple[int, ...] = (n_channels,)
    elif w.shape[-2] * w.shape[-1] == n_channels:
        by_channel = w.shape[-2:]
    else:
        raise ShapeError(
            f"weights {w.shape} do not give the {n_channels} channels of {norm!r}; fold it into "
            "the layer right before it"
        )
    mean, variance = (norm.buffers[name].astype(np.float64) for name in ("mean", "variance"))
    scale = 1 / np.sqrt(variance + norm.epsilon)
    if "gamma" in norm.params:
        scale *= norm.params["gamma"]
    shift = -mean if b is None else b - mean
    biases = shift * scale
    if "beta" in norm.params:
        biases += norm.params["beta"]
    return (w * scale.reshape(by_channel)).astype(w.dtype), biases.astype(w.dtype)
