"""Depthwise convolution over pictures (B, T, F, C): each channel with patterns of its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minikws._typing import Float
from minikws.nn.fast import depthwise as fast_depthwise
from minikws.nn.functional.window import Padding, Window, window


class DepthwiseCache(NamedTuple):
    """What depthwise_conv2d's backward needs: the input, its channels repeated, and weights."""

    x: Float  # (B, T, F, C * M)
    w: Float  # (kt, kf, C, M)
    time: Window
    freq: Window


def depthwise_conv2d(
    x: Float,
    w: Float,
    b: Float | None = None,
    *,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "SAME",
    dilations: tuple[int, int] = (1, 1),
) -> tuple[Float, DepthwiseCache]:
    """Slide M patterns of its own over each channel.

    y[b, t, f, c*M + k] = bias[c*M + k]
        + sum over m, n of x[b, t*st + m*dt, f*sf + n*df, c] * w[m, n, c, k],
    x with zeros around it for SAME.

    Parameters
    ----------
    x : (B, T, F, C); w : (kt, kf, C, M); b : (C * M,) or None.
    strides, dilations : (time, frequency): between positions, between a position's taps.

    Returns
    -------
    y : (B, T', F', C * M), and the cache for the two backward functions.

    Source: tf.nn.depthwise_conv2d, NHWC.
    """
    time = window(x.shape[1], w.shape[0], strides[0], padding, dilations[0])
    freq = window(x.shape[2], w.shape[1], strides[1], padding, dilations[1])
    x = np.ascontiguousarray(x, w.dtype)
    if w.shape[3] > 1:
        x = np.repeat(x, w.shape[3], axis=3)
    cache = DepthwiseCache(x, w, time, freq)
    if b is None:
        b = np.zeros(x.shape[3], w.dtype)
    return fast_depthwise.slide(x, _by_output(w), b, time.numbers, freq.numbers), cache


def depthwise_conv2d_backward_params(dy: Float, cache: DepthwiseCache) -> tuple[Float, Float]:
    """Return dw and db.

    dw[m, n, c, k] = sum over b, t, f of patch[b, t, f, m, n, c] * dy[b, t, f, c*M + k];
    db = sum over b, t, f of dy.
    """
    x, w, time, freq = cache
    dy = np.ascontiguousarray(dy, w.dtype)
    dw, db = fast_depthwise.slide_params(x, dy, time.numbers, freq.numbers)
    return dw.reshape(w.shape), db


def depthwise_conv2d_backward_input(dy: Float, cache: DepthwiseCache) -> Float:
    """Return dx: each tap sends its share of dy, dy * w[m, n], back to where it read."""
    x, w, time, freq = cache
    n_frames, n_bins = x.shape[1:3]
    dy = np.ascontiguousarray(dy, w.dtype)
    dx = fast_depthwise.slide_input(dy, _by_output(w), n_frames, n_bins, time.numbers, freq.numbers)
    if w.shape[3] > 1:
        dx = dx.reshape(*dx.shape[:3], *w.shape[2:]).sum(4)
    return dx


def depthwise_conv2d_backward(dy: Float, cache: DepthwiseCache) -> tuple[Float, Float, Float]:
    """Return dx, dw, db of `depthwise_conv2d`."""
    dx = depthwise_conv2d_backward_input(dy, cache)
    return dx, *depthwise_conv2d_backward_params(dy, cache)


def _by_output(w: Float) -> Float:
    return np.ascontiguousarray(w).reshape(*w.shape[:2], -1)
