"""Convolution over pictures (B, T, F, C): forward, and the gradients of input and parameters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minikws import _jit
from minikws._typing import Float
from minikws.nn.fast import conv as fast_conv
from minikws.nn.functional.memory import batch_last
from minikws.nn.functional.window import Padding, Window, window


class ConvCache(NamedTuple):
    """What conv2d's backward needs: input shape, weights, windows, and the padded input."""

    shape: tuple[int, ...]
    w: Float
    time: Window
    freq: Window
    padded: Float  # (B, T', F', C), or the planes of nn.fast.conv


def conv2d(
    x: Float,
    w: Float,
    b: Float,
    *,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "SAME",
) -> tuple[Float, ConvCache]:
    """Slide a bank of patterns over pictures.

    y[b, t, f, o] = bias[o] + sum over m, n, c of x[b, t*st + m, f*sf + n, c] * w[m, n, c, o],
    x with zeros around it for SAME.

    Parameters
    ----------
    x : (B, T, F, C_in); w : (kt, kf, C_in, C_out); b : (C_out,).

    Returns
    -------
    y : (B, T', F', C_out), and the cache for the two backward functions.

    Source: tf.nn.conv2d, NHWC.
    """
    time = window(x.shape[1], w.shape[0], strides[0], padding)
    freq = window(x.shape[2], w.shape[1], strides[1], padding)
    if _jit.ENABLED:
        planes = fast_conv.pack(x, *_places(time), *_places(freq))
        y = fast_conv.convolve(planes, w, b, st=time.stride, n_t=time.n_out, n_f=freq.n_out)
        return np.moveaxis(y, -1, 0), ConvCache(x.shape, w, time, freq, planes)
    padded = np.pad(x, ((0, 0), (time.before, time.after), (freq.before, freq.after), (0, 0)))
    cache = ConvCache(x.shape, w, time, freq, padded)
    y = np.einsum("btfcmn,mnco->btfo", _patches(cache), w, optimize=True) + b
    return np.asarray(y), cache


def conv2d_backward_params(dy: Float, cache: ConvCache) -> tuple[Float, Float]:
    """Return dw and db.

    dw[m, n, c, o] = sum over b, t, f of patch[b, t, f, c, m, n] * dy[b, t, f, o];
    db[o] = sum over b, t, f of dy.
    """
    if _jit.ENABLED:
        return fast_conv.convolve_params(
            cache.padded,
            batch_last(dy),
            kt=cache.time.size,
            kf=cache.freq.size,
            st=cache.time.stride,
        )
    dw = np.einsum("btfcmn,btfo->mnco", _patches(cache), dy, optimize=True)
    return np.asarray(dw), np.asarray(dy.sum((0, 1, 2)))


def conv2d_backward_input(dy: Float, cache: ConvCache) -> Float:
    """Return dx: each tap sends its share of dy back to where it read."""
    time, freq = cache.time, cache.freq
    n_clips, n_t, n_f, n_c = cache.shape
    n_t_padded = (time.n_out - 1) * time.stride + time.size
    n_f_padded = (freq.n_out - 1) * freq.stride + freq.size
    # VALID with a stride may leave a tail unread: its gradient is 0
    dx = np.zeros(
        (
            n_clips,
            max(n_t_padded, time.before + n_t),
            max(n_f_padded, freq.before + n_f),
            n_c,
        ),
        dy.dtype,
    )
    for m, n in np.ndindex(time.size, freq.size):
        t_read = slice(m, m + time.stride * time.n_out, time.stride)
        f_read = slice(n, n + freq.stride * freq.n_out, freq.stride)
        dx[:, t_read, f_read] += dy @ cache.w[m, n].T
    return dx[:, time.before : time.before + n_t, freq.before : freq.before + n_f]


def conv2d_backward(dy: Float, cache: ConvCache) -> tuple[Float, Float, Float]:
    """Return dx, dw, db of `conv2d`."""
    return conv2d_backward_input(dy, cache), *conv2d_backward_params(dy, cache)


def _patches(cache: ConvCache) -> Float:
    """Return what each output position sees, (B, T', F', C, kt, kf), a view."""
    time, freq = cache.time, cache.freq
    patches = sliding_window_view(cache.padded, (time.size, freq.size), axis=(1, 2))
    return np.asarray(patches[:, :: time.stride, :: freq.stride][:, : time.n_out, : freq.n_out])


def _places(w: Window) -> tuple[int, int, int, int]:
    return w.size, w.stride, w.before, w.n_out
