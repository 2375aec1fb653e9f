"""Convolution over pictures (B, T, F, C): forward, and the gradients of input and parameters.

A patch is what the kernel sees at one output position: (kt, kf, C_in) numbers. Every formula is a
matrix product of patches and weights; `nn.fast` holds two ways to arrange it in memory, one for
many channels and one for few.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minikws import _jit
from minikws._typing import Float
from minikws.nn.fast import conv as few_channels
from minikws.nn.fast import conv_clips
from minikws.nn.functional.memory import batch_last
from minikws.nn.functional.window import Padding, Window, window

# Up to these the clips make the better lanes: a matrix product of so few columns is slow.
FEW_INPUTS = 8
FEW_OUTPUTS = 16


class ConvCache(NamedTuple):
    """What conv2d's backward needs: input shape, weights, windows, and the input."""

    shape: tuple[int, ...]
    w: Float
    time: Window
    freq: Window
    x: Float  # (B, T, F, C_in), or its planes (nn.fast.conv) where the channels are few


def conv2d(
    x: Float,
    w: Float,
    b: Float | None = None,
    *,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "SAME",
    dilations: tuple[int, int] = (1, 1),
) -> tuple[Float, ConvCache]:
    """Slide a bank of patterns over pictures.

    y[b, t, f, o] = bias[o]
        + sum over m, n, c of x[b, t*st + m*dt, f*sf + n*df, c] * w[m, n, c, o],
    x with zeros around it for SAME.

    Parameters
    ----------
    x : (B, T, F, C_in); w : (kt, kf, C_in, C_out); b : (C_out,) or None.
    strides, dilations : (time, frequency): between positions, between a position's taps.

    Returns
    -------
    y : (B, T', F', C_out), and the cache for the two backward functions.

    Source: tf.nn.conv2d, NHWC.
    """
    time = window(x.shape[1], w.shape[0], strides[0], padding, dilations[0])
    freq = window(x.shape[2], w.shape[1], strides[1], padding, dilations[1])
    n_in, n_out = w.shape[2:]
    if b is None:
        b = np.zeros(n_out, w.dtype)
    if _has_few_channels(w, time, freq):
        planes = few_channels.pack(x, *_places(time), *_places(freq))
        y = few_channels.convolve(planes, w, b, st=time.stride, n_t=time.n_out, n_f=freq.n_out)
        return np.moveaxis(y, -1, 0), ConvCache(x.shape, w, time, freq, planes)
    x = np.ascontiguousarray(x, w.dtype)
    cache = ConvCache(x.shape, w, time, freq, x)
    if _is_pointwise(cache):
        mixed = conv_clips.mix(x.reshape(-1, n_in), w.reshape(n_in, n_out), b)
        return mixed.reshape(*x.shape[:3], n_out), cache
    y = conv_clips.convolve(x, w.reshape(-1, n_out), b, time.numbers, freq.numbers)
    return y, cache


def conv2d_backward_params(dy: Float, cache: ConvCache) -> tuple[Float, Float]:
    """Return dw and db.

    dw[m, n, c, o] = sum over b, t, f of patch[b, t, f, m, n, c] * dy[b, t, f, o];
    db[o] = sum over b, t, f of dy.
    """
    x, w, time, freq = cache.x, cache.w, cache.time, cache.freq
    n_in, n_out = w.shape[2:]
    if x.ndim == 5:
        return few_channels.convolve_params(
            x, batch_last(dy), kt=time.size, kf=freq.size, st=time.stride
        )
    dy = np.ascontiguousarray(dy, w.dtype)
    if _is_pointwise(cache):
        dw, db = conv_clips.mix_params(x.reshape(-1, n_in), dy.reshape(-1, n_out))
    else:
        dw, db = conv_clips.convolve_params(x, dy, time.numbers, freq.numbers)
    return dw.reshape(w.shape), db


def conv2d_backward_input(dy: Float, cache: ConvCache) -> Float:
    """Return dx: each tap sends its share of dy, dy @ w[m, n]', back to where it read."""
    w, time, freq = cache.w, cache.time, cache.freq
    n_in, n_out = w.shape[2:]
    dy = np.ascontiguousarray(dy, w.dtype)
    turned = np.ascontiguousarray(w.reshape(-1, n_out).T)
    if _is_pointwise(cache):
        dx = conv_clips.mix(dy.reshape(-1, n_out), turned, np.zeros(n_in, w.dtype))
        return dx.reshape(cache.shape)
    n_frames, n_bins = cache.shape[1:3]
    return conv_clips.convolve_input(dy, turned, n_frames, n_bins, time.numbers, freq.numbers)


def conv2d_backward(dy: Float, cache: ConvCache) -> tuple[Float, Float, Float]:
    """Return dx, dw, db of `conv2d`."""
    return conv2d_backward_input(dy, cache), *conv2d_backward_params(dy, cache)


def _has_few_channels(w: Float, time: Window, freq: Window) -> bool:
    few = w.shape[2] <= FEW_INPUTS and w.shape[3] <= FEW_OUTPUTS
    return _jit.ENABLED and few and time.dilation == freq.dilation == 1


def _is_pointwise(cache: ConvCache) -> bool:
    time, freq = cache.time, cache.freq
    return time.size == freq.size == time.stride == freq.stride == 1


def _places(w: Window) -> tuple[int, int, int, int]:
    return w.size, w.stride, w.before, w.n_out
