"""A convolution whose kernel is as high as the picture: along frequency alone, time as channels.

There is one output row: y[g] = sum over n of x[g + n] @ w[n] for matrices x[f] (clips, C_in) and
w[n] (C_in, C_out), C_in counting frames. The transforms and products of `conv_dft` along one axis,
planes (pair, 2, clip, channel):

    pair 0 | DC  | N/2 |    two real products
    pair k | re  | im  |    one complex product, in three real ones

33 positions with 8 taps take 59 products of (clips, C_in) by (C_in, C_out) where the direct sum
takes 264.
"""

from __future__ import annotations

import numpy as np

from minikws._jit import kernel, matmul, prange
from minikws._typing import Float


@kernel
def multiply(x: Float, w: Float) -> Float:
    """Return y (P, 2, B, C_out): each bin's x (P, 2, B, C_in) times its w (P, 2, C_in, C_out)."""
    y = np.empty((*x.shape[:3], w.shape[3]), x.dtype)
    product = (x[:, 0] + 1j * x[:, 1]) @ (w[:, 0] + 1j * w[:, 1])
    y[:, 0], y[:, 1] = product.real, product.imag
    y[0] = x[0] @ w[0]
    return y


@multiply.jit(parallel=True)
def _(x, w):  # type: ignore[no-untyped-def]
    n_pairs, _, n_clips, n_in = x.shape
    n_out = w.shape[3]
    y = np.empty((n_pairs, 2, n_clips, n_out), x.dtype)
    for k in prange(n_pairs):
        if k == 0:
            matmul(x[k, 0], w[k, 0], y[k, 0], False)
            matmul(x[k, 1], w[k, 1], y[k, 1], False)
            continue
        # (a + ib) (c + id): m0 = (a + b) c, re = m0 - b (c + d), im = m0 + a (d - c)
        both = np.empty((n_clips, n_in), x.dtype)
        difference, total = np.empty((n_in, n_out), x.dtype), np.empty((n_in, n_out), x.dtype)
        for i in range(n_clips):
            for c in range(n_in):
                both[i, c] = x[k, 0, i, c] + x[k, 1, i, c]
        for c in range(n_in):
            for o in range(n_out):
                difference[c, o] = w[k, 1, c, o] - w[k, 0, c, o]
                total[c, o] = -(w[k, 0, c, o] + w[k, 1, c, o])
        re, im = y[k, 0], y[k, 1]
        matmul(both, w[k, 0], re, False)
        for i in range(n_clips):
            for o in range(n_out):
                im[i, o] = re[i, o]
        matmul(x[k, 1], total, re, True)
        matmul(x[k, 0], difference, im, True)
    return y


@kernel
def multiply_params(x: Float, dy: Float) -> Float:
    """Return dw (P, 2, C_in, C_out), conj(x)' @ dy at each bin, for dy (P, 2, B, C_out)."""
    dw = np.empty((*x.shape[:2], x.shape[3], dy.shape[3]), x.dtype)
    product = (x[:, 0] - 1j * x[:, 1]).swapaxes(1, 2) @ (dy[:, 0] + 1j * dy[:, 1])
    dw[:, 0], dw[:, 1] = product.real, product.imag
    dw[0] = x[0].swapaxes(1, 2) @ dy[0]
    return dw


@multiply_params.jit(parallel=True)
def _(x, dy):  # type: ignore[no-untyped-def]
    n_pairs, _, n_clips, n_in = x.shape
    n_out = dy.shape[3]
    dw = np.empty((n_pairs, 2, n_in, n_out), x.dtype)
    for k in prange(n_pairs):
        if k == 0:
            matmul(x[k, 0].T, dy[k, 0], dw[k, 0], False)
            matmul(x[k, 1].T, dy[k, 1], dw[k, 1], False)
            continue
        # (a - ib)' (g + ih): m0 = (a - b)' g, re = m0 + b' (g + h), im = m0 + a' (h - g)
        both = np.empty((n_clips, n_in), x.dtype)
        difference, total = np.empty((n_clips, n_out), x.dtype), np.empty((n_clips, n_out), x.dtype)
        for i in range(n_clips):
            for c in range(n_in):
                both[i, c] = x[k, 0, i, c] - x[k, 1, i, c]
            for o in range(n_out):
                difference[i, o] = dy[k, 1, i, o] - dy[k, 0, i, o]
                total[i, o] = dy[k, 0, i, o] + dy[k, 1, i, o]
        re, im = dw[k, 0], dw[k, 1]
        matmul(both.T, dy[k, 0], re, False)
        for c in range(n_in):
            for o in range(n_out):
                im[c, o] = re[c, o]
        matmul(x[k, 1].T, total, re, True)
        matmul(x[k, 0].T, difference, im, True)
    return dw
