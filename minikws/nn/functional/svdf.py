"""SVDF: many filters over time and frequency, each the product of one in frequency and one in time.

A filter over M frames of F features has M * F weights. Written as (weights in frequency) times
(weights in time) it has M + F, and can run on a stream: each frame passes the frequency filters
once, `svdf_step` remembers the M newest results, and only the time filters look back. A unit sums
R such filters (its rank), N = R * U in all.

Source: Nakkiran and others 2015, "Compressing Deep Neural Networks using a Rank-Constrained
Topology"; speech_commands/models.py, create_low_latency_svdf_model.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minikws import _jit
from minikws._typing import Float
from minikws.nn.fast import svdf as fast_svdf

SvdfCache = tuple[Float, Float, Float]  # x, weights_frequency, weights_time


def svdf(
    x: Float, weights_frequency: Float, weights_time: Float, bias: Float
) -> tuple[Float, SvdfCache]:
    """Filter every frame in frequency, then every M frames in a row in time, and sum the ranks.

    a[b,t,n] = sum over f of x[b,t,f] * weights_frequency[f,n]
    s[b,i,n] = sum over m of a[b,i+m,n] * weights_time[n,m]     (m = 0 is the oldest frame)
    y[b,i,u] = sum over r of s[b,i,u*R+r] + bias[u]

    Parameters
    ----------
    x : (B, T, F), T >= M.
    weights_frequency : (F, N); weights_time : (N, M); bias : (U,), N a multiple of U.

    Returns
    -------
    y (B, T - M + 1, U), one row for each frame from which the memory is full, and the cache.
    """
    cache = (x, weights_frequency, weights_time)
    if _is_one_sum(cache):
        y = fast_svdf.filter_clips(x, weights_frequency, weights_time, bias.size)
        return (y + bias)[:, None], cache
    past = _past(cache)
    filtered = np.einsum("binm,nm->bin", past, weights_time)
    return _sum_ranks(filtered, bias.size) + bias, cache


def svdf_backward_params(dy: Float, cache: SvdfCache) -> tuple[Float, Float, Float]:
    """Return the gradients of weights_frequency, weights_time and bias for dy (B, T - M + 1, U).

    dweights_time[n,m] = sum over b,i of dy[b,i,u(n)] * a[b,i+m,n]
    dweights_frequency[f,n] = sum over b,t of x[b,t,f] * da[b,t,n]
    """
    x, weights_frequency, weights_time = cache
    dbias = np.asarray(dy.sum((0, 1)))
    if _is_one_sum(cache):
        return *fast_svdf.filter_params(x, weights_frequency, weights_time, dy[:, 0]), dbias
    dfiltered = _spread_ranks(dy, weights_time)
    dweights_time = np.einsum("bin,binm->nm", dfiltered, _past(cache))
    dweights_frequency = np.einsum("btf,btn->fn", x, _back_in_time(dfiltered, x, weights_time))
    return dweights_frequency, dweights_time, dbias


def svdf_backward_input(dy: Float, cache: SvdfCache) -> Float:
    """Return dx[b,t,f] = sum over n of da[b,t,n] * weights_frequency[f,n], (B, T, F)."""
    x, weights_frequency, weights_time = cache
    da = _back_in_time(_spread_ranks(dy, weights_time), x, weights_time)
    return np.asarray(da @ weights_frequency.T)


def svdf_backward(dy: Float, cache: SvdfCache) -> tuple[Float, Float, Float, Float]:
    """Return the gradients of x, weights_frequency, weights_time and bias."""
    return svdf_backward_input(dy, cache), *svdf_backward_params(dy, cache)


def svdf_step(
    memory: Float, frame: Float, weights_frequency: Float, weights_time: Float, bias: Float
) -> tuple[Float, Float]:
    """Take one frame of a stream: F * N + N * M multiplications instead of M * F * N + N * M.

    Parameters
    ----------
    memory : (M, N), what the frequency filters gave for the last M frames, oldest first.
    frame : (F,).

    Returns
    -------
    y (U,), equal to `svdf` over the last M frames, and the next memory.
    """
    memory = np.concatenate([memory[1:], (frame @ weights_frequency)[None]])
    return _sum_ranks((memory * weights_time.T).sum(0), bias.size) + bias, memory


def _past(cache: SvdfCache) -> Float:
    """Return a (B, T - M + 1, N, M): the M filtered frames that each output looks back on."""
    x, weights_frequency, weights_time = cache
    return sliding_window_view(x @ weights_frequency, weights_time.shape[1], axis=1)


def _back_in_time(dfiltered: Float, x: Float, weights_time: Float) -> Float:
    """Return da[b,t,n] = sum over m of dfiltered[b,t-m,n] * weights_time[n,m], (B, T, N)."""
    n_outputs = dfiltered.shape[1]
    da = np.zeros((*x.shape[:2], len(weights_time)), x.dtype)
    for m, weights in enumerate(weights_time.T):
        da[:, m : m + n_outputs] += dfiltered * weights
    return da


def _sum_ranks(filtered: Float, n_units: int) -> Float:
    """Sum each unit's R consecutive filters: (…, U * R) -> (…, U)."""
    return np.asarray(filtered.reshape(*filtered.shape[:-1], n_units, -1).sum(-1))


def _spread_ranks(dy: Float, weights_time: Float) -> Float:
    """Give each filter its unit's gradient: (…, U) -> (…, U * R)."""
    return np.repeat(dy, len(weights_time) // dy.shape[-1], axis=-1)


def _is_one_sum(cache: SvdfCache) -> bool:
    """Whether each clip fills the memory just once, for which there is a faster way."""
    x, _, weights_time = cache
    return _jit.ENABLED and x.shape[1] == weights_time.shape[1]
