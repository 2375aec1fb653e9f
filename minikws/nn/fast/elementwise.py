"""ReLU, ReLU6 and dropout over flat arrays: one pass, both cores, no temporary arrays.

Dropout's mask is 32-bit words: bit u % 32 of word u // 32 decides unit u, counted in memory order.
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


@kernel
def relu6(x: Float) -> Float:
    """Return min(max(x, 0), 6), (N,) -> (N,)."""
    return np.minimum(np.maximum(x, x.dtype.type(0)), x.dtype.type(6))


@relu6.jit(parallel=True)
def _(x):  # type: ignore[no-untyped-def]
    y = np.empty_like(x)
    for i in prange(x.size):
        y[i] = x.dtype.type(0) if x[i] < 0 else (x.dtype.type(6) if x[i] > 6 else x[i])
    return y


@kernel
def relu6_backward(dy: Float, y: Float) -> Float:
    """Return dy where 0 < y < 6, else 0, (N,) each."""
    return np.where((y > 0) & (y < 6), dy, dy.dtype.type(0))


@relu6_backward.jit(parallel=True)
def _(dy, y):  # type: ignore[no-untyped-def]
    dx = np.empty_like(dy)
    for i in prange(y.size):
        dx[i] = dy[i] if 0 < y[i] < 6 else dy.dtype.type(0)
    return dx


def unpack_bits(words: Array, n_units: int) -> Array:
    """Return the units' bits as booleans, (ceil(N / 32),) uint32 -> (N,)."""
    octets = words.astype("<u4", copy=False).view(np.uint8)
    return np.unpackbits(octets, count=n_units, bitorder="little").astype(np.bool_)


def pack_bits(kept: Array) -> Array:
    """Return booleans (N,) as words, (ceil(N / 32),) uint32."""
    octets = np.packbits(kept, bitorder="little")
    return np.pad(octets, (0, -octets.size % 4)).view("<u4").astype(np.uint32, copy=False)


@kernel
def keep_by_bits(x: Float, words: Array, scale: float) -> Float:
    """Return scale * x where the unit's bit is set, else 0; x (N,), words (ceil(N / 32),)."""
    return np.where(unpack_bits(words, x.size), x * x.dtype.type(scale), x.dtype.type(0))


@keep_by_bits.jit(parallel=True)
def _(x, words, scale):  # type: ignore[no-untyped-def]
    y = np.empty_like(x)
    factor, zero, one = x.dtype.type(scale), x.dtype.type(0), np.uint32(1)
    n_whole = x.size // 32
    for i in prange(n_whole):
        inputs, outputs = x[32 * i : 32 * i + 32], y[32 * i : 32 * i + 32]
        word = words[i]
        for j in range(32):
            kept = (word >> np.uint32(j)) & one
            outputs[j] = inputs[j] * factor if kept != 0 else zero
    for u in range(32 * n_whole, x.size):
        kept = (words[n_whole] >> np.uint32(u & 31)) & one
        y[u] = x[u] * factor if kept != 0 else zero
    return y
