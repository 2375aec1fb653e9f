"""A dense layer with few outputs (labels), batch-last: x (N, B).

BLAS would reach little of its rate with 4 columns, and its threads would stand in the way of the
parallel loops around it. Each loop below reads or writes the large array once. Sums over inputs
are split into a constant number of parts and added in their order, so that the number of
threads does not change a bit.
"""

from __future__ import annotations

import numpy as np

from minikws._jit import kernel, prange
from minikws._typing import Float

MAX_OUTPUTS = 16  # above, BLAS wins
N_PARTS = 16


@kernel
def dense(x: Float, w: Float, b: Float) -> Float:
    """Return x' @ w + b: (N, B), (N, M), (M,) -> (B, M)."""
    return np.asarray(x.T @ w + b)


@dense.jit(parallel=True, error_model="numpy", fastmath={"contract"})
def _(x, w, b):  # type: ignore[no-untyped-def]
    n_in, n_clips = x.shape
    n_out = w.shape[1]
    n_padded = (n_out + 3) // 4 * 4  # four outputs a pass, the missing ones with weights of 0
    padded = np.zeros((n_in, n_padded), w.dtype)
    padded[:, :n_out] = w
    parts = np.zeros((N_PARTS, n_padded, n_clips), x.dtype)
    for p in prange(N_PARTS):
        for o in range(0, n_padded, 4):
            y0, y1, y2, y3 = parts[p, o], parts[p, o + 1], parts[p, o + 2], parts[p, o + 3]
            for i in range(p * n_in // N_PARTS, (p + 1) * n_in // N_PARTS):
                lanes, weights = x[i], padded[i]
                w0, w1, w2, w3 = weights[o], weights[o + 1], weights[o + 2], weights[o + 3]
                for k in range(n_clips):
                    y0[k] += w0 * lanes[k]
                    y1[k] += w1 * lanes[k]
                    y2[k] += w2 * lanes[k]
                    y3[k] += w3 * lanes[k]
    y = np.empty((n_clips, n_out), x.dtype)
    for k in range(n_clips):
        for o in range(n_out):
            total = b[o]
            for p in range(N_PARTS):
                total += parts[p, o, k]
            y[k, o] = total
    return y


@kernel
def dense_params(x: Float, dy: Float) -> Float:
    """Return dw = x @ dy: (N, B), (B, M) -> (N, M)."""
    return np.asarray(x @ dy)


@dense_params.jit(parallel=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _(x, dy):  # type: ignore[no-untyped-def]
    n_in, n_clips = x.shape
    n_out = dy.shape[1]
    n_padded = (n_out + 3) // 4 * 4
    columns = np.zeros((n_padded, n_clips), dy.dtype)
    columns[:n_out] = dy.T
    dw = np.empty((n_in, n_out), x.dtype)
    for i in prange(n_in):
        lanes = x[i]
        for o in range(0, n_padded, 4):
            d0, d1, d2, d3 = columns[o], columns[o + 1], columns[o + 2], columns[o + 3]
            s0 = s1 = s2 = s3 = x.dtype.type(0)
            for k in range(n_clips):
                s0 += lanes[k] * d0[k]
                s1 += lanes[k] * d1[k]
                s2 += lanes[k] * d2[k]
                s3 += lanes[k] * d3[k]
            dw[i, o] = s0
            if o + 1 < n_out:
                dw[i, o + 1] = s1
            if o + 2 < n_out:
                dw[i, o + 2] = s2
            if o + 3 < n_out:
                dw[i, o + 3] = s3
    return dw


@kernel
def dense_input(w: Float, dy: Float) -> Float:
    """Return dx = w @ dy': (N, M), (B, M) -> (N, B)."""
    return np.asarray(w @ dy.T)


@dense_input.jit(parallel=True, error_model="numpy", fastmath={"contract"})
def _(w, dy):  # type: ignore[no-untyped-def]
    n_in, n_out = w.shape
    n_clips = dy.shape[0]
    n_padded = (n_out + 3) // 4 * 4
    columns = np.zeros((n_padded, n_clips), dy.dtype)
    columns[:n_out] = dy.T
    padded = np.zeros((n_in, n_padded), w.dtype)
    padded[:, :n_out] = w
    dx = np.zeros((n_in, n_clips), w.dtype)
    for i in prange(n_in):
        lanes, weights = dx[i], padded[i]
        for o in range(0, n_padded, 4):
            d0, d1, d2, d3 = columns[o], columns[o + 1], columns[o + 2], columns[o + 3]
            w0, w1, w2, w3 = weights[o], weights[o + 1], weights[o + 2], weights[o + 3]
            for k in range(n_clips):
                lanes[k] += w0 * d0[k] + w1 * d1[k] + w2 * d2[k] + w3 * d3[k]
    return dx
