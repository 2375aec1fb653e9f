"""Int8 operators of one input as a table: 256 possible inputs, computed once, looked up after.

LOGISTIC, TANH, RELU, RELU6, LEAKY_RELU and HARD_SWISH all map each value by itself, so `prepare`
of each fills a table with its formula and this `evaluate` serves them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minikws._typing import Array, Int64
from minikws.fixedpoint import round_half_away
from minikws.runtime.node import Inputs, Node, Outputs

INT8_VALUES: Int64 = np.arange(-128, 128, dtype=np.int64)


@dataclass(frozen=True)
class State:
    """The output of each input -128 … 127, or for float32 the function itself."""

    table: Array | None
    real: Callable[[Array], Array]


def checked_dtype(node: Node) -> str:
    """Check that one int8 or float32 tensor becomes another of its shape; return the type.

    Raises
    ------
    ModelFileError : other types or shapes.
    """
    node.expect_counts((1,), 1)
    x, y = node.input(0, "input"), node.outputs[0]
    node.expect(
        x.dtype == y.dtype and x.dtype in ("int8", "float32"),
        f"turns {x.dtype} into {y.dtype}, expected int8 or float32 on both sides",
    )
    node.expect(x.shape == y.shape, f"turns the shape {x.shape} into {y.shape}")
    return x.dtype


def as_table(values: Array) -> Array:
    """Clamp the outputs of `INT8_VALUES` to int8."""
    return np.clip(values, -128, 127).astype(np.int8)


def real_table(node: Node, real: Callable[[Array], Array]) -> Array:
    """Fill a table from real numbers, as LiteRT does for uint8.

    Parameters
    ----------
    real : float32 to float32 from -1 to 1, right to the last bit, as the C library's are but in
        rare cases.

    Raises
    ------
    ModelFileError : an output too fine for float32.

    Source: PopulateLookupTable, tensorflow/lite/kernels/activations.cc.
    """
    x, y = node.input(0, "input"), node.outputs[0]
    scale, out_scale = np.float32(node.scale(x, "input")), np.float32(node.scale(y, "output"))
    with np.errstate(over="ignore"):  # the ends of both functions are reached long before
        values = real(scale * (INT8_VALUES - x.zero_point[0]).astype(np.float32))
        per_unit = np.float32(1) / out_scale
    node.expect(bool(np.isfinite(per_unit)), f"has an output of scale {out_scale:g}, too fine")
    return as_table(round_half_away(values * per_unit) + y.zero_point[0])


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(...) -> (...)."""
    x = inputs[0]
    assert x is not None
    if state.table is None:
        return (np.asarray(state.real(x), np.float32),)
    return (state.table[x.astype(np.intp) + 128],)
