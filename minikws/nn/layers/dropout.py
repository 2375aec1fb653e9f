"""Dropout: what only training knows."""

from __future__ import annotations

import numpy as np

from minikws._typing import Array, Float
from minikws.errors import SettingsError
from minikws.nn import functional as fn
from minikws.nn.layers.base import Layer, Shape


class Dropout(Layer):
    """In training, silence a random share of the units; else do nothing.

    rate : share of silenced units, 0 to below 1.
    rng : the run's generator; the same seed gives the same masks.
    """

    def __init__(self, rate: float = 0.5, *, rng: np.random.Generator) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise SettingsError(f"dropout rate={rate} is not in 0 to below 1; 0.5 is usual")
        self.rate, self.rng = rate, rng
        self._mask: fn.DropoutMask | None = None

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return x with units silenced and the others made larger, or x itself."""
        self._mask = None
        if not training or self.rate == 0:
            return x
        y, self._mask = fn.dropout(x, rate=self.rate, rng=self.rng)
        return y

    def draw(
        self, shape: Shape, *, training: bool, clip_first: bool = True
    ) -> fn.DropoutMask | None:
        """Draw and keep the mask that `forward` would for an x of that shape (B, …) and order.

        None where `forward` would do nothing. For stages, which apply the mask themselves.
        """
        draws = training and self.rate > 0
        self._mask = (
            fn.draw_mask(shape, rate=self.rate, rng=self.rng, clip_first=clip_first)
            if draws
            else None
        )
        return self._mask

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return dy if self._mask is None else fn.dropout_backward(dy, self._mask)

    @property
    def mask(self) -> Array | None:
        """The last forward pass's mask, booleans in its shape (True is kept); None if unused."""
        return None if self._mask is None else fn.dropout_mask(self._mask)

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"
