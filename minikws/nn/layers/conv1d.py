"""The layers that slide patterns along time: the two-dimensional formulas, one bin wide."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from minikws.nn import functional as fn
from minikws.nn.layers.convolution import Convolution, DepthwiseConvolution


class Conv1D(Convolution):
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
        self._draw(shape, bias=bias, rng=rng, sigma=sigma, dtype=dtype)


class DepthwiseConv1D(DepthwiseConvolution):
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
        self._draw(shape, bias=bias, rng=rng, sigma=sigma, dtype=dtype)
