"""The dense layer: every output is a mix of all inputs."""

from __future__ import annotations

import numpy as np

from minikws import _jit
from minikws._typing import Float
from minikws.nn.fast import dense as fast_dense
from minikws.nn.functional.memory import batch_last


def dense(x: Float, w: Float, b: Float) -> tuple[Float, tuple[Float, Float]]:
    """Mix all inputs into each output: y = x @ w + b, (B, N) @ (N, M) -> (B, M)."""
    if _is_thin(w):
        return fast_dense.dense(batch_last(x), w, b), (x, w)
    return np.asarray(x @ w + b), (x, w)


def dense_backward_params(dy: Float, cache: tuple[Float, Float]) -> tuple[Float, Float]:
    """Return dw = x' @ dy and db = sum over b of dy."""
    x, w = cache
    if _is_thin(w):
        return fast_dense.dense_params(batch_last(x), dy), np.asarray(dy.sum(0))
    return np.asarray(x.T @ dy), np.asarray(dy.sum(0))


def dense_backward_input(dy: Float, cache: tuple[Float, Float]) -> Float:
    """Return dx = dy @ w', batch-last in memory as the input was."""
    w = cache[1]
    if _is_thin(w):
        return fast_dense.dense_input(w, dy).T
    return np.asarray((w @ dy.T).T)


def dense_backward(dy: Float, cache: tuple[Float, Float]) -> tuple[Float, Float, Float]:
    """Return dx, dw, db of `dense`."""
    return dense_backward_input(dy, cache), *dense_backward_params(dy, cache)


def _is_thin(w: Float) -> bool:
    return _jit.ENABLED and w.shape[1] <= fast_dense.MAX_OUTPUTS
