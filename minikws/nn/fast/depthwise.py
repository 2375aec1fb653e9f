"""Convolution of each channel with its own pattern: lanes are the channels, clip-first memory.

Every tap is one multiplication of C neighbors in memory, so the twins run over (time, frequency,
tap) and leave the innermost loop to the channels:

    y[t, f, :] += x[t*st + m*dt, f*sf + n*df, :] * w[m, n, :]

The batch is dealt out to PARTS threads at most, a number that does not depend on the machine, and
what they add up is added in order. `time` and `freq` are the fields of a `Window`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minikws._jit import kernel, prange
from minikws._typing import Float

PARTS = 16

Places = tuple[int, int, int, int, int, int]  # size, stride, dilation, before, after, n_out
Tap = tuple[int, int, slice, slice]


@kernel
def slide(x: Float, w: Float, b: Float, time: Places, freq: Places) -> Float:
    """Return y (B, T', F', C) for x (B, T, F, C), w (kt, kf, C), b (C,)."""
    padded = _pad(x, time, freq)
    y = np.zeros((len(x), time[-1], freq[-1], x.shape[3]), x.dtype)
    for m, n, t_read, f_read in _taps(time, freq):
        y += padded[:, t_read, f_read] * w[m, n]
    return np.asarray(y + b)


@slide.jit(parallel=True, error_model="numpy", fastmath={"contract"})
def _(x, w, b, time, freq):  # type: ignore[no-untyped-def]
    kt, st, dt, t_before, _, n_t = time
    kf, sf, df, f_before, _, n_f = freq
    n_clips, n_frames, n_bins, n_channels = x.shape
    a_part = -(-n_clips // PARTS)
    y = np.empty((n_clips, n_t, n_f, n_channels), x.dtype)
    for part in prange(PARTS):
        for clip in range(part * a_part, min((part + 1) * a_part, n_clips)):
            for t in range(n_t):
                for f in range(n_f):
                    here = y[clip, t, f]
                    for c in range(n_channels):
                        here[c] = b[c]
                    for m in range(kt):
                        at = t * st - t_before + m * dt
                        if at < 0 or at >= n_frames:
                            continue
                        for n in range(kf):
                            f_at = f * sf - f_before + n * df
                            if 0 <= f_at < n_bins:
                                seen, weights = x[clip, at, f_at], w[m, n]
                                for c in range(n_channels):
                                    here[c] += seen[c] * weights[c]
    return y


@kernel
def slide_params(x: Float, dy: Float, time: Places, freq: Places) -> tuple[Float, Float]:
    """Return dw (kt, kf, C) and db (C,) for dy (B, T', F', C)."""
    padded = _pad(x, time, freq)
    dw = np.empty((time[0], freq[0], x.shape[3]), dy.dtype)
    for m, n, t_read, f_read in _taps(time, freq):
        dw[m, n] = (padded[:, t_read, f_read] * dy).sum((0, 1, 2))
    return dw, np.asarray(dy.sum((0, 1, 2)))


@slide_params.jit(parallel=True, error_model="numpy", fastmath={"contract"})
def _(x, dy, time, freq):  # type: ignore[no-untyped-def]
    kt, st, dt, t_before, _, n_t = time
    kf, sf, df, f_before, _, n_f = freq
    n_clips, n_frames, n_bins, n_channels = x.shape
    a_part = -(-n_clips // PARTS)
    dws = np.zeros((PARTS, kt, kf, n_channels), x.dtype)
    dbs = np.zeros((PARTS, n_channels), x.dtype)
    for part in prange(PARTS):
        db = dbs[part]
        for clip in range(part * a_part, min((part + 1) * a_part, n_clips)):
            for t in range(n_t):
                for f in range(n_f):
                    here = dy[clip, t, f]
                    for c in range(n_channels):
                        db[c] += here[c]
                    for m in range(kt):
                        at = t * st - t_before + m * dt
                        if at < 0 or at >= n_frames:
                            continue
                        for n in range(kf):
                            f_at = f * sf - f_before + n * df
                            if 0 <= f_at < n_bins:
                                seen, dw = x[clip, at, f_at], dws[part, m, n]
                                for c in range(n_channels):
                                    dw[c] += seen[c] * here[c]
    for part in range(1, PARTS):
        for c in range(n_channels):
            dbs[0, c] += dbs[part, c]
            for m in range(kt):
                for n in range(kf):
                    dws[0, m, n, c] += dws[part, m, n, c]
    return dws[0], dbs[0]


@kernel
def slide_input(
    dy: Float, w: Float, n_frames: int, n_bins: int, time: Places, freq: Places
) -> Float:
    """Return dx (B, n_frames, n_bins, C): each tap sends its share of dy back."""
    t_before, t_after, f_before, f_after = *time[3:5], *freq[3:5]
    padded = (t_before + n_frames + t_after, f_before + n_bins + f_after)
    dx = np.zeros((len(dy), *padded, dy.shape[3]), dy.dtype)
    for m, n, t_read, f_read in _taps(time, freq):
        dx[:, t_read, f_read] += dy * w[m, n]
    return dx[:, t_before : t_before + n_frames, f_before : f_before + n_bins]


@slide_input.jit(parallel=True, error_model="numpy", fastmath={"contract"})
def _(dy, w, n_frames, n_bins, time, freq):  # type: ignore[no-untyped-def]
    kt, st, dt, t_before, _, n_t = time
    kf, sf, df, f_before, _, n_f = freq
    n_clips, n_channels = dy.shape[0], dy.shape[3]
    a_part = -(-n_clips // PARTS)
    dx = np.empty((n_clips, n_frames, n_bins, n_channels), dy.dtype)
    for part in prange(PARTS):
        for clip in range(part * a_part, min((part + 1) * a_part, n_clips)):
            dx[clip] = 0
            for t in range(n_t):
                for f in range(n_f):
                    here = dy[clip, t, f]
                    for m in range(kt):
                        at = t * st - t_before + m * dt
                        if at < 0 or at >= n_frames:
                            continue
                        for n in range(kf):
                            f_at = f * sf - f_before + n * df
                            if 0 <= f_at < n_bins:
                                there, weights = dx[clip, at, f_at], w[m, n]
                                for c in range(n_channels):
                                    there[c] += here[c] * weights[c]
    return dx


def _pad(x: Float, time: Places, freq: Places) -> Float:
    return np.pad(x, ((0, 0), time[3:5], freq[3:5], (0, 0)))


def _taps(time: Places, freq: Places) -> Iterator[Tap]:
    """Yield each tap (m, n) with the slices of the padded input that it reads."""
    kt, st, dt, _, _, n_t = time
    kf, sf, df, _, _, n_f = freq
    for m, n in np.ndindex(kt, kf):
        t_read = slice(m * dt, m * dt + st * n_t, st)
        yield m, n, t_read, slice(n * df, n * df + sf * n_f, sf)
