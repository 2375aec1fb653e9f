"""Layers that keep one number of each window, or of the whole picture."""

from __future__ import annotations

from minikws._typing import Float
from minikws.errors import ShapeError
from minikws.nn import functional as fn
from minikws.nn.layers.base import Layer, Shape
from minikws.nn.layers.sliding import Sliding


class _Pool2D(Sliding):
    """What the two pools share: their windows.

    Parameters
    ----------
    size : of the window, (time, frequency).
    strides : (time, frequency); None is the size: windows side by side.
    padding : "SAME" or "VALID", as in TensorFlow.

    Raises
    ------
    SettingsError : a number below 1, or another padding.
    """

    def __init__(
        self,
        size: tuple[int, int],
        *,
        strides: tuple[int, int] | None = None,
        padding: fn.Padding = "VALID",
    ) -> None:
        super().__init__(
            f"a pool of {size}",
            size=size,
            strides=size if strides is None else strides,
            padding=padding,
            dilations=(1, 1),
        )

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (T', F', C)."""
        return *self.positions(input_shape, None), input_shape[-1]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._sizes('size')})"


class MaxPool2D(_Pool2D):
    """Keep each window's largest number: (T, F, C) -> (T', F', C).

    Parameters
    ----------
    size : of the window, (time, frequency).
    strides : (time, frequency); None is the size: windows side by side.
    padding : "SAME" or "VALID", as in TensorFlow.

    Raises
    ------
    SettingsError : a number below 1, or another padding.
    """

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, T', F', C)."""
        y, self._cache = fn.max_pool(
            x,
            size=(self.size[0], self.size[1]),
            strides=(self.strides[0], self.strides[1]),
            padding=self.padding,
        )
        return y

    def backward(self, dy: Float) -> Float:
        """Return dx: among equals the first in rows gets the gradient."""
        return fn.max_pool_backward(dy, self._cache)


class AveragePool2D(_Pool2D):
    """Take each window's mean, of the input alone where SAME pads: (T, F, C) -> (T', F', C).

    Parameters
    ----------
    size : of the window, (time, frequency).
    strides : (time, frequency); None is the size: windows side by side.
    padding : "SAME" or "VALID", as in TensorFlow.

    Raises
    ------
    SettingsError : a number below 1, or another padding.
    """

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, T', F', C)."""
        y, self._cache = fn.average_pool(
            x,
            size=(self.size[0], self.size[1]),
            strides=(self.strides[0], self.strides[1]),
            padding=self.padding,
        )
        return y

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return fn.average_pool_backward(dy, self._cache)


class _GlobalPool(Layer):
    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (C,)."""
        if len(input_shape) not in (2, 3) or min(input_shape) < 1:
            raise ShapeError(
                f"{self!r} takes (T, F, C) or (T, C), found {input_shape}; reshape its input"
            )
        return (input_shape[-1],)


class GlobalAveragePool(_GlobalPool):
    """Take each channel's mean over all positions: (T, F, C) or (T, C) -> (C,)."""

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, C)."""
        y, self._input_shape = fn.global_average_pool(x)
        return y

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return fn.global_average_pool_backward(dy, self._input_shape)


class GlobalMaxPool(_GlobalPool):
    """Keep each channel's largest number of all positions: (T, F, C) or (T, C) -> (C,)."""

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, C)."""
        y, self._cache = fn.global_max_pool(x)
        return y

    def backward(self, dy: Float) -> Float:
        """Return dx: equals share the gradient."""
        return fn.global_max_pool_backward(dy, self._cache)
