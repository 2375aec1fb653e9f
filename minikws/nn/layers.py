"""Layers: objects that hold parameters and keep, in plain sight, what backward needs.

Each owns no mathematics (that is `nn.functional`): `forward` stores a cache, `backward` uses it,
puts the gradients of its parameters into `grads` and returns the gradient of its input. A new
layer is put into `LAYERS`, and the contract tests find it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minikws._typing import Array, Float
from minikws.errors import SettingsError, ShapeError, nearest
from minikws.nn import functional as fn
from minikws.nn.init import truncated_normal

Shape = tuple[int, ...]
PADDINGS: tuple[fn.Padding, ...] = ("SAME", "VALID")


class Layer:
    """What every layer offers; shapes are those of one clip, without the batch axis.

    params : weights by name, changed in place by the optimiser; grads : their gradients.
    """

    def __init__(self) -> None:
        self.params: dict[str, Float] = {}
        self.grads: dict[str, Float] = {}

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Compute the output for a batch (B, …) and keep what backward needs."""
        raise NotImplementedError

    def backward(self, dy: Float) -> Float:
        """Fill `grads` and return dx, the gradient of forward's input."""
        raise NotImplementedError

    def backward_params(self, dy: Float) -> None:
        """Fill `grads` only: enough for a network's first layer, whose dx nobody asks for."""

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of one clip's output.

        Raises
        ------
        ShapeError : the layer cannot take that input.
        """
        return input_shape

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return the multiplications of one clip, biases and padding not discounted."""
        return 0

    @property
    def n_parameters(self) -> int:
        """Count the trainable numbers."""
        return sum(p.size for p in self.params.values())

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Conv2D(Layer):
    """Slide patterns over pictures: (T, F, C_in) -> (T', F', C_out).

    Parameters
    ----------
    in_channels, out_channels : C_in and C_out.
    kernel_size, strides : (time, frequency).
    padding : "SAME" or "VALID", as in TensorFlow.
    rng, sigma : the weights' first values, truncated normal; biases start at 0.
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
        sigma: float = 0.01,
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
            "w": truncated_normal(rng, shape, sigma=sigma, dtype=dtype),
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


class Dense(Layer):
    """Mix all inputs into each output: (N,) -> (M,), y = x @ w + b.

    rng, sigma : the weights' first values, truncated normal; biases start at 0.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        rng: np.random.Generator,
        sigma: float = 0.01,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        if min(n_in, n_out) < 1:
            raise SettingsError(f"a dense layer of {n_in} -> {n_out} is empty; give 1 or more")
        self.params = {
            "w": truncated_normal(rng, (n_in, n_out), sigma=sigma, dtype=dtype),
            "b": np.zeros(n_out, dtype),
        }

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, M)."""
        y, self._cache = fn.dense(x, self.params["w"], self.params["b"])
        return y

    def backward_params(self, dy: Float) -> None:
        """Fill `grads`."""
        self.grads["w"], self.grads["b"] = fn.dense_backward_params(dy, self._cache)

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
        return f"Dense({n_in} -> {n_out})"


class ReLU(Layer):
    """Cut what is below zero."""

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return max(x, 0)."""
        y, self._output = fn.relu(x)
        return y

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return fn.relu_backward(dy, self._output)


class Dropout(Layer):
    """In training, silence a random share of the units; else do nothing.

    rate : share of silenced units, 0 to below 1.
    rng : the run's generator; the same seed gives the same masks.
    """

    def __init__(self, rate: float = 0.5, *, rng: np.random.Generator) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise SettingsError(f"dropout rate={rate} is not in 0 to below 1; 0.5 is usual")
        self.rate, self.rng = rate, rng
        self._mask: Array | None = None
        self._shape: Shape = ()

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return x with units silenced and the others made larger, or x itself."""
        self._mask, self._shape = None, x.shape
        if not training or self.rate == 0:
            return x
        y, self._mask = fn.dropout(x, rate=self.rate, rng=self.rng)
        return y

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return dy if self._mask is None else fn.dropout_backward(dy, self._mask, rate=self.rate)

    @property
    def mask(self) -> Array | None:
        """The last forward pass's mask, booleans in its shape (True is kept); None if unused."""
        return None if self._mask is None else fn.dropout_mask(self._shape, self._mask)

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"


class Reshape(Layer):
    """Read each clip's numbers, in order, as another shape."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, *shape)."""
        self._input_shape = x.shape
        return x.reshape(x.shape[0], *self.shape)

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return dy.reshape(self._input_shape)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape that was asked for."""
        if np.prod(input_shape, dtype=np.int64) != np.prod(self.shape, dtype=np.int64):
            raise ShapeError(f"{self!r} cannot hold {input_shape}; their sizes differ")
        return self.shape

    def __repr__(self) -> str:
        return f"Reshape({self.shape})"


class Flatten(Layer):
    """Read each clip's numbers, in order, as one row."""

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, N)."""
        self._input_shape = x.shape
        return x.reshape(x.shape[0], -1)

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return dy.reshape(self._input_shape)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (N,)."""
        return (int(np.prod(input_shape, dtype=np.int64)),)


LAYERS: dict[str, type[Any]] = {
    "conv2d": Conv2D,
    "dense": Dense,
    "relu": ReLU,
    "dropout": Dropout,
    "reshape": Reshape,
    "flatten": Flatten,
}
