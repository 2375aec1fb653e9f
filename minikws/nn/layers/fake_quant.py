"""The layer that lets training feel the integers of the exported file."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from minikws._typing import Float
from minikws.errors import SettingsError, ShapeError
from minikws.nn import functional as fn
from minikws.nn.layers.base import Layer, Shape


class FakeQuant(Layer):
    """Round to 2**num_bits values over a range that follows the data (…, C) -> (…, C).

    In training the range is a moving average of each batch's smallest and largest value, 0 always
    inside; elsewhere it stays as it is. Before the first batch it is unknown, and x passes as it
    came. Its two averages and their weight are buffers, so that checkpoints hold them.

    Parameters
    ----------
    fixed : (low, high), a range that does not move, such as a frontend's own.
    n_channels : a range for each index of the last axis; None gives one for all.
    decay : share of the old average; the first batches count in full (zero-debiased).
    num_bits, narrow_range : as in `functional.fake_quant`.

    Source: tf.contrib.quantize, MovingAvgQuantize; zero-debiasing from
    tensorflow/python/training/moving_averages.py.
    Differs: the ranges stand still in validation and test.
    """

    def __init__(
        self,
        *,
        fixed: tuple[ArrayLike, ArrayLike] | None = None,
        n_channels: int | None = None,
        decay: float = 0.999,
        num_bits: int = 8,
        narrow_range: bool = False,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        if not 0 < decay < 1:
            raise SettingsError(f"decay={decay:g} is not between 0 and 1; 0.999 is usual")
        self.fixed, self.n_channels, self.decay = fixed, n_channels, decay
        self.num_bits, self.narrow_range = num_bits, narrow_range
        shape = () if n_channels is None else (n_channels,)
        averages, weight = np.zeros((2, *shape), dtype), np.zeros(1, dtype)
        if fixed is not None:
            averages[0], averages[1] = fixed
            weight[:] = 1
        self.buffers = {"averages": averages, "weight": weight}
        fn.nudge(*averages, num_bits=num_bits, narrow_range=narrow_range)  # says what is wrong

    @property
    def range(self) -> tuple[Float, Float]:
        """Low and high, as they are now: numbers, or (C,); 0 and 0 before the first batch."""
        averages, weight = self.buffers["averages"], self.buffers["weight"]
        low, high = averages / (weight if weight[0] > 0 else weight.dtype.type(1))
        return np.asarray(low), np.asarray(high)

    @property
    def grid(self) -> fn.Grid:
        """The values that it rounds to, as they are now."""
        return fn.nudge(*self.range, num_bits=self.num_bits, narrow_range=self.narrow_range)

    @property
    def is_known(self) -> bool:
        """Whether there is a range yet."""
        return bool(self.buffers["weight"][0] > 0)

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return x (B, …) on the grid; in training move the range first."""
        if training and self.fixed is None:
            self._observe(x)
        self._cache = None
        if not self.is_known:
            return x
        y, self._cache = fn.fake_quant(
            x, *self.range, num_bits=self.num_bits, narrow_range=self.narrow_range
        )
        return y

    def _observe(self, x: Float) -> None:
        """Move the averages a little to this batch: a += (1 - decay) * (value - a)."""
        axes = None if self.n_channels is None else tuple(range(x.ndim - 1))
        averages, weight = self.buffers["averages"], self.buffers["weight"]
        share = averages.dtype.type(1 - self.decay)
        averages[0] += share * (np.minimum(x.min(axes), 0) - averages[0])
        averages[1] += share * (np.maximum(x.max(axes), 0) - averages[1])
        weight += share * (1 - weight)

    def backward(self, dy: Float) -> Float:
        """Return dx: dy inside the range, 0 outside."""
        if self._cache is None:
            return dy
        return fn.fake_quant_backward_input(dy, self._cache)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        if self.n_channels is not None and input_shape[-1:] != (self.n_channels,):
            raise ShapeError(
                f"{self!r} takes (…, {self.n_channels}), found {input_shape}; "
                "give n_channels of the layer before it"
            )
        return input_shape

    def __repr__(self) -> str:
        kind = f"{self.num_bits} bits{', narrow' if self.narrow_range else ''}"
        per = "" if self.n_channels is None else f", {self.n_channels} channels"
        how = f"decay {self.decay:g}" if self.fixed is None else f"fixed {self.fixed}"
        return f"FakeQuant({kind}{per}, {how})"
