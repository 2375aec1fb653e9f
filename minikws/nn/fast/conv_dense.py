"""A convolution of few channels, ReLU, dropout and the linear layer behind them, in two calls.

    forward    planes -> sums (C_out, lanes) -> ReLU, dropout -> y[t] -> share of the next layer
    backward   gradient of the next layer -> its weights' gradient, and the gradient (C_out, lanes)
               -> zeros where y is zero -> correlated with the planes

Both loops go over the time steps t of the convolution's output y (T', F', C_out, B), one core
each, and a time step's 64 kB stay in that core's cache from the first line to the last. Planes,
offsets and lanes are those of `nn.fast.conv`.

The next layer is a convolution too: with weights (kt, kf, C_out, M), M a multiple of four. A dense
layer over the flattened y is one whose kernel covers all of it and has a single position.

    y[t] reaches output row t2 by tap m = t + before - t2 * stride, 0 <= m < kt

One t reaches up to `reach` rows. What it adds to each, and to each tap's gradient, are parts
that are added up in the order of t: the same bits for any number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from minikws._jit import kernel, prange
from minikws._typing import Array, Float, Int64
from minikws.nn.fast import conv
from minikws.nn.fast.elementwise import unpack_bits

Numbers: TypeAlias = tuple[int, int, int, int, int, int]  # of a Window
OUTPUTS_A_PASS = 4  # written out in the twins, as are 8 taps and 2 channels


def _meetings(n_t: int, n_f: int, time: Numbers, freq: Numbers) -> Iterator[tuple[int, ...]]:
    """Yield (t, f, t2, f2, m, n): position (t, f) is tap (m, n) of the next layer's (t2, f2)."""
    kt, st, _, t_before, _, n_t2 = time
    kf, sf, _, f_before, _, n_f2 = freq
    for t2, f2, m, n in np.ndindex(n_t2, n_f2, kt, kf):
        t, f = t2 * st + m - t_before, f2 * sf + n - f_before
        if 0 <= t < n_t and 0 <= f < n_f:
            yield t, f, t2, f2, m, n


@kernel
def forward(
    x: Float,
    planes: Float,
    y: Float,
    conv_weights: tuple[Int64, Float, Float],
    windows: tuple[Numbers, Numbers],
    words: Array,
    scale: float,
    next_weights: tuple[Float, Float],
    next_windows: tuple[Numbers, Numbers],
) -> Float:
    """Fill planes and y, and return the next layer's output, (n_t2, n_f2, M, B).

    Parameters
    ----------
    x : (B, T, F, C_in).
    planes : (…, B) of `conv.pack`, whose zeros around x are there already.
    y : (T', F', C_out, B), C_out even: what dropout lets through.
    conv_weights : offsets (K,), weights (C_out, K) and bias (C_out,) of `conv.correlate`.
    windows, next_windows : (time, frequency) of the convolution and of the next layer.
    words, scale : dropout's mask over y in memory order, and factor; no words: nothing is dropped.
    next_weights : (kt, kf, C_out, M) and bias (M,).
    """
    offsets, weights, b = conv_weights
    w2, b2 = next_weights
    n_t, n_f = y.shape[:2]
    time, freq = windows
    places = (time[0], time[1], time[3], n_t), (freq[0], freq[1], freq[3], n_f)
    planes[...] = conv.pack.reference(x, *places[0], *places[1])
    step = time[1] * planes[0].size
    sums = conv.correlate.reference(planes, offsets, step, weights, b, n_t, n_f)
    y[...] = np.where(sums <= 0, y.dtype.type(0), sums * y.dtype.type(scale))
    if words.size:
        y[~unpack_bits(words, y.size).reshape(y.shape)] = 0
    out = np.zeros((next_windows[0][5], next_windows[1][5], *w2.shape[3:], len(x)), y.dtype)
    for t, f, t2, f2, m, n in _meetings(n_t, n_f, *next_windows):
        out[t2, f2] += w2[m, n].T @ y[t, f]
    return out + b2[:, None]


@forward.jit(parallel=True, error_model="numpy", fastmath={"contract"})
def _(  # type: ignore[no-untyped-def]
    x, planes, y, conv_weights, windows, words, scale, next_weights, next_windows
):
    at, weights, b = conv_weights
    w2, b2 = next_weights
    t_before, f_before = windows[0][3], windows[1][3]
    kt2, st2, _, t2_before, _, n_t2 = next_windows[0]
    kf2, sf2, _, f2_before, _, n_f2 = next_windows[1]
    n_clips, n_frames, n_bins, n_in = x.shape
    n_rows, _, sf, n_columns, _ = planes.shape
    n_t, n_f, n_out, _ = y.shape
    n_taps, n_mixed = at.size, w2.shape[3]
    for t_in in prange(min(n_frames, n_rows - t_before)):
        for c in range(n_in):
            for f in range(min(n_bins, n_columns * sf - f_before)):
                row = planes[t_in + t_before, c, (f + f_before) % sf, (f + f_before) // sf]
                for i in range(n_clips):
                    row[i] = x[i, t_in, f, c]

    size = n_f * n_clips
    n_units = n_out * size
    step = windows[0][1] * n_in * sf * n_columns * n_clips
    flat = planes.reshape(-1)
    factor, zero, one = y.dtype.type(scale), y.dtype.type(0), np.uint32(1)
    reach = -(-kt2 // st2)
    parts = np.empty((n_t, reach, n_f2, n_mixed, n_clips), y.dtype)
    for t in prange(n_t):
        lanes = flat[t * step :]
        sums = np.empty((n_out, size), y.dtype)
        for o in range(0, n_out, 2):
            y0, y1 = sums[o], sums[o + 1]
            u, v = weights[o], weights[o + 1]
            for i in range(size):
                y0[i] = b[o]
                y1[i] = b[o + 1]
            for k in range(0, n_taps, 8):
                x0, x1 = lanes[at[k] : at[k] + size], lanes[at[k + 1] : at[k + 1] + size]
                x2, x3 = lanes[at[k + 2] : at[k + 2] + size], lanes[at[k + 3] : at[k + 3] + size]
                x4, x5 = lanes[at[k + 4] : at[k + 4] + size], lanes[at[k + 5] : at[k + 5] + size]
                x6, x7 = lanes[at[k + 6] : at[k + 6] + size], lanes[at[k + 7] : at[k + 7] + size]
                u0, u1, u2, u3 = u[k], u[k + 1], u[k + 2], u[k + 3]
                u4, u5, u6, u7 = u[k + 4], u[k + 5], u[k + 6], u[k + 7]
                v0, v1, v2, v3 = v[k], v[k + 1], v[k + 2], v[k + 3]
                v4, v5, v6, v7 = v[k + 4], v[k + 5], v[k + 6], v[k + 7]
                for i in range(size):  # one chain an output: 1.5 times as fast as two halves
                    upper, lower = y0[i], y1[i]
                    h = x0[i]
                    upper, lower = upper + u0 * h, lower + v0 * h
                    h = x1[i]
                    upper, lower = upper + u1 * h, lower + v1 * h
                    h = x2[i]
                    upper, lower = upper + u2 * h, lower + v2 * h
                    h = x3[i]
                    upper, lower = upper + u3 * h, lower + v3 * h
                    h = x4[i]
                    upper, lower = upper + u4 * h, lower + v4 * h
                    h = x5[i]
                    upper, lower = upper + u5 * h, lower + v5 * h
                    h = x6[i]
                    upper, lower = upper + u6 * h, lower + v6 * h
                    h = x7[i]
                    upper, lower = upper + u7 * h, lower + v7 * h
                    y0[i], y1[i] = upper, lower

        # a value that is not a number passes ReLU, as it does in the layer
        for f in range(n_f):
            for o in range(n_out):
                there, here = y[t, f, o], sums[o, f * n_clips : (f + 1) * n_clips]
                for i in range(n_clips):
                    there[i] = zero if here[i] <= zero else here[i] * factor
        if words.size > 0:
            units = y[t].reshape(-1)
            for first in range(0, n_units, 32):
                word, bit = divmod(t * n_units + first, 32)
                both = np.uint64(words[word])
                both |= np.uint64(words[min(word + 1, words.size - 1)]) << np.uint64(32)
                bits = np.uint32((both >> np.uint64(bit)) & np.uint64(0xFFFFFFFF))
                some = units[first : min(first + 32, n_units)]
                for j in range(some.size):  # a literal 32 would be unrolled, not vectorised
                    value = some[j]
                    some[j] = value if (bits >> np.uint32(j)) & one != 0 else zero

        for r in range(reach):
            t2 = (t + t2_before) // st2 - r
            m = t + t2_before - t2 * st2
            for f2 in range(n_f2):
                for o in range(0, n_mixed, 4):
                    p0, p1 = parts[t, r, f2, o], parts[t, r, f2, o + 1]
                    p2, p3 = parts[t, r, f2, o + 2], parts[t, r, f2, o + 3]
                    for i in range(n_clips):
                        p0[i] = p1[i] = p2[i] = p3[i] = zero
                    if m >= kt2 or t2 < 0 or t2 >= n_t2:
                        continue
                    f_first = f2 * sf2 - f2_before
                    for f in range(max(0, f_first), min(n_f, f_first + kf2)):
                        for c in range(0, n_out, 2):
                            h0, h1 = y[t, f, c], y[t, f, c + 1]
                            q, s = w2[m, f - f_first, c], w2[m, f - f_first, c + 1]
                            q0, q1, q2, q3 = q[o], q[o + 1], q[o + 2], q[o + 3]
                            s0, s1, s2, s3 = s[o], s[o + 1], s[o + 2], s[o + 3]
                            for i in range(n_clips):
                                h, g = h0[i], h1[i]
                                p0[i] = p0[i] + q0 * h + s0 * g
                                p1[i] = p1[i] + q1 * h + s1 * g
                                p2[i] = p2[i] + q2 * h + s2 * g
                                p3[i] = p3[i] + q3 * h + s3 * g

    out = np.empty((n_t2, n_f2, n_mixed, n_clips), y.dtype)
    for t2 in range(n_t2):
        for f2 in range(n_f2):
            for o in range(n_mixed):
                sums = out[t2, f2, o]
                for i in range(n_clips):
                    sums[i] = b2[o]
    for t in range(n_t):
        for r in range(reach):
            t2 = (t + t2_before) // st2 - r
            if 0 <= t2 < n_t2 and t + t2_before - t2 * st2 < kt2:
                for f2 in range(n_f2):
                    for o in range(n_mixed):
                        sums, part = out[t2, f2, o], parts[t, r, f2, o]
                        for i in range(n_clips):
                            sums[i] += part[i]
    return out


@kernel
def backward(
    dout: Float,
    planes: Float,
    y: Float,
    offsets: Int64,
    step: int,
    scale: float,
    w2: Float,
    next_windows: tuple[Numbers, Numbers],
) -> tuple[Float, Float, Float]:
    """Return dweights (C_out, K) and db (C_out,) of the convolution, and the next layer's dw.

    Parameters
    ----------
    dout : (n_t2, n_f2, M, B); step : the planes' size a time step; others : of `forward`.
    """
    dw2 = np.zeros_like(w2)
    for t, f, t2, f2, m, n in _meetings(y.shape[0], y.shape[1], *next_windows):
        dw2[m, n] += y[t, f] @ dout[t2, f2].T
    dsums = open_only(dout, y, scale, w2, next_windows)
    return *conv.correlate_params.reference(planes, offsets, step, dsums), dw2


def open_only(
    dout: Float, y: Float, scale: float, w2: Float, next_windows: tuple[Numbers, Numbers]
) -> Float:
    """Return the gradient of the convolution's output, zero where y is, (T', F', C_out, B)."""
    dy = np.zeros_like(y)
    for t, f, t2, f2, m, n in _meetings(y.shape[0], y.shape[1], *next_windows):
        dy[t, f] += w2[m, n] @ dout[t2, f2]
    return np.where(y > 0, dy * y.dtype.type(scale), y.dtype.type(0))


@backward.jit(parallel=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _(dout, planes, y, at, step, scale, w2, next_windows):  # type: ignore[no-untyped-def]
    kt2, st2, _, t2_before, _, n_t2 = next_windows[0]
    kf2, sf2, _, f2_before, _, n_f2 = next_windows[1]
    n_t, n_f, n_out, n_clips = y.shape
    n_taps, n_mixed = at.size, w2.shape[3]
    size = n_f * n_clips
    flat = planes.reshape(-1)
    factor, zero = y.dtype.type(scale), y.dtype.type(0)
    reach = -(-kt2 // st2)
    parts = np.empty((n_t, n_out, n_taps), y.dtype)
    sums = np.empty((n_t, n_out), y.dtype)
    mixed_parts = np.empty((n_t, reach, kf2 * n_out * n_mixed), y.dtype)
    for t in prange(n_t):
        lanes = flat[t * step :]
        rows = np.empty((n_out, size), y.dtype)
        for o in range(n_out):
            g = rows[o]
            for i in range(size):
                g[i] = zero
        for r in range(reach):
            part = mixed_parts[t, r]
            for k in range(part.size):
                part[k] = zero
            t2 = (t + t2_before) // st2 - r
            m = t + t2_before - t2 * st2
            if m >= kt2 or t2 < 0 or t2 >= n_t2:
                continue
            for f2 in range(n_f2):
                f_first = f2 * sf2 - f2_before
                for f in range(max(0, f_first), min(n_f, f_first + kf2)):
                    n = f - f_first
                    for o in range(0, n_mixed, 4):
                        d0, d1 = dout[t2, f2, o], dout[t2, f2, o + 1]
                        d2, d3 = dout[t2, f2, o + 2], dout[t2, f2, o + 3]
                        for c in range(n_out):
                            h, g = y[t, f, c], rows[c, f * n_clips : (f + 1) * n_clips]
                            at_mixed = (n * n_out + c) * n_mixed
                            w, dw = w2[m, n, c], part[at_mixed : at_mixed + n_mixed]
                            q0, q1, q2, q3 = w[o], w[o + 1], w[o + 2], w[o + 3]
                            s0 = s1 = s2 = s3 = zero
                            for i in range(n_clips):
                                s0 += h[i] * d0[i]
                                s1 += h[i] * d1[i]
                                s2 += h[i] * d2[i]
                                s3 += h[i] * d3[i]
                                g[i] += q0 * d0[i] + q1 * d1[i] + q2 * d2[i] + q3 * d3[i]
                            dw[o] += s0
                            dw[o + 1] += s1
                            dw[o + 2] += s2
                            dw[o + 3] += s3
        for o in range(n_out):
            total = zero
            for f in range(n_f):
                h, g = y[t, f, o], rows[o, f * n_clips : (f + 1) * n_clips]
                for i in range(n_clips):
                    value = g[i] * factor if h[i] > zero else zero
                    g[i] = value
                    total += value
            sums[t, o] = total
        for o in range(0, n_out, 2):
            y0, y1 = rows[o], rows[o + 1]
            p, q = parts[t, o], parts[t, o + 1]
            for k in range(0, n_taps, 8):
                x0, x1 = lanes[at[k] : at[k] + size], lanes[at[k + 1] : at[k + 1] + size]
                x2, x3 = lanes[at[k + 2] : at[k + 2] + size], lanes[at[k + 3] : at[k + 3] + size]
                x4, x5 = lanes[at[k + 4] : at[k + 4] + size], lanes[at[k + 5] : at[k + 5] + size]
                x6, x7 = lanes[at[k + 6] : at[k + 6] + size], lanes[at[k + 7] : at[k + 7] + size]
                p0 = p1 = p2 = p3 = p4 = p5 = p6 = p7 = zero
                q0 = q1 = q2 = q3 = q4 = q5 = q6 = q7 = zero
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

    # np.zeros here would be a parallel loop of its own
    dweights, db = np.empty((n_out, n_taps), y.dtype), np.empty(n_out, y.dtype)
    dw2 = np.empty((kt2, kf2 * n_out * n_mixed), y.dtype)
    for m in range(kt2):
        total = dw2[m]
        for k in range(total.size):
            total[k] = zero
    for o in range(n_out):
        db[o] = zero
        total = dweights[o]
        for k in range(n_taps):
            total[k] = zero
    for t in range(n_t):
        for o in range(n_out):
            db[o] += sums[t, o]
            total, part = dweights[o], parts[t, o]
            for k in range(n_taps):
                total[k] += part[k]
        for r in range(reach):
            t2 = (t + t2_before) // st2 - r
            m = t + t2_before - t2 * st2
            if m < kt2 and 0 <= t2 < n_t2:
                total, part = dw2[m], mixed_parts[t, r]
                for k in range(part.size):
                    total[k] += part[k]
    return dweights, db, dw2.reshape(kt2, kf2, n_out, n_mixed)
