"""Rows for convolutions, dense layers, pools, means and maxima: what they read, times what.

Each function takes the growing tables and a prepared step, and adds its rows, or returns False
and adds none: another type, grouped channels, a factor of 1 and more, sums near the end of int32.
"""

from __future__ import annotations

import numpy as np

from minikws._typing import Array, Int64
from minikws.fixedpoint import wrap32
from minikws.runtime.fast import rows
from minikws.runtime.fast.rows import MOVED
from minikws.runtime.fast.tables import Tables
from minikws.runtime.fast.tile import LANES, QUAD
from minikws.runtime.outputs import Int8Output
from minikws.runtime.program import Step
from minikws.runtime.windows import Geometry

LARGEST_SUM = 2**30  # beyond it, rounding could leave int32


def conv(tables: Tables, step: Step) -> bool:
    """CONV_2D."""
    x, y, state = step.inputs[0], step.outputs[0], step.state
    if not _is_one_clip(tables, x, y) or len(state.weights) != 1:
        return False
    matrix = state.weights[0].T
    return _slide_dense(tables, x, y, state.geometry, matrix, state.finish[0], state.fill)


def depthwise(tables: Tables, step: Step) -> bool:
    """DEPTHWISE_CONV_2D; with one input channel it is a plain convolution."""
    x, y, state = step.inputs[0], step.outputs[0], step.state
    if not _is_one_clip(tables, x, y):
        return False
    if tables.tensors[x].shape[3] == 1:
        matrix = state.weights.T
        return _slide_dense(tables, x, y, state.geometry, matrix, state.finish, state.fill)
    weights = state.weights.astype(np.int64)
    factors = _factors(state.finish, weights.T)
    if factors is None or state.multiplier != 1:
        return False
    place, starts, taps = _windows(tables, x, state.geometry, state.fill + MOVED)
    _slide(tables, rows.DEPTHWISE, (place, y), starts, taps, weights, factors)
    return True


def fully_connected(tables: Tables, step: Step) -> bool:
    """FULLY_CONNECTED."""
    x, y, state = step.inputs[0], step.outputs[0], step.state
    if not tables.are_int8(x, y):
        return False
    depth = state.weights.shape[1]
    n_rows = int(np.prod(tables.tensors[x].shape)) // depth
    places, starts = (tables.place(x), y), np.arange(n_rows) * depth
    return _sum_up(tables, places, starts, np.arange(depth), state.weights, state.finish)


def _slide_dense(
    tables: Tables,
    x: int,
    y: int,
    geometry: Geometry,
    weights: Array,
    finish: Int8Output,
    fill: int,
) -> bool:
    """Convolve with kernels that see all channels; weights (O, kh * kw * C)."""
    if _factors(finish, weights.astype(np.int64)) is None:
        return False
    place, starts, taps = _windows(tables, x, geometry, fill + MOVED)
    values = (taps[:, None] + np.arange(tables.tensors[x].shape[3])).ravel()
    return _sum_up(tables, (place, y), starts, values, weights, finish)


def _sum_up(
    tables: Tables,
    places: tuple[int, int],
    starts: Int64,
    values: Int64,
    weights: Array,
    finish: Int8Output,
) -> bool:
    """Add a DENSE row; `values` says where the weights' (O, K) inputs lie, from a start on."""
    matrix = weights.astype(np.int64)
    factors = _factors(finish, matrix)
    if factors is None:
        return False
    # values side by side in memory, four at a time; -1 where a run ends before
    runs = np.split(np.arange(len(values)), np.flatnonzero(np.diff(values) != 1) + 1)
    quads = [np.pad(run, (0, -len(run) % QUAD), constant_values=-1) for run in runs]
    taps = np.concatenate(quads).reshape(-1, QUAD)
    matrix = np.hstack([matrix, np.zeros((len(matrix), 1), np.int64)])[:, taps]  # (O, taps, 4)
    packed = np.moveaxis(matrix, 0, 1)
    _slide(tables, rows.DENSE, places, starts, values[taps[:, 0]], packed, factors)
    return True


def _slide(
    tables: Tables,
    kind: int,
    places: tuple[int, int],
    starts: Int64,
    taps: Int64,
    weights: Int64,
    factors: tuple[Int64, int, int, int],
) -> None:
    """Add a row for the tile: weights (taps, O) or (taps, O, 4) in blocks of 16 outputs."""
    per_output, zero, low, high = factors
    n_outputs = weights.shape[1]
    n_blocks = -(-n_outputs // LANES)
    first = np.minimum(np.arange(n_blocks) * LANES, max(n_outputs - LANES, 0))
    outputs = first[:, None] + np.arange(LANES)  # (blocks, 16)
    is_there = outputs < n_outputs
    outputs = np.minimum(outputs, n_outputs - 1)
    blocks = np.moveaxis(weights[:, outputs], 0, 1)  # (blocks, taps, 16[, 4])
    blocks = blocks * is_there.reshape(n_blocks, 1, LANES, *[1] * (weights.ndim - 2))
    channels = np.moveaxis(per_output[:, outputs], 0, 1)  # (blocks, 3, 16)
    lists = tables.words(starts), tables.words(taps), len(taps)
    packed = tables.weights(blocks), tables.words(channels)
    x, y = places[0], tables.place(places[1])
    tables.row(kind, x, y, len(starts), n_outputs, *lists, *packed, zero, low, high)


def _factors(finish: Int8Output, weights: Int64) -> tuple[Int64, int, int, int] | None:
    """Return (bias, multiplier, right shift) of each output (3, O), zero point and clamp.

    None where a weight needs more than eight bits, a factor is 1 or more, or a sum could be so
    large that rounding it leaves int32.
    """
    offset, shift = finish.offset, finish.shift
    largest = MOVED * np.abs(weights).sum(1) + np.abs(offset)
    fits = weights.min() >= -128 and weights.max() <= 127 and largest.max() < LARGEST_SUM
    if type(finish) is not Int8Output or not fits or shift.max() > 0:
        return None
    bias = wrap32(offset - MOVED * weights.sum(1))
    per_output = np.stack([bias, finish.multiplier, -shift])
    return per_output, finish.zero_point + MOVED, finish.low + MOVED, finish.high + MOVED


def _is_one_clip(tables: Tables, x: int, y: int) -> bool:
    """Whether a kernel slides over int8 values of one clip; a file may hold a batch."""
    return tables.are_int8(x, y) and tables.tensors[x].shape[0] == 1


def _windows(tables: Tables, x: int, geometry: Geometry, fill: int) -> tuple[int, Int64, Int64]:
    """Return where a kernel reads: the (padded) input, its positions and taps from there on."""
    _, height, width, depth = tables.tensors[x].shape
    (top, left), (bottom, right) = geometry.before, geometry.after
    place, row = tables.place(x), (left + width + right) * depth
    if top or left or bottom or right:
        sizes = geometry.before, geometry.after, (height, width, depth)
        padded = tables.padded((top + height + bottom) * row, fill, sizes)
        n_bytes = width * depth
        to = padded + top * row + left * depth
        tables.row(rows.COPY, place, to, height, n_bytes, n_bytes, row)
        place = padded

    def grid(counts: tuple[int, int], steps: tuple[int, int]) -> Int64:
        down, along = (np.arange(n) * step for n, step in zip(counts, steps, strict=True))
        return (down[:, None] * row + along * depth).ravel()

    return place, grid(geometry.output, geometry.stride), grid(geometry.kernel, geometry.dilation)


# Pools and reductions


def pool(tables: Tables, step: Step, kind: int) -> bool:
    """AVERAGE_POOL_2D and MAX_POOL_2D, by their kind of row."""
    x, y, state = step.inputs[0], step.outputs[0], step.state
    if not _is_one_clip(tables, x, y):
        return False
    fill = MOVED if kind == rows.AVERAGE else 0
    place, starts, taps = _windows(tables, x, state.geometry, fill)
    counts = tables.words(state.counts)
    bounds = int(state.low) + MOVED, int(state.high) + MOVED
    _pool_row(tables, kind, place, y, starts, taps, counts, *bounds)
    return True


def _pool_row(
    tables: Tables, kind: int, x: int, y: int, starts: Int64, taps: Int64, *rest: int
) -> None:
    depth = tables.tensors[y].shape[-1]
    lists = tables.words(starts), tables.words(taps), len(taps)
    room = tables.words(np.zeros(depth, np.int64))
    tables.row(kind, x, tables.place(y), len(starts), depth, *lists, *rest, room)


def _kept_and_reduced(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[Int64, Int64] | None:
    """Return where the kept and the reduced axes lie in memory; None if the last is reduced."""
    if not shape or len(shape) - 1 in axes:
        return None
    steps = np.cumprod([1, *shape[:0:-1]])[::-1]

    def places(chosen: list[int]) -> Int64:
        found = np.zeros(1, np.int64)
        for a in chosen:
            found = (found[:, None] + np.arange(shape[a]) * steps[a]).ravel()
        return found

    kept = [a for a in range(len(shape) - 1) if a not in axes]
    return places(kept), places(sorted(axes))


def mean(tables: Tables, step: Step) -> bool:
    """MEAN and SUM: a depthwise convolution whose weights are 1."""
    x, y, state = step.inputs[0], step.outputs[0], step.state
    if not tables.are_int8(x, y):
        return False
    places = _kept_and_reduced(tables.tensors[x].shape, state.axes)
    (multiplier, shift), (zero_in, zero_out) = state.factor, state.zero_points
    n_values = state.n_values
    if places is None or shift > 0 or n_values * 256 >= LARGEST_SUM:
        return False
    starts, taps = places
    depth = tables.tensors[x].shape[-1]
    bias = -(MOVED + zero_in) * n_values
    per_output = np.tile([[bias], [multiplier], [-shift]], depth)
    weights = np.ones((len(taps), depth), np.int64)
    factors = per_output, zero_out + MOVED, 0, 255
    _slide(tables, rows.DEPTHWISE, (tables.place(x), y), starts, taps, weights, factors)
    return True


def reduce_max(tables: Tables, step: Step) -> bool:
    """REDUCE_MAX."""
    x, y = step.inputs[0], step.outputs[0]
    if not tables.are_int8(x, y):
        return False
    places = _kept_and_reduced(tables.tensors[x].shape, step.state.axes)
    if places is None:
        return False
    starts, taps = places
    _pool_row(tables, rows.MAXIMUM, tables.place(x), y, starts, taps, 0, 0, 255)
    return True
