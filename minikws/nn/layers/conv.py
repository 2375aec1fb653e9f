"""Layers that slide patterns over their input."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from minikws._typing import Float
from minikws.errors import SettingsError, ShapeError, nearest
from minikws.nn import functional as fn
from minikws.nn.init import draw
from minikws.nn.layers.base import Layer, Shape

PADDINGS: tuple[fn.Padding, ...] = ("SAME", "VALID")


class Conv2D(Layer):
    """Slide patterns over pictures: (T, F, C_in) -> (T', F', C_out).

    Parameters
    ----------
    in_channels, out_channels : C_in and C_out.
    kernel_size, strides : (time, frequency).
    padding : "SAME" or "VALID", as in TensorFlow.
    rng, sigma : the weights' first values (`nn.init.draw`); biases start at 0.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, int],
        *,
        strides: tuple[int, int] = (1, 1),
        padding: fn.Padding = "SAME",
        rng: np.random.Generator,
        sigma: float | None = 0.01,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        if min(in_channels, out_channels, *kernel_size, *strides) < 1:
            raise SettingsError(
                f"a convolution of {kernel_size} over {in_channels} -> {out_channels} channels "
                f"with strides {strides} holds a number below 1; give 1 or more everywhere"
            )
        if padding not in PADDINGS:
            raise SettingsError(f"unknown padding {padding!r}; {nearest(padding, PADDINGS)}")
        self.strides, self.padding = strides, padding
        shape = (*kernel_size, in_channels, out_channels)
        self.params = {
            "w": draw(rng, shape, sigma=sigma, dtype=dtype),
            "b": np.zeros(out_channels, dtype),
        }

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, T', F', C_out)."""
        y, self._cache = fn.conv2d(
            x, self.params["w"], self.params["b"], strides=self.strides, padding=self.padding
        )
        return y

    def backward_params(self, dy: Float) -> None:
        """Fill `grads`."""
        self.grads["w"], self.grads["b"] = fn.conv2d_backward_params(dy, self._cache)

    def backward(self, dy: Float) -> Float:
        """Fill `grads` and return dx."""
        self.backward_params(dy)
        return fn.conv2d_backward_input(dy, self._cache)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (T', F', C_out)."""
        kt, kf, n_in, n_out = self.params["w"].shape
        if len(input_shape) != 3 or input_shape[2] != n_in:
            raise ShapeError(
                f"{self!r} takes (T, F, {n_in}), found {input_shape}; reshape its input"
            )
        time = fn.window(input_shape[0], kt, self.strides[0], self.padding)
        freq = fn.window(input_shape[1], kf, self.strides[1], self.padding)
        if min(time.n_out, freq.n_out) < 1:
            raise ShapeError(
                f"{self!r} does not fit into {input_shape[:2]}; use a smaller kernel or "
                "padding SAME"
            )
        return time.n_out, freq.n_out, n_out

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return positions times weights."""
        n_t, n_f, _ = self.output_shape(input_shape)
        return n_t * n_f * self.params["w"].size

    def __repr__(self) -> str:
        kt, kf, n_in, n_out = self.params["w"].shape
        return (
            f"Conv2D({n_in} -> {n_out}, kernel {kt}x{kf}, "
            f"strides {self.strides[0]}x{self.strides[1]}, {self.padding})"
        )
