"""The dense layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from minikws._typing import Float
from minikws.errors import SettingsError, ShapeError
from minikws.nn import functional as fn
from minikws.nn.init import draw
from minikws.nn.layers.base import Layer, Shape


class Dense(Layer):
    """Mix all inputs into each output: (N,) -> (M,), y = x @ w + b.

    bias : whether there is a b; without it `params` holds w alone.
    rng, sigma : the weights' first values (`nn.init.draw`); biases start at 0.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        bias: bool = True,
        rng: np.random.Generator,
        sigma: float | None = 0.01,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        if min(n_in, n_out) < 1:
            raise SettingsError(f"a dense layer of {n_in} -> {n_out} is empty; give 1 or more")
        self.params = {"w": draw(rng, (n_in, n_out), sigma=sigma, dtype=dtype)}
        self._zeros = np.zeros(n_out, dtype)
        if bias:
            self.params["b"] = self._zeros.copy()

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, M)."""
        y, self._cache = fn.dense(x, self.params["w"], self.params.get("b", self._zeros))
        return y

    def backward_params(self, dy: Float) -> None:
        """Fill `grads`."""
        gradients = fn.dense_backward_params(dy, self._cache)
        self.grads.update(zip(self.params, gradients, strict=False))  # w, and b where there is one

    def backward(self, dy: Float) -> Float:
        """Fill `grads` and return dx."""
        self.backward_params(dy)
        return fn.dense_backward_input(dy, self._cache)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (M,)."""
        n_in, n_out = self.params["w"].shape
        if input_shape != (n_in,):
            raise ShapeError(f"{self!r} takes ({n_in},), found {input_shape}; flatten its input")
        return (n_out,)

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return the number of weights."""
        return self.params["w"].size

    def __repr__(self) -> str:
        n_in, n_out = self.params["w"].shape
        return f"Dense({n_in} -> {n_out}{'' if 'b' in self.params else ', no bias'})"
