"""From sums of products to output values: bias, scaling, zero point, activation.

Convolutions and dense layers end alike. In come sums of weight x input, (P, O): a row a position,
a column an output channel, computed by BLAS in floating point; out come int8, uint8 or float32
values of the same shape.

Sums of int8 products are whole numbers, and a float holds whole numbers exactly up to 2**24
(float32) or 2**53 (float64). As long as the sum of absolute values stays below, every partial
sum is exact, in whatever order BLAS adds; `float_for` picks the type by that bound.

uint8 is the older form, which TFLite Micro has given up; LiteRT's reference kernels still run it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from minikws._typing import Array, Float32, Float64, Int64
from minikws.errors import SettingsError
from minikws.fixedpoint import (
    activation_range,
    quantize_multiplier,
    requantize,
    round_half_away,
    wrap32,
)
from minikws.graph import Tensor
from minikws.runtime.node import Node

FLOAT_RANGES = {
    "NONE": (-np.inf, np.inf),
    "RELU": (0.0, np.inf),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU6": (0.0, 6.0),
}

SHORTEST_RUN = 128  # values, below which NumPy's loops cost more to start than to run
LONGEST_RUN = 64  # positions; more factors would leave the cache
FEW, FEW_EXACT = 8, 20  # values up to which Python integers are faster than `fast`, than `exact`

FARTHEST = {"int8": 128, "uint8": 255}  # from 0 that an input of this type can be


def float_for(weights: Int64, dtype: str = "int8") -> type[np.float32] | type[np.float64]:
    """Return the float type in which `weights` (O, K) times inputs of `dtype` sums exactly."""
    largest = FARTHEST[dtype] * np.abs(weights).sum(axis=1).max(initial=0)
    return np.float32 if largest < 2**24 else np.float64


class Int8Output:
    """Scale int32 sums to int8: clamp(requantize(sums + bias) + zero_point).

    Parameters
    ----------
    node : the operator; its option `fused_activation_function` sets the clamp.
    weights : (O, K) int64, weight zero point taken off.
    weight_scales : (O,) or (1,).
    bias : (O,) int32, or None.
    input, output : int8 tensors.

    The input's zero point is folded into the bias: sum w (x - z) = sum w x - z sum w.
    """

    dtype: ClassVar[type[np.int8] | type[np.uint8]] = np.int8

    def __init__(
        self,
        node: Node,
        weights: Int64,
        weight_scales: Sequence[float],
        bias: Array | None,
        input: Tensor,
        output: Tensor,
    ) -> None:
        n_outputs = weights.shape[0]
        in_scale, out_scale = node.scale(input, "input"), node.scale(output, "output")
        factors = [
            quantize_multiplier(node.ratio(in_scale, scale) / out_scale)
            for scale in np.broadcast_to(np.asarray(weight_scales, np.float64), n_outputs).tolist()
        ]
        node.expect(all(shift <= 30 for _, shift in factors), "scales its sums by more than 2**30")
        self.zero_point = output.zero_point[0]
        self.low, self.high = _clamp(node, out_scale, output)
        self.multiplier = np.array([m for m, _ in factors], np.int64)
        self.shift = np.array([s for _, s in factors], np.int64)
        self.offset = offset = _offset(weights, bias, input)

        # Below 2**22, sums times a 31-bit multiplier keep all their bits in a float64.
        farthest = FARTHEST[input.dtype]
        largest = farthest * np.abs(weights).sum(axis=1, dtype=np.int64) + np.abs(offset)
        self.is_small = bool(largest.max(initial=0) < 2**22 and self.shift.max(initial=0) <= 0)
        self.hides_sign = self.low >= self.zero_point
        if self.hides_sign:
            # `fast` then takes both roundings and the zero point in one step.
            steps = 2.0 ** (31 - self.shift) * (1 + self.low - self.zero_point)
            self.is_small &= bool((largest * 2.0**31 + steps).max(initial=0) < 2**53)
        self._channels = [(o, m, s) for o, (m, s) in zip(offset.tolist(), factors, strict=True)]
        # The factors of several positions in a row, for `fast`.
        self.positions_a_run = n = _positions_a_run(output.shape, n_outputs)
        first = self.multiplier * 2.0**-31
        first_half, second = offset * first + 0.5, 2.0 ** self.shift.astype(np.float64)
        both_halves = first_half * second + 0.5 * (self.shift < 0)
        both_halves += self.zero_point - self.low
        self._first, self._first_half = np.tile(first, n), np.tile(first_half, n)
        self._second, self._both = np.tile(second, n), np.tile(first * second, n)
        self._both_halves = np.tile(both_halves, n)

    def __call__(self, sums: Array) -> Array:
        """(P, O) whole numbers as floats -> (P, O) integers of the output's type."""
        if sums.size <= (FEW if self.is_small else FEW_EXACT):
            return self.few(sums)
        return self.fast(sums) if self.is_small else self.exact(sums)

    def exact(self, sums: Array) -> Array:
        """Scale in int64, for any size of sum; the form to read."""
        acc = wrap32(sums.astype(np.int64) + self.offset)
        values = requantize(acc, self.multiplier, self.shift) + self.zero_point
        return np.asarray(np.clip(values, self.low, self.high).astype(self.dtype))

    def few(self, sums: Array) -> Array:
        """Scale some values as Python integers: less work than calling NumPy for them."""
        rows = [
            [
                min(
                    max(
                        requantize(wrap32(int(value) + offset), multiplier, shift)
                        + self.zero_point,
                        self.low,
                    ),
                    self.high,
                )
                for value, (offset, multiplier, shift) in zip(row, self._channels, strict=True)
            ]
            for row in sums.tolist()
        ]
        return np.array(rows, self.dtype).reshape(sums.shape)

    def fast(self, sums: Array) -> Array:
        """Scale in float64, where every step is exact (`is_small`): four times as fast."""
        # Counted from the lowest value nothing is negative, and the cast rounds down.
        runs = sums.reshape(-1, len(self._both))
        v: Float64
        if self.hides_sign:
            # floor((floor(a) + n) / d) = floor((a + n) / d): the two roundings are one. Halves of
            # negative values round the other way, below the clamp: nobody sees it.
            v = np.multiply(runs, self._both, dtype=np.float64)
            v += self._both_halves
        else:
            v = np.multiply(runs, self._first, dtype=np.float64)
            v += self._first_half
            np.floor(v, out=v)
            v *= self._second
            v += np.copysign(0.5, v)
            np.trunc(v, out=v)
            v += self.zero_point - self.low
        np.clip(v, 0.0, float(self.high - self.low), out=v)
        lifted = v.astype(np.uint8).view(self.dtype)
        lifted += self.dtype(self.low)  # wraps to where it belongs
        return np.asarray(lifted.reshape(sums.shape))


class UInt8Output(Int8Output):
    """The same for convolutions in uint8."""

    dtype: ClassVar[type[np.int8] | type[np.uint8]] = np.uint8


class UInt8DenseOutput:
    """Scale int32 sums of a dense layer to uint8: clamp(round((sums + bias) * ratio) + zero_point).

    LiteRT's dense layers multiply by the real ratio in float64 and round once, halves away from
    zero, where its convolutions round twice. What then leaves int32 is undefined there, and clamped
    here. Parameters as of `Int8Output`, one weight scale.
    """

    def __init__(
        self,
        node: Node,
        weights: Int64,
        weight_scale: float,
        bias: Array | None,
        input: Tensor,
        output: Tensor,
    ) -> None:
        out_scale = node.scale(output, "output")
        self.ratio = node.scale(input, "input") * weight_scale / out_scale
        self.zero_point = output.zero_point[0]
        self.low, self.high = _clamp(node, out_scale, output)
        self.offset = _offset(weights, bias, input)

    def __call__(self, sums: Array) -> Array:
        """(P, O) whole numbers as floats -> (P, O) uint8."""
        acc = wrap32(sums.astype(np.int64) + self.offset)
        values = round_half_away(acc * self.ratio) + self.zero_point
        return np.asarray(np.clip(values, self.low, self.high).astype(np.uint8))


def _clamp(node: Node, scale: float, output: Tensor) -> tuple[int, int]:
    """Return what the operator's fused activation lets through."""
    activation = str(node.options["fused_activation_function"])
    try:
        return activation_range(activation, scale, output.zero_point[0], output.dtype)
    except SettingsError as error:
        raise node.refuse(f"cannot run: {error}") from error


def _offset(weights: Int64, bias: Array | None, input: Tensor) -> Int64:
    """(O, K) weights, (O,) bias -> (O,): the bias, and the input's zero point in it."""
    offset = -input.zero_point[0] * weights.sum(axis=1, dtype=np.int64)
    if bias is not None:
        offset = offset + bias.astype(np.int64).ravel()
    return np.asarray(offset, np.int64)


def _positions_a_run(shape: tuple[int, ...], n_outputs: int) -> int:
    """Return how many positions of an output (B, ..., O) a loop may take at once: a part of all."""
    n_positions = math.prod(shape[1:-1])
    parts = [n for n in range(1, min(n_positions, LONGEST_RUN) + 1) if n_positions % n == 0]
    return next((n for n in parts if n * n_outputs >= SHORTEST_RUN), max(parts, default=1))


class FloatOutput:
    """Add the bias and clamp: clamp(sums + bias), float32."""

    def __init__(self, node: Node, bias: Array | None, n_outputs: int) -> None:
        activation = str(node.options["fused_activation_function"])
        node.expect(
            activation in FLOAT_RANGES,
            f"has the activation {activation}, expected one of {', '.join(FLOAT_RANGES)}",
        )
        low, high = FLOAT_RANGES[activation]
        self.low, self.high = np.float32(low), np.float32(high)
        values = np.zeros(n_outputs, np.float32) if bias is None else bias
        self.bias = values.astype(np.float32).ravel()

    def __call__(self, sums: Array) -> Float32:
        """(P, O) float32 -> (P, O) float32."""
        return np.asarray(np.clip(sums + self.bias, self.low, self.high))
