"""Batch norms with their ReLUs and the separable convolutions between them, from norm to norm.

Such a chain is most of a separable network:

    BatchNorm ReLU [DepthwiseConv] [pointwise Conv]   BatchNorm ReLU …   BatchNorm ReLU [mean]

Layer by layer each of them would write what the next one reads. Here a kernel goes from one batch
norm's input to the next one's (`nn.fast.chain`), and only these inputs are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from minikws._typing import Float, Float64
from minikws.nn import functional as fn
from minikws.nn.fast import chain
from minikws.nn.fast import norm as fast_norm
from minikws.nn.layers import (
    BatchNorm,
    Conv1D,
    Conv2D,
    DepthwiseConv1D,
    DepthwiseConv2D,
    GlobalAveragePool,
    Layer,
    ReLU,
    ReLU6,
)
from minikws.nn.stages.base import Stage

BOUNDS: dict[type[Layer], tuple[float, float]] = {ReLU: (0.0, np.inf), ReLU6: (0.0, 6.0)}
UNBOUNDED = (-np.inf, np.inf)
POINTWISE, DEPTHWISE = (Conv1D, Conv2D), (DepthwiseConv1D, DepthwiseConv2D)

Rows = tuple[Float, Float, float, float]  # u, the rows of its norm, its bounds


class _Normed(NamedTuple):
    """A batch norm's numbers for one batch, (C,) each: what `fn.NormCache` holds, without x."""

    mean: Float
    inverse: Float
    scale: Float
    of_batch: bool

    def back(self, sums: Float64, products: Float64, n_rows: int) -> Float:
        """Return the rows mean, scale, slope, shift of the gradient's way through the norm."""
        if not self.of_batch:
            return np.stack([self.mean, self.scale, *np.zeros((2, len(self.mean)), np.float32)])
        slope = self.scale * np.square(self.inverse) * products.astype(np.float32)
        shift = self.scale * sums.astype(np.float32)
        return np.stack([self.mean, self.scale, slope / np.float32(n_rows), shift / n_rows])


class NormChain(Stage):
    """A chain of batch norm, ReLU or ReLU6 and separable convolutions, as long as it goes on.

    It ends behind a ReLU, or behind the mean over all positions. See `nn.fast.chain`.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__(layers)
        self._by_mean = type(layers[-1]) is GlobalAveragePool
        at = [i for i, layer in enumerate(layers) if type(layer) is BatchNorm]
        ends = [*at[1:], len(layers) - self._by_mean]
        self._links = [layers[i:end] for i, end in zip(at, ends, strict=True)]

    @classmethod
    def length(cls, layers: Sequence[Layer]) -> int:
        """Count the layers of the chain that these begin with."""
        taken, at = 0, 0
        while _is_norm(layers[at : at + 2]):
            taken = at = at + 2
            at += _convolutions(layers[at : at + 2])
        return taken + (
            taken > 0 and [*map(type, layers[taken : taken + 1])] == [GlobalAveragePool]
        )

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return what the last layer does, clip first in memory."""
        self._shape = x.shape
        u = np.ascontiguousarray(x, np.float32)
        u = u if x.ndim == 4 else u[:, :, None]
        moments: Any = fast_norm.moments(u.reshape(-1, u.shape[3])) if training else None
        self._normed: list[_Normed] = []
        self._kept: list[list[Rows]] = []  # of each link: what its convolutions took
        bias: Any = np.float32(0)
        for norm, activation, *convs in self._links:
            normed = self._normalize(cast(BatchNorm, norm), moments, bias, training=training)
            self._normed.append(normed)
            beta = norm.params.get("beta", np.zeros_like(normed.mean))
            rows = np.stack([normed.mean, normed.scale, beta])
            bounds = BOUNDS[type(activation)]
            self._kept.append([])
            for conv in convs:
                self._kept[-1].append((u, rows, *bounds))
                u, *moments = _convolve(conv, u, rows, *bounds)
                rows, bounds = _nothing(u.shape[3])[:3], UNBOUNDED
                bias = conv.params.get("b", np.float32(0))
        self._last: Rows = (u, rows, *bounds)
        if self._by_mean:
            return chain.close_by_mean(_positions(u), rows, *bounds)
        y = chain.close(u.reshape(-1, u.shape[3]), rows, *bounds)
        return y.reshape(*x.shape[:1], *u.shape[1 : x.ndim - 1], u.shape[3])

    def _normalize(self, norm: BatchNorm, moments: Any, bias: Any, *, training: bool) -> _Normed:
        """Return the norm's numbers for rows without the bias of the convolution before it."""
        mean: Any = norm.buffers["mean"] - bias
        variance: Any = norm.buffers["variance"]
        if training:
            mean, variance = (m.astype(np.float32) for m in moments)
            fn.moving_average(norm.buffers["mean"], mean + bias, momentum=norm.momentum)
            fn.moving_average(norm.buffers["variance"], variance, momentum=norm.momentum)
        inverse = 1 / np.sqrt(variance + np.float32(norm.epsilon))
        scale = inverse * norm.params["gamma"] if "gamma" in norm.params else inverse
        return _Normed(mean, inverse, scale, training)

    def backward_params(self, dy: Float) -> None:
        """Fill its layers' `grads`."""
        self._backward(dy)

    def backward(self, dy: Float) -> Float:
        """Fill its layers' `grads` and return dx, clip first in memory."""
        dn, back, u = self._backward(dy)
        n_channels = self._shape[-1]
        rows = dn.reshape(-1, n_channels), u.reshape(-1, n_channels)
        return np.asarray(fast_norm.gradient_input(*rows, *back).reshape(self._shape))

    def _backward(self, dy: Float) -> tuple[Float, Float, Float]:
        """Return the gradient behind the first norm, its way through it, and the norm's input."""
        v, rows, low, high = self._last
        if self._by_mean:
            dy = (dy / np.float32(v[0, ..., 0].size))[:, None]
        dy = np.ascontiguousarray(dy).reshape(len(v), -1, v.shape[3])
        dn, sums, products = chain.close_backward(dy, _positions(v), rows, low, high)
        dn = dn.reshape(v.shape)
        for number in reversed(range(len(self._links))):
            normed, norm = self._normed[number], self._links[number][0]
            gradients = {"gamma": products * normed.inverse, "beta": sums}
            norm.grads = {key: gradients[key].astype(np.float32) for key in norm.params}
            back = normed.back(sums, products, v[..., 0].size)
            if number == 0:
                break
            convs = self._links[number - 1][2:]
            if "b" in convs[-1].params:
                # a number that the batch's own mean takes away again has no gradient
                db = np.zeros_like(sums) if normed.of_batch else normed.scale * sums
                convs[-1].grads["b"] = db.astype(np.float32)
            for conv, kept in zip(reversed(convs), reversed(self._kept[number - 1]), strict=True):
                dw, dn, sums, products = _convolve_backward(conv, dn, v, back, kept)
                conv.grads["w"] = dw.reshape(conv.params["w"].shape)
                v, back = kept[0], _nothing(dn.shape[3])
        return dn, back, v


def _is_norm(layers: Sequence[Layer]) -> bool:
    return [type(layer) for layer in layers[:1]] == [BatchNorm] and (
        len(layers) == 2 and type(layers[1]) in BOUNDS
    )


def _convolutions(layers: Sequence[Layer]) -> int:
    """Count the separable convolution's layers at the front: depthwise, pointwise, or both."""
    if not layers:
        return 0
    first = layers[0]
    if type(first) in POINTWISE:
        return int(_is_pointwise(first))
    if type(first) not in DEPTHWISE or first.params["w"].shape[-1] != 1:
        return 0
    # between the two nothing takes a bias up
    both = len(layers) == 2 and type(layers[1]) in POINTWISE and _is_pointwise(layers[1])
    if both:
        return 2 * ("b" not in first.params)
    return 1


def _is_pointwise(layer: Layer) -> bool:
    conv = cast(Conv2D, layer)
    return {*conv.size, *conv.strides} == {1}


def _convolve(
    conv: Layer, u: Float, rows: Float, low: float, high: float
) -> tuple[Float, Float64, Float64]:
    """Return v (B, T', F', C') of a convolution without its bias, and v's moments."""
    w = conv.params["w"]
    if type(conv) in POINTWISE:
        n_in, n_out = w.shape[-2:]
        flat_u, flat_w = u.reshape(-1, n_in), w.reshape(n_in, n_out)
        v, mean, variance = chain.mix(flat_u, rows, low, high, flat_w)
        return v.reshape(*u.shape[:3], n_out), mean, variance
    return chain.slide(u, rows, low, high, _taps(conv), *_places(conv, u.shape))


def _convolve_backward(
    conv: Layer, dn: Float, v: Float, back: Float, kept: Rows
) -> tuple[Float, Float, Float64, Float64]:
    """Return dw, and what lies before the convolution: du (B, T, F, C) and its two sums."""
    u, rows, low, high = kept
    w = conv.params["w"]
    if type(conv) in POINTWISE:
        n_in, n_out = w.shape[-2:]
        flat_dn, flat_v = dn.reshape(-1, n_out), v.reshape(-1, n_out)
        flat_u, flat_w = u.reshape(-1, n_in), w.reshape(n_in, n_out)
        dw, du, sums, products = chain.mix_backward(
            flat_dn, flat_v, back, flat_u, rows, low, high, flat_w
        )
        return dw, du.reshape(u.shape), sums, products
    taps, places = _taps(conv), _places(conv, u.shape)
    return chain.slide_backward(dn, v, back, u, rows, low, high, taps, *places)


def _taps(conv: Layer) -> Float:
    """Return a depthwise convolution's weights (kt, kf, C)."""
    w = conv.params["w"]
    return w.reshape(*w.shape[:-2], -1) if w.ndim == 4 else w.reshape(len(w), 1, -1)


def _places(layer: Layer, shape: tuple[int, ...]) -> tuple[chain.Places, chain.Places]:
    conv = cast(DepthwiseConv2D, layer)
    sides = zip(shape[1:3], (*conv.size, 1), (*conv.strides, 1), (*conv.dilations, 1), strict=False)
    time, freq = (
        fn.window(n, size, stride, conv.padding, dilation).numbers
        for n, size, stride, dilation in sides
    )
    return time, freq


def _nothing(n_channels: int) -> Float:
    """Return the rows (4, C) with which a norm, or the way back through it, changes nothing."""
    rows = np.zeros((4, n_channels), np.float32)
    rows[1] = 1
    return rows


def _positions(v: Float) -> Float:
    return v.reshape(len(v), -1, v.shape[3])
