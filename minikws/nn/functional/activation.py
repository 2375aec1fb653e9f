"""Activations: one number in, one number out."""

from __future__ import annotations

from minikws._typing import Float
from minikws.nn.fast import elementwise
from minikws.nn.functional.memory import flat, is_clip_first, unflat


def relu(x: Float) -> tuple[Float, Float]:
    """Cut what is below zero: y = max(x, 0)."""
    order = is_clip_first(x)
    y = unflat(elementwise.relu(flat(x, clip_first=order)), x.shape, clip_first=order)
    return y, y


def relu_backward(dy: Float, y: Float) -> Float:
    """Return dx = dy where y > 0, else 0."""
    order = is_clip_first(y)
    dx = elementwise.relu_backward(flat(dy, clip_first=order), flat(y, clip_first=order))
    return unflat(dx, y.shape, clip_first=order)
