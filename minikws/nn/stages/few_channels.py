"""A convolution of few channels, ReLU, dropout, and the linear layer behind them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar, NamedTuple, cast

import numpy as np

from minikws._typing import Array, Float, Int64
from minikws.nn import functional as fn
from minikws.nn.fast import conv as few_channels
from minikws.nn.fast import conv_dense
from minikws.nn.fast.dense import MAX_OUTPUTS
from minikws.nn.functional.conv import FEW_INPUTS, FEW_OUTPUTS
from minikws.nn.functional.memory import batch_last
from minikws.nn.layers import Conv2D, Dense, Dropout, Flatten, Layer, ReLU, Shape
from minikws.nn.stages.base import Stage

NO_WORDS = np.zeros(0, np.uint32)
NO_WORDS.flags.writeable = False


class Slide(NamedTuple):
    """How a kernel goes over a picture: (time, frequency) taps and strides."""

    size: tuple[int, int]
    strides: tuple[int, int]
    padding: fn.Padding


class Places(NamedTuple):
    """Where the windows of both linear layers lie, and the taps of the first in its planes."""

    time: fn.Window
    freq: fn.Window
    next_time: fn.Window
    next_freq: fn.Window
    planes: Shape
    y: Shape
    offsets: Int64


class FewChannelsConv(Stage):
    """Convolution of few channels, ReLU, dropout, convolution: one compiled call each way.

    See `nn.fast.conv_dense`. Its work arrays are kept from step to step.
    """

    takes: ClassVar[tuple[type[Layer], ...]] = (Conv2D, ReLU, Dropout, Conv2D)
    _planes: Float
    _y: Float | None = None

    @classmethod
    def fits(cls, layers: Sequence[Layer], shape: Shape) -> bool:
        """Whether clips make the longest lanes, and each output is met by few time steps."""
        conv, second = cast(Conv2D, layers[0]), cast(Conv2D, layers[3])
        taps, strides = second.params["w"].shape[:2], second.strides
        reach = [-(-size // stride) for size, stride in zip(taps, strides, strict=True)]
        return _has_few_channels(conv) and _is_plain(second) and max(reach) <= 2

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, T', F', M), batch last in memory."""
        return np.moveaxis(self._forward(x, training=training), -1, 0)

    def backward_params(self, dy: Float) -> None:
        """Fill both convolutions' `grads`."""
        self._backward_params(batch_last(dy))

    def backward(self, dy: Float) -> Float:
        """Fill both convolutions' `grads` and return dx."""
        return self._backward(batch_last(dy))

    @property
    def _next_slide(self) -> Slide | None:
        second = cast(Conv2D, self.layers[3])
        return _slide(second)

    def _forward(self, x: Float, *, training: bool) -> Float:
        """Return the second linear layer's output, (T', F', M, B)."""
        conv, dropout = cast(Conv2D, self.layers[0]), cast(Dropout, self.layers[2])
        w = conv.params["w"]
        places = self._places = _lay(x.shape, w.shape[3], _slide(conv), self._next_slide)
        if self._y is None or self._y.shape != places.y:
            self._planes, self._y = np.zeros(places.planes, w.dtype), np.empty(places.y, w.dtype)
        n_t, n_f, n_out, n_clips = places.y
        mask = dropout.draw((n_clips, n_t, n_f, n_out), training=training, clip_first=False)
        words, self._scale = (NO_WORDS, 1.0) if mask is None else (mask.words, mask.scale)
        words.flags.writeable = False  # as drawn bits are: one kind of array, compiled once
        self._x_shape = x.shape
        self._next_w, b = self._next_weights(places)
        weights = np.zeros((n_out, places.offsets.size), w.dtype)
        weights[:, : w[..., 0].size] = w.reshape(-1, n_out).T
        out = conv_dense.forward(
            np.ascontiguousarray(x),
            self._planes,
            self._y,
            (places.offsets, weights, conv.params["b"]),
            (places.time.numbers, places.freq.numbers),
            words,
            self._scale,
            (self._next_w, b),
            (places.next_time.numbers, places.next_freq.numbers),
        )
        return out[:, :, : self.layers[-1].params["b"].size]

    def _next_weights(self, places: Places) -> tuple[Float, Float]:
        """Return (kt, kf, C, M) and (M,), M filled up to a multiple of four."""
        w, b = self.layers[-1].params["w"], self.layers[-1].params["b"]
        w = w.reshape(places.next_time.size, places.next_freq.size, -1, b.size)
        return _in_fours(w, axis=3), _in_fours(b, axis=0)

    def _backward_params(self, dout: Float) -> Float:
        """Fill `grads` from the gradient of `_forward`, and return it with M in fours."""
        conv, linear = self.layers[0], self.layers[-1]
        places, w = self._places, conv.params["w"]
        n_out, n_mixed = w.shape[3], dout.shape[2]
        linear.grads["b"] = dout.sum((0, 1, 3))
        dout = _in_fours(dout, axis=2)
        assert self._y is not None
        dweights, conv.grads["b"], dw = conv_dense.backward(
            dout,
            self._planes,
            self._y,
            places.offsets,
            places.time.stride * self._planes[0].size,
            self._scale,
            self._next_w,
            (places.next_time.numbers, places.next_freq.numbers),
        )
        linear.grads["w"] = dw[..., :n_mixed].reshape(linear.params["w"].shape)
        dweights = dweights[:, : w[..., 0].size].T
        conv.grads["w"] = np.ascontiguousarray(dweights).reshape(*w.shape[:3], n_out)
        return dout

    def _backward(self, dout: Float) -> Float:
        """Fill `grads` and return dx."""
        dout = self._backward_params(dout)
        assert self._y is not None
        time, freq, next_time, next_freq = self._places[:4]
        next_windows = next_time.numbers, next_freq.numbers
        dy = conv_dense.open_only(dout, self._y, self._scale, self._next_w, next_windows)
        w = self.layers[0].params["w"]
        cache = fn.ConvCache(self._x_shape, w, time, freq, self._planes)
        return fn.conv2d_backward_input(np.moveaxis(dy, -1, 0), cache)


class FewChannelsDense(FewChannelsConv):
    """Convolution of few channels, ReLU, dropout, dense layer: one compiled call each way.

    The dense layer is a convolution whose kernel covers the whole picture.
    """

    takes = (Conv2D, ReLU, Dropout, Flatten, Dense)

    @classmethod
    def fits(cls, layers: Sequence[Layer], shape: Shape) -> bool:
        """Whether clips make the longest lanes in both layers."""
        conv, dense = cast(Conv2D, layers[0]), layers[4]
        has_few_outputs = dense.params["w"].shape[1] <= MAX_OUTPUTS
        return _has_few_channels(conv) and "b" in dense.params and has_few_outputs

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, M)."""
        return np.asarray(self._forward(x, training=training)[0, 0].T)

    def backward_params(self, dy: Float) -> None:
        """Fill both layers' `grads`."""
        self._backward_params(batch_last(dy)[None, None])

    def backward(self, dy: Float) -> Float:
        """Fill both layers' `grads` and return dx."""
        return self._backward(batch_last(dy)[None, None])

    @property
    def _next_slide(self) -> Slide | None:
        return None


def _has_few_channels(conv: Conv2D) -> bool:
    n_in, n_out = conv.params["w"].shape[2:]
    return _is_plain(conv) and n_in <= FEW_INPUTS and n_out <= FEW_OUTPUTS and n_out % 2 == 0


def _is_plain(conv: Conv2D) -> bool:
    """Whether the convolution has a bias and looks at every neighbour."""
    return set(conv.dilations) == {1} and "b" in conv.params


def _slide(conv: Conv2D) -> Slide:
    kt, kf = conv.params["w"].shape[:2]
    return Slide((kt, kf), (conv.strides[0], conv.strides[1]), conv.padding)


@lru_cache(maxsize=32)
def _lay(shape: Shape, n_out: int, slide: Slide, next_slide: Slide | None) -> Places:
    """Lay the windows on pictures (B, T, F, C); without a next slide the next covers them all."""
    n_clips, *sides, n_in = shape
    time, freq = _windows(sides, slide)
    sides = [time.n_out, freq.n_out]
    whole = Slide((time.n_out, freq.n_out), (time.n_out, freq.n_out), "VALID")
    next_time, next_freq = _windows(sides, next_slide or whole)
    n_rows = (time.n_out - 1) * time.stride + time.size
    n_columns = freq.n_out + (freq.size - 1) // freq.stride
    planes = n_rows, n_in, freq.stride, n_columns, n_clips
    offsets = few_channels.tap_offsets(planes, time.size, freq.size)
    y = time.n_out, freq.n_out, n_out, n_clips
    return Places(time, freq, next_time, next_freq, planes, y, offsets)


def _windows(sides: Sequence[int], slide: Slide) -> tuple[fn.Window, fn.Window]:
    time, freq = (
        fn.window(n, size, stride, slide.padding)
        for n, size, stride in zip(sides, slide.size, slide.strides, strict=True)
    )
    return time, freq


def _in_fours(x: Array, *, axis: int) -> Float:
    """Return x contiguous, with zeros behind it along an axis up to a multiple of four."""
    missing = -x.shape[axis] % conv_dense.OUTPUTS_A_PASS
    if not missing:
        return np.ascontiguousarray(x)
    ends = [(0, missing if i == axis else 0) for i in range(x.ndim)]
    return np.pad(x, ends)
