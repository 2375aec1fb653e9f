"""Activations: layers without parameters that bend or cut each number."""

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


class ReLU6(Layer):
    """Cut what is below zero or above six: a fixed range, kind to eight bits."""

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return min(max(x, 0), 6)."""
        y, self._output = fn.relu6(x)
        return y

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return fn.relu6_backward(dy, self._output)


class Sigmoid(Layer):
    """Squeeze into 0 to 1."""

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return 1 / (1 + exp(-x))."""
        y, self._output = fn.sigmoid(x)
        return y

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return fn.sigmoid_backward(dy, self._output)


class Tanh(Layer):
    """Squeeze into -1 to 1."""

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return tanh(x)."""
        y, self._output = fn.tanh(x)
        return y

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return fn.tanh_backward(dy, self._output)


class Swish(Layer):
    """Let each number through as far as its own sigmoid opens."""

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return x * sigmoid(x)."""
        y, self._cache = fn.swish(x)
        return y

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return fn.swish_backward(dy, self._cache)


class HardSwish(Layer):
    """Let each number through as far as a straight gate opens: swish without an exponential."""

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return x * min(max(x + 3, 0), 6) / 6."""
        y, self._input = fn.hard_swish(x)
        return y

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return fn.hard_swish_backward(dy, self._input)


class Softmax(Layer):
    """Turn the last axis into shares of 1. Training needs no such layer: the loss holds it."""

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return exp(x) / sum of exp(x) over the last axis."""
        y, self._output = fn.softmax(x)
        return y

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return fn.softmax_backward(dy, self._output)
