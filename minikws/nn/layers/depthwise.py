"""The layer that slides patterns over each channel by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from minikws._typing import Float
from minikws.nn import functional as fn
from minikws.nn.init import draw
from minikws.nn.layers.base import Shape
from minikws.nn.layers.sliding import Sliding


class DepthwiseConv2D(Sliding):
    """Slide M patterns of its own over each channel: (T, F, C) -> (T', F', C * M).

    Output channel c * M + m is channel c under its pattern m.

    Parameters
    ----------
    channels, multiplier : C and M.
    kernel_size, strides, dilations : (time, frequency).
    padding : "SAME" or "VALID", as in TensorFlow.
    bias : whether to add a number of its own to each output channel.
    rng, sigma : the weights' first values (`nn.init.draw`); biases start at 0.

    Raises
    ------
    SettingsError : a number below 1, or another padding.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: tuple[int, int],
        *,
        multiplier: int = 1,
        strides: tuple[int, int] = (1, 1),
        padding: fn.Padding = "SAME",
        dilations: tuple[int, int] = (1, 1),
        bias: bool = True,
        rng: np.random.Generator,
        sigma: float | None = 0.01,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(
            f"a depthwise convolution of {kernel_size} over {channels} channels times {multiplier}",
            channels=(channels, multiplier),
            size=kernel_size,
            strides=strides,
            padding=padding,
            dilations=dilations,
        )
        shape = (*kernel_size, channels, multiplier)
        self.params = {"w": draw(rng, shape, sigma=sigma, dtype=dtype)}
        if bias:
            self.params["b"] = np.zeros(channels * multiplier, dtype)

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, T', F', C * M)."""
        y, self._cache = fn.depthwise_conv2d(
            x,
            self.params["w"],
            self.params.get("b"),
            strides=(self.strides[0], self.strides[1]),
            padding=self.padding,
            dilations=(self.dilations[0], self.dilations[1]),
        )
        return y

    def backward_params(self, dy: Float) -> None:
        """Fill `grads`."""
        self.grads["w"], db = fn.depthwise_conv2d_backward_params(dy, self._cache)
        if "b" in self.params:
            self.grads["b"] = db

    def backward(self, dy: Float) -> Float:
        """Fill `grads` and return dx."""
        self.backward_params(dy)
        return fn.depthwise_conv2d_backward_input(dy, self._cache)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (T', F', C * M)."""
        n_channels, n_patterns = self.params["w"].shape[2:]
        return *self.positions(input_shape, n_channels), n_channels * n_patterns

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return positions times weights."""
        n_t, n_f, _ = self.output_shape(input_shape)
        return n_t * n_f * self.params["w"].size

    def __repr__(self) -> str:
        n_channels, n_patterns = self.params["w"].shape[2:]
        return (
            f"DepthwiseConv2D({n_channels} -> {n_channels * n_patterns}, {self._sizes('kernel')})"
        )
