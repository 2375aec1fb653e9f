"""A convolution of one input channel with everything up to its 2x2 pool, as one pass.

Of [convolution, bias, ReLU, dropout, max pool] only the pooled values and a byte of arg max are
kept: for `conv` 31 MB where the layers one by one write 500.

**Forward.** A window's four positions share most of their patches. Along one axis the two outputs
of a window, from taps in pairs (w0, w1) over samples in pairs (x0, x1), x2 the next pair's first,

    y0 = x0 w0 + x1 w1        m0 = (x0 - x1) w0       y0 = m0 + m1
    y1 = x1 w0 + x2 w1        m1 = x1 (w0 + w1)       y1 = m1 + m2
                              m2 = (x2 - x1) w1

take three sums of products instead of four; along both axes nine instead of sixteen. The picture is
taken apart into nine planes at half the resolution, x0 - x1, x1 and x2 - x1 along each axis, each
plane with its own weights, so that all is a product of patches (windows, taps / 4) and weights
(taps / 4, C), nine times:

    planes (9, F'/2 …, T'/2 …)      patch of window (t, f), tap (m, n): plane[f + n, t + m]

**Backward.** Of four positions only the winner has a gradient, and none where ReLU or dropout cut
it. For each channel the winners are listed (where, gradient); then gradient * patch is added up,
eight patches a pass. With the frequency neighbours of a patch side by side,

    columns (F, T', kf)       patch of position (t, f): kt * kf numbers from columns[f, t, 0]

a patch is one contiguous read.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minikws._jit import kernel, matmul, prange
from minikws._typing import Array, Float

CUT = 4  # arg max of a window without a positive kept value
PARTS = 20  # of the batch, for the gradient's sums
ROWS = 256  # windows at a time, about
BITS = 32

Frame = tuple[int, int, int, int]  # zeros before time and frequency, conv outputs T and F


def pooled(n: int, *, same: bool) -> int:
    """Return the number of windows of 2 along n positions."""
    return -(-n // 2) if same else n // 2


def pair_taps(w: Float) -> Float:
    """Return the nine planes' weights, (9, kf/2, kt/2, C), of w (kt, kf, 1, C)."""
    kt, kf, _, n_out = w.shape
    even = np.pad(w[:, :, 0], ((0, kt % 2), (0, kf % 2), (0, 0)))
    along_t = np.stack([even[::2], even[::2] + even[1::2], even[1::2]])  # (3, kt/2, kf, C)
    first, second = along_t[:, :, ::2], along_t[:, :, 1::2]
    both = np.stack([first, first + second, second], 1)  # (3, 3, kt/2, kf/2, C)
    return np.ascontiguousarray(both.swapaxes(2, 3)).reshape(9, kf + kf % 2 >> 1, -1, n_out)


@kernel
def convolve(
    x: Float, w: Float, b: Float, words: Array, scale: float, frame: Frame, n_t: int, n_f: int
) -> tuple[Float, Array]:
    """Return the pooled values and which position of its window each comes from.

    Parameters
    ----------
    x : (B, T_in, F_in); w : (9, kf/2, kt/2, C) of `pair_taps`; b : (C,).
    words, scale : dropout's mask over (B, T, F, C) and factor; no words: nothing is dropped.
    frame : zeros before time and frequency, T, F; n_t, n_f : windows.

    Returns
    -------
    y : (T', F', B, C); winner : the same, uint8: 0 to 3 (time, frequency) or CUT.
    """
    t_before, f_before, n_frames, n_bins = frame
    _, kf, kt, n_out = w.shape
    n_clips = len(x)
    padded = np.zeros((n_clips, 2 * (n_t + kt), 2 * (n_f + kf)), x.dtype)
    t_end = min(x.shape[1], padded.shape[1] - t_before)
    f_end = min(x.shape[2], padded.shape[2] - f_before)
    padded[:, t_before : t_before + t_end, f_before : f_before + f_end] = x[:, :t_end, :f_end]
    planes = [part for along_t in _differences(padded, 1) for part in _differences(along_t, 2)]
    m = np.stack(
        [
            np.einsum(
                "btfmn,nmc->tfbc",
                sliding_window_view(plane, (kt, kf), axis=(1, 2))[:, :n_t, :n_f],
                weights,
                optimize=True,
            )
            for plane, weights in zip(planes, w, strict=True)
        ]
    ).reshape(3, 3, n_t, n_f, n_clips, n_out)
    y = m[:-1] + m[1:]
    y = (y[:, :-1] + y[:, 1:]) + b  # (2, 2, T', F', B, C)
    kept = np.zeros((n_clips, 2 * n_t, 2 * n_f, n_out), np.bool_)
    octets = words.astype("<u4", copy=False).view(np.uint8)
    n_units = n_clips * n_frames * n_bins * n_out
    bits = (
        np.unpackbits(octets, count=n_units, bitorder="little") if words.size else np.ones(n_units)
    )
    kept[:, :n_frames, :n_bins] = bits.reshape(n_clips, n_frames, n_bins, n_out)[
        :, : 2 * n_t, : 2 * n_f
    ]
    kept = kept.reshape(n_clips, n_t, 2, n_f, 2, n_out).transpose(2, 4, 1, 3, 0, 5)
    values = np.where(kept & (y > 0), y, x.dtype.type(0)).reshape(4, n_t, n_f, n_clips, n_out)
    best = values.max(0)
    winner = np.where(best > 0, values.argmax(0), CUT).astype(np.uint8)
    return best * x.dtype.type(scale), winner


def _differences(x: Float, axis: int) -> tuple[Float, Float, Float]:
    """Return x0 - x1, x1 and x2 - x1 along an axis, x in pairs (x0, x1)."""
    pairs = np.moveaxis(x, axis, 0)
    first, second = pairs[:-2:2], pairs[1:-1:2]
    parts = first - second, second, pairs[2::2] - second
    return tuple(np.moveaxis(part, 0, axis) for part in parts)  # type: ignore[return-value]


@convolve.jit(parallel=True)
def _(x, w, b, words, scale, frame, n_t, n_f):  # type: ignore[no-untyped-def]
    t_before, f_before, n_frames, n_bins = frame
    n_clips, n_t_in, n_f_in = x.shape
    _, kf, kt, n_out = w.shape
    n_taps = kf * kt
    a_block = max(1, ROWS // n_t)  # columns of windows
    n_words = n_out // BITS
    all_bits = np.uint32(0xFFFFFFFF)
    factor = x.dtype.type(scale)
    zero, none = x.dtype.type(0), np.uint32(0)
    y = np.empty((n_t, n_f, n_clips, n_out), x.dtype)
    winner = np.empty((n_t, n_f, n_clips, n_out), np.uint8)
    for clip in prange(n_clips):
        width, height = n_f + kf, n_t + kt
        halves = np.empty((3, 2 * width, height - 1), x.dtype)  # time apart, frequency not yet
        line = np.empty(2 * height, x.dtype)
        for column in range(2 * width):
            f = column - f_before
            for row in range(2 * height):
                t = row - t_before
                inside = 0 <= t < n_t_in and 0 <= f < n_f_in
                line[row] = x[clip, t, f] if inside else zero
            for t in range(height - 1):
                second = line[2 * t + 1]
                halves[0, column, t] = line[2 * t] - second
                halves[1, column, t] = second
                halves[2, column, t] = line[2 * t + 2] - second
        planes = np.empty((9, width - 1, height - 1), x.dtype)
        for i in range(3):
            for f in range(width - 1):
                first, second = halves[i, 2 * f], halves[i, 2 * f + 1]
                third = halves[i, 2 * f + 2]
                left, middle, right = planes[3 * i, f], planes[3 * i + 1, f], planes[3 * i + 2, f]
                for t in range(height - 1):
                    left[t] = first[t] - second[t]
                    middle[t] = second[t]
                    right[t] = third[t] - second[t]
        patches = np.empty((n_taps, a_block * n_t), x.dtype)
        m = np.empty((9, a_block * n_t, n_out), x.dtype)
        for f_first in range(0, n_f, a_block):
            n_here = min(a_block, n_f - f_first)
            n_rows = n_here * n_t
            for j in range(9):
                for n in range(kf):
                    for k in range(kt):
                        row = patches[n * kt + k]
                        for f in range(n_here):
                            source = planes[j, f_first + f + n, k : k + n_t]
                            target = row[f * n_t : (f + 1) * n_t]
                            for t in range(n_t):
                                target[t] = source[t]
                weights = w[j].reshape(n_taps, n_out)
                matmul(patches[:, :n_rows].T, weights, m[j, :n_rows], False)
            for f in range(n_here):
                f_at = 2 * (f_first + f)
                for t in range(n_t):
                    i = f * n_t + t
                    lower = 2 * t + 1 < n_frames
                    next_column = f_at + 1 < n_bins
                    at = ((clip * n_frames + 2 * t) * n_bins + f_at) * n_words
                    there, which = y[t, f_first + f, clip], winner[t, f_first + f, clip]
                    for o in range(n_words):
                        k0 = k1 = k2 = k3 = all_bits
                        if words.size > 0:
                            k0 = words[at + o]
                            k1 = words[at + n_words + o] if next_column else none
                            k2 = words[at + n_bins * n_words + o] if lower else none
                            both = lower and next_column
                            k3 = words[at + (n_bins + 1) * n_words + o] if both else none
                        else:
                            k1 = all_bits if next_column else none
                            k2 = all_bits if lower else none
                            k3 = all_bits if lower and next_column else none
                        span = slice(o * 32, o * 32 + 32)
                        m0, m1, m2 = m[0, i, span], m[1, i, span], m[2, i, span]
                        m3, m4, m5 = m[3, i, span], m[4, i, span], m[5, i, span]
                        m6, m7, m8 = m[6, i, span], m[7, i, span], m[8, i, span]
                        bias, value, place = b[span], there[span], which[span]
                        for c in range(32):
                            bit = np.uint32(c)
                            a0, a1, a2 = m0[c] + m3[c], m1[c] + m4[c], m2[c] + m5[c]
                            b0, b1, b2 = m3[c] + m6[c], m4[c] + m7[c], m5[c] + m8[c]
                            best, arg = zero, np.uint8(4)
                            y0 = a0 + a1 + bias[c]
                            if ((k0 >> bit) & np.uint32(1)) != 0 and not (y0 <= best):
                                best, arg = y0, np.uint8(0)
                            y1 = a1 + a2 + bias[c]
                            if ((k1 >> bit) & np.uint32(1)) != 0 and not (y1 <= best):
                                best, arg = y1, np.uint8(1)
                            y2 = b0 + b1 + bias[c]
                            if ((k2 >> bit) & np.uint32(1)) != 0 and not (y2 <= best):
                                best, arg = y2, np.uint8(2)
                            y3 = b1 + b2 + bias[c]
                            if ((k3 >> bit) & np.uint32(1)) != 0 and not (y3 <= best):
                                best, arg = y3, np.uint8(3)
                            value[c] = best * factor
                            place[c] = arg
    return y, winner


@kernel
def convolve_params(
    x: Float, dy: Float, winner: Array, scale: float, frame: Frame, kt: int, kf: int
) -> tuple[Float, Float]:
    """Return dw (kt, kf, 1, C) and db (C,) for dy and winner (T', F', B, C)."""
    t_before, f_before, n_frames, n_bins = frame
    full = winners_only(dy, winner, scale, n_frames, n_bins)
    t_after = max(0, n_frames + kt - 1 - t_before - x.shape[1])
    f_after = max(0, n_bins + kf - 1 - f_before - x.shape[2])
    padded = np.pad(x, ((0, 0), (t_before, t_after), (f_before, f_after)))
    patches = sliding_window_view(padded, (kt, kf), axis=(1, 2))[:, :n_frames, :n_bins]
    dw = np.einsum("btfmn,btfc->mnc", patches, full, optimize=True)
    return dw[:, :, None], np.asarray(full.sum((0, 1, 2)))


def winners_only(dy: Float, winner: Array, scale: float, n_frames: int, n_bins: int) -> Float:
    """Return the gradient of the convolution's output, (B, T, F, C): at each winner scale * dy."""
    n_t, n_f, n_clips, n_out = dy.shape
    windows = np.zeros((n_clips, n_t, 2, n_f, 2, n_out), dy.dtype)
    for i, j in np.ndindex(2, 2):
        share = np.where(winner == 2 * i + j, dy * dy.dtype.type(scale), dy.dtype.type(0))
        windows[:, :, i, :, j] = share.transpose(2, 0, 1, 3)
    full = windows.reshape(n_clips, 2 * n_t, 2 * n_f, n_out)
    missing = max(0, n_frames - 2 * n_t), max(0, n_bins - 2 * n_f)  # VALID leaves an odd one out
    return np.pad(full, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)))[:, :n_frames, :n_bins]


@convolve_params.jit(parallel=True)
def _(x, dy, winner, scale, frame, kt, kf):  # type: ignore[no-untyped-def]
    t_before, f_before, n_frames, _ = frame
    n_clips, n_t_in, n_f_in = x.shape
    n_t, n_f, _, n_out = dy.shape
    n_taps = kt * kf
    factor, zero = dy.dtype.type(scale), dy.dtype.type(0)
    a_block = max(1, ROWS // n_t)  # columns of windows
    height = max(n_frames, 2 * n_t) + kt - 1
    a_column = height * kf
    dws = np.zeros((PARTS, n_out, n_taps), dy.dtype)
    dbs = np.zeros((PARTS, n_out), dy.dtype)
    for part in prange(PARTS):
        columns = np.empty((2 * n_f, height, kf), dy.dtype)
        flat = columns.reshape(-1)
        where = np.empty((n_out, a_block * n_t + 8), np.int32)
        what = np.empty((n_out, a_block * n_t + 8), dy.dtype)
        counts = np.empty(n_out, np.int32)
        starts = np.zeros(5, np.int32)
        db = dbs[part]
        for clip in range(part * n_clips // PARTS, (part + 1) * n_clips // PARTS):
            for f in range(2 * n_f):
                for t in range(height):
                    t_at = t - t_before
                    for n in range(kf):
                        f_at = f + n - f_before
                        inside = 0 <= t_at < n_t_in and 0 <= f_at < n_f_in
                        columns[f, t, n] = x[clip, t_at, f_at] if inside else zero
            for f_first in range(0, n_f, a_block):
                counts[:] = 0
                for f in range(f_first, min(f_first + a_block, n_f)):
                    for t in range(n_t):
                        starts[0] = 2 * f * a_column + 2 * t * kf
                        starts[1] = starts[0] + a_column
                        starts[2] = starts[0] + kf
                        starts[3] = starts[1] + kf
                        gradient, places = dy[t, f, clip], winner[t, f, clip]
                        for c in range(n_out):
                            place = places[c]
                            n = counts[c]
                            where[c, n] = starts[place]
                            value = gradient[c] * factor
                            what[c, n] = value
                            if place < 4:
                                counts[c] = n + 1
                                db[c] += value
                for c in range(n_out):
                    n_winners = counts[c]
                    for i in range(n_winners, n_winners + 8):
                        where[c, i] = 0
                        what[c, i] = zero
                    dw, places, values = dws[part, c], where[c], what[c]
                    for i in range(0, n_winners, 8):
                        s0, s1, s2, s3 = places[i], places[i + 1], places[i + 2], places[i + 3]
                        s4, s5, s6, s7 = places[i + 4], places[i + 5], places[i + 6], places[i + 7]
                        p0, p1 = flat[s0 : s0 + n_taps], flat[s1 : s1 + n_taps]
                        p2, p3 = flat[s2 : s2 + n_taps], flat[s3 : s3 + n_taps]
                        p4, p5 = flat[s4 : s4 + n_taps], flat[s5 : s5 + n_taps]
                        p6, p7 = flat[s6 : s6 + n_taps], flat[s7 : s7 + n_taps]
                        g0, g1, g2, g3 = values[i], values[i + 1], values[i + 2], values[i + 3]
                        g4, g5, g6, g7 = values[i + 4], values[i + 5], values[i + 6], values[i + 7]
                        for k in range(n_taps):
                            left = g0 * p0[k] + g1 * p1[k] + g2 * p2[k] + g3 * p3[k]
                            right = g4 * p4[k] + g5 * p5[k] + g6 * p6[k] + g7 * p7[k]
                            dw[k] += left + right
    dw = np.zeros((n_taps, 1, n_out), dy.dtype)
    db = np.zeros(n_out, dy.dtype)
    for part in range(PARTS):
        for c in range(n_out):
            db[c] += dbs[part, c]
            for k in range(n_taps):
                dw[k, 0, c] += dws[part, c, k]
    return dw.reshape(kt, kf, 1, n_out), db
