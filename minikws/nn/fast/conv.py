"""Convolution with (frequency position, clip) as one long contiguous axis of lanes.

`pack` transposes the batch once and deals the padded frequencies out to `stride` planes:

    planes (T', C_in, stride, F'/stride, B)      frequency f lies in plane f % stride at f // stride

    stride 2   plane 0 | f=0: all clips | f=2: all clips | f=4 …
               plane 1 | f=1: all clips | f=3: all clips | f=5 …

Tap n of every output position and every clip is then one contiguous read of n_f * B lanes, from
plane n % stride, starting at n // stride. Eight taps and two channels a pass keep the weights in
registers; a time step's sums stay in cache. This is 1.8 times as fast as im2col with BLAS, which
has only 8 columns to work with. Gradients of the weights are the same walk, as sums.
"""

from __future__ import annotations

import numpy as np

from minikws._jit import kernel, prange
from minikws._typing import Float


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
def correlate(planes: Float, w: Float, b: Float, st: int, n_t: int, n_f: int) -> Float:
    """Return bias + sum over taps of weight * planes, (n_t, n_f, C_out, B).

    Parameters
    ----------
    planes : of `pack`; w : (kt, kf, C_in, C_out); b : (C_out,); st : stride along time.
    """
    sf, n_clips = planes.shape[2], planes.shape[4]
    y = np.zeros((n_t, n_f, w.shape[3], n_clips), planes.dtype)
    y += b[:, None]
    for m, n in np.ndindex(*w.shape[:2]):
        lanes = planes[m : m + st * n_t : st, :, n % sf, n // sf : n // sf + n_f]
        y += np.einsum("tcfb,co->tfob", lanes, w[m, n])
    return y


@correlate.jit(parallel=True, error_model="numpy", fastmath={"contract"})
def _(planes, w, b, st, n_t, n_f):  # type: ignore[no-untyped-def]
    n_in, sf, n_columns, n_clips = planes.shape[1:]
    kt, kf, _, n_out = w.shape
    flat = planes.reshape(-1)
    row_size = n_in * sf * n_columns * n_clips
    n_lanes = n_f * n_clips
    # taps as offsets into the planes, filled up to a multiple of 8 with weights of 0
    n_taps = kt * kf * n_in
    n_steps = (n_taps + 7) // 8 * 8
    n_even = (n_out + 1) // 2 * 2
    offsets = np.empty(n_steps, np.int64)
    weights = np.zeros((n_even, n_steps), w.dtype)
    k = 0
    for m in range(kt):
        for n in range(kf):
            for c in range(n_in):
                column = (c * sf + n % sf) * n_columns + n // sf
                offsets[k] = m * row_size + column * n_clips
                for o in range(n_out):
                    weights[o, k] = w[m, n, c, o]
                k += 1
    offsets[n_taps:] = offsets[n_taps - 1]

    y = np.empty((n_t, n_f, n_out, n_clips), planes.dtype)
    for t in prange(n_t):
        at = offsets + t * st * row_size
        sums = np.empty((n_even, n_lanes), planes.dtype)
        for o in range(n_out):
            sums[o] = b[o]
        sums[n_out:] = 0
        for o in range(0, n_even, 2):
            y0, y1 = sums[o], sums[o + 1]
            u, v = weights[o], weights[o + 1]
            for k in range(0, n_steps, 8):
                x0, x1 = flat[at[k] : at[k] + n_lanes], flat[at[k + 1] : at[k + 1] + n_lanes]
                x2, x3 = (
                    flat[at[k + 2] : at[k + 2] + n_lanes],
                    flat[at[k + 3] : at[k + 3] + n_lanes],
                )
                x4, x5 = (
                    flat[at[k + 4] : at[k + 4] + n_lanes],
                    flat[at[k + 5] : at[k + 5] + n_lanes],
                )
                x6, x7 = (
                    flat[at[k + 6] : at[k + 6] + n_lanes],
                    flat[at[k + 7] : at[k + 7] + n_lanes],
                )
                u0, u1, u2, u3 = u[k], u[k + 1], u[k + 2], u[k + 3]
                u4, u5, u6, u7 = u[k + 4], u[k + 5], u[k + 6], u[k + 7]
                v0, v1, v2, v3 = v[k], v[k + 1], v[k + 2], v[k + 3]
                v4, v5, v6, v7 = v[k + 4], v[k + 5], v[k + 6], v[k + 7]
                for i in range(n_lanes):
                    left = u0 * x0[i] + u1 * x1[i] + u2 * x2[i] + u3 * x3[i]
                    y0[i] += left + u4 * x4[i] + u5 * x5[i] + u6 * x6[i] + u7 * x7[i]
                    left = v0 * x0[i] + v1 * x1[i] + v2 * x2[i] + v3 * x3[i]
                    y1[i] += left + v4 * x4[i] + v5 * x5[i] + v6 * x6[i] + v7 * x7[i]
        for f in range(n_f):
            for o in range(n_out):
                for i in range(n_clips):
                    y[t, f, o, i] = sums[o, f * n_clips + i]
    return y


@kernel
def correlate_params(
    planes: Float, dy: Float, kt: int, kf: int, st: int, sf: int
) -> tuple[Float, Float]:
    """Return dw (kt, kf, C_in, C_out) and db (C_out,) for dy (n_t, n_f, C_out, B)."""
    n_t, n_f, n_out, _ = dy.shape
    dw = np.empty((kt, kf, planes.shape[1], n_out), planes.dtype)
    for m, n in np.ndindex(kt, kf):
        lanes = planes[m : m + st * n_t : st, :, n % sf, n // sf : n // sf + n_f]
        dw[m, n] = np.einsum("tcfb,tfob->co", lanes, dy, optimize=True)
    return dw, np.asarray(dy.sum((0, 1, 3)))


@correlate_params.jit(parallel=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _(planes, dy, kt, kf, st, sf):  # type: ignore[no-untyped-def]
    n_in, _, n_columns, n_clips = planes.shape[1:]
    n_t, n_f, n_out, _ = dy.shape
    flat = planes.reshape(-1)
    row_size = n_in * sf * n_columns * n_clips
    n_lanes = n_f * n_clips
    n_taps = kt * kf * n_in
    n_steps = (n_taps + 7) // 8 * 8
    n_even = (n_out + 1) // 2 * 2
    offsets = np.empty(n_steps, np.int64)
    k = 0
    for m in range(kt):
        for n in range(kf):
            for c in range(n_in):
                column = (c * sf + n % sf) * n_columns + n // sf
                offsets[k] = m * row_size + column * n_clips
                k += 1
    offsets[n_taps:] = offsets[n_taps - 1]

    # one part a time step, added up in order: the same bits for any number of threads
    parts = np.empty((n_t, n_even, n_steps), planes.dtype)
    part_sums = np.empty((n_t, n_out), planes.dtype)
    for t in prange(n_t):
        at = offsets + t * st * row_size
        rows = np.zeros((n_even, n_lanes), planes.dtype)
        for o in range(n_out):
            total = dy.dtype.type(0)
            for f in range(n_f):
                for i in range(n_clips):
                    rows[o, f * n_clips + i] = dy[t, f, o, i]
                    total += dy[t, f, o, i]
            part_sums[t, o] = total
        for o in range(0, n_even, 2):
            y0, y1 = rows[o], rows[o + 1]
            p, q = parts[t, o], parts[t, o + 1]
            for k in range(0, n_steps, 8):
                x0, x1 = flat[at[k] : at[k] + n_lanes], flat[at[k + 1] : at[k + 1] + n_lanes]
                x2, x3 = (
                    flat[at[k + 2] : at[k + 2] + n_lanes],
                    flat[at[k + 3] : at[k + 3] + n_lanes],
                )
                x4, x5 = (
                    flat[at[k + 4] : at[k + 4] + n_lanes],
                    flat[at[k + 5] : at[k + 5] + n_lanes],
                )
                x6, x7 = (
                    flat[at[k + 6] : at[k + 6] + n_lanes],
                    flat[at[k + 7] : at[k + 7] + n_lanes],
                )
                p0 = p1 = p2 = p3 = p4 = p5 = p6 = p7 = dy.dtype.type(0)
                q0 = q1 = q2 = q3 = q4 = q5 = q6 = q7 = dy.dtype.type(0)
                for i in range(n_lanes):
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

    dw = np.empty((kt, kf, n_in, n_out), planes.dtype)
    db = np.zeros(n_out, planes.dtype)
    k = 0
    for m in range(kt):
        for n in range(kf):
            for c in range(n_in):
                for o in range(n_out):
                    total = dy.dtype.type(0)
                    for t in range(n_t):
                        total += parts[t, o, k]
                    dw[m, n, c, o] = total
                k += 1
    for t in range(n_t):
        for o in range(n_out):
            db[o] += part_sums[t, o]
    return dw, db
