"""First values of the weights, as TensorFlow and Keras draw them."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from minikws._typing import Float


def truncated_normal(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    *,
    sigma: float,
    dtype: DTypeLike = np.float32,
) -> Float:
    """Draw normal values and redraw those beyond two sigma (so that 0.88 sigma remains).

    Source: tf.random.truncated_normal; sigma 0.01 in speech_commands/models.py.

    >>> values = truncated_normal(np.random.default_rng(1), (1000,), sigma=0.01)
    >>> bool(abs(values).max() <= 0.02)
    True
    """
    values = rng.standard_normal(shape)
    while (beyond := np.abs(values) > 2).any():
        values[beyond] = rng.standard_normal(np.count_nonzero(beyond))
    return (sigma * values).astype(dtype)


def glorot_uniform(
    rng: np.random.Generator, shape: tuple[int, ...], *, dtype: DTypeLike = np.float32
) -> Float:
    """Draw from -limit to limit, limit = sqrt(6 / (fan_in + fan_out)).

    A kernel (…, C_in, C_out) has fan_in = taps * C_in and fan_out = taps * C_out.

    Source: Glorot and Bengio 2010; Keras GlorotUniform.

    >>> bool(abs(glorot_uniform(np.random.default_rng(1), (3, 3))).max() <= 1)
    True
    """
    n_taps = int(np.prod(shape[:-2], dtype=np.int64))
    limit = np.sqrt(6 / (n_taps * (shape[-2] + shape[-1])))
    return rng.uniform(-limit, limit, shape).astype(dtype)


def draw(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    *,
    sigma: float | None,
    dtype: DTypeLike = np.float32,
) -> Float:
    """Draw a layer's weights: truncated normal of `sigma`, or Glorot's uniform where it is None."""
    if sigma is None:
        return glorot_uniform(rng, shape, dtype=dtype)
    return truncated_normal(rng, shape, sigma=sigma, dtype=dtype)
