"""ReLU and dropout over flat arrays: one pass, both cores, no temporary arrays.

Dropout's mask is 32-bit words; bit j of word i belongs to unit j * n_words + i, so that
neighbouring units read neighbouring words at one shift, which vectorises:

    units   |0 … n_words-1 | n_words … 2 n_words-1 | …
    bit j   |      0       |          1            | …
"""

from __future__ import annotations

import numpy as np

from minikws._jit import kernel, prange
from minikws._typing import Array, Float


@kernel
def relu(x: Float) -> Float:
    """Return max(x, 0), (N,) -> (N,)."""
    return np.maximum(x, x.dtype.type(0))


@relu.jit(parallel=True)
def _(x):  # type: ignore[no-untyped-def]
    y = np.empty_like(x)
    for i in prange(x.size):
        y[i] = max(x[i], x.dtype.type(0))
    return y


@kernel
def relu_backward(dy: Float, y: Float) -> Float:
    """Return dy where y > 0, else 0, (N,) each."""
    return np.where(y > 0, dy, dy.dtype.type(0))


@relu_backward.jit(parallel=True)
def _(dy, y):  # type: ignore[no-untyped-def]
    dx = np.empty_like(dy)
    for i in prange(y.size):
        dx[i] = dy[i] if y[i] > 0 else dy.dtype.type(0)
    return dx


def unpack_bits(words: Array, n_units: int) -> Array:
    """Return the units' bits as booleans, (n_words,) uint32 -> (n_units,)."""
    shifts = np.arange(32, dtype=np.uint32)[:, None]
    return ((words >> shifts) & np.uint32(1)).reshape(-1)[:n_units].astype(np.bool_)


@kernel
def keep_by_bits(x: Float, words: Array) -> Float:
    """Return 2 x where the unit's bit is set, else 0; x (N,), words (ceil(N / 32),) uint32."""
    return np.asarray(x * (x.dtype.type(2) * unpack_bits(words, x.size)))


@keep_by_bits.jit(parallel=True)
def _(x, words):  # type: ignore[no-untyped-def]
    y = np.empty_like(x)
    n_words = words.size
    for j in prange(32):
        inputs, outputs = x[j * n_words : (j + 1) * n_words], y[j * n_words : (j + 1) * n_words]
        shift = np.uint32(j)
        for i in range(inputs.size):
            kept = (words[i] >> shift) & np.uint32(1)
            outputs[i] = inputs[i] + inputs[i] if kept != np.uint32(0) else x.dtype.type(0)
    return y
