"""The layer that slides patterns over pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from minikws.nn import functional as fn
from minikws.nn.layers.convolution import Convolution


class Conv2D(Convolution):
    """Slide patterns over pictures: (T, F, C_in) -> (T', F', C_out).

    Parameters
    ----------
    in_channels, out_channels : C_in and C_out.
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
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, int],
        *,
        strides: tuple[int, int] = (1, 1),
        padding: fn.Padding = "SAME",
        dilations: tuple[int, int] = (1, 1),
        bias: bool = True,
        rng: np.random.Generator,
        sigma: float | None = 0.01,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(
            f"a convolution of {kernel_size} over {in_channels} -> {out_channels} channels",
            channels=(in_channels, out_channels),
            size=kernel_size,
            strides=strides,
            padding=padding,
            dilations=dilations,
        )
        shape = (*kernel_size, in_channels, out_channels)
        self._draw(shape, bias=bias, rng=rng, sigma=sigma, dtype=dtype)
