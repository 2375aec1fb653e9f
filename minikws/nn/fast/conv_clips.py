"""Convolution with clip-first memory: many channels, and BLAS does the products.

What each output position sees is laid out as a row, and the kernel's weights are columns:

    rows (positions, taps * C_in)         weights (taps * C_in, C_out)
    clip 0, t 0, f 0 | tap 0: c c c c | tap 1: c c c c | …
    clip 0, t 0, f 1 | tap 0: c c c c | tap 1: c c c c | …

so that y = rows @ weights, dw = rows' @ dy, and dy @ weights' is what each tap sends back to where
it read. All rows of a batch would take taps times the memory of its input: they are made some at a
time, few enough to stay in cache. The twins deal the batch out to PARTS threads at most, a number
that does not depend on the machine, and add up the parts in order.

`time` and `freq` are the fields of a `Window`, as plain tuples.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minikws._jit import kernel, prange
from minikws._typing import Float

PARTS = 16
BLOCK_VALUES = 2**17  # of rows at a time: half a megabyte in float32

Places = tuple[int, int, int, int, int, int]  # size, stride, dilation, before, after, n_out


@kernel
def convolve(x: Float, w: Float, b: Float, time: Places, freq: Places) -> Float:
    """Return y = rows @ w + b, (B, T', F', C_out).

    x : (B, T, F, C_in); w : (taps * C_in, C_out); b : (C_out,).
    """
    y = np.empty((len(x), time[-1], freq[-1], w.shape[1]), x.dtype)
    for clips in _blocks(x, w, time, freq):
        rows = _rows(x[clips], time, freq) @ w + b
        y[clips] = rows.reshape(y[clips].shape)
    return y


@convolve.jit(parallel=True)
def _(x, w, b, time, freq):  # type: ignore[no-untyped-def]
    kt, st, dt, t_before, _, n_t = time
    kf, sf, df, f_before, _, n_f = freq
    n_clips, n_frames, n_bins, n_in = x.shape
    flat_x = x.reshape(n_clips, n_frames, n_bins * n_in)
    a_run = kf if df == 1 else 1  # taps that are neighbors in memory
    n_taps, n_out = w.shape
    n_steps = n_clips * n_t  # one step: one clip's outputs of one time
    a_part = -(-n_steps // PARTS)
    a_block = max(1, min(a_part, BLOCK_VALUES // (n_f * n_taps)))
    y = np.empty((n_steps * n_f, n_out), x.dtype)
    for part in prange(PARTS):
        rows = np.empty((a_block * n_f, n_taps), x.dtype)
        end = min((part + 1) * a_part, n_steps)
        for first in range(part * a_part, end, a_block):
            last = min(first + a_block, end)
            for step in range(first, last):
                clip, t = step // n_t, step % n_t
                for f in range(n_f):
                    row = rows[(step - first) * n_f + f]
                    for m in range(kt):
                        at = t * st - t_before + m * dt
                        is_inside = 0 <= at < n_frames
                        for n in range(0, kf, a_run):
                            begin = f * sf - f_before + n * df
                            low = min(max(-begin, 0), a_run)
                            high = max(min(n_bins - begin, a_run), low) if is_inside else low
                            run = row[(m * kf + n) * n_in : (m * kf + n + a_run) * n_in]
                            for i in range(low * n_in):
                                run[i] = 0
                            for i in range(high * n_in, a_run * n_in):
                                run[i] = 0
                            if low < high:
                                here = run[low * n_in : high * n_in]
                                bins = flat_x[clip, at]
                                seen = bins[(begin + low) * n_in : (begin + high) * n_in]
                                for i in range(len(here)):
                                    here[i] = seen[i]
            out = y[first * n_f : last * n_f]
            np.dot(rows[: (last - first) * n_f], w, out)
            for i in range(len(out)):
                for o in range(n_out):
                    out[i, o] += b[o]
    return y.reshape(n_clips, n_t, n_f, n_out)


@kernel
def convolve_params(x: Float, dy: Float, time: Places, freq: Places) -> tuple[Float, Float]:
    """Return dw = rows' @ dy, (taps * C_in, C_out), and db (C_out,) for dy (B, T', F', C_out)."""
    n_in, n_out = x.shape[3], dy.shape[3]
    dw = np.zeros((time[0] * freq[0] * n_in, n_out), dy.dtype)
    for clips in _blocks(x, dw, time, freq):
        dw += _rows(x[clips], time, freq).T @ dy[clips].reshape(-1, n_out)
    return dw, np.asarray(dy.sum((0, 1, 2)))


@convolve_params.jit(parallel=True)
def _(x, dy, time, freq):  # type: ignore[no-untyped-def]
    kt, st, dt, t_before, _, n_t = time
    kf, sf, df, f_before, _, n_f = freq
    n_clips, n_frames, n_bins, n_in = x.shape
    flat_x = x.reshape(n_clips, n_frames, n_bins * n_in)
    a_run = kf if df == 1 else 1  # taps that are neighbors in memory
    n_out = dy.shape[3]
    n_taps = kt * kf * n_in
    flat = dy.reshape(-1, n_out)
    n_steps = n_clips * n_t
    a_part = -(-n_steps // PARTS)
    a_block = max(1, min(a_part, BLOCK_VALUES // (n_f * n_taps)))
    dws = np.zeros((PARTS, n_taps, n_out), x.dtype)
    dbs = np.zeros((PARTS, n_out), x.dtype)
    for part in prange(PARTS):
        dw, db = dws[part], dbs[part]
        rows = np.empty((a_block * n_f, n_taps), x.dtype)
        share = np.empty((n_taps, n_out), x.dtype)
        end = min((part + 1) * a_part, n_steps)
        for first in range(part * a_part, end, a_block):
            last = min(first + a_block, end)
            for step in range(first, last):
                clip, t = step // n_t, step % n_t
                for f in range(n_f):
                    row = rows[(step - first) * n_f + f]
                    for m in range(kt):
                        at = t * st - t_before + m * dt
                        is_inside = 0 <= at < n_frames
                        for n in range(0, kf, a_run):
                            begin = f * sf - f_before + n * df
                            low = min(max(-begin, 0), a_run)
                            high = max(min(n_bins - begin, a_run), low) if is_inside else low
                            run = row[(m * kf + n) * n_in : (m * kf + n + a_run) * n_in]
                            for i in range(low * n_in):
                                run[i] = 0
                            for i in range(high * n_in, a_run * n_in):
                                run[i] = 0
                            if low < high:
                                here = run[low * n_in : high * n_in]
                                bins = flat_x[clip, at]
                                seen = bins[(begin + low) * n_in : (begin + high) * n_in]
                                for i in range(len(here)):
                                    here[i] = seen[i]
            out = flat[first * n_f : last * n_f]
            np.dot(rows[: (last - first) * n_f].T, out, share)
            for k in range(n_taps):
                for o in range(n_out):
                    dw[k, o] += share[k, o]
            for i in range(len(out)):
                for o in range(n_out):
                    db[o] += out[i, o]
    for part in range(1, PARTS):
        for k in range(n_taps):
            for o in range(n_out):
                dws[0, k, o] += dws[part, k, o]
        for o in range(n_out):
            dbs[0, o] += dbs[part, o]
    return dws[0], dbs[0]


@kernel
def convolve_input(
    dy: Float, w_turned: Float, n_frames: int, n_bins: int, time: Places, freq: Places
) -> Float:
    """Return dx (B, T, F, C_in): each tap sends its share of dy back to where it read.

    dy : (B, T', F', C_out); w_turned : (C_out, taps * C_in).
    """
    kt, st, dt, t_before, t_after, n_t = time
    kf, sf, df, f_before, f_after, n_f = freq
    n_in = w_turned.shape[1] // (kt * kf)
    # VALID with a stride may leave a tail unread: its gradient is 0
    padded = (t_before + n_frames + t_after, f_before + n_bins + f_after)
    dx = np.zeros((len(dy), *padded, n_in), dy.dtype)
    for clips in _blocks(dy, w_turned, time, freq):
        shares = dy[clips].reshape(-1, dy.shape[3]) @ w_turned
        shares = shares.reshape(*dy[clips].shape[:3], kt, kf, n_in)
        for m, n in np.ndindex(kt, kf):
            t_read = slice(m * dt, m * dt + st * n_t, st)
            f_read = slice(n * df, n * df + sf * n_f, sf)
            dx[clips, t_read, f_read] += shares[:, :, :, m, n]
    return dx[:, t_before : t_before + n_frames, f_before : f_before + n_bins]


@convolve_input.jit(parallel=True)
def _(dy, w_turned, n_frames, n_bins, time, freq):  # type: ignore[no-untyped-def]
    kt, st, dt, t_before, _, n_t = time
    kf, sf, df, f_before, _, n_f = freq
    n_clips, n_out = dy.shape[0], dy.shape[3]
    n_taps = w_turned.shape[1]
    n_in = n_taps // (kt * kf)
    flat = dy.reshape(-1, n_out)
    a_part = -(-n_clips // PARTS)
    a_block = max(1, min(n_t, BLOCK_VALUES // (n_f * n_taps)))
    a_run = kf if df == 1 else 1  # taps that are neighbors in memory
    dx = np.empty((n_clips, n_frames, n_bins * n_in), dy.dtype)
    for part in prange(PARTS):
        shares = np.empty((a_block * n_f, n_taps), dy.dtype)
        for clip in range(part * a_part, min((part + 1) * a_part, n_clips)):
            dx[clip] = 0
            for first in range(0, n_t, a_block):
                last = min(first + a_block, n_t)
                rows = shares[: (last - first) * n_f]
                np.dot(flat[(clip * n_t + first) * n_f : (clip * n_t + last) * n_f], w_turned, rows)
                for t in range(first, last):
                    for f in range(n_f):
                        row = shares[(t - first) * n_f + f]
                        for m in range(kt):
                            at = t * st - t_before + m * dt
                            if at < 0 or at >= n_frames:
                                continue
                            for n in range(0, kf, a_run):
                                begin = f * sf - f_before + n * df
                                low = min(max(-begin, 0), a_run)
                                high = max(min(n_bins - begin, a_run), low)
                                if low < high:
                                    tap = m * kf + n
                                    here = row[(tap + low) * n_in : (tap + high) * n_in]
                                    bins = dx[clip, at]
                                    there = bins[(begin + low) * n_in : (begin + high) * n_in]
                                    for i in range(len(here)):
                                        there[i] += here[i]
    return dx.reshape(n_clips, n_frames, n_bins, n_in)


@kernel
def mix(x: Float, w: Float, b: Float) -> Float:
    """Return x @ w + b, (N, C_in) @ (C_in, C_out): a convolution of one tap and stride 1."""
    return np.asarray(x @ w + b)


@mix.jit(parallel=True)
def _(x, w, b):  # type: ignore[no-untyped-def]
    n_rows, n_out = len(x), w.shape[1]
    a_part = -(-n_rows // PARTS)
    y = np.empty((n_rows, n_out), x.dtype)
    for part in prange(PARTS):
        first, last = min(part * a_part, n_rows), min((part + 1) * a_part, n_rows)
        out = y[first:last]
        if first < last:
            np.dot(x[first:last], w, out)
        for i in range(len(out)):
            for o in range(n_out):
                out[i, o] += b[o]
    return y


@kernel
def mix_params(x: Float, dy: Float) -> tuple[Float, Float]:
    """Return dw = x' @ dy, (C_in, C_out), and db (C_out,), of `mix`."""
    return np.asarray(x.T @ dy), np.asarray(dy.sum(0))


@mix_params.jit(parallel=True)
def _(x, dy):  # type: ignore[no-untyped-def]
    n_rows, n_in, n_out = len(x), x.shape[1], dy.shape[1]
    a_part = -(-n_rows // PARTS)
    dws = np.zeros((PARTS, n_in, n_out), x.dtype)
    dbs = np.zeros((PARTS, n_out), x.dtype)
    for part in prange(PARTS):
        first, last = min(part * a_part, n_rows), min((part + 1) * a_part, n_rows)
        if first < last:
            np.dot(x[first:last].T, dy[first:last], dws[part])
        db = dbs[part]
        for i in range(first, last):
            for o in range(n_out):
                db[o] += dy[i, o]
    for part in range(1, PARTS):
        for k in range(n_in):
            for o in range(n_out):
                dws[0, k, o] += dws[part, k, o]
        for o in range(n_out):
            dbs[0, o] += dbs[part, o]
    return dws[0], dbs[0]


def _blocks(x: Float, w: Float, time: Places, freq: Places) -> Iterator[slice]:
    """Deal the clips out so that a block's rows take BLOCK_VALUES, or one clip's."""
    a_clip = time[-1] * freq[-1] * w.size // min(w.shape)
    n_clips = max(1, BLOCK_VALUES // max(1, a_clip))
    for first in range(0, len(x), n_clips):
        yield slice(first, first + n_clips)


def _rows(x: Float, time: Places, freq: Places) -> Float:
    """Return what each output position of x (B, T, F, C) sees, (B * T' * F', taps * C)."""
    kt, st, dt, t_before, t_after, _ = time
    kf, sf, df, f_before, f_after, _ = freq
    padded = np.pad(x, ((0, 0), (t_before, t_after), (f_before, f_after), (0, 0)))
    spans = ((kt - 1) * dt + 1, (kf - 1) * df + 1)
    seen = sliding_window_view(padded, spans, axis=(1, 2))[:, ::st, ::sf, :, ::dt, ::df]
    return seen.transpose(0, 1, 2, 4, 5, 3).reshape(-1, kt * kf * x.shape[3])
