"""The layer that slides patterns over each channel by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from minikws.nn import functional as fn
from minikws.nn.layers.convolution import DepthwiseConvolution


class DepthwiseConv2D(DepthwiseConvolution):
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
        self._draw(shape, bias=bias, rng=rng, sigma=sigma, dtype=dtype)
