"""Pooling: a window's largest or mean, and the same over a whole picture.

Windows are placed as a convolution's are; what SAME puts around the input never counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minikws._typing import Float, Int32
from minikws.nn.fast import depthwise as fast_depthwise
from minikws.nn.fast import pool as fast_pool
from minikws.nn.functional.window import Padding, Window, window


class PoolCache(NamedTuple):
    """What a pool's backward needs: input shape, windows, and what each window remembers."""

    shape: tuple[int, ...]
    time: Window
    freq: Window
    kept: Float | Int32  # the winner's tap (B, T', F', C), or the count (T', F', 1)


def max_pool(
    x: Float, *, size: tuple[int, int], strides: tuple[int, int], padding: Padding = "VALID"
) -> tuple[Float, PoolCache]:
    """Take each window's largest number: y[b, t, f, c] = max over m, n of x[b, t*st+m, f*sf+n, c].

    x : (B, T, F, C) -> (B, T', F', C).

    Source: tf.nn.max_pool2d, NHWC.
    """
    time, freq = _windows(x, size, strides, padding)
    y, winner = fast_pool.largest(np.ascontiguousarray(x), time.numbers, freq.numbers)
    return y, PoolCache(x.shape, time, freq, winner)


def max_pool_backward(dy: Float, cache: PoolCache) -> Float:
    """Return dx: each window's dy goes to its largest number, among equals to the first in rows."""
    _, n_frames, n_bins, _ = cache.shape
    winner = np.asarray(cache.kept, np.int32)
    return fast_pool.largest_backward(
        np.ascontiguousarray(dy), winner, n_frames, n_bins, cache.time.numbers, cache.freq.numbers
    )


def average_pool(
    x: Float, *, size: tuple[int, int], strides: tuple[int, int], padding: Padding = "VALID"
) -> tuple[Float, PoolCache]:
    """Take each window's mean over the numbers of x in it: (B, T, F, C) -> (B, T', F', C).

    A depthwise convolution with ones, divided by how many of its taps meet the input.

    Source: tf.nn.avg_pool2d, NHWC.
    """
    time, freq = _windows(x, size, strides, padding)
    per_bin = _n_inside(freq, x.shape[2])[:, None]
    count = (_n_inside(time, x.shape[1])[:, None, None] * per_bin).astype(x.dtype)
    ones, zeros = np.ones((*size, x.shape[3]), x.dtype), np.zeros(x.shape[3], x.dtype)
    sums = fast_depthwise.slide(np.ascontiguousarray(x), ones, zeros, time.numbers, freq.numbers)
    return np.asarray(sums / count), PoolCache(x.shape, time, freq, count)


def average_pool_backward(dy: Float, cache: PoolCache) -> Float:
    """Return dx: each window's dy, divided by its count, goes to all of its numbers."""
    _, n_frames, n_bins, n_channels = cache.shape
    ones = np.ones((cache.time.size, cache.freq.size, n_channels), dy.dtype)
    shares = np.ascontiguousarray(dy / cache.kept)
    return fast_depthwise.slide_input(
        shares, ones, n_frames, n_bins, cache.time.numbers, cache.freq.numbers
    )


def global_average_pool(x: Float) -> tuple[Float, tuple[int, ...]]:
    """Take each channel's mean over all positions: (B, …, C) -> (B, C)."""
    return np.asarray(x.mean(_positions(x))), x.shape


def global_average_pool_backward(dy: Float, shape: tuple[int, ...]) -> Float:
    """Return dx = dy / positions, at every position."""
    n_positions = int(np.prod(shape[1:-1], dtype=np.int64))
    dx = np.empty(shape, dy.dtype)
    dx[...] = _at_every_position(dy / dy.dtype.type(n_positions), shape)
    return dx


def global_max_pool(x: Float) -> tuple[Float, tuple[Float, Float]]:
    """Take each channel's largest number over all positions: (B, …, C) -> (B, C)."""
    y = np.asarray(x.max(_positions(x)))
    return y, (x, y)


def global_max_pool_backward(dy: Float, cache: tuple[Float, Float]) -> Float:
    """Return dx: dy to the largest number, shared equally among equals.

    Source: the gradient of tf.reduce_max, which shares where tf.nn.max_pool2d takes the first.
    """
    x, y = cache
    is_largest = x == _at_every_position(y, x.shape)
    shares = dy / is_largest.sum(_positions(x)).astype(dy.dtype)
    return np.where(is_largest, _at_every_position(shares, x.shape), dy.dtype.type(0))


def _windows(
    x: Float, size: tuple[int, int], strides: tuple[int, int], padding: Padding
) -> tuple[Window, Window]:
    time, freq = (window(x.shape[i + 1], size[i], strides[i], padding) for i in range(2))
    return time, freq


def _n_inside(w: Window, n_in: int) -> Int32:
    """Count each position's taps that meet the input, (n_out,)."""
    first = np.arange(w.n_out) * w.stride - w.before
    inside = np.minimum(first + w.size, n_in) - np.maximum(first, 0)
    return np.asarray(inside, np.int32)


def _positions(x: Float) -> tuple[int, ...]:
    return tuple(range(1, x.ndim - 1))


def _at_every_position(values: Float, shape: tuple[int, ...]) -> Float:
    return values.reshape(shape[0], *(1 for _ in shape[1:-1]), shape[-1])
