"""Layers that only change the shape."""

from __future__ import annotations

import numpy as np

from minikws._typing import Float
from minikws.errors import ShapeError
from minikws.nn.layers.base import Layer, Shape


class Reshape(Layer):
    """Read each clip's numbers, in order, as another shape."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, *shape)."""
        self._input_shape = x.shape
        return x.reshape(x.shape[0], *self.shape)

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return dy.reshape(self._input_shape)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape that was asked for."""
        if np.prod(input_shape, dtype=np.int64) != np.prod(self.shape, dtype=np.int64):
            raise ShapeError(f"{self!r} cannot hold {input_shape}; their sizes differ")
        return self.shape

    def __repr__(self) -> str:
        return f"Reshape({self.shape})"


class Flatten(Layer):
    """Read each clip's numbers, in order, as one row."""

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, N)."""
        self._input_shape = x.shape
        return x.reshape(x.shape[0], -1)

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return dy.reshape(self._input_shape)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (N,)."""
        return (int(np.prod(input_shape, dtype=np.int64)),)
