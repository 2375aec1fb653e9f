"""SVDF: each filter sees one frame's frequencies now, and remembers what it saw; int8 or float32.

Tensors: input (B, F), frequency weights (N, F), time weights (N, M), bias (U,), state
(B, N * M), a variable; output (B, U), N = rank * U. At each call the state moves on by one
frame, the newest column is weights_frequency @ input, and unit u sums what weights_time give
for its `rank` filters. State and time weights are int16 or int8.

Source: EvalInt16SvdfReference, EvalInt8SvdfReference, PrepareSvdf (svdf_common.cc). On the
integer path the fused activation is not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws._typing import Array, Int64
from minikws.fixedpoint import quantize_multiplier, requantize
from minikws.graph import Tensor
from minikws.runtime.node import Inputs, Node, Outputs
from minikws.runtime.outputs import FLOAT_RANGES

BIAS_SCALE = 1e-5  # PrepareSvdf allows this much beside state scale * time scale


@dataclass(frozen=True)
class State:
    """What evaluation needs; the memory itself is the operator's variable tensor.

    first, second : factors of the frequency and of the time stage (int8 only).
    """

    frequency: Array
    time: Array
    bias: Array
    rank: int
    zero_points: tuple[int, int, int]
    first: tuple[int, int]
    second: tuple[int, int]
    low: float
    high: float


def prepare(node: Node) -> State:
    """Check the tensors and compute the factors.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: other types, a state that is no variable, sizes
        that do not belong together, a bias of another scale.
    """
    node.expect_counts((5,), 1)
    x, y = node.input(0, "input"), node.outputs[0]
    frequency, wf = node.constant(1, "frequency weights")
    time, wt = node.constant(2, "time weights")
    memory = node.input(4, "state")
    rank = node.number("rank")
    node.expect(
        len(x.shape) == len(frequency.shape) == len(time.shape) == len(memory.shape) == 2,
        f"has shapes {x.shape}, {frequency.shape}, {time.shape}, {memory.shape}, expected two "
        "dimensions each",
    )
    n_filters, n_frames = time.shape
    node.expect(rank >= 1 and n_filters % rank == 0, f"has {n_filters} filters of rank {rank}")
    n_units = n_filters // rank
    node.expect(
        frequency.shape == (n_filters, x.shape[1])
        and memory.shape == (x.shape[0], n_filters * n_frames)
        and y.shape == (x.shape[0], n_units)
        and min(n_filters, n_frames) >= 1,
        f"has an input of {x.shape}, weights {frequency.shape} and {time.shape}, a state of "
        f"{memory.shape} and an output of {y.shape}, which do not belong together",
    )
    node.expect(memory.is_variable, "has a state that is no variable")
    if x.dtype == "float32":
        _expect_types(node, (frequency, time, memory, y), ("float32",) * 4)
        bias = node.bias("float32", n_units, 3)
        activation = str(node.options["fused_activation_function"])
        node.expect(activation in FLOAT_RANGES, f"has the activation {activation}")
        low, high = FLOAT_RANGES[activation]
        values = bias[1] if bias else np.zeros(n_units, np.float32)
        return State(wf, wt, values, rank, (0, 0, 0), (0, 0), (0, 0), low, high)
    wide = time.dtype
    node.expect(wide in ("int8", "int16"), f"has time weights of {wide}, expected int8 or int16")
    node.expect(x.dtype == "int8", f"has an input of {x.dtype}, expected int8 or float32")
    _expect_types(node, (frequency, time, memory, y), ("int8", wide, wide, "int8"))
    bias = node.bias("int32", n_units, 3)
    node.expect(bias is not None, "lacks its bias, without which TFLite Micro dies")
    assert bias is not None
    in_scale, state_scale = node.scale(x, "input"), node.scale(memory, "state")
    time_scale = node.scale(time, "time weights")
    node.expect(
        abs(node.scale(bias[0], "bias") - state_scale * time_scale) < BIAS_SCALE,
        f"has a bias of scale {bias[0].scale[0]:g}, expected {state_scale * time_scale:g}",
    )
    first = quantize_multiplier(in_scale * node.scale(frequency, "frequency weights") / state_scale)
    second = quantize_multiplier(state_scale * time_scale / node.scale(y, "output"))
    node.expect(max(first[1], second[1]) <= 30, "scales its sums by more than 2**30")
    zeros = x.zero_point[0], memory.zero_point[0], y.zero_point[0]
    return State(
        wf.astype(np.float64),
        wt.astype(np.float64),
        bias[1].astype(np.int64).ravel(),
        rank,
        zeros,
        first,
        second,
        float(np.iinfo(wide).min),
        float(np.iinfo(wide).max),
    )


def _expect_types(node: Node, tensors: tuple[Tensor, ...], dtypes: tuple[str, ...]) -> None:
    found = tuple(tensor.dtype for tensor in tensors)
    node.expect(found == dtypes, f"has tensors of {found}, expected {dtypes}")


def evaluate(state: State, inputs: Inputs) -> Outputs:
    """(B, F) -> (B, U); the state (B, N * M) moves on by one frame, in place."""
    x, memory = inputs[0], inputs[4]
    assert x is not None and memory is not None
    n_filters, n_frames = state.time.shape
    columns = memory.reshape(len(x), n_filters, n_frames)
    memory[:, :-1] = memory[:, 1:]
    if x.dtype == np.float32:
        columns[..., -1] = x @ state.frequency.T
        real = _sum_ranks(_in_time(columns, state.time), state.rank)
        return (np.clip(real + state.bias, np.float32(state.low), np.float32(state.high)),)
    zero_in, zero_state, zero_out = state.zero_points
    # Sums of whole numbers below 2**53 are exact in float64.
    newest = ((x.astype(np.float64) - zero_in) @ state.frequency.T).astype(np.int64)
    scaled = requantize(newest, *state.first)
    columns[..., -1] = np.clip(scaled + zero_state, state.low, state.high)
    dots = _in_time(columns.astype(np.float64) - zero_state, state.time).astype(np.int64)
    units: Int64 = _sum_ranks(dots, state.rank) + state.bias
    y = np.clip(requantize(units, *state.second) + zero_out, -128, 127)
    return (y.astype(np.int8),)


def _in_time(columns: Array, weights: Array) -> Array:
    return np.asarray(np.einsum("bnm,nm->bn", columns, weights))


def _sum_ranks(filters: Array, rank: int) -> Array:
    units = filters.reshape(len(filters), filters.shape[1] // rank, rank)
    return np.asarray(units.sum(-1, dtype=filters.dtype))
