"""Optimisers' updates in one pass, in place: each weight, its memory and its gradient once.

Every kernel changes the arrays it is given and returns them. Products and sums stand in the order
of the plain forms, so that both give the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minikws._jit import Kernel, kernel, prange
from minikws._typing import Float

WORTH_A_TWIN = 8192  # below, a handful of NumPy calls is as fast


def update(form: Kernel[..., Any], arrays: tuple[Float, ...], g: Float, *numbers: float) -> None:
    """Run a kernel on (weights, memory …) and gradient, with its numbers in the weights' dtype."""
    w = arrays[0]
    typed = [w.dtype.type(number) for number in numbers]
    if w.size < WORTH_A_TWIN or not all(a.flags.c_contiguous for a in arrays):
        form.reference(*arrays, g, *typed)
    else:
        form(*(a.reshape(-1) for a in arrays), np.ascontiguousarray(g).reshape(-1), *typed)


@kernel
def descend(w: Float, g: Float, rate: float) -> Float:
    """Set w = w - rate * g, (N,) each."""
    w -= rate * g
    return w


@descend.jit(parallel=True)
def _(w, g, rate):  # type: ignore[no-untyped-def]
    for i in prange(w.size):
        w[i] -= rate * g[i]
    return w


@kernel
def nesterov(w: Float, a: Float, g: Float, rate: float, momentum: float) -> tuple[Float, Float]:
    """Set a = momentum a + g; w = w - (rate g + rate momentum a), (N,) each."""
    a *= momentum
    a += g
    w -= g * rate + a * momentum * rate
    return w, a


@nesterov.jit(parallel=True)
def _(w, a, g, rate, momentum):  # type: ignore[no-untyped-def]
    for i in prange(w.size):
        velocity = a[i] * momentum + g[i]
        a[i] = velocity
        w[i] -= g[i] * rate + velocity * momentum * rate
    return w, a


@kernel
def rmsprop(
    w: Float, square: Float, g: Float, rate: float, rho: float, rest: float, epsilon: float
) -> tuple[Float, Float]:
    """Set square = rho square + rest g^2; w = w - rate g / sqrt(square + epsilon)."""
    square *= rho
    square += rest * (g * g)
    w -= rate * g / np.sqrt(square + epsilon)
    return w, square


@rmsprop.jit(parallel=True, error_model="numpy")
def _(w, square, g, rate, rho, rest, epsilon):  # type: ignore[no-untyped-def]
    for i in prange(w.size):
        mean = square[i] * rho + rest * (g[i] * g[i])
        square[i] = mean
        w[i] -= rate * g[i] / np.sqrt(mean + epsilon)
    return w, square


@kernel
def adam(
    w: Float,
    mean: Float,
    square: Float,
    g: Float,
    rate: float,
    rest1: float,
    rest2: float,
    epsilon: float,
) -> tuple[Float, Float, Float]:
    """Move mean and square towards g and g^2; w = w - mean rate / (sqrt(square) + epsilon)."""
    mean += (g - mean) * rest1
    square += (g * g - square) * rest2
    w -= mean * rate / (np.sqrt(square) + epsilon)
    return w, mean, square


@adam.jit(parallel=True, error_model="numpy")
def _(w, mean, square, g, rate, rest1, rest2, epsilon):  # type: ignore[no-untyped-def]
    for i in prange(w.size):
        m = mean[i] + (g[i] - mean[i]) * rest1
        v = square[i] + (g[i] * g[i] - square[i]) * rest2
        mean[i] = m
        square[i] = v
        w[i] -= m * rate / (np.sqrt(v) + epsilon)
    return w, mean, square
