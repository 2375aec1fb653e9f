"""The largest of each window, and which tap it was: lanes are the channels, clip-first memory.

`time` and `freq` are the fields of a `Window`; taps are numbered in rows, tap = m * kf + n.
"""

from __future__ import annotations

import numpy as np

from minikws._jit import kernel, prange
from minikws._typing import Float, Int32

Places = tuple[int, int, int, int, int, int]  # size, stride, dilation, before, after, n_out


@kernel
def largest(x: Float, time: Places, freq: Places) -> tuple[Float, Int32]:
    """Return y (B, T', F', C) and, (B, T', F', C) int32, the first tap that holds it."""
    sides = (time[3:5], freq[3:5])
    padded = np.pad(x, ((0, 0), *sides, (0, 0)), constant_values=-np.inf)
    y = np.full((len(x), time[-1], freq[-1], x.shape[3]), -np.inf, x.dtype)
    winner = np.zeros(y.shape, np.int32)
    for m, n in np.ndindex(time[0], freq[0]):
        t_read = slice(m, m + time[1] * time[-1], time[1])
        seen = padded[:, t_read, n : n + freq[1] * freq[-1] : freq[1]]
        is_larger = seen > y
        y[is_larger] = seen[is_larger]
        winner[is_larger] = m * freq[0] + n
    return y, winner


@largest.jit(parallel=True)
def _(x, time, freq):  # type: ignore[no-untyped-def]
    kt, st, _, t_before, _, n_t = time
    kf, sf, _, f_before, _, n_f = freq
    n_clips, n_frames, n_bins, n_channels = x.shape
    y = np.empty((n_clips, n_t, n_f, n_channels), x.dtype)
    winner = np.empty((n_clips, n_t, n_f, n_channels), np.int32)
    for clip in prange(n_clips):
        for t in range(n_t):
            for f in range(n_f):
                best, tap = y[clip, t, f], winner[clip, t, f]
                for c in range(n_channels):
                    best[c] = -np.inf
                    tap[c] = 0
                for m in range(kt):
                    at = t * st - t_before + m
                    if at < 0 or at >= n_frames:
                        continue
                    for n in range(kf):
                        f_at = f * sf - f_before + n
                        if 0 <= f_at < n_bins:
                            seen = x[clip, at, f_at]
                            for c in range(n_channels):
                                is_larger = seen[c] > best[c]
                                best[c] = seen[c] if is_larger else best[c]
                                tap[c] = np.int32(m * kf + n) if is_larger else tap[c]
    return y, winner


@kernel
def largest_backward(
    dy: Float, winner: Int32, n_frames: int, n_bins: int, time: Places, freq: Places
) -> Float:
    """Return dx (B, n_frames, n_bins, C): each window's dy goes to its winner."""
    t_before, t_after, f_before, f_after = *time[3:5], *freq[3:5]
    padded = (t_before + n_frames + t_after, f_before + n_bins + f_after)
    dx = np.zeros((len(dy), *padded, dy.shape[3]), dy.dtype)
    for m, n in np.ndindex(time[0], freq[0]):
        t_read = slice(m, m + time[1] * time[-1], time[1])
        f_read = slice(n, n + freq[1] * freq[-1], freq[1])
        dx[:, t_read, f_read] += np.where(winner == m * freq[0] + n, dy, 0)
    return dx[:, t_before : t_before + n_frames, f_before : f_before + n_bins]


@largest_backward.jit(parallel=True)
def _(dy, winner, n_frames, n_bins, time, freq):  # type: ignore[no-untyped-def]
    _, st, _, t_before, _, n_t = time
    kf, sf, _, f_before, _, n_f = freq
    n_clips, n_channels = dy.shape[0], dy.shape[3]
    dx = np.empty((n_clips, n_frames, n_bins, n_channels), dy.dtype)
    for clip in prange(n_clips):
        dx[clip] = 0
        for t in range(n_t):
            for f in range(n_f):
                for c in range(n_channels):
                    tap = winner[clip, t, f, c]
                    at, f_at = t * st - t_before + tap // kf, f * sf - f_before + tap % kf
                    # a window without any number above -inf has no winner
                    if 0 <= at < n_frames and 0 <= f_at < n_bins:
                        dx[clip, at, f_at, c] += dy[clip, t, f, c]
    return dx
