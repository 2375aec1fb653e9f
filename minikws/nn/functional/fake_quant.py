"""Fake quantisation: numbers pushed onto the grid of their later integers, still as floats.

A range low … high, 0 inside, becomes the integers of `num_bits` bits: `nudge` moves it a little,
so that 0 lies on one of them. Forward rounds to the grid; its true derivative is 0 almost
everywhere, so backward lets gradients pass as if nothing had been rounded (straight through).

Source: tensorflow/core/kernels/fake_quant_ops_functor.h.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from minikws._typing import Array, Float
from minikws.errors import SettingsError


@dataclass(frozen=True)
class Grid:
    """The values that fake quantisation gives, one grid or one a channel.

    scale : distance of two neighbours; inverse : 1 / scale, rounded once from the range.
    zero_point : the integer that stands for 0, counted from 0 to 2**num_bits - 1.
    low, high : the smallest and the largest value.
    """

    scale: Float
    inverse: Float
    zero_point: Float
    low: Float
    high: Float


@dataclass(frozen=True)
class FakeQuantCache:
    """Where x lay: `below` the grid, `above` it, or neither; per_channel : one grid a channel."""

    below: Array
    above: Array
    per_channel: bool


def nudge(
    low: ArrayLike, high: ArrayLike, *, num_bits: int = 8, narrow_range: bool = False
) -> Grid:
    """Lay a grid of 2**num_bits values over low … high, so that 0 is one of them.

    Parameters
    ----------
    low, high : numbers or (C,) float; low <= 0 <= high. Where both are 0 the grid is 0 alone.
    num_bits : 2 to 16.
    narrow_range : without the lowest integer, so that symmetric weights stay symmetric.

    Raises
    ------
    SettingsError : `num_bits` out of range, or a range without 0 inside.

    >>> grid = nudge(np.float32(-247), np.float32(30))
    >>> float(grid.zero_point), float(grid.high)
    (227.0, 30.415687561035156)
    """
    if not 2 <= num_bits <= 16:
        raise SettingsError(f"num_bits={num_bits} is not in 2 to 16; 8 is usual")
    low, high = np.asarray(low), np.asarray(high)
    # a NaN passes: it shows in the output, where training looks for it
    if np.any(low > 0) or np.any(high < 0):
        raise SettingsError(
            f"the range {np.min(low):g} … {np.max(high):g} does not hold 0; widen it to hold 0"
        )
    dtype = np.result_type(low, high)
    smallest, largest = dtype.type(narrow_range), dtype.type(2**num_bits - 1)
    # a grid of 0 alone: any width will do, its ends are set to 0 below
    is_zero = (low == 0) & (high == 0)
    width = np.where(is_zero, largest - smallest, high - low)
    scale = width / (largest - smallest)
    inverse = (largest - smallest) / width
    # halves away from zero: what is rounded is not negative
    zero_point = np.floor(np.clip(smallest - low / scale, smallest, largest) + dtype.type(0.5))
    return Grid(
        scale,
        inverse,
        zero_point,
        np.where(is_zero, dtype.type(0), (smallest - zero_point) * scale),
        np.where(is_zero, dtype.type(0), (largest - zero_point) * scale),
    )


def fake_quant(
    x: Float,
    low: ArrayLike,
    high: ArrayLike,
    *,
    num_bits: int = 8,
    narrow_range: bool = False,
) -> tuple[Float, FakeQuantCache]:
    """Clamp to the grid of low … high and round to its nearest value.

    y = floor((clamp(x) - grid low) / scale - zero + 1/2) * scale, zero the integer of 0 counted
    from the grid's low end: all steps in x's dtype, as TensorFlow takes them in float32.

    Parameters
    ----------
    x : (B, …, C).
    low, high : numbers, or (C,): one grid for each index of the last axis.

    Returns
    -------
    y as x, and the cache.

    Source: tf.quantization.fake_quant_with_min_max_vars and …_per_channel.
    """
    low, high = np.asarray(low, x.dtype), np.asarray(high, x.dtype)
    grid = nudge(low, high, num_bits=num_bits, narrow_range=narrow_range)
    half = x.dtype.type(0.5)
    zero = np.floor(-grid.low * grid.inverse + half)
    above_low = np.clip(x, grid.low, grid.high) - grid.low
    # TensorFlow divides in one operator and multiplies in the other; a tie may fall either way
    steps = above_low / grid.scale if low.ndim == 0 else above_low * grid.inverse
    y = np.floor(steps - zero + half) * grid.scale
    # TensorFlow lets every gradient through a grid of 0 alone
    below, above = (x < grid.low) & (low < high), (x > grid.high) & (low < high)
    return y, FakeQuantCache(below, above, low.ndim > 0)


def fake_quant_backward(dy: Float, cache: FakeQuantCache) -> tuple[Float, Float, Float]:
    """Return dx = dy inside the grid, else 0; dlow and dhigh, the sums of dy below and above it."""
    zero = dy.dtype.type(0)
    axes = tuple(range(dy.ndim - 1)) if cache.per_channel else None
    dlow = np.where(cache.below, dy, zero).sum(axes)
    dhigh = np.where(cache.above, dy, zero).sum(axes)
    return fake_quant_backward_input(dy, cache), np.asarray(dlow), np.asarray(dhigh)


def fake_quant_backward_input(dy: Float, cache: FakeQuantCache) -> Float:
    """Return dx = dy inside the grid, else 0."""
    return np.where(cache.below | cache.above, dy.dtype.type(0), dy)
