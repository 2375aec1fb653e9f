"""Activations: one number in, one number out; and softmax, which looks at its neighbours.

The cache is what backward reads, the output where that is enough: then the input need not stay.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minikws._typing import Float
from minikws.nn.fast import elementwise
from minikws.nn.functional.memory import flat, in_order_of, is_clip_first, unflat


def relu(x: Float) -> tuple[Float, Float]:
    """Cut what is below zero: y = max(x, 0)."""
    y = _one_by_one(elementwise.relu, x)
    return y, y


def relu_backward(dy: Float, y: Float) -> Float:
    """Return dx = dy where y > 0, else 0."""
    return _one_by_one(elementwise.relu_backward, y, dy)


def relu6(x: Float) -> tuple[Float, Float]:
    """Cut what is below zero or above six: y = min(max(x, 0), 6)."""
    y = _one_by_one(elementwise.relu6, x)
    return y, y


def relu6_backward(dy: Float, y: Float) -> Float:
    """Return dx = dy where 0 < y < 6, else 0."""
    return _one_by_one(elementwise.relu6_backward, y, dy)


def sigmoid(x: Float) -> tuple[Float, Float]:
    """Squeeze into 0 to 1: y = 1 / (1 + exp(-x)), without overflow."""
    y = _sigmoid(x)
    return y, y


def sigmoid_backward(dy: Float, y: Float) -> Float:
    """Return dx = dy * y * (1 - y)."""
    return np.asarray(in_order_of(y, dy) * (y * (1 - y)))


def tanh(x: Float) -> tuple[Float, Float]:
    """Squeeze into -1 to 1: y = tanh(x)."""
    y = np.tanh(x)
    return y, y


def tanh_backward(dy: Float, y: Float) -> Float:
    """Return dx = dy * (1 - y * y)."""
    return np.asarray(in_order_of(y, dy) * (1 - y * y))


def swish(x: Float) -> tuple[Float, tuple[Float, Float]]:
    """Let x through as far as its sigmoid opens: y = x * sigmoid(x).

    Source: Ramachandran and others 2017; tf.nn.silu.
    """
    gate = _sigmoid(x)
    return x * gate, (x, gate)


def swish_backward(dy: Float, cache: tuple[Float, Float]) -> Float:
    """Return dx = dy * (gate + x * gate * (1 - gate))."""
    x, gate = cache
    return np.asarray(in_order_of(x, dy) * (gate + x * gate * (1 - gate)))


def hard_swish(x: Float) -> tuple[Float, Float]:
    """Let x through as far as a straight gate opens: y = x * min(max(x + 3, 0), 6) / 6.

    Source: Howard and others 2019, "Searching for MobileNetV3".
    """
    return x * _hard_gate(x), x


def hard_swish_backward(dy: Float, x: Float) -> Float:
    """Return dx = dy * (gate + x * gate'), gate' = 1/6 where -3 < x < 3, else 0."""
    slope = (np.abs(x) < 3) * x / 6
    return np.asarray(in_order_of(x, dy) * (_hard_gate(x) + slope))


def softmax(x: Float) -> tuple[Float, Float]:
    """Turn the last axis into shares of 1: exp(x) / sum of exp(x), without overflow."""
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    y = np.asarray(powers / powers.sum(axis=-1, keepdims=True))
    return y, y


def softmax_backward(dy: Float, y: Float) -> Float:
    """Return dx = y * (dy - sum over the last axis of dy * y)."""
    dy = in_order_of(y, dy)
    return np.asarray(y * (dy - (dy * y).sum(axis=-1, keepdims=True)))


def _sigmoid(x: Float) -> Float:
    """Return 1 / (1 + exp(-x)): for negative x as exp(x) / (1 + exp(x)), exp never above 1."""
    power = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, x.dtype.type(1), power) / (1 + power))


def _hard_gate(x: Float) -> Float:
    """Return 0 up to -3, 1 from 3, and a straight line between."""
    return np.asarray(np.clip(x + 3, 0, 6) / 6)


def _one_by_one(formula: Callable[..., Float], first: Float, dy: Float | None = None) -> Float:
    """Apply a formula for flat arrays, `formula(dy, first)`, in the first array's memory order."""
    order = is_clip_first(first)
    others = [] if dy is None else [flat(dy, clip_first=order)]
    return unflat(formula(*others, flat(first, clip_first=order)), first.shape, clip_first=order)
