"""SVDF over whole clips without the frames between its filters in frequency and in time.

The plain form makes every filter's value for every frame of every clip, 100 MB for a batch of 100.
Here the ranks are summed first: K[t,f,u] = sum over r of time[r,t,u] * frequency[r,f,u] is an
ordinary kernel over the whole clip, and y = sum over t of x[:,t] @ K[t]. One K[t] at a time.

The twins cut the units into blocks, which have nothing to do with each other, and the clip into
some frames at a time:

    x (clips, frames * F) @ K (frames * F, block of units) -> added to y (clips, block)

so that each thread keeps its K in cache, calls BLAS for products large enough to run at its rate,
and ends with whole sums: the same bits for any number of threads. On one thread a batch of 100
through low_latency_svdf's layer takes 34 ms forward and backward, of which the bare products are
24; a loop by hand with sums in registers took 51.
"""

from __future__ import annotations

import numpy as np

from minikws._jit import kernel, prange
from minikws._typing import Float

UNITS = 320  # a block
FRAMES = 7  # a matrix product; divides 49 and 98


def filter_clips(x: Float, weights_frequency: Float, weights_time: Float, n_units: int) -> Float:
    """Return y (B, U) of x (B, M, F): weights (F, U * R) and (U * R, M), ranks summed."""
    return mix_frames(
        np.ascontiguousarray(x), *_by_rank(weights_frequency, weights_time.T, n_units)
    )


def filter_params(
    x: Float, weights_frequency: Float, weights_time: Float, dy: Float
) -> tuple[Float, Float]:
    """Return the gradients of weights_frequency (F, U * R) and weights_time (U * R, M)."""
    frequency, time = _by_rank(weights_frequency, weights_time.T, dy.shape[1])
    dfrequency, dtime = mix_frames_params(
        np.ascontiguousarray(x), frequency, time, np.ascontiguousarray(dy)
    )
    return (
        dfrequency.transpose(1, 2, 0).reshape(weights_frequency.shape),
        np.ascontiguousarray(dtime.transpose(2, 0, 1).reshape(weights_time.shape)),
    )


def _by_rank(frequency: Float, time: Float, n_units: int) -> tuple[Float, Float]:
    """Sort the filters by rank: (F, U * R), (M, U * R) -> (R, F, U), (R, M, U)."""
    return (
        np.ascontiguousarray(frequency.reshape(len(frequency), n_units, -1).transpose(2, 0, 1)),
        np.ascontiguousarray(time.reshape(len(time), n_units, -1).transpose(2, 0, 1)),
    )


@kernel
def mix_frames(x: Float, frequency: Float, time: Float) -> Float:
    """Return y (B, U) of x (B, M, F), frequency (R, F, U), time (R, M, U)."""
    y = np.zeros((len(x), frequency.shape[2]), x.dtype)
    for t in range(x.shape[1]):
        y += x[:, t] @ np.einsum("ru,rfu->fu", time[:, t], frequency)
    return y


@mix_frames.jit(parallel=True, error_model="numpy", fastmath={"contract"})
def _(x, frequency, time):  # type: ignore[no-untyped-def]
    n_clips, n_frames, n_features = x.shape
    n_ranks, _, n_units = frequency.shape
    y = np.empty((n_clips, n_units), x.dtype)
    for block in prange(-(-n_units // UNITS)):
        begin, end = block * UNITS, min((block + 1) * UNITS, n_units)
        size = end - begin
        sums, part = np.zeros((n_clips, size), x.dtype), np.empty((n_clips, size), x.dtype)
        frames = np.zeros((n_clips, FRAMES * n_features), x.dtype)
        mixed = np.zeros((FRAMES * n_features, size), x.dtype)  # K of these frames
        for first in range(0, n_frames, FRAMES):
            for k in range(FRAMES * n_features):
                t, f = first + k // n_features, k % n_features
                row = mixed[k]
                for i in range(size):
                    row[i] = 0
                for r in range(n_ranks if t < n_frames else 0):
                    w, v = frequency[r, f, begin:end], time[r, t, begin:end]
                    for i in range(size):
                        row[i] += w[i] * v[i]
            for b in range(n_clips):
                for k in range(min(FRAMES, n_frames - first) * n_features):
                    frames[b, k] = x[b, first + k // n_features, k % n_features]
            np.dot(frames, mixed, part)
            for b in range(n_clips):
                for i in range(size):
                    sums[b, i] += part[b, i]
        for b in range(n_clips):
            for i in range(size):
                y[b, begin + i] = sums[b, i]
    return y


@kernel
def mix_frames_params(x: Float, frequency: Float, time: Float, dy: Float) -> tuple[Float, Float]:
    """Return the gradients of frequency (R, F, U) and time (R, M, U) for dy (B, U)."""
    dfrequency, dtime = np.zeros_like(frequency), np.zeros_like(time)
    for t in range(x.shape[1]):
        dk = x[:, t].T @ dy  # (F, U)
        dfrequency += time[:, t, None] * dk
        dtime[:, t] = np.einsum("rfu,fu->ru", frequency, dk)
    return dfrequency, dtime


@mix_frames_params.jit(parallel=True, error_model="numpy", fastmath={"contract"})
def _(x, frequency, time, dy):  # type: ignore[no-untyped-def]
    n_clips, n_frames, n_features = x.shape
    n_ranks, _, n_units = frequency.shape
    dfrequency, dtime = np.empty_like(frequency), np.empty_like(time)
    for block in prange(-(-n_units // UNITS)):
        begin, end = block * UNITS, min((block + 1) * UNITS, n_units)
        size = end - begin
        dys = np.empty((n_clips, size), x.dtype)
        for b in range(n_clips):
            for i in range(size):
                dys[b, i] = dy[b, begin + i]
        sums = np.zeros((n_ranks, n_features, size), x.dtype)
        frames = np.zeros((n_clips, FRAMES * n_features), x.dtype)
        dmixed = np.empty((FRAMES * n_features, size), x.dtype)  # of K of these frames
        for first in range(0, n_frames, FRAMES):
            n_here = min(FRAMES, n_frames - first)
            for b in range(n_clips):
                for k in range(n_here * n_features):
                    frames[b, k] = x[b, first + k // n_features, k % n_features]
            np.dot(frames.T, dys, dmixed)
            for r in range(n_ranks):
                for t in range(first, first + n_here):
                    v, dv = time[r, t, begin:end], dtime[r, t, begin:end]
                    for i in range(size):
                        dv[i] = 0
                    for f in range(n_features):
                        d, dw = dmixed[(t - first) * n_features + f], sums[r, f]
                        w = frequency[r, f, begin:end]
                        for i in range(size):
                            dv[i] += w[i] * d[i]
                            dw[i] += v[i] * d[i]
        for r in range(n_ranks):
            for f in range(n_features):
                for i in range(size):
                    dfrequency[r, f, begin + i] = sums[r, f, i]
    return dfrequency, dtime
