"""Pooling over time with attention: the network itself says which moments count.

A map (T, C) becomes (2 C): the largest value over time of map * gate, and the mean over time of the
map as it is. The gate (T) is a softmax over time of a dense layer's answer to the whole map.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minikws._typing import Float
from minikws.nn.functional.activation import softmax, softmax_backward


class AttentionCache(NamedTuple):
    """What gated_pool's backward needs: the map (B, T, C), its gates (B, T), the peaks (B, C)."""

    x: Float
    gate: Float
    peak: Float


def gated_pool(x: Float, scores: Float) -> tuple[Float, AttentionCache]:
    """Pool a map over time: the largest gated value and the mean of each channel.

    gate = softmax over t of scores; y = [max over t of x * gate, mean over t of x].

    Parameters
    ----------
    x : (B, T, C); scores : (B, T), how much each moment counts.

    Returns
    -------
    y : (B, 2 C), and the cache.

    Source: conv_1d_time_sliced_with_attention of the Kaggle speech challenge's Raspberry Pi model.
    """
    gate, _ = softmax(scores)
    peak = (x * gate[:, :, None]).max(axis=1)
    return np.concatenate([peak, x.mean(axis=1)], axis=1), AttentionCache(x, gate, peak)


def gated_pool_backward(dy: Float, cache: AttentionCache) -> tuple[Float, Float]:
    """Return dx (B, T, C) and dscores (B, T).

    The maximum's gradient goes to the moment that gave it; moments that share it get equal parts,
    as in tf.reduce_max.
    """
    x, gate, peak = cache
    _, n_t, n_c = x.shape
    is_peak = x * gate[:, :, None] == peak[:, None]
    n_peaks = is_peak.sum(axis=1).astype(x.dtype)
    dgated = is_peak * (dy[:, :n_c] / n_peaks)[:, None]  # (B, T, C)
    dx = dgated * gate[:, :, None] + (dy[:, n_c:] / x.dtype.type(n_t))[:, None]
    dgate = (dgated * x).sum(axis=2)
    return np.asarray(dx), softmax_backward(dgate, gate)
