"""Which rounding rule made these integers? The four that runtimes use, for one operator.

A convolution or dense layer sums in int32, then scales the sum to eight bits; runtimes agree on
the sum and part over the scaling:

- double: multiply by a 31-bit integer and round, shift right and round again. TFLite Micro as it
  is usually built, LiteRT's own convolutions, minikws.
- single: the same product, rounded once, halves up. TFLite built with TFLITE_SINGLE_ROUNDING, and
  some vendors' kernels.
- float32: the sum as float32 times the scale as float32, halves to even. XNNPACK, and with it
  LiteRT and TensorFlow Lite on most machines.
- float64: the sum times the real scale, rounded once, halves away from zero. LiteRT's own dense
  layers (found by what they compute, parity_tests/test_diff_vs_references.py).

In come an operator's inputs and what another runtime made of them; out comes the rule.

Source: MultiplyByQuantizedMultiplier, tensorflow/lite/kernels/internal/common.h; qs8 requantization
"fmagic", XNNPACK.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from minikws._typing import Array, Float32, Float64, Int64
from minikws.fixedpoint import requantize, round_half_away, wrap32
from minikws.runtime.node import Node
from minikws.runtime.outputs import Int8Output

SUMMING_OPS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


class Scaling(NamedTuple):
    """The factor of each output channel, (O,), in the forms that the rules take.

    multiplier, shift : as `fixedpoint.quantize_multiplier` splits it.
    real, single : input scale x weight scale / output scale, in float64 and in float32.
    """

    multiplier: Int64
    shift: Int64
    real: Float64
    single: Float32


Rule: TypeAlias = Callable[[Int64, Scaling], Int64]  # int32 sums (P, O) -> scaled, not clamped


def double(acc: Int64, scaling: Scaling) -> Int64:
    """Round the product of two 32-bit integers to 32 bits, then the right shift."""
    return np.asarray(requantize(acc, scaling.multiplier, scaling.shift), np.int64)


def single(acc: Int64, scaling: Scaling) -> Int64:
    """Round the product once, halves up."""
    total = 31 - scaling.shift
    half = np.int64(1) << (total - 1)
    return np.asarray((acc * scaling.multiplier + half) >> total, np.int64)


def float32(acc: Int64, scaling: Scaling) -> Int64:
    """Multiply in float32, halves to even."""
    return np.asarray(np.rint(acc.astype(np.float32) * scaling.single), np.int64)


def float64(acc: Int64, scaling: Scaling) -> Int64:
    """Multiply in float64, halves away from zero."""
    return np.asarray(round_half_away(acc * scaling.real), np.int64)


RULES: Mapping[str, Rule] = MappingProxyType(
    {"double": double, "single": single, "float32": float32, "float64": float64}
)


def with_rule(node: Node, state: Any, rule: Rule) -> Any:
    """Return a prepared operator that scales its sums by another rule.

    Parameters
    ----------
    node, state : the operator, and what its `prepare` returned.

    Returns
    -------
    a state for its `evaluate`; None for an operator that does not sum integer products, or has
    a rule of its own (dense layers in uint8).
    """
    if node.op.name not in SUMMING_OPS:
        return None
    parts = state.finish if isinstance(state.finish, tuple) else (state.finish,)
    if not all(isinstance(part, Int8Output) for part in parts):
        return None
    finish = tuple(
        _finisher(part, scaling, rule)
        for part, scaling in zip(parts, _scalings(node, parts), strict=True)
    )
    return replace(state, finish=finish if isinstance(state.finish, tuple) else finish[0])


def _scalings(node: Node, parts: Sequence[Int8Output]) -> list[Scaling]:
    """Return the scaling of each part of an operator's outputs; a group of channels is a part."""
    x, w, y = node.input(0, "input"), node.input(1, "weights"), node.outputs[0]
    n_outputs = sum(len(part.offset) for part in parts)
    weights = np.broadcast_to(np.asarray(w.scale, np.float64), n_outputs)
    real = x.scale[0] * weights / y.scale[0]
    one = np.float32(x.scale[0]) * weights.astype(np.float32) / np.float32(y.scale[0])
    return [
        Scaling(part.multiplier, part.shift, of_real, of_one.astype(np.float32))
        for part, of_real, of_one in zip(
            parts, np.split(real, len(parts)), np.split(one, len(parts)), strict=True
        )
    ]


def _finisher(output: Int8Output, scaling: Scaling, rule: Rule) -> Any:
    """Return what takes an `Int8Output`'s place: the same bias and clamp, scaled by `rule`."""

    def finish(sums: Array) -> Array:
        acc = wrap32(sums.astype(np.int64) + output.offset)
        values = rule(acc, scaling) + output.zero_point
        return np.asarray(np.clip(values, output.low, output.high).astype(output.dtype))

    return finish
