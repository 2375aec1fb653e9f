"""The formulas: each layer's forward and backward as functions on arrays.

Activations are (B, T, F, C) by shape: clip, time, frequency, channel. A forward function returns
its output and a cache of what backward needs; backward takes the output's gradient `dy` and the
cache. Where Numba is installed `nn.fast` computes the same numbers with the batch as the last
axis in memory; `reshape` and NumPy's own functions keep that order, and no shape shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minikws import _jit
from minikws._typing import Array, Float
from minikws.nn.fast import conv as fast_conv
from minikws.nn.fast import dense as fast_dense
from minikws.nn.fast import elementwise

Padding = Literal["SAME", "VALID"]


@dataclass(frozen=True)
class Window:
    """Where a kernel lies along one axis: size, stride, zeros before and after, positions."""

    size: int
    stride: int
    before: int
    after: int
    n_out: int


def window(n_in: int, size: int, stride: int, padding: Padding) -> Window:
    """Place a kernel along an axis as TensorFlow does.

    SAME: ceil(n_in / stride) positions, zeros split evenly, the odd one after. VALID: no zeros,
    ceil((n_in - size + 1) / stride) positions (0 or below: the axis is too short).

    >>> window(49, 10, 2, "SAME")
    Window(size=10, stride=2, before=4, after=5, n_out=25)
    """
    if padding == "VALID":
        return Window(size, stride, 0, 0, -(-(n_in - size + 1) // stride))
    n_out = -(-n_in // stride)
    total = max((n_out - 1) * stride + size - n_in, 0)
    return Window(size, stride, total // 2, total - total // 2, n_out)


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


def dense(x: Float, w: Float, b: Float) -> tuple[Float, tuple[Float, Float]]:
    """Mix all inputs into each output: y = x @ w + b, (B, N) @ (N, M) -> (B, M)."""
    if _is_thin(w):
        return fast_dense.dense(batch_last(x), w, b), (x, w)
    return np.asarray(x @ w + b), (x, w)


def dense_backward_params(dy: Float, cache: tuple[Float, Float]) -> tuple[Float, Float]:
    """Return dw = x' @ dy and db = sum over b of dy."""
    x, w = cache
    if _is_thin(w):
        return fast_dense.dense_params(batch_last(x), dy), np.asarray(dy.sum(0))
    return np.asarray(x.T @ dy), np.asarray(dy.sum(0))


def dense_backward_input(dy: Float, cache: tuple[Float, Float]) -> Float:
    """Return dx = dy @ w', batch-last in memory as the input was."""
    w = cache[1]
    if _is_thin(w):
        return fast_dense.dense_input(w, dy).T
    return np.asarray((w @ dy.T).T)


def dense_backward(dy: Float, cache: tuple[Float, Float]) -> tuple[Float, Float, Float]:
    """Return dx, dw, db of `dense`."""
    return dense_backward_input(dy, cache), *dense_backward_params(dy, cache)


def _is_thin(w: Float) -> bool:
    return _jit.ENABLED and w.shape[1] <= fast_dense.MAX_OUTPUTS


def relu(x: Float) -> tuple[Float, Float]:
    """Cut what is below zero: y = max(x, 0)."""
    y = _like(x, elementwise.relu(batch_last(x).reshape(-1)))
    return y, y


def relu_backward(dy: Float, y: Float) -> Float:
    """Return dx = dy where y > 0, else 0."""
    flat_dy, flat_y = batch_last(dy).reshape(-1), batch_last(y).reshape(-1)
    return _like(dy, elementwise.relu_backward(flat_dy, flat_y))


def dropout(x: Float, *, rate: float, rng: np.random.Generator) -> tuple[Float, Array]:
    """Silence a random share of the units and make up for it: kept values * 1 / (1 - rate).

    At rate 0.5 a unit costs one random bit: bit j of word i decides unit j * n_words + i. Units
    are counted batch-last, whatever the order in memory, so that a seed gives the same masks.

    Returns
    -------
    y : x's shape; mask : what backward needs (words of 32 bits, or booleans at other rates).
    """
    flat = batch_last(x).reshape(-1)
    if rate == 0.5:
        n_words = -(-flat.size // 32)
        mask: Array = np.frombuffer(rng.bytes(4 * n_words), np.dtype("<u4")).astype(np.uint32)
    else:
        mask = rng.random(flat.size, dtype=np.float32) >= np.float32(rate)
    return _like(x, _apply_mask(flat, mask, rate)), mask


def dropout_backward(dy: Float, mask: Array, *, rate: float) -> Float:
    """Return dx = dy * 1 / (1 - rate) where the unit was kept, else 0."""
    return _like(dy, _apply_mask(batch_last(dy).reshape(-1), mask, rate))


def _apply_mask(flat: Float, mask: Array, rate: float) -> Float:
    if mask.dtype == np.uint32:
        return elementwise.keep_by_bits(flat, mask)
    return np.asarray(flat * mask * flat.dtype.type(1 / (1 - rate)))


def dropout_mask(shape: tuple[int, ...], mask: Array) -> Array:
    """Unfold a mask into booleans of an activation's shape (B, …): True is kept."""
    n_units = int(np.prod(shape, dtype=np.int64))
    kept = elementwise.unpack_bits(mask, n_units) if mask.dtype == np.uint32 else mask
    return np.moveaxis(kept.reshape(*shape[1:], shape[0]), -1, 0)


def batch_last(x: Array) -> Array:
    """Return x (B, …) as (…, B), contiguous: a view where the batch is last in memory already."""
    return np.ascontiguousarray(np.moveaxis(x, 0, -1))


def _like(x: Array, flat: Array) -> Array:
    """Give a batch-last flat array the shape of x (B, …)."""
    return np.moveaxis(flat.reshape(*x.shape[1:], x.shape[0]), -1, 0)
