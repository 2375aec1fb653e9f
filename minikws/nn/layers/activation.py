"""Activations."""

from __future__ import annotations

from minikws._typing import Float
from minikws.nn import functional as fn
from minikws.nn.layers.base import Layer


class ReLU(Layer):
    """Cut what is below zero."""

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return max(x, 0)."""
        y, self._output = fn.relu(x)
        return y

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return fn.relu_backward(dy, self._output)
