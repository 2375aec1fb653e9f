"""A dense layer with few outputs (labels), batch-last: x (N, B), outputs padded to fours.

BLAS would do these thin products as fast, but its threads, still spinning when the next parallel
loop begins, make a training step five times slower. Each loop below reads or writes the large
array once, four outputs a pass. Sums over inputs are split into a constant number of parts and
added up in their order, so that the number of threads does not change a bit.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from minikws._jit import kernel, prange
from minikws._typing import Float

MAX_OUTPUTS = 32  # above, BLAS wins
OUTPUTS_A_PASS = 4  # written out in the twins
N_PARTS = 16


def dense(x: Float, w: Float, b: Float) -> Float:
    """Return x' @ w + b: (N, B), (N, M), (M,) -> (B, M)."""
    return np.asarray(mix(x, _in_fours(w)).sum(0)[: b.size].T + b)


def dense_params(x: Float, dy: Float) -> Float:
    """Return dw = x @ dy: (N, B), (B, M) -> (N, M)."""
    return np.ascontiguousarray(mix_params(x, _in_fours(dy).T.copy())[:, : dy.shape[1]])


def dense_input(w: Float, dy: Float) -> Float:
    """Return dx = w @ dy': (N, M), (B, M) -> (N, B)."""
    return mix_input(_in_fours(w), _in_fours(dy).T.copy())


def _in_fours(columns: Float) -> Float:
    """Append columns of zeros up to a multiple of four."""
    return np.pad(columns, ((0, 0), (0, -columns.shape[1] % OUTPUTS_A_PASS)))


@kernel
def mix(x: Float, w: Float) -> Float:
    """Return N_PARTS parts of w' @ x, each over its share of inputs: (N_PARTS, M, B)."""
    ends = [len(x) * p // N_PARTS for p in range(N_PARTS + 1)]
    return np.stack([w[i:j].T @ x[i:j] for i, j in pairwise(ends)])


@mix.jit(parallel=True, error_model="numpy", fastmath={"contract"})
def _(x, w):  # type: ignore[no-untyped-def]
    n_in, n_clips = x.shape
    n_out = w.shape[1]
    parts = np.empty((N_PARTS, n_out, n_clips), x.dtype)
    for p in prange(N_PARTS):
        for o in range(0, n_out, 4):
            y0, y1, y2, y3 = parts[p, o], parts[p, o + 1], parts[p, o + 2], parts[p, o + 3]
            for k in range(n_clips):
                y0[k] = y1[k] = y2[k] = y3[k] = 0
            for i in range(n_in * p // N_PARTS, n_in * (p + 1) // N_PARTS):
                lanes = x[i]
                w0, w1, w2, w3 = w[i, o], w[i, o + 1], w[i, o + 2], w[i, o + 3]
                for k in range(n_clips):
                    y0[k] += w0 * lanes[k]
                    y1[k] += w1 * lanes[k]
                    y2[k] += w2 * lanes[k]
                    y3[k] += w3 * lanes[k]
    return parts


@kernel
def mix_params(x: Float, dy: Float) -> Float:
    """Return x @ dy': (N, B), (M, B) -> (N, M)."""
    return np.asarray(x @ dy.T)


@mix_params.jit(parallel=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _(x, dy):  # type: ignore[no-untyped-def]
    n_in, n_clips = x.shape
    n_out = dy.shape[0]
    dw = np.empty((n_in, n_out), x.dtype)
    for i in prange(n_in):
        lanes = x[i]
        for o in range(0, n_out, 4):
            d0, d1, d2, d3 = dy[o], dy[o + 1], dy[o + 2], dy[o + 3]
            s0 = s1 = s2 = s3 = x.dtype.type(0)
            for k in range(n_clips):
                s0 += lanes[k] * d0[k]
                s1 += lanes[k] * d1[k]
                s2 += lanes[k] * d2[k]
                s3 += lanes[k] * d3[k]
            dw[i, o], dw[i, o + 1], dw[i, o + 2], dw[i, o + 3] = s0, s1, s2, s3
    return dw


@kernel
def mix_input(w: Float, dy: Float) -> Float:
    """Return w @ dy: (N, M), (M, B) -> (N, B)."""
    return np.asarray(w @ dy)


@mix_input.jit(parallel=True, error_model="numpy", fastmath={"contract"})
def _(w, dy):  # type: ignore[no-untyped-def]
    n_in, n_out = w.shape
    n_clips = dy.shape[1]
    dx = np.empty((n_in, n_clips), w.dtype)
    for i in prange(n_in):
        lanes = dx[i]
        for k in range(n_clips):
            lanes[k] = 0
        for o in range(0, n_out, 4):
            d0, d1, d2, d3 = dy[o], dy[o + 1], dy[o + 2], dy[o + 3]
            w0, w1, w2, w3 = w[i, o], w[i, o + 1], w[i, o + 2], w[i, o + 3]
            for k in range(n_clips):
                lanes[k] += w0 * d0[k] + w1 * d1[k] + w2 * d2[k] + w3 * d3[k]
    return dx
