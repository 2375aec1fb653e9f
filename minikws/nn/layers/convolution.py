"""What the four convolutions share; each adds only how it is made and which formulas it runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from minikws._typing import Float
from minikws.nn import functional as fn
from minikws.nn.init import draw
from minikws.nn.layers.base import Shape
from minikws.nn.layers.sliding import Sliding


class Convolution(Sliding):
    """What the four convolutions share: weights, gradients, counting.

    Along time alone, (T, C), the input is a picture one bin wide.

    formulas : forward, backward of the parameters, backward of the input, all for pictures.
    """

    formulas: ClassVar[tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]] = (
        fn.conv2d,
        fn.conv2d_backward_params,
        fn.conv2d_backward_input,
    )

    def channels(self) -> tuple[int, int]:
        """Return how many go in and how many come out: the weights' last two axes."""
        n_in, n_out = self.params["w"].shape[-2:]
        return n_in, n_out

    def _draw(
        self,
        shape: tuple[int, ...],
        *,
        bias: bool,
        rng: np.random.Generator,
        sigma: float | None,
        dtype: DTypeLike,
    ) -> None:
        """Make the weights, and a bias for each output channel."""
        self.params = {"w": draw(rng, shape, sigma=sigma, dtype=dtype)}
        if bias:
            self.params["b"] = np.zeros(self.channels()[1], dtype)

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, T', F', C_out), or (B, T', C_out) along time."""
        w = self.params["w"]
        y, self._cache = self.formulas[0](
            self._as_picture(x),
            w[:, None] if self._is_along_time else w,
            self.params.get("b"),
            strides=(*self.strides, 1)[:2],
            padding=self.padding,
            dilations=(*self.dilations, 1)[:2],
        )
        return self._from_picture(y)

    def backward_params(self, dy: Float) -> None:
        """Fill `grads`."""
        dw, db = self.formulas[1](self._as_picture(dy), self._cache)
        self.grads["w"] = dw[:, 0] if self._is_along_time else dw
        if "b" in self.params:
            self.grads["b"] = db

    def backward(self, dy: Float) -> Float:
        """Fill `grads` and return dx."""
        self.backward_params(dy)
        return self._from_picture(self.formulas[2](self._as_picture(dy), self._cache))

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (T', F', C_out), or (T', C_out) along time."""
        n_in, n_out = self.channels()
        return *self.positions(input_shape, n_in), n_out

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return positions times weights."""
        return math.prod(self.output_shape(input_shape)[:-1]) * self.params["w"].size

    @property
    def _is_along_time(self) -> bool:
        return len(self.size) == 1

    def _as_picture(self, x: Float) -> Float:
        return x[:, :, None] if self._is_along_time else x

    def _from_picture(self, y: Float) -> Float:
        return y[:, :, 0] if self._is_along_time else y

    def __repr__(self) -> str:
        n_in, n_out = self.channels()
        return f"{type(self).__name__}({n_in} -> {n_out}, {self._sizes('kernel')})"


class DepthwiseConvolution(Convolution):
    """Convolutions whose weights end in channels and patterns of each: (…, C, M), C * M outputs."""

    formulas = (
        fn.depthwise_conv2d,
        fn.depthwise_conv2d_backward_params,
        fn.depthwise_conv2d_backward_input,
    )

    def channels(self) -> tuple[int, int]:
        """Return C and C * M."""
        n_channels, n_patterns = self.params["w"].shape[-2:]
        return n_channels, n_channels * n_patterns
