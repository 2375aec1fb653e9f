"""Which axis is last in memory: no shape shows it, and every function keeps its input's order.

Two orders go through a network: clip first, (B, T, F, C) as NumPy lays it out, where a matrix
product mixes channels; and batch last, (T, F, C, B), where few channels leave the clips as lanes.
"""

from __future__ import annotations

import numpy as np

from minikws._typing import Array


def batch_last(x: Array) -> Array:
    """Return x (B, …) as (…, B), contiguous: a view where the batch is last in memory already."""
    return np.ascontiguousarray(np.moveaxis(x, 0, -1))


def is_clip_first(x: Array) -> bool:
    """Whether x (B, …) lies in memory as its shape says."""
    return x.flags.c_contiguous


def flat(x: Array, *, clip_first: bool) -> Array:
    """Return all of x (B, …) as (N,) in one of the two orders: a view where it has it already."""
    return np.ascontiguousarray(x).reshape(-1) if clip_first else batch_last(x).reshape(-1)


def unflat(values: Array, shape: tuple[int, ...], *, clip_first: bool) -> Array:
    """Give what `flat` returned its shape (B, …) back, a view."""
    if clip_first:
        return values.reshape(shape)
    return np.moveaxis(values.reshape(*shape[1:], shape[0]), -1, 0)


def in_order_of(model: Array, x: Array) -> Array:
    """Return x (B, …) in the memory order of `model`: x itself where it has it already."""
    return np.ascontiguousarray(x) if is_clip_first(model) else np.moveaxis(batch_last(x), -1, 0)


def add(a: Array, b: Array) -> Array:
    """Return a + b, (B, …) each, in the memory order of `a`."""
    return np.asarray(a + in_order_of(a, b))
