"""Convolution with (frequency position, clip) as one long contiguous axis of lanes.

`pack` transposes the batch once and deals the padded frequencies out to `stride` planes:

    planes (T', C_in, stride, F'/stride, B)      frequency f lies in plane f % stride at f // stride

    stride 2   plane 0 | f=0: all clips | f=2: all clips | f=4 …
               plane 1 | f=1: all clips | f=3: all clips | f=5 …

Tap n of every output position and every clip is then one contiguous read of n_f * B lanes, from
plane n % stride, starting at n // stride. So a convolution is, at each time step t,

    y[t] (C_out, lanes) = weights (C_out, taps) @ lanes[t] (taps, lanes),
    lanes[t, k] = flat planes from t * step + offset[k]

and the weights' gradient is dy[t] @ lanes[t]' summed over t, without ever copying `lanes`. The
twins take eight taps and two channels a pass, which keeps the weights in registers while a time
step's sums stay in cache; BLAS reaches a third of its rate with so few channels.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minikws._jit import kernel, prange
from minikws._typing import Float, Int64

TAPS_A_PASS = 8  # both written out in the twins
CHANNELS_A_PASS = 2


def convolve(planes: Float, w: Float, b: Float, *, st: int, n_t: int, n_f: int) -> Float:
    """Return bias + sum over taps of weight * input, (n_t, n_f, C_out, B).

    planes : of `pack`; w : (kt, kf, C_in, C_out); b : (C_out,); st : stride along time.
    """
    offsets = tap_offsets(planes.shape, *w.shape[:2])
    n_out, n_taps = w.shape[3], w[..., 0].size
    weights = np.zeros((_up_to(n_out, CHANNELS_A_PASS), len(offsets)), w.dtype)
    weights[:n_out, :n_taps] = w.reshape(n_taps, n_out).T
    return correlate(planes, offsets, st * planes[0].size, weights, b, n_t, n_f)


def convolve_params(planes: Float, dy: Float, *, kt: int, kf: int, st: int) -> tuple[Float, Float]:
    """Return dw (kt, kf, C_in, C_out) and db (C_out,) for dy (n_t, n_f, C_out, B)."""
    n_in, n_out = planes.shape[1], dy.shape[2]
    offsets = tap_offsets(planes.shape, kt, kf)
    dweights, db = correlate_params(planes, offsets, st * planes[0].size, dy)
    dw = dweights[:n_out, : kt * kf * n_in].T.reshape(kt, kf, n_in, n_out)
    return np.ascontiguousarray(dw), db


def tap_offsets(planes: tuple[int, ...], kt: int, kf: int) -> Int64:
    """Return where in flat planes of that shape each tap (m, n, c) begins, padded with the last."""
    _, n_in, sf, n_columns, n_clips = planes
    m, n, c = np.ogrid[:kt, :kf, :n_in]
    columns = ((m * n_in + c) * sf + n % sf) * n_columns + n // sf
    offsets = columns.astype(np.int64).reshape(-1) * n_clips
    return np.pad(offsets, (0, _up_to(offsets.size, TAPS_A_PASS) - offsets.size), mode="edge")


def _up_to(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


@kernel
def pack(
    x: Float,
    kt: int,
    st: int,
    t_before: int,
    n_t: int,
    kf: int,
    sf: int,
    f_before: int,
    n_f: int,
) -> Float:
    """Return the padded planes of x (B, T, F, C) for n_t x n_f outputs of a kt x kf kernel."""
    n_clips, n_frames, n_bins, n_in = x.shape
    n_rows, n_columns = (n_t - 1) * st + kt, n_f + (kf - 1) // sf
    planes = np.zeros((n_rows, n_in, sf, n_columns, n_clips), x.dtype)
    t_end, f_end = min(n_frames, n_rows - t_before), min(n_bins, n_columns * sf - f_before)
    for f in range(f_end):
        column, plane = divmod(f + f_before, sf)
        rows = planes[t_before : t_before + t_end, :, plane, column]
        rows[...] = x[:, :t_end, f].transpose(1, 2, 0)
    return planes


@pack.jit(parallel=True)
def _(x, kt, st, t_before, n_t, kf, sf, f_before, n_f):  # type: ignore[no-untyped-def]
    n_clips, n_frames, n_bins, n_in = x.shape
    n_rows, n_columns = (n_t - 1) * st + kt, n_f + (kf - 1) // sf
    planes = np.empty((n_rows, n_in, sf, n_columns, n_clips), x.dtype)
    for row in prange(n_rows):
        t = row - t_before
        for c in range(n_in):
            for plane in range(sf):
                for column in range(n_columns):
                    f = column * sf + plane - f_before
                    lanes = planes[row, c, plane, column]
                    if 0 <= t < n_frames and 0 <= f < n_bins:
                        for b in range(n_clips):
                            lanes[b] = x[b, t, f, c]
                    else:
                        lanes[:] = 0
    return planes


@kernel
def correlate(
    planes: Float, offsets: Int64, step: int, weights: Float, b: Float, n_t: int, n_f: int
) -> Float:
    """Return y (n_t, n_f, C_out, B), y[t] = weights @ lanes[t] + b.

    Parameters
    ----------
    planes : (…, B) of `pack`; offsets : (K,), K a multiple of 8; step : planes' size a time step.
    weights : (C_out or one more, K), an even number of rows; b : (C_out,).
    """
    n_out, n_clips = len(b), planes.shape[-1]
    starts = sliding_window_view(planes.reshape(-1), n_f * n_clips)
    y = np.empty((n_t, n_f, n_out, n_clips), planes.dtype)
    for t in range(n_t):
        lanes = starts[t * step + offsets]  # (K, n_f * B)
        sums = weights[:n_out] @ lanes + b[:, None]
        y[t] = sums.reshape(n_out, n_f, n_clips).transpose(1, 0, 2)
    return y


@correlate.jit(parallel=True, error_model="numpy", fastmath={"contract"})
def _(planes, offsets, step, weights, b, n_t, n_f):  # type: ignore[no-untyped-def]
    n_even, n_taps = weights.shape
    n_out, n_clips = b.size, planes.shape[-1]
    flat = planes.reshape(-1)
    size = n_f * n_clips
    y = np.empty((n_t, n_f, n_out, n_clips), planes.dtype)
    for t in prange(n_t):
        at = offsets + t * step
        sums = np.empty((n_even, size), planes.dtype)
        for o in range(n_even):
            row, bias = sums[o], b[min(o, n_out - 1)]
            for i in range(size):
                row[i] = bias
        for o in range(0, n_even, 2):
            y0, y1 = sums[o], sums[o + 1]
            u, v = weights[o], weights[o + 1]
            for k in range(0, n_taps, 8):
                x0, x1 = flat[at[k] : at[k] + size], flat[at[k + 1] : at[k + 1] + size]
                x2, x3 = flat[at[k + 2] : at[k + 2] + size], flat[at[k + 3] : at[k + 3] + size]
                x4, x5 = flat[at[k + 4] : at[k + 4] + size], flat[at[k + 5] : at[k + 5] + size]
                x6, x7 = flat[at[k + 6] : at[k + 6] + size], flat[at[k + 7] : at[k + 7] + size]
                u0, u1, u2, u3 = u[k], u[k + 1], u[k + 2], u[k + 3]
                u4, u5, u6, u7 = u[k + 4], u[k + 5], u[k + 6], u[k + 7]
                v0, v1, v2, v3 = v[k], v[k + 1], v[k + 2], v[k + 3]
                v4, v5, v6, v7 = v[k + 4], v[k + 5], v[k + 6], v[k + 7]
                for i in range(size):
                    left = u0 * x0[i] + u1 * x1[i] + u2 * x2[i] + u3 * x3[i]
                    y0[i] += left + u4 * x4[i] + u5 * x5[i] + u6 * x6[i] + u7 * x7[i]
                    left = v0 * x0[i] + v1 * x1[i] + v2 * x2[i] + v3 * x3[i]
                    y1[i] += left + v4 * x4[i] + v5 * x5[i] + v6 * x6[i] + v7 * x7[i]
        for f in range(n_f):
            for o in range(n_out):
                there, here = y[t, f, o], sums[o, f * n_clips : (f + 1) * n_clips]
                for i in range(n_clips):
                    there[i] = here[i]
    return y


@kernel
def correlate_params(planes: Float, offsets: Int64, step: int, dy: Float) -> tuple[Float, Float]:
    """Return dweights (even C_out, K), the sum over t of dy[t] @ lanes[t]', and db (C_out,)."""
    n_t, n_f, n_out, n_clips = dy.shape
    starts = sliding_window_view(planes.reshape(-1), n_f * n_clips)
    dweights = np.zeros((n_out + n_out % 2, offsets.size), dy.dtype)
    for t in range(n_t):
        lanes = starts[t * step + offsets]  # (K, n_f * B)
        rows = dy[t].transpose(1, 0, 2).reshape(n_out, n_f * n_clips)
        dweights[:n_out] += rows @ lanes.T
    return dweights, np.asarray(dy.sum((0, 1, 3)))


@correlate_params.jit(parallel=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _(planes, offsets, step, dy):  # type: ignore[no-untyped-def]
    n_t, n_f, n_out, n_clips = dy.shape
    n_even, n_taps = n_out + n_out % 2, offsets.size
    flat = planes.reshape(-1)
    size = n_f * n_clips
    # one part a time step, added up in order: the same bits for any number of threads
    parts = np.empty((n_t, n_even, n_taps), planes.dtype)
    sums = np.empty((n_t, n_out), planes.dtype)
    for t in prange(n_t):
        at = offsets + t * step
        rows = np.empty((n_even, size), planes.dtype)
        for o in range(n_even):
            total = dy.dtype.type(0)
            channel = min(o, n_out - 1)
            for f in range(n_f):
                there, here = rows[o, f * n_clips : (f + 1) * n_clips], dy[t, f, channel]
                for i in range(n_clips):
                    there[i] = here[i]
                    total += here[i]
            sums[t, channel] = total
        for o in range(0, n_even, 2):
            y0, y1 = rows[o], rows[o + 1]
            p, q = parts[t, o], parts[t, o + 1]
            for k in range(0, n_taps, 8):
                x0, x1 = flat[at[k] : at[k] + size], flat[at[k + 1] : at[k + 1] + size]
                x2, x3 = flat[at[k + 2] : at[k + 2] + size], flat[at[k + 3] : at[k + 3] + size]
                x4, x5 = flat[at[k + 4] : at[k + 4] + size], flat[at[k + 5] : at[k + 5] + size]
                x6, x7 = flat[at[k + 6] : at[k + 6] + size], flat[at[k + 7] : at[k + 7] + size]
                p0 = p1 = p2 = p3 = p4 = p5 = p6 = p7 = dy.dtype.type(0)
                q0 = q1 = q2 = q3 = q4 = q5 = q6 = q7 = dy.dtype.type(0)
                for i in range(size):
                    u, v = y0[i], y1[i]
                    p0 += u * x0[i]
                    p1 += u * x1[i]
                    p2 += u * x2[i]
                    p3 += u * x3[i]
                    p4 += u * x4[i]
                    p5 += u * x5[i]
                    p6 += u * x6[i]
                    p7 += u * x7[i]
                    q0 += v * x0[i]
                    q1 += v * x1[i]
                    q2 += v * x2[i]
                    q3 += v * x3[i]
                    q4 += v * x4[i]
                    q5 += v * x5[i]
                    q6 += v * x6[i]
                    q7 += v * x7[i]
                p[k], p[k + 1], p[k + 2], p[k + 3] = p0, p1, p2, p3
                p[k + 4], p[k + 5], p[k + 6], p[k + 7] = p4, p5, p6, p7
                q[k], q[k + 1], q[k + 2], q[k + 3] = q0, q1, q2, q3
                q[k + 4], q[k + 5], q[k + 6], q[k + 7] = q4, q5, q6, q7

    dweights = np.empty((n_even, n_taps), planes.dtype)
    db = np.empty(n_out, planes.dtype)
    for o in range(n_even):
        for k in range(n_taps):
            total = dy.dtype.type(0)
            for t in range(n_t):
                total += parts[t, o, k]
            dweights[o, k] = total if o < n_out else dy.dtype.type(0)
    for o in range(n_out):
        total = dy.dtype.type(0)
        for t in range(n_t):
            total += sums[t, o]
        db[o] = total
    return dweights, db
