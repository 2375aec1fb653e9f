"""The dense layer: every output is a mix of all inputs."""

from __future__ import annotations

import numpy as np

from minikws import _jit
from minikws._typing import Float
from minikws.nn.fast import dense as fast_dense
from minikws.nn.fast import dense_wide
from minikws.nn.functional.memory import batch_last, is_clip_first


def dense(x: Float, w: Float, b: Float) -> tuple[Float, tuple[Float, Float]]:
    """Mix all inputs into each output: y = x @ w + b, (B, N) @ (N, M) -> (B, M)."""
    if not _jit.ENABLED:
        return np.asarray(x @ w + b), (x, w)
    if _is_thin(x, w):
        return fast_dense.dense(batch_last(x), w, b), (x, w)
    return dense_wide.dense(x, w, b), (x, w)


def dense_backward_params(dy: Float, cache: tuple[Float, Float]) -> tuple[Float, Float]:
    """Return dw = x' @ dy and db = sum over b of dy."""
    x, w = cache
    db = np.asarray(dy.sum(0))
    if not _jit.ENABLED:
        return np.asarray(x.T @ dy), db
    if _is_thin(x, w):
        return fast_dense.dense_params(batch_last(x), dy), db
    return dense_wide.dense_params(x, np.ascontiguousarray(dy)), db


def dense_backward_input(dy: Float, cache: tuple[Float, Float]) -> Float:
    """Return dx = dy @ w', in the input's order in memory."""
    x, w = cache
    if not _jit.ENABLED:
        return np.asarray((w @ dy.T).T)
    if _is_thin(x, w):
        return fast_dense.dense_input(w, dy).T
    return dense_wide.dense_input(w, np.ascontiguousarray(dy))


def dense_backward(dy: Float, cache: tuple[Float, Float]) -> tuple[Float, Float, Float]:
    """Return dx, dw, db of `dense`."""
    return dense_backward_input(dy, cache), *dense_backward_params(dy, cache)


def _is_thin(x: Float, w: Float) -> bool:
    """Whether clips are the longest lanes there are: few outputs, and the batch last in memory."""
    return w.shape[1] <= fast_dense.MAX_OUTPUTS and not is_clip_first(x)
