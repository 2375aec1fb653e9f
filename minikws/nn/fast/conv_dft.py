"""Convolution with stride 1 and many channels by real Fourier transforms, all in matrix products.

A correlation of 49 x 20 positions with 10 x 4 taps costs 40 products of channels a position. In
the frequency domain it costs one complex product a bin: both axes are padded until nothing wraps
around, transformed by small matrices (cosines and sines; BLAS is faster at that than a clever
transform is), multiplied, and transformed back. Cosines are orthogonal: the rounding stays that of
the direct sum. Gradients are the same steps transposed.

An axis of N (even) bins is kept as N real rows, in pairs:

    row   0    1     2    3     4    5    …
          DC  N/2   re1  im1   re2  im2   …

and an activation as planes (time pair, 2, frequency row, clip, channel), so that at every bin the
clips are rows of a matrix. For one time pair and one frequency pair there are 2 x 2 such matrices.
They are two complex numbers, at frequencies r and -r ("unmix": Z = (a00 - a11) + i (a01 + a10) and
Z' = (a00 + a11) + i (a10 - a01)), or, where one of the pairs is (DC, N/2), already are two, or,
where both are, four real ones. A complex product takes three real ones:

    (a + ib) (c + id) = m0 - m2 + i (m0 + m1),  m0 = (a + b) c,  m1 = a (d - c),  m2 = b (c + d)

In all 1780 products of a (clips, C_in) by a (C_in, C_out) matrix for the convolution above, where
the direct sum takes 39200.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minikws._jit import Part, kernel, matmul, prange
from minikws._typing import Float, Float32

TILE = 640  # columns of a transform at a time: input and output stay in cache


class Axis(NamedTuple):
    """The matrices of one axis: y = synthesis @ ((analysis @ x) * (taps @ w))."""

    analysis: Float32  # (N, n_in)
    taps: Float32  # (N, size)
    synthesis: Float32  # (n_out, N)


@lru_cache(maxsize=32)
def axis(n_in: int, size: int, before: int, n_out: int) -> Axis:
    """Return the matrices of a correlation with `size` taps, the first at -`before`, stride 1."""
    least = max(n_in + before, n_out + size - 1 - before, 2)
    n = least + least % 2
    t_in, t_out, tap = np.arange(n_in), np.arange(n_out), np.arange(size) - before
    bins = np.arange(1, n // 2)[:, None]

    def rows(t: Any, sign: float) -> Any:
        angle = 2 * np.pi * (bins * t % n) / n
        waves = np.stack([np.cos(angle), sign * np.sin(angle)], 1).reshape(-1, len(t))
        return np.concatenate([np.ones((1, len(t))), (-1.0) ** t[None], waves])

    weights = np.r_[1, 1, np.full(n - 2, 2)] / n
    matrices = rows(t_in, -1), rows(tap, 1), (rows(t_out, -1) * weights[:, None]).T
    return Axis(*(np.ascontiguousarray(m, dtype=np.float32) for m in matrices))


@kernel
def transform(matrix: Float, x: Float) -> Float:
    """Return matrix @ x, (M, K) @ (K, N) with N large."""
    return np.asarray(matrix @ x)


@transform.jit(parallel=True)
def _(matrix, x):  # type: ignore[no-untyped-def]
    n = x.shape[1]
    y = np.empty((len(matrix), n), x.dtype)
    for tile in prange(-(-n // TILE)):
        first, last = tile * TILE, min((tile + 1) * TILE, n)
        matmul(matrix, x[:, first:last], y[:, first:last], False)
    return y


@Part
def blend(s: float, a: Float, t: float, b: Float, out: Float) -> None:
    """Set out = s a + t b, (N,) each."""
    for i in range(out.size):
        out[i] = s * a[i] + t * b[i]


@Part
def unmix(rows: Float, k: int, r: int, scale: float, out: Float) -> None:
    """Take frequency pair r of time pair k, rows (2, L, N), apart: two complex numbers (4, N)."""
    a00, a01 = rows[0, 2 * r], rows[0, 2 * r + 1]
    a10, a11 = rows[1, 2 * r], rows[1, 2 * r + 1]
    if k > 0 and r > 0:
        blend(scale, a00, -scale, a11, out[0])
        blend(scale, a01, scale, a10, out[1])
        blend(scale, a00, scale, a11, out[2])
        blend(scale, a10, -scale, a01, out[3])
    elif r > 0:
        out[0], out[1], out[2], out[3] = a00, a01, a10, a11
    else:
        out[0], out[1], out[2], out[3] = a00, a10, a01, a11


@Part
def mix(numbers: Float, k: int, r: int, scale: float, rows: Float) -> None:
    """Put `unmix`'s four together again; its inverse has scale 1/2, its transpose scale 1."""
    if k > 0 and r > 0:
        blend(scale, numbers[0], scale, numbers[2], rows[0, 2 * r])
        blend(scale, numbers[1], -scale, numbers[3], rows[0, 2 * r + 1])
        blend(scale, numbers[1], scale, numbers[3], rows[1, 2 * r])
        blend(scale, numbers[2], -scale, numbers[0], rows[1, 2 * r + 1])
    elif r > 0:
        rows[0, 2 * r], rows[0, 2 * r + 1] = numbers[0], numbers[1]
        rows[1, 2 * r], rows[1, 2 * r + 1] = numbers[2], numbers[3]
    else:
        rows[0, 2 * r], rows[1, 2 * r] = numbers[0], numbers[1]
        rows[0, 2 * r + 1], rows[1, 2 * r + 1] = numbers[2], numbers[3]


@kernel
def multiply(x: Float, w: Float, analysis: Float, taps: Float, synthesis: Float) -> Any:
    """Go along frequency, multiply bins, and come back.

    Parameters
    ----------
    x : (P, 2, F, B, C_in), P pairs of bins along time; w : (P, 2, kf, C_in, C_out).
    analysis, taps, synthesis : of the frequency `axis`, (L, F), (L, kf), (F_out, L).

    Returns
    -------
    y : (P, 2, F_out, B, C_out); spectra : (P, 2, L, B, C_in), what backward needs of x.
    """
    spectra = np.einsum("lf,pifbc->pilbc", analysis, x, optimize=True).astype(x.dtype)
    kernels = np.einsum("ln,pinco->pilco", taps, w, optimize=True)
    sums = [
        _at_every_bin(k, spectra[k], kernels[k], lambda z, h: z @ h) for k in range(len(spectra))
    ]
    return np.einsum("gl,pilbo->pigbo", synthesis, np.array(sums, x.dtype), optimize=True), spectra


def _at_every_bin(k: int, a: Float, b: Float, product: Callable[[Any, Any], Any]) -> Float:
    """Multiply time pair k of two operands, rows (2, L, …), as complex spectra."""
    (a0, a1), (b0, b1) = map(_spectrum, a), map(_spectrum, b)
    if k == 0:  # two real signals along frequency
        return np.stack([_rows(product(a0, b0)), _rows(product(a1, b1))])
    z = product(a0 + 1j * a1, b0 + 1j * b1)
    mirrored = np.roll(z[::-1], 1, 0).conj()
    return np.stack([_rows((z + mirrored) / 2), _rows((z - mirrored) / 2j)])


def _spectrum(rows: Float) -> Any:
    """Return the complex spectrum (N, …) of the rows (N, …) of a real signal."""
    half = rows[2::2] + 1j * rows[3::2]
    return np.concatenate([rows[:1], half, rows[1:2], half[::-1].conj()])


def _rows(z: Any) -> Float:
    """Return the rows of a real signal's spectrum, both (N, …)."""
    n_half = len(z) // 2
    rows = np.empty(z.shape, z.real.dtype)
    rows[0], rows[1] = z[0].real, z[n_half].real
    rows[2::2], rows[3::2] = z[1:n_half].real, z[1:n_half].imag
    return rows


@multiply.jit(parallel=True)
def _(x, w, analysis, taps, synthesis):  # type: ignore[no-untyped-def]
    n_pairs, _, n_bins, n_clips, n_in = x.shape
    n_rows, n_taps = taps.shape
    n_f, n_out = len(synthesis), w.shape[4]
    rows_in, rows_out, block = n_clips * n_in, n_clips * n_out, n_in * n_out
    one, half = x.dtype.type(1), x.dtype.type(0.5)
    spectra = np.empty((n_pairs, 2, n_rows, rows_in), x.dtype)
    y = np.empty((n_pairs, 2, n_f, rows_out), x.dtype)
    for k in prange(n_pairs):
        kernels = np.empty((2, n_rows, block), x.dtype)
        sums = np.empty((2, n_rows, rows_out), x.dtype)
        z, h = np.empty((4, rows_in), x.dtype), np.empty((4, block), x.dtype)
        both, out = np.empty(rows_in, x.dtype), np.empty((4, rows_out), x.dtype)
        left, right = np.empty(block, x.dtype), np.empty(block, x.dtype)
        for i in range(2):
            matmul(analysis, x[k, i].reshape(n_bins, rows_in), spectra[k, i], False)
            matmul(taps, w[k, i].reshape(n_taps, block), kernels[i], False)
        for r in range(n_rows // 2):
            unmix(spectra[k], k, r, one, z)
            unmix(kernels, k, r, one, h)
            z3, h3 = z.reshape(4, n_clips, n_in), h.reshape(4, n_in, n_out)
            out3 = out.reshape(4, n_clips, n_out)
            if k == 0 and r == 0:
                for j in range(4):
                    matmul(z3[j], h3[j], out3[j], False)
            else:
                for j in range(0, 4, 2):
                    blend(one, z[j], one, z[j + 1], both)
                    blend(one, h[j + 1], -one, h[j], left)
                    blend(-one, h[j], -one, h[j + 1], right)
                    matmul(both.reshape(n_clips, n_in), h3[j], out3[j], False)  # m0
                    out[j + 1] = out[j]
                    matmul(z3[j + 1], right.reshape(n_in, n_out), out3[j], True)  # - m2
                    matmul(z3[j], left.reshape(n_in, n_out), out3[j + 1], True)  # + m1
            mix(out, k, r, half, sums)
        for i in range(2):
            matmul(synthesis, sums[i], y[k, i], False)
    return (
        y.reshape(n_pairs, 2, n_f, n_clips, n_out),
        spectra.reshape(n_pairs, 2, n_rows, n_clips, n_in),
    )


@kernel
def multiply_backward(
    spectra: Float, w: Float, dy: Float, analysis: Float, taps: Float, synthesis: Float
) -> tuple[Float, Float]:
    """Return dx (P, 2, F, B, C_in) and dw (P, 2, kf, C_in, C_out) for dy (P, 2, F_out, B, C_out).

    The steps of `multiply`, transposed: dz = dm @ h', dh = z' @ dm at every bin.
    """
    kernels = np.einsum("ln,pinco->pilco", taps, w, optimize=True)
    dsums = np.einsum("gl,pigbo->pilbo", synthesis, dy, optimize=True)

    def turned(z: Any) -> Any:
        return z.swapaxes(1, 2).conj()

    pairs = range(len(spectra))
    dspectra = [_at_every_bin(k, dsums[k], kernels[k], lambda d, h: d @ turned(h)) for k in pairs]
    dkernels = [_at_every_bin(k, spectra[k], dsums[k], lambda z, d: turned(z) @ d) for k in pairs]
    dx = np.einsum("lf,pilbc->pifbc", analysis, np.array(dspectra, dy.dtype), optimize=True)
    return dx, np.einsum("ln,pilco->pinco", taps, np.array(dkernels, dy.dtype), optimize=True)


@multiply_backward.jit(parallel=True)
def _(spectra, w, dy, analysis, taps, synthesis):  # type: ignore[no-untyped-def]
    n_pairs, _, n_rows, n_clips, n_in = spectra.shape
    n_taps, n_out = w.shape[2], w.shape[4]
    n_f, n_bins = synthesis.shape[0], analysis.shape[1]
    rows_in, rows_out, block = n_clips * n_in, n_clips * n_out, n_in * n_out
    one, half = dy.dtype.type(1), dy.dtype.type(0.5)
    dx = np.empty((n_pairs, 2, n_bins, rows_in), dy.dtype)
    dw = np.empty((n_pairs, 2, n_taps, block), dy.dtype)
    for k in prange(n_pairs):
        seen = spectra[k].reshape(2, n_rows, rows_in)
        kernels = np.empty((2, n_rows, block), dy.dtype)
        dkernels = np.empty((2, n_rows, block), dy.dtype)
        dsums = np.empty((2, n_rows, rows_out), dy.dtype)
        dspectra = np.empty((2, n_rows, rows_in), dy.dtype)
        z, dz = np.empty((4, rows_in), dy.dtype), np.empty((4, rows_in), dy.dtype)
        h, dh = np.empty((4, block), dy.dtype), np.empty((4, block), dy.dtype)
        dout, both = np.empty((4, rows_out), dy.dtype), np.empty(rows_in, dy.dtype)
        dboth = np.empty(rows_out, dy.dtype)
        left, right = np.empty(block, dy.dtype), np.empty(block, dy.dtype)
        m = np.empty((3, n_in, n_out), dy.dtype)
        for i in range(2):
            matmul(taps, w[k, i].reshape(n_taps, block), kernels[i], False)
            matmul(synthesis.T, dy[k, i].reshape(n_f, rows_out), dsums[i], False)
        for r in range(n_rows // 2):
            unmix(dsums, k, r, half, dout)
            unmix(seen, k, r, one, z)
            unmix(kernels, k, r, one, h)
            z3, h3 = z.reshape(4, n_clips, n_in), h.reshape(4, n_in, n_out)
            dz3, dh3 = dz.reshape(4, n_clips, n_in), dh.reshape(4, n_in, n_out)
            dout3 = dout.reshape(4, n_clips, n_out)
            if k == 0 and r == 0:
                for j in range(4):
                    matmul(dout3[j], h3[j].T, dz3[j], False)
                    matmul(z3[j].T, dout3[j], dh3[j], False)
            else:
                for j in range(0, 4, 2):
                    # da = (re + im) c' + im (d - c)', db = (re + im) c' - re (c + d)'
                    blend(one, dout[j], one, dout[j + 1], dboth)
                    blend(one, h[j + 1], -one, h[j], left)
                    blend(-one, h[j], -one, h[j + 1], right)
                    total = dboth.reshape(n_clips, n_out)
                    matmul(total, h3[j].T, dz3[j], False)
                    dz[j + 1] = dz[j]
                    matmul(dout3[j + 1], left.reshape(n_in, n_out).T, dz3[j], True)
                    matmul(dout3[j], right.reshape(n_in, n_out).T, dz3[j + 1], True)
                    # dc = (a + b)' (re + im) - a' im - b' re, dd = a' im - b' re
                    blend(one, z[j], one, z[j + 1], both)
                    matmul(both.reshape(n_clips, n_in).T, total, m[0], False)
                    matmul(z3[j].T, dout3[j + 1], m[1], False)
                    matmul(z3[j + 1].T, dout3[j], m[2], False)
                    m0, m1, m2 = m[0].reshape(-1), m[1].reshape(-1), m[2].reshape(-1)
                    blend(one, m0, -one, m1, left)
                    blend(one, left, -one, m2, dh[j])
                    blend(one, m1, -one, m2, dh[j + 1])
            mix(dz, k, r, one, dspectra)
            mix(dh, k, r, one, dkernels)
        for i in range(2):
            matmul(analysis.T, dspectra[i], dx[k, i], False)
            matmul(taps.T, dkernels[i], dw[k, i], False)
    return (
        dx.reshape(n_pairs, 2, n_bins, n_clips, n_in),
        dw.reshape(n_pairs, 2, n_taps, n_in, n_out),
    )


@kernel
def synthesize(matrix: Float, planes: Float, b: Float) -> Float:
    """Return matrix @ planes + b cut at 0 (bias, ReLU), clip first again.

    matrix : (T, N); planes : (N, F, B, C); b : (C,). Result: (B, T, F, C).
    """
    y = np.einsum("tn,nfbc->btfc", matrix, planes, optimize=True) + b
    return np.asarray(np.maximum(y, planes.dtype.type(0)))


@synthesize.jit(parallel=True)
def _(matrix, planes, b):  # type: ignore[no-untyped-def]
    n_rows, n_f, n_clips, n_out = planes.shape
    n_t = len(matrix)
    a_tile = max(1, TILE // n_out)  # clips
    n_tiles = -(-n_clips // a_tile)
    flat = planes.reshape(n_rows, n_f * n_clips * n_out)
    zero = planes.dtype.type(0)
    y = np.empty((n_clips, n_t, n_f, n_out), planes.dtype)
    for tile in prange(n_f * n_tiles):
        f, first = tile // n_tiles, tile % n_tiles * a_tile
        last = min(first + a_tile, n_clips)
        sums = np.empty((n_t, (last - first) * n_out), planes.dtype)
        at = (f * n_clips + first) * n_out
        matmul(matrix, flat[:, at : at + sums.shape[1]], sums, False)
        for clip in range(first, last):
            for t in range(n_t):
                here = sums[t, (clip - first) * n_out : (clip - first + 1) * n_out]
                there = y[clip, t, f]
                for o in range(n_out):
                    value = here[o] + b[o]
                    there[o] = zero if value <= zero else value
    return y


@kernel
def synthesize_backward(matrix: Float, dy: Float, y: Float, scale: float) -> tuple[Float, Float]:
    """Return dplanes (N, F, B, C) and db (C,) of `synthesize`, for dy and y (B, T, F, C).

    y may have been through dropout: where it is above 0 its gradient is scale * dy, elsewhere 0.
    """
    open_ = np.where(y > 0, dy * dy.dtype.type(scale), dy.dtype.type(0))
    return np.einsum("tn,btfc->nfbc", matrix, open_, optimize=True), np.asarray(
        open_.sum((0, 1, 2))
    )


@synthesize_backward.jit(parallel=True)
def _(matrix, dy, y, scale):  # type: ignore[no-untyped-def]
    n_clips, n_t, n_f, n_out = dy.shape
    n_rows = matrix.shape[1]
    a_tile = max(1, TILE // n_out)  # clips
    n_tiles = -(-n_clips // a_tile)
    factor, zero = dy.dtype.type(scale), dy.dtype.type(0)
    planes = np.empty((n_rows, n_f * n_clips * n_out), dy.dtype)
    dbs = np.zeros((n_f * n_tiles, n_out), dy.dtype)
    for tile in prange(n_f * n_tiles):
        f, first = tile // n_tiles, tile % n_tiles * a_tile
        last = min(first + a_tile, n_clips)
        rows = np.empty((n_t, (last - first) * n_out), dy.dtype)
        db = dbs[tile]
        for clip in range(first, last):
            for t in range(n_t):
                there = rows[t, (clip - first) * n_out : (clip - first + 1) * n_out]
                gradient, output = dy[clip, t, f], y[clip, t, f]
                for o in range(n_out):
                    value = gradient[o] * factor if output[o] > zero else zero
                    there[o] = value
                    db[o] += value
        at = (f * n_clips + first) * n_out
        matmul(matrix.T, rows, planes[:, at : at + rows.shape[1]], False)
    db = np.zeros(n_out, dy.dtype)
    for tile in range(len(dbs)):
        for o in range(n_out):
            db[o] += dbs[tile, o]
    return planes.reshape(n_rows, n_f, n_clips, n_out), db
