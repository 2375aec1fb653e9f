"""First values of the weights: TensorFlow's truncated normal."""

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
