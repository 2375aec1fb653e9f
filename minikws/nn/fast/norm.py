"""Batch normalisation over rows (N, C): every position of every clip is a row, clip first.

Two passes forward (statistics, then values) and two backward (sums, then values), each one read of
its inputs on both cores. Sums run over a constant number of parts, in float64, and are added up in
the parts' order: the same bits for any number of threads. The references take any (…, C).
"""

from __future__ import annotations

import numpy as np

from minikws._jit import kernel, prange
from minikws._typing import Float, Float64

N_PARTS = 32


@kernel
def moments(x: Float) -> tuple[Float64, Float64]:
    """Return mean and (biased) variance of each channel, (…, C) -> (C,) float64."""
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axes, dtype=np.float64)
    return np.asarray(mean), np.asarray(np.square(x - mean).mean(axes))


@moments.jit(parallel=True, error_model="numpy")
def _(x):  # type: ignore[no-untyped-def]
    n_rows, n_channels = x.shape
    # Differences to the first row: the squares' sum does not drown in a large mean.
    first = x[0].astype(np.float64)
    parts = np.zeros((N_PARTS, 2, n_channels), np.float64)
    for p in prange(N_PARTS):
        sums, squares = parts[p, 0], parts[p, 1]
        for i in range(n_rows * p // N_PARTS, n_rows * (p + 1) // N_PARTS):
            row = x[i]
            for c in range(n_channels):
                difference = np.float64(row[c]) - first[c]
                sums[c] += difference
                squares[c] += difference * difference
    mean = np.empty(n_channels, np.float64)
    variance = np.empty(n_channels, np.float64)
    for c in range(n_channels):
        total, square = 0.0, 0.0
        for p in range(N_PARTS):
            total += parts[p, 0, c]
            square += parts[p, 1, c]
        offset = total / n_rows
        mean[c] = first[c] + offset
        variance[c] = max(square / n_rows - offset * offset, 0.0)
    return mean, variance


@kernel
def normalize(x: Float, mean: Float, scale: Float, beta: Float) -> Float:
    """Return (x - mean) * scale + beta, (…, C) and (C,)."""
    return np.asarray((x - mean) * scale + beta)


@normalize.jit(parallel=True)
def _(x, mean, scale, beta):  # type: ignore[no-untyped-def]
    n_rows, n_channels = x.shape
    y = np.empty_like(x)
    for i in prange(n_rows):
        row, out = x[i], y[i]
        for c in range(n_channels):
            out[c] = (row[c] - mean[c]) * scale[c] + beta[c]
    return y


@kernel
def gradient_sums(dy: Float, x: Float, mean: Float) -> tuple[Float64, Float64]:
    """Return the sums of dy and of dy * (x - mean), (…, C) -> (C,) float64."""
    axes = tuple(range(x.ndim - 1))
    products = dy * (x - mean)
    return dy.sum(axes, dtype=np.float64), products.sum(axes, dtype=np.float64)


@gradient_sums.jit(parallel=True)
def _(dy, x, mean):  # type: ignore[no-untyped-def]
    n_rows, n_channels = x.shape
    parts = np.zeros((N_PARTS, 2, n_channels), np.float64)
    for p in prange(N_PARTS):
        sums, products = parts[p, 0], parts[p, 1]
        for i in range(n_rows * p // N_PARTS, n_rows * (p + 1) // N_PARTS):
            row, gradient = x[i], dy[i]
            for c in range(n_channels):
                sums[c] += np.float64(gradient[c])
                products[c] += np.float64(gradient[c] * (row[c] - mean[c]))
    totals = np.zeros((2, n_channels), np.float64)
    for p in range(N_PARTS):
        for c in range(n_channels):
            totals[0, c] += parts[p, 0, c]
            totals[1, c] += parts[p, 1, c]
    return totals[0], totals[1]


@kernel
def gradient_input(
    dy: Float, x: Float, mean: Float, scale: Float, slope: Float, shift: Float
) -> Float:
    """Return scale * dy - slope * (x - mean) - shift, (…, C) and (C,)."""
    return np.asarray(scale * dy - slope * (x - mean) - shift)


@gradient_input.jit(parallel=True)
def _(dy, x, mean, scale, slope, shift):  # type: ignore[no-untyped-def]
    n_rows, n_channels = x.shape
    dx = np.empty_like(x)
    for i in prange(n_rows):
        row, gradient, out = x[i], dy[i], dx[i]
        for c in range(n_channels):
            out[c] = scale[c] * gradient[c] - slope[c] * (row[c] - mean[c]) - shift[c]
    return dx
