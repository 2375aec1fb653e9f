"""A dense layer through BLAS, both cores: many outputs, or activations that lie clip first.

    x (B, N) | part 0 | part 1 | … |      dw (N, M)  part 0
    w (N, M)   part 0                                part 1
               part 1                                …

The inputs are dealt out to PARTS; each part is one matrix product, so that BLAS stays on one
thread. y is the sum of the parts in their order; of dw and dx every part writes its own share. x
may lie clip first or batch last: BLAS reads either.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from minikws._jit import kernel, matmul, prange
from minikws._typing import Float

PARTS = 16


@kernel
def dense(x: Float, w: Float, b: Float) -> Float:
    """Return x @ w + b: (B, N), (N, M), (M,) -> (B, M)."""
    ends = [len(w) * p // PARTS for p in range(PARTS + 1)]
    return np.asarray(np.stack([x[:, i:j] @ w[i:j] for i, j in pairwise(ends)]).sum(0) + b)


@dense.jit(parallel=True)
def _(x, w, b):  # type: ignore[no-untyped-def]
    n_in, n_out = w.shape
    n_clips = len(x)
    parts = np.empty((PARTS, n_clips, n_out), x.dtype)
    for p in prange(PARTS):
        first, last = n_in * p // PARTS, n_in * (p + 1) // PARTS
        if first < last:
            matmul(x[:, first:last], w[first:last], parts[p], False)
        else:
            parts[p] = 0
    y = np.empty((n_clips, n_out), x.dtype)
    for clip in range(n_clips):
        for o in range(n_out):
            y[clip, o] = 0
        for p in range(PARTS):
            for o in range(n_out):
                y[clip, o] += parts[p, clip, o]
        for o in range(n_out):
            y[clip, o] += b[o]
    return y


@kernel
def dense_params(x: Float, dy: Float) -> Float:
    """Return dw = x' @ dy: (B, N), (B, M) -> (N, M)."""
    return np.asarray(x.T @ dy)


@dense_params.jit(parallel=True)
def _(x, dy):  # type: ignore[no-untyped-def]
    n_in, n_out = x.shape[1], dy.shape[1]
    dw = np.empty((n_in, n_out), x.dtype)
    for p in prange(PARTS):
        first, last = n_in * p // PARTS, n_in * (p + 1) // PARTS
        if first < last:
            matmul(x[:, first:last].T, dy, dw[first:last], False)
    return dw


@kernel
def dense_input(w: Float, dy: Float) -> Float:
    """Return dx = dy @ w': (N, M), (B, M) -> (B, N), clip first."""
    return np.asarray(dy @ w.T)


@dense_input.jit(parallel=True)
def _(w, dy):  # type: ignore[no-untyped-def]
    n_in = len(w)
    dx = np.empty((len(dy), n_in), w.dtype)
    for p in prange(PARTS):
        first, last = n_in * p // PARTS, n_in * (p + 1) // PARTS
        if first < last:
            matmul(dy, w[first:last].T, dx[:, first:last], False)
    return dx
