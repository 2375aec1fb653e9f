"""Convolutions of stride 1 with what follows them: ReLU, dropout, and a 2x2 pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from minikws._typing import Array, Float
from minikws.nn import functional as fn
from minikws.nn.fast import conv_dft, conv_line, conv_pool
from minikws.nn.layers import Conv2D, Dropout, Layer, MaxPool2D, ReLU, Shape
from minikws.nn.stages.base import Stage

NO_WORDS = np.zeros(0, np.uint32)


class PooledConv(Stage):
    """Convolution of one channel, ReLU, dropout, 2x2 pool: only the winners are kept.

    See `nn.fast.conv_pool`.
    """

    takes = (Conv2D, ReLU, Dropout, MaxPool2D)

    @classmethod
    def fits(cls, layers: Sequence[Layer], shape: Shape) -> bool:
        """Whether it has one channel in, bias, stride 1, and pairs of positions are pooled."""
        conv, pool = cast(Conv2D, layers[0]), cast(MaxPool2D, layers[3])
        n_in, n_out = conv.params["w"].shape[2:]
        return (
            _is_plain(conv)
            and n_in == 1
            and n_out % conv_pool.BITS == 0
            and tuple(pool.size) == tuple(pool.strides) == (2, 2)
        )

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, T', F', C), in memory (T', F', B, C)."""
        conv, _, dropout, pool = self.layers
        w, b = conv.params["w"], conv.params["b"]
        self._time, self._freq = _windows(cast(Conv2D, conv), x.shape)
        same = cast(MaxPool2D, pool).padding == "SAME"
        n_t, n_f = (conv_pool.pooled(n, same=same) for n in (self._time.n_out, self._freq.n_out))
        shape = (len(x), self._time.n_out, self._freq.n_out, w.shape[3])
        mask = cast(Dropout, dropout).draw(shape, training=training)
        words, self._scale = (NO_WORDS, 1.0) if mask is None else (mask.words, mask.scale)
        self._x = np.ascontiguousarray(x[..., 0])
        y, self._winner = conv_pool.convolve(
            self._x, conv_pool.pair_taps(w), b, words, self._scale, self._frame, n_t, n_f
        )
        return y.transpose(2, 0, 1, 3)

    @property
    def _frame(self) -> conv_pool.Frame:
        return self._time.before, self._freq.before, self._time.n_out, self._freq.n_out

    def backward_params(self, dy: Float) -> None:
        """Fill the convolution's `grads`."""
        conv = self.layers[0]
        conv.grads["w"], conv.grads["b"] = conv_pool.convolve_params(
            self._x,
            _time_first(dy),
            self._winner,
            self._scale,
            self._frame,
            self._time.size,
            self._freq.size,
        )

    def backward(self, dy: Float) -> Float:
        """Fill the convolution's `grads` and return dx."""
        self.backward_params(dy)
        full = conv_pool.winners_only(
            _time_first(dy), self._winner, self._scale, self._time.n_out, self._freq.n_out
        )
        x = self._x[..., None]
        cache = fn.ConvCache(x.shape, self.layers[0].params["w"], self._time, self._freq, x)
        return fn.conv2d_backward_input(full, cache)


class SpectralConv(Stage):
    """Convolution of many channels, ReLU, dropout: products of Fourier transforms.

    See `nn.fast.conv_dft`.
    """

    takes = (Conv2D, ReLU, Dropout)

    @classmethod
    def fits(cls, layers: Sequence[Layer], shape: Shape) -> bool:
        """Whether the kernel is large enough for a transform to save work."""
        conv = cast(Conv2D, layers[0])
        kt, kf, n_in, n_out = conv.params["w"].shape
        return _is_plain(conv) and min(n_in, n_out) >= 16 and kt >= 3 and kt * kf >= 16

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, T', F', C_out), clip first in memory."""
        conv, _, dropout = self.layers
        w, b = conv.params["w"], conv.params["b"]
        time, freq = _windows(cast(Conv2D, conv), x.shape)
        self._along_t = conv_dft.axis(x.shape[1], time.size, time.before, time.n_out)
        self._along_f = conv_dft.axis(x.shape[2], freq.size, freq.before, freq.n_out)
        n_clips, n_frames, n_bins, n_in = x.shape
        n_rows, n_out = len(self._along_t.taps), w.shape[3]
        planes = conv_dft.transform(self._along_t.analysis, _time_first(x).reshape(n_frames, -1))
        self._w = conv_dft.transform(self._along_t.taps, w.reshape(time.size, -1))
        self._w = self._w.reshape(n_rows // 2, 2, freq.size, n_in, n_out)
        planes = planes.reshape(n_rows // 2, 2, n_bins, n_clips, n_in)
        sums, self._spectra = conv_dft.multiply(planes, self._w, *self._along_f)
        del planes
        sums = sums.reshape(n_rows, freq.n_out, n_clips, n_out)
        y = conv_dft.synthesize(self._along_t.synthesis, sums, b)
        mask = cast(Dropout, dropout).draw(y.shape, training=training)
        self._scale = 1.0 if mask is None else mask.scale
        self._y = y if mask is None else fn.dropout_apply(y, mask)
        return self._y

    def backward_params(self, dy: Float) -> None:
        """Fill the convolution's `grads`."""
        self.backward(dy)

    def backward(self, dy: Float) -> Float:
        """Fill the convolution's `grads` and return dx, in memory (T, F, B, C)."""
        conv = self.layers[0]
        w = conv.params["w"]
        dsums, conv.grads["b"] = conv_dft.synthesize_backward(
            self._along_t.synthesis, np.ascontiguousarray(dy), self._y, self._scale
        )
        n_rows, n_f, n_clips, n_out = dsums.shape
        dplanes, dw = conv_dft.multiply_backward(
            self._spectra,
            self._w,
            dsums.reshape(n_rows // 2, 2, n_f, n_clips, n_out),
            *self._along_f,
        )
        del dsums
        dw = conv_dft.transform(self._along_t.taps.T, dw.reshape(n_rows, -1))
        conv.grads["w"] = dw.reshape(w.shape)
        dx = conv_dft.transform(self._along_t.analysis.T, dplanes.reshape(n_rows, -1))
        return dx.reshape(-1, *dplanes.shape[2:]).transpose(2, 0, 1, 3)


class WholeClipConv(Stage):
    """Convolution as high as the picture, of one channel, ReLU, dropout: along frequency alone.

    See `nn.fast.conv_line`.
    """

    takes = (Conv2D, ReLU, Dropout)

    @classmethod
    def fits(cls, layers: Sequence[Layer], shape: Shape) -> bool:
        """Whether there is one output row, and taps enough for a transform to save work."""
        conv = cast(Conv2D, layers[0])
        kt, kf, n_in, n_out = conv.params["w"].shape
        is_whole = conv.padding == "VALID" and kt == shape[0] and n_in == 1
        return _is_plain(conv) and is_whole and min(kt, n_out) >= 16 and kf >= 4

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, 1, F', C), clip first in memory."""
        conv, _, dropout = self.layers
        kt, kf, _, n_out = conv.params["w"].shape
        self._axis = conv_dft.axis(x.shape[2], kf, 0, x.shape[2] - kf + 1)
        n_rows = len(self._axis.taps)
        rows = np.ascontiguousarray(x[..., 0].transpose(2, 0, 1)).reshape(x.shape[2], -1)
        self._spectra = conv_dft.transform(self._axis.analysis, rows)
        self._spectra = self._spectra.reshape(n_rows // 2, 2, len(x), kt)
        w = np.ascontiguousarray(conv.params["w"].swapaxes(0, 1)).reshape(kf, -1)
        kernels = conv_dft.transform(self._axis.taps, w).reshape(n_rows // 2, 2, kt, n_out)
        sums = conv_line.multiply(self._spectra, kernels).reshape(n_rows, 1, len(x), n_out)
        y = conv_dft.synthesize(self._axis.synthesis, sums, conv.params["b"]).swapaxes(1, 2)
        mask = cast(Dropout, dropout).draw(y.shape, training=training)
        self._scale = 1.0 if mask is None else mask.scale
        self._y = y if mask is None else fn.dropout_apply(y, mask)
        return self._y

    def backward_params(self, dy: Float) -> None:
        """Fill the convolution's `grads`."""
        conv = self.layers[0]
        kt, kf, _, n_out = conv.params["w"].shape
        dsums, conv.grads["b"] = conv_dft.synthesize_backward(
            self._axis.synthesis,
            np.ascontiguousarray(dy.swapaxes(1, 2)),
            self._y.swapaxes(1, 2),
            self._scale,
        )
        dw = conv_line.multiply_params(
            self._spectra, dsums.reshape(len(self._spectra), 2, -1, n_out)
        )
        dw = conv_dft.transform(self._axis.taps.T, dw.reshape(len(self._axis.taps), -1))
        conv.grads["w"] = np.ascontiguousarray(dw.reshape(kf, kt, 1, n_out).swapaxes(0, 1))

    def backward(self, dy: Float) -> Float:
        """Fill the convolution's `grads` and return dx."""
        self.backward_params(dy)
        conv = cast(Conv2D, self.layers[0])
        kt, kf, n_in, _ = conv.params["w"].shape
        open_ = np.where(self._y > 0, dy * dy.dtype.type(self._scale), dy.dtype.type(0))
        n_bins = dy.shape[2] + kf - 1
        time, freq = _windows(conv, (len(dy), kt, n_bins))
        shape = (len(dy), kt, n_bins, n_in)
        cache = fn.ConvCache(shape, conv.params["w"], time, freq, open_)
        return fn.conv2d_backward_input(open_, cache)


def _is_plain(conv: Conv2D) -> bool:
    """Whether the convolution has a bias and looks at every position and every neighbour."""
    is_dense = set(conv.strides) == set(conv.dilations) == {1}
    return is_dense and "b" in conv.params


def _windows(conv: Conv2D, shape: tuple[int, ...]) -> tuple[fn.Window, fn.Window]:
    kt, kf = conv.params["w"].shape[:2]
    time = fn.window(shape[1], kt, 1, conv.padding)
    return time, fn.window(shape[2], kf, 1, conv.padding)


def _time_first(x: Array) -> Array:
    """Return x (B, T, F, C) as (T, F, B, C), contiguous: a view where it lies so already."""
    return np.ascontiguousarray(x.transpose(1, 2, 0, 3))
