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
    parts = np.zeros((N_PARTS, n_out, n_clips), x.dtype)
    for p in prange(N_PARTS):
        for i in range(p * n_in // N_PARTS, (p + 1) * n_in // N_PARTS):
            row = x[i]
            for o in range(n_out):
                weight = w[i, o]
                sums = parts[p, o]
                for l in range(n_clips):  # noqa: E741
                    sums[l] += weight * row[l]
    y = np.empty((n_clips, n_out), x.dtype)
    for o in range(n_out):
        for l in range(n_clips):  # noqa: E741
            total = b[o]
            for p in range(N_PARTS):
                total += parts[p, o, l]
            y[l, o] = total
    return y


@kernel
def dense_params(x: Float, dy: Float) -> Float:
    """Return dw = x @ dy: (N, B), (B, M) -> (N, M)."""
    return np.asarray(x @ dy)


@dense_params.jit(parallel=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _(x, dy):  # type: ignore[no-untyped-def]
    n_in, n_clips = x.shape
    n_out = dy.shape[1]
    columns = dy.T.copy()
    dw = np.empty((n_in, n_out), x.dtype)
    for i in prange(n_in):
        row = x[i]
        for o in range(n_out):
            column = columns[o]
            total = x.dtype.type(0)
            for l in range(n_clips):  # noqa: E741
                total += row[l] * column[l]
            dw[i, o] = total
    return dw


@kernel
def dense_input(w: Float, dy: Float) -> Float:
    """Return dx = w @ dy': (N, M), (B, M) -> (N, B)."""
    return np.asarray(w @ dy.T)


@dense_input.jit(parallel=True, error_model="numpy", fastmath={"contract"})
def _(w, dy):  # type: ignore[no-untyped-def]
    n_in, n_out = w.shape
    n_clips = dy.shape[0]
    columns = dy.T.copy()
    dx = np.empty((n_in, n_clips), w.dtype)
    for i in prange(n_in):
        row = dx[i]
        row[:] = 0
        for o in range(n_out):
            weight = w[i, o]
            column = columns[o]
            for l in range(n_clips):  # noqa: E741
                row[l] += weight * column[l]
    return dx
