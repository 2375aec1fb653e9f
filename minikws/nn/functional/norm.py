"""Batch normalisation: bring each channel to mean 0 and variance 1, then to a learned scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minikws._jit import Kernel
from minikws._typing import Float
from minikws.nn.fast import norm as fast_norm
from minikws.nn.functional.memory import in_order_of, is_clip_first


class NormCache(NamedTuple):
    """What batch_norm's backward needs; mean, variance, scale: (C,), in the input's dtype."""

    x: Float
    mean: Float
    variance: Float
    inverse: Float  # 1 / sqrt(variance + epsilon)
    scale: Float  # gamma * inverse
    of_batch: bool  # whether mean and variance depend on x


def batch_norm(
    x: Float,
    gamma: Float | None,
    beta: Float | None,
    *,
    epsilon: float,
    statistics: tuple[Float, Float] | None = None,
) -> tuple[Float, NormCache]:
    """Normalise each channel over all other axes.

    y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, the variance biased (sum / n).

    Parameters
    ----------
    x : (B, …, C); gamma, beta : (C,), or None for 1 and 0.
    statistics : mean and variance (C,) to use; None takes those of the batch, as training does.

    Returns
    -------
    y : x's shape and memory order, and the cache for backward, which holds the statistics.

    Source: keras.layers.BatchNormalization; tf.nn.batch_normalization.
    """
    if statistics is None:
        mean, variance = (v.astype(x.dtype) for v in _over_rows(fast_norm.moments, x))
    else:
        mean, variance = statistics
    inverse = 1 / np.sqrt(variance + x.dtype.type(epsilon))
    scale = inverse if gamma is None else gamma * inverse
    shift = np.zeros_like(mean) if beta is None else beta
    y = _over_rows(fast_norm.normalize, x, channels=(mean, scale, shift))
    return y.reshape(x.shape), NormCache(x, mean, variance, inverse, scale, statistics is None)


def batch_norm_backward_params(dy: Float, cache: NormCache) -> tuple[Float, Float]:
    """Return dgamma = sum of dy * (x - mean) * inverse, and dbeta = sum of dy, (C,) each."""
    x = cache.x
    sums, products = _over_rows(
        fast_norm.gradient_sums, in_order_of(x, dy), x, channels=(cache.mean,)
    )
    return (products * cache.inverse).astype(x.dtype), sums.astype(x.dtype)


def batch_norm_backward_input(dy: Float, cache: NormCache, dgamma: Float, dbeta: Float) -> Float:
    """Return dx, with the gradients that `batch_norm_backward_params` gave.

    dx = scale * (dy - dbeta / n - (x - mean) * inverse * dgamma / n) over n positions; with
    statistics that do not depend on x only scale * dy remains.
    """
    x, scale = cache.x, cache.scale
    n_rows = x.dtype.type(x.size // x.shape[-1])
    slope = scale * cache.inverse * dgamma / n_rows
    shift = scale * dbeta / n_rows
    if not cache.of_batch:
        slope, shift = np.zeros_like(slope), np.zeros_like(shift)
    channels = (cache.mean, scale, slope, shift)
    dx = _over_rows(fast_norm.gradient_input, in_order_of(x, dy), x, channels=channels)
    return np.asarray(dx.reshape(x.shape))


def batch_norm_backward(dy: Float, cache: NormCache) -> tuple[Float, Float, Float]:
    """Return dx, dgamma, dbeta of `batch_norm`."""
    dgamma, dbeta = batch_norm_backward_params(dy, cache)
    return batch_norm_backward_input(dy, cache, dgamma, dbeta), dgamma, dbeta


def moving_average(buffer: Float, value: Float, *, momentum: float) -> None:
    """Move a buffer towards a value, in place: buffer = buffer * momentum + value * (1 - momentum).

    Source: keras.layers.BatchNormalization.
    """
    kept, new = buffer.dtype.type(momentum), buffer.dtype.type(1 - momentum)
    buffer[...] = buffer * kept + value * new


def _over_rows(form: Kernel[..., Any], *arrays: Float, channels: tuple[Float, ...] = ()) -> Any:
    """Call a kernel on rows (N, C) where the arrays are clip first, else its plain form as is."""
    if all(is_clip_first(a) for a in arrays):
        return form(*(a.reshape(-1, a.shape[-1]) for a in arrays), *channels)
    plain: Callable[..., Any] = form.reference
    return plain(*arrays, *channels)
