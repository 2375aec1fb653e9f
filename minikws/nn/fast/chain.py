"""Batch norm, a bounded line (ReLU, ReLU6) and the convolution behind it, in one pass.

Between two convolutions of a separable network lies a batch norm, whose statistics need all of the
batch. So one kernel goes from one batch norm to the next: it takes what the last convolution left
(before its norm), normalises, bounds and convolves a piece of it while it is in cache, and sums up
what the next norm wants to know. Backward is the same from the next norm to the last one:

    forward    u ─ normalise ─ bound ─ convolve ─ v, mean and variance of v
    backward   du, sums of du ─ bound ─ convolve' ─ normalise' ─ dv

What lies between u and v is computed again, never kept. `norm` holds the rows mean, scale, beta,
and `back` the rows mean, scale, slope, shift of `fast.norm`, (…, C); with (0, 1, 0) and no bounds
the kernels are a plain convolution, with (0, 1, 0, 0) the plain gradient comes in.

The batch is dealt out to PARTS threads at most, and each part to blocks, both by the size of the
batch alone. Sums run in float32 inside a block, from block to block in float64 and in order.
"""

from __future__ import annotations

import numpy as np

from minikws._jit import Part, kernel, matmul, prange
from minikws._typing import Float, Float64, Int64
from minikws.nn.fast import depthwise
from minikws.nn.fast import norm as fast_norm

PARTS = 16
BLOCK = 224  # rows at a time: few enough for BLAS's way with small matrices, and for the cache

Places = tuple[int, int, int, int, int, int]  # size, stride, dilation, before, after, n_out


def bounded(u: Float, norm: Float, low: float, high: float) -> Float:
    """Return (u - mean) * scale + beta, brought between low and high."""
    mean, scale, beta = norm
    return np.asarray(np.clip((u - mean) * scale + beta, low, high), u.dtype)


def unbounded(
    dh: Float, h: Float, u: Float, norm: Float, low: float, high: float
) -> tuple[Float, Float64, Float64]:
    """Return dh where h lies inside the bounds, with its sums and those of du * (u - mean)."""
    du = np.where((h > low) & (h < high), dh, dh.dtype.type(0))
    sums, products = fast_norm.gradient_sums.reference(du, u, norm[0])
    return du, sums, products


def normed_back(dn: Float, v: Float, back: Float) -> Float:
    """Return scale * dn - slope * (v - mean) - shift."""
    return fast_norm.gradient_input.reference(dn, v, *back)


@Part
def bound(u, norm, low, high, h):  # type: ignore[no-untyped-def]
    """Fill h (rows, C) with `bounded`."""
    mean, scale, beta = norm[0], norm[1], norm[2]
    for i in range(len(u)):
        row, out = u[i], h[i]
        for c in range(len(row)):
            value = (row[c] - mean[c]) * scale[c] + beta[c]
            out[c] = low if value < low else (high if value > high else value)


@Part
def unbound(h, low, high, du):  # type: ignore[no-untyped-def]
    """Set du (rows, C) to 0 where h is not inside the bounds."""
    for i in range(len(du)):
        row, out = h[i], du[i]
        for c in range(len(row)):
            out[c] = out[c] if low < row[c] < high else out.dtype.type(0)


@Part
def normalize_back(dn, v, back, dv):  # type: ignore[no-untyped-def]
    """Fill dv (rows, C) with `normed_back`."""
    mean, scale, slope, shift = back[0], back[1], back[2], back[3]
    for i in range(len(dn)):
        gradient, row, out = dn[i], v[i], dv[i]
        for c in range(len(row)):
            out[c] = scale[c] * gradient[c] - slope[c] * (row[c] - mean[c]) - shift[c]


@Part
def sum_up(v, noted):  # type: ignore[no-untyped-def]
    """Note a block's first row, and the sums of the differences to it and of their squares."""
    first, sums, squares = noted[0], noted[1], noted[2]
    first[:] = v[0]
    for i in range(1, len(v)):
        row = v[i]
        for c in range(len(row)):
            difference = row[c] - first[c]
            sums[c] += difference
            squares[c] += difference * difference


@Part
def moments(counts, noted):  # type: ignore[no-untyped-def]
    """Return mean and variance (C,) float64 of all blocks."""
    n_channels = noted.shape[2]
    mean = np.zeros(n_channels, np.float64)
    variance = np.zeros(n_channels, np.float64)
    n_rows = counts.sum()
    for k in range(len(counts)):
        if counts[k]:
            for c in range(n_channels):
                mean[c] += np.float64(noted[k, 0, c]) * counts[k] + np.float64(noted[k, 1, c])
    for c in range(n_channels):
        mean[c] /= n_rows
    for k in range(len(counts)):
        if counts[k]:
            for c in range(n_channels):
                offset = np.float64(noted[k, 1, c]) / counts[k]
                apart = np.float64(noted[k, 0, c]) + offset - mean[c]
                inside = np.float64(noted[k, 2, c]) - offset * offset * counts[k]
                variance[c] += max(inside, 0.0) + apart * apart * counts[k]
    for c in range(n_channels):
        variance[c] /= n_rows
    return mean, variance


@Part
def sum_gradient(du, u, mean, noted):  # type: ignore[no-untyped-def]
    """Note a block's sums of du and of du * (u - mean)."""
    sums, products = noted[0], noted[1]
    for i in range(len(du)):
        gradient, row = du[i], u[i]
        for c in range(len(row)):
            sums[c] += gradient[c]
            products[c] += gradient[c] * (row[c] - mean[c])


@Part
def totals(noted):  # type: ignore[no-untyped-def]
    """Return the blocks' two sums added up, (2, C) float64."""
    total = np.zeros(noted.shape[1:], np.float64)
    for k in range(len(noted)):
        for j in range(noted.shape[1]):
            for c in range(noted.shape[2]):
                total[j, c] += np.float64(noted[k, j, c])
    return total


@kernel
def mix(u: Float, norm: Float, low: float, high: float, w: Float) -> tuple[Float, Float64, Float64]:
    """Return v = bounded(u) @ w, (N, C_in) @ (C_in, C_out), and v's mean and variance, (C_out,)."""
    v = bounded(u, norm, low, high) @ w
    return v, *fast_norm.moments.reference(v)


@mix.jit(parallel=True, error_model="numpy")
def _(u, norm, low, high, w):  # type: ignore[no-untyped-def]
    n_rows, n_in, n_out = len(u), u.shape[1], w.shape[1]
    lowest, highest = u.dtype.type(low), u.dtype.type(high)
    n_blocks = n_rows // (PARTS * BLOCK) + 1
    v = np.empty((n_rows, n_out), u.dtype)
    counts = np.zeros(PARTS * n_blocks, np.int64)
    noted = np.zeros((PARTS * n_blocks, 3, n_out), u.dtype)
    for part in prange(PARTS):
        begin, end = n_rows * part // PARTS, n_rows * (part + 1) // PARTS
        h = np.empty((min(BLOCK, end - begin), n_in), u.dtype)
        for k in range(n_blocks):
            first, last = begin + k * BLOCK, min(begin + (k + 1) * BLOCK, end)
            if first < last:
                bound(u[first:last], norm, lowest, highest, h)
                matmul(h[: last - first], w, v[first:last], False)
                counts[part * n_blocks + k] = last - first
                sum_up(v[first:last], noted[part * n_blocks + k])
    mean, variance = moments(counts, noted)
    return v, mean, variance


@kernel
def mix_backward(
    dn: Float, v: Float, back: Float, u: Float, norm: Float, low: float, high: float, w: Float
) -> tuple[Float, Float, Float64, Float64]:
    """Return dw, du, and the sums of du and of du * (u - mean), from `mix`'s v and its norm's dn.

    w : (C_in, C_out). du is the gradient of the bounds' input.
    """
    dv = normed_back(dn, v, back)
    h = bounded(u, norm, low, high)
    return h.T @ dv, *unbounded(dv @ w.T, h, u, norm, low, high)


@mix_backward.jit(parallel=True, error_model="numpy")
def _(dn, v, back, u, norm, low, high, w):  # type: ignore[no-untyped-def]
    n_rows, n_in, n_out = len(u), u.shape[1], w.shape[1]
    lowest, highest = u.dtype.type(low), u.dtype.type(high)
    n_blocks = n_rows // (PARTS * BLOCK) + 1
    turned = np.ascontiguousarray(w.T)
    du = np.empty((n_rows, n_in), u.dtype)
    dws = np.zeros((PARTS, n_in, n_out), u.dtype)
    noted = np.zeros((PARTS * n_blocks, 2, n_in), u.dtype)
    for part in prange(PARTS):
        begin, end = n_rows * part // PARTS, n_rows * (part + 1) // PARTS
        h = np.empty((min(BLOCK, end - begin), n_in), u.dtype)
        dv = np.empty((min(BLOCK, end - begin), n_out), u.dtype)
        for k in range(n_blocks):
            first, last = begin + k * BLOCK, min(begin + (k + 1) * BLOCK, end)
            if first < last:
                bound(u[first:last], norm, lowest, highest, h)
                normalize_back(dn[first:last], v[first:last], back, dv)
                matmul(h[: last - first].T, dv[: last - first], dws[part], True)
                matmul(dv[: last - first], turned, du[first:last], False)
                unbound(h, lowest, highest, du[first:last])
                here = noted[part * n_blocks + k]
                sum_gradient(du[first:last], u[first:last], norm[0], here)
    for part in range(1, PARTS):
        for k in range(n_in):
            for o in range(n_out):
                dws[0, k, o] += dws[part, k, o]
    total = totals(noted)
    return dws[0], du, total[0], total[1]


@Part
def lay_out(w: Float, dt: int, df: int, line: int, n_positions: int) -> tuple[Float, Int64]:
    """Return each tap of w (kt, kf, C) again for every position of a run, and where it begins."""
    kt, kf, n_channels = w.shape
    taps = np.empty((kt * kf, n_positions * n_channels), w.dtype)
    begins = np.empty(kt * kf, np.int64)
    for k in range(kt * kf):
        begins[k] = k // kf * dt * line + k % kf * df * n_channels
        for i in range(n_positions * n_channels):
            taps[k, i] = w[k // kf, k % kf, i % n_channels]
    return taps, begins


@kernel
def slide(
    u: Float, norm: Float, low: float, high: float, w: Float, time: Places, freq: Places
) -> tuple[Float, Float64, Float64]:
    """Return v (B, T', F', C), each channel of bounded(u) with its own taps, and v's moments.

    u : (B, T, F, C); w : (kt, kf, C); time, freq : the fields of a `Window`.
    """
    h = bounded(u, norm, low, high)
    v = depthwise.slide.reference(h, w, np.zeros(w.shape[2], w.dtype), time, freq)
    return v, *fast_norm.moments.reference(v)


@slide.jit(parallel=True, error_model="numpy", fastmath={"contract"})
def _(u, norm, low, high, w, time, freq):  # type: ignore[no-untyped-def]
    kt, st, dt, t_before, t_after, n_t = time
    kf, sf, df, f_before, f_after, n_f = freq
    n_clips, n_frames, n_bins, n_channels = u.shape
    lowest, highest = u.dtype.type(low), u.dtype.type(high)
    # Neighbors in frequency are neighbors in memory: at stride 1 one run of numbers a time step.
    a_run = n_f if sf == 1 else 1
    length = a_run * n_channels
    n_lines, n_places = t_before + n_frames + t_after, f_before + n_bins + f_after
    line = n_places * n_channels
    taps, begins = lay_out(w, dt, df, line, a_run)
    n_taps = kt * kf
    f_end = f_before + n_bins
    v = np.empty((n_clips, n_t, n_f * n_channels), u.dtype)
    counts = np.zeros(n_clips, np.int64)
    noted = np.zeros((n_clips, 3, n_channels), u.dtype)
    for part in prange(PARTS):
        padded = np.zeros((n_lines, n_places, n_channels), u.dtype)
        seen = padded.reshape(-1)
        for clip in range(n_clips * part // PARTS, n_clips * (part + 1) // PARTS):
            for t in range(n_frames):
                bound(u[clip, t], norm, lowest, highest, padded[t_before + t, f_before:f_end])
            for t in range(n_t):
                for f in range(0, n_f, a_run):
                    out = v[clip, t, f * n_channels : f * n_channels + length]
                    origin = t * st * line + f * sf * n_channels
                    for k in range(0, n_taps - 2, 3):
                        a, wa = seen[origin + begins[k] :][:length], taps[k]
                        b, wb = seen[origin + begins[k + 1] :][:length], taps[k + 1]
                        d, wd = seen[origin + begins[k + 2] :][:length], taps[k + 2]
                        if k == 0:
                            for i in range(length):
                                out[i] = a[i] * wa[i] + b[i] * wb[i] + d[i] * wd[i]
                        else:
                            for i in range(length):
                                out[i] += a[i] * wa[i] + b[i] * wb[i] + d[i] * wd[i]
                    for k in range(n_taps - n_taps % 3, n_taps):
                        a, wa = seen[origin + begins[k] :][:length], taps[k]
                        if k == 0:
                            out[:] = 0
                        for i in range(length):
                            out[i] += a[i] * wa[i]
            counts[clip] = n_t * n_f
            sum_up(v[clip].reshape(n_t * n_f, n_channels), noted[clip])
    mean, variance = moments(counts, noted)
    return v.reshape(n_clips, n_t, n_f, n_channels), mean, variance


@kernel
def slide_backward(
    dn: Float,
    v: Float,
    back: Float,
    u: Float,
    norm: Float,
    low: float,
    high: float,
    w: Float,
    time: Places,
    freq: Places,
) -> tuple[Float, Float, Float64, Float64]:
    """Return dw (kt, kf, C), du (B, T, F, C), and the two sums, as `mix_backward` does."""
    dv = normed_back(dn, v, back)
    h = bounded(u, norm, low, high)
    dw, _ = depthwise.slide_params.reference(h, dv, time, freq)
    dh = depthwise.slide_input.reference(dv, w, u.shape[1], u.shape[2], time, freq)
    return dw, *unbounded(dh, h, u, norm, low, high)


@slide_backward.jit(parallel=True, error_model="numpy", fastmath={"contract"})
def _(dn, v, back, u, norm, low, high, w, time, freq):  # type: ignore[no-untyped-def]
    kt, st, dt, t_before, t_after, n_t = time
    kf, sf, df, f_before, f_after, n_f = freq
    n_clips, n_frames, n_bins, n_channels = u.shape
    lowest, highest = u.dtype.type(low), u.dtype.type(high)
    a_run = n_f if sf == 1 else 1
    length = a_run * n_channels
    n_lines, n_places = t_before + n_frames + t_after, f_before + n_bins + f_after
    line = n_places * n_channels
    taps, begins = lay_out(w, dt, df, line, a_run)
    f_end = f_before + n_bins
    du = np.empty((n_clips, n_frames, n_bins, n_channels), u.dtype)
    dws = np.zeros((PARTS, kt * kf, length), u.dtype)
    noted = np.zeros((n_clips, 2, n_channels), u.dtype)
    for part in prange(PARTS):
        padded = np.zeros((n_lines, n_places, n_channels), u.dtype)
        shares = np.empty((n_lines, n_places, n_channels), u.dtype)
        seen, back_to = padded.reshape(-1), shares.reshape(-1)
        dv = np.empty((n_t * n_f, n_channels), u.dtype)
        dv_lines = dv.reshape(n_t, n_f * n_channels)
        for clip in range(n_clips * part // PARTS, n_clips * (part + 1) // PARTS):
            for t in range(n_frames):
                bound(u[clip, t], norm, lowest, highest, padded[t_before + t, f_before:f_end])
            for t in range(n_t):
                here = dv[t * n_f : (t + 1) * n_f]
                normalize_back(dn[clip, t], v[clip, t], back, here)
            back_to[:] = 0
            for t in range(n_t):
                for f in range(0, n_f, a_run):
                    gradient = dv_lines[t, f * n_channels : f * n_channels + length]
                    origin = t * st * line + f * sf * n_channels
                    for k in range(kt * kf):
                        values = seen[origin + begins[k] :][:length]
                        share = back_to[origin + begins[k] :][:length]
                        weights, dw = taps[k], dws[part, k]
                        for i in range(length):
                            share[i] += gradient[i] * weights[i]
                            dw[i] += gradient[i] * values[i]
            for t in range(n_frames):
                du[clip, t] = shares[t_before + t, f_before:f_end]
                unbound(padded[t_before + t, f_before:f_end], lowest, highest, du[clip, t])
                sum_gradient(du[clip, t], u[clip, t], norm[0], noted[clip])
    dw = np.zeros((kt, kf, n_channels), u.dtype)
    for part in range(PARTS):
        for k in range(kt * kf):
            for i in range(length):
                dw[k // kf, k % kf, i % n_channels] += dws[part, k, i]
    total = totals(noted)
    return dw, du, total[0], total[1]


@kernel
def close(v: Float, norm: Float, low: float, high: float) -> Float:
    """Return `bounded`(v), (N, C): the end of a chain."""
    return bounded(v, norm, low, high)


@close.jit(parallel=True, error_model="numpy")
def _(v, norm, low, high):  # type: ignore[no-untyped-def]
    n_rows = len(v)
    lowest, highest = v.dtype.type(low), v.dtype.type(high)
    y = np.empty_like(v)
    for part in prange(PARTS):
        first, last = n_rows * part // PARTS, n_rows * (part + 1) // PARTS
        bound(v[first:last], norm, lowest, highest, y[first:last])
    return y


@kernel
def close_by_mean(v: Float, norm: Float, low: float, high: float) -> Float:
    """Return the mean of `bounded`(v) over each clip's positions, (B, P, C) -> (B, C)."""
    return np.asarray(bounded(v, norm, low, high).mean(1))


@close_by_mean.jit(parallel=True, error_model="numpy")
def _(v, norm, low, high):  # type: ignore[no-untyped-def]
    n_clips, n_rows, n_channels = v.shape
    lowest, highest = v.dtype.type(low), v.dtype.type(high)
    y = np.zeros((n_clips, n_channels), v.dtype)
    for part in prange(PARTS):
        h = np.empty((n_rows, n_channels), v.dtype)
        for clip in range(n_clips * part // PARTS, n_clips * (part + 1) // PARTS):
            bound(v[clip], norm, lowest, highest, h)
            mean = y[clip]
            for i in range(n_rows):
                row = h[i]
                for c in range(n_channels):
                    mean[c] += row[c]
            for c in range(n_channels):
                mean[c] /= v.dtype.type(n_rows)
    return y


@kernel
def close_backward(
    dy: Float, v: Float, norm: Float, low: float, high: float
) -> tuple[Float, Float64, Float64]:
    """Return dn of the bounds' input, and the sums of dn and of dn * (v - mean).

    v : (B, P, C); dy : (B, P, C), or (B, 1, C) where all positions of a clip share it.
    """
    h = bounded(v, norm, low, high)
    dn, sums, products = unbounded(np.broadcast_to(dy, v.shape), h, v, norm, low, high)
    return dn, sums, products


@close_backward.jit(parallel=True, error_model="numpy")
def _(dy, v, norm, low, high):  # type: ignore[no-untyped-def]
    n_clips, n_rows, n_channels = v.shape
    lowest, highest = v.dtype.type(low), v.dtype.type(high)
    is_shared = dy.shape[1] == 1
    dn = np.empty_like(v)
    noted = np.zeros((n_clips, 2, n_channels), v.dtype)
    for part in prange(PARTS):
        h = np.empty((n_rows, n_channels), v.dtype)
        for clip in range(n_clips * part // PARTS, n_clips * (part + 1) // PARTS):
            bound(v[clip], norm, lowest, highest, h)
            for i in range(n_rows):
                out, gradient = dn[clip, i], dy[clip, 0 if is_shared else i]
                for c in range(n_channels):
                    out[c] = gradient[c]
            unbound(h, lowest, highest, dn[clip])
            sum_gradient(dn[clip], v[clip], norm[0], noted[clip])
    total = totals(noted)
    return dn, total[0], total[1]
