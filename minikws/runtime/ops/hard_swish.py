"""HARD_SWISH: x * clip(x + 3, 0, 6) / 6, in 16-bit steps for int8.

Source: reference_ops::HardSwish, HardSwishPrepare of TFLite Micro.
"""

from __future__ import annotations

import numpy as np

from minikws._typing import Array, Int64
from minikws.fixedpoint import quantize_multiplier
from minikws.runtime.node import Node
from minikws.runtime.ops.table import INT8_VALUES, State, as_table, checked_dtype

FINE_BITS = 7  # the input is taken 128 times as fine
_INT16_MAX = 2**15 - 1


def prepare(node: Node) -> State:
    """Check the tensors and fill the table.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: other types, an output finer than the input.
    """
    if checked_dtype(node) == "float32":
        return State(None, _real)
    x, y = node.input(0, "input"), node.outputs[0]
    fine_scale = node.scale(x, "input") / 2**FINE_BITS
    multiplier, shift = _half(quantize_multiplier(fine_scale / node.scale(y, "output")))
    node.expect(shift <= 0, "has an output more than 128 times as fine as its input")
    gate_multiplier, gate_shift = _half(quantize_multiplier(fine_scale / (3 / 2**15)))

    fine = (INT8_VALUES - x.zero_point[0]) << FINE_BITS
    product = _doubling_high(fine, multiplier)
    # The gate, (x + 3) / 6, from -1 to 1 in 16 bits before the last two lines.
    gate = fine
    if gate_shift > 0:
        gate = _saturate(gate << (gate_shift - 1))
    gate = _doubling_high(gate, gate_multiplier)
    if gate_shift > 0:
        gate = _saturate(gate << 1)
    if gate_shift < 0:
        gate = _shift_down(gate, -gate_shift)
    gate = (gate + 2**15) >> 1
    scaled = gate * product
    swished = np.where(scaled >= 0, scaled >> 15, -(-scaled >> 15))  # truncates
    return State(as_table(_shift_down(swished, -shift) + y.zero_point[0]), _real)


def _half(factor: tuple[int, int]) -> tuple[int, int]:
    """Round a 31-bit multiplier to 16 bits."""
    multiplier, shift = factor
    if multiplier >= 2**31 - 1 - 2**15:
        return _INT16_MAX, shift
    return (multiplier + 2**15) >> 16, shift


def _doubling_high(a: Int64, b: int) -> Int64:
    """Return a * b / 2**15 in 16 bits, halves away from zero."""
    product = a * b
    nudged = product + np.where(product >= 0, 2**14, 1 - 2**14)
    return _saturate(np.where(nudged >= 0, nudged >> 15, -(-nudged >> 15)))


def _shift_down(values: Int64, bits: int) -> Int64:
    """Divide by 2**bits, halves away from zero, in 16 bits.

    From 16 bits on, what is left over is compared with a mask that has wrapped to -1, and the
    quotient becomes 1 or -1 where it should be 0; such outputs are that coarse.
    """
    mask = (1 << bits) - 1 if bits < 16 else -1
    threshold = (mask >> 1) + (values < 0)
    rounded: Int64 = (values >> bits) + ((values & mask) > threshold)
    return rounded


def _saturate(values: Array) -> Int64:
    return np.asarray(np.clip(values, -(2**15), _INT16_MAX), np.int64)


def _real(x: Array) -> Array:
    return x * np.clip(x + np.float32(3), np.float32(0), np.float32(6)) / np.float32(6)
