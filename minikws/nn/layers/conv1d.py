"""The layers that slide patterns along time: the two-dimensional formulas, one bin wide."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from minikws._typing import Float
from minikws.nn import functional as fn
from minikws.nn.init import draw
from minikws.nn.layers.base import Shape
from minikws.nn.layers.sliding import Sliding


class Conv1D(Sliding):
    """Slide patterns along time: (T, C_in) -> (T', C_out), weights (k, C_in, C_out).

    Parameters
    ----------
    in_channels, out_channels : C_in and C_out.
    kernel_size, stride, dilation : in steps of time.
    padding : "SAME" or "VALID", as in TensorFlow.
    bias : whether to add a number of its own to each output channel.
    rng, sigma : the weights' first values (`nn.init.draw`); biases start at 0.

    Raises
    ------
    SettingsError : a number below 1, or another padding.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: fn.Padding = "SAME",
        dilation: int = 1,
        bias: bool = True,
        rng: np.random.Generator,
        sigma: float | None = 0.01,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(
            f"a convolution of {kernel_size} over {in_channels} -> {out_channels} channels",
            channels=(in_channels, out_channels),
            size=(kernel_size,),
            strides=(stride,),
            padding=padding,
            dilations=(dilation,),
        )
        shape = (kernel_size, in_channels, out_channels)
        self.params = {"w": draw(rng, shape, sigma=sigma, dtype=dtype)}
        if bias:
            self.params["b"] = np.zeros(out_channels, dtype)

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, T', C_out)."""
        y, self._cache = fn.conv2d(
            x[:, :, None],
            self.params["w"][:, None],
            self.params.get("b"),
            strides=(self.strides[0], 1),
            padding=self.padding,
            dilations=(self.dilations[0], 1),
        )
        return y[:, :, 0]

    def backward_params(self, dy: Float) -> None:
        """Fill `grads`."""
        dw, db = fn.conv2d_backward_params(dy[:, :, None], self._cache)
        self.grads["w"] = dw[:, 0]
        if "b" in self.params:
            self.grads["b"] = db

    def backward(self, dy: Float) -> Float:
        """Fill `grads` and return dx."""
        self.backward_params(dy)
        return fn.conv2d_backward_input(dy[:, :, None], self._cache)[:, :, 0]

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (T', C_out)."""
        _, n_in, n_out = self.params["w"].shape
        return *self.positions(input_shape, n_in), n_out

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return positions times weights."""
        return self.output_shape(input_shape)[0] * self.params["w"].size

    def __repr__(self) -> str:
        _, n_in, n_out = self.params["w"].shape
        return f"Conv1D({n_in} -> {n_out}, {self._sizes('kernel')})"


class DepthwiseConv1D(Sliding):
    """Slide M patterns of its own along each channel: (T, C) -> (T', C * M), weights (k, C, M).

    Parameters
    ----------
    channels, multiplier : C and M.
    kernel_size, stride, dilation : in steps of time.
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
        kernel_size: int,
        *,
        multiplier: int = 1,
        stride: int = 1,
        padding: fn.Padding = "SAME",
        dilation: int = 1,
        bias: bool = True,
        rng: np.random.Generator,
        sigma: float | None = 0.01,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(
            f"a depthwise convolution of {kernel_size} over {channels} channels times {multiplier}",
            channels=(channels, multiplier),
            size=(kernel_size,),
            strides=(stride,),
            padding=padding,
            dilations=(dilation,),
        )
        shape = (kernel_size, channels, multiplier)
        self.params = {"w": draw(rng, shape, sigma=sigma, dtype=dtype)}
        if bias:
            self.params["b"] = np.zeros(channels * multiplier, dtype)

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, T', C * M)."""
        y, self._cache = fn.depthwise_conv2d(
            x[:, :, None],
            self.params["w"][:, None],
            self.params.get("b"),
            strides=(self.strides[0], 1),
            padding=self.padding,
            dilations=(self.dilations[0], 1),
        )
        return y[:, :, 0]

    def backward_params(self, dy: Float) -> None:
        """Fill `grads`."""
        dw, db = fn.depthwise_conv2d_backward_params(dy[:, :, None], self._cache)
        self.grads["w"] = dw[:, 0]
        if "b" in self.params:
            self.grads["b"] = db

    def backward(self, dy: Float) -> Float:
        """Fill `grads` and return dx."""
        self.backward_params(dy)
        return fn.depthwise_conv2d_backward_input(dy[:, :, None], self._cache)[:, :, 0]

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (T', C * M)."""
        _, n_channels, n_patterns = self.params["w"].shape
        return *self.positions(input_shape, n_channels), n_channels * n_patterns

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return positions times weights."""
        return self.output_shape(input_shape)[0] * self.params["w"].size

    def __repr__(self) -> str:
        _, n_channels, n_patterns = self.params["w"].shape
        return (
            f"DepthwiseConv1D({n_channels} -> {n_channels * n_patterns}, {self._sizes('kernel')})"
        )
