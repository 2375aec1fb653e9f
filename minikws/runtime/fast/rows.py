"""What each kind of row means: the table's columns, and their formulas in NumPy.

    arena    uint8; every tensor, and padded copies, in a place of its own; int8 values + 128
    words    int32; lists that rows point into: places, taps, factors, tables, and room for sums
    weights  int8, as `tile` wants them
    memory   int16, what SVDF remembers
    ops      int64, a row for each operation: its kind, x and y (places in the arena), and then

    kind        y becomes                               columns from 3 on
    COPY        rows of bytes, each ^ flip              n_rows, n_bytes, x_step, y_step, flip
    GATHER      x[place], or fill where place is -1     n, places, fill
    LOOKUP      table[x]                                n, table
    DENSE       sums of products of positions, see      n, n_outputs, starts, taps, n_taps, first,
    DEPTHWISE   `tile`                                  channels, zero, low, high
    AVERAGE     the mean of each position's taps        n, n_channels, starts, taps, n_taps, counts,
    MAXIMUM     their largest                           low, high, room
    SOFTMAX     shares of 1 of each row                 n_rows, n_labels, table
    ADD         requantize(first[x] + second[x2])       n, x2, first, second, multiplier, shift,
    MUL         requantize((x - first) (x2 - second))   zero, low, high
    SVDF        units of a memory that moves on         n_inputs, n_units, n_frames, rank, first,
                                                        time, state, factors

A tensor has SLACK bytes behind it: the tile stores sixteen outputs where there may be fewer, and
reads as many. `flip` 128 leads to variables, which hold their values as they are; `room` is where
AVERAGE adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from minikws._typing import Array, Int64
from minikws.fixedpoint import (
    one_over_one_plus,
    requantize,
    rounding_multiply,
    rounding_shift,
    wrap32,
)
from minikws.runtime.fast.tile import LANES, QUAD, positions

COPY, GATHER, LOOKUP, DENSE, DEPTHWISE, AVERAGE, MAXIMUM, SOFTMAX, ADD, MUL, SVDF = range(11)
COLUMNS = 14
SLACK = 64
MOVED = 128  # what the arena adds to int8; as bytes, `^ MOVED`
SUM_BITS = 12  # of softmax's sum of exponentials


class Machine(NamedTuple):
    """The arrays that rows work on."""

    arena: Array
    words: Array
    weights: Array
    memory: Array


def _copy(
    m: Machine,
    x: int,
    y: int,
    n_rows: int,
    n_bytes: int,
    x_step: int,
    y_step: int,
    flip: int,
    *_: int,
) -> None:
    for row in range(n_rows):
        source, target = x + row * x_step, y + row * y_step
        m.arena[target : target + n_bytes] = m.arena[source : source + n_bytes] ^ np.uint8(flip)


def _gather(m: Machine, x: int, y: int, n: int, places: int, fill: int, *_: int) -> None:
    place = m.words[places : places + n]
    m.arena[y : y + n] = np.where(place < 0, fill, m.arena[x + np.maximum(place, 0)])


def _look_up(m: Machine, x: int, y: int, n: int, table: int, *_: int) -> None:
    m.arena[y : y + n] = m.words[table + m.arena[x : x + n].astype(np.int64)]


def _blocks(
    n_outputs: int, n_taps: int, first: int, channels: int, width: int
) -> Iterator[tuple[int, int, int]]:
    """Yield the outputs' blocks of 16: first output, weights, factors; the last may overlap."""
    for block in range(-(-n_outputs // LANES)):
        at = min(block * LANES, max(n_outputs - LANES, 0))
        yield at, first + block * n_taps * LANES * width, channels + block * 3 * LANES


def _dense(
    m: Machine,
    x: int,
    y: int,
    n: int,
    n_outputs: int,
    starts: int,
    taps: int,
    n_taps: int,
    first: int,
    channels: int,
    *bounds: int,
) -> None:
    for at, w, c in _blocks(n_outputs, n_taps, first, channels, QUAD):
        places = x, starts, taps, n_taps, w, c, y + at, n_outputs
        positions(n, True, m.arena, m.words, m.weights, *places, *bounds[:3])


def _depthwise(
    m: Machine,
    x: int,
    y: int,
    n: int,
    n_outputs: int,
    starts: int,
    taps: int,
    n_taps: int,
    first: int,
    channels: int,
    *bounds: int,
) -> None:
    for at, w, c in _blocks(n_outputs, n_taps, first, channels, 1):
        places = x + at, starts, taps, n_taps, w, c, y + at, n_outputs
        positions(n, False, m.arena, m.words, m.weights, *places, *bounds[:3])


def _windows(
    m: Machine, x: int, n: int, n_channels: int, starts: int, taps: int, n_taps: int
) -> Int64:
    """Return what each position sees, (n, n_taps, C) int64."""
    start, tap = m.words[starts : starts + n], m.words[taps : taps + n_taps]
    place = x + start[:, None, None] + tap[:, None] + np.arange(n_channels)
    return m.arena[place].astype(np.int64)


def _average(
    m: Machine,
    x: int,
    y: int,
    n: int,
    n_channels: int,
    starts: int,
    taps: int,
    n_taps: int,
    counts: int,
    low: int,
    high: int,
    *_: int,
) -> None:
    count = m.words[counts : counts + n, None].astype(np.int64)
    sums = (_windows(m, x, n, n_channels, starts, taps, n_taps) - MOVED).sum(1)
    means = np.sign(sums) * ((np.abs(sums) + count // 2) // count) + MOVED
    m.arena[y : y + n * n_channels] = np.clip(means, low, high).ravel()


def _maximum(
    m: Machine,
    x: int,
    y: int,
    n: int,
    n_channels: int,
    starts: int,
    taps: int,
    n_taps: int,
    counts: int,
    low: int,
    high: int,
    *_: int,
) -> None:
    largest = _windows(m, x, n, n_channels, starts, taps, n_taps).max(1)
    m.arena[y : y + n * n_channels] = np.clip(largest, low, high).ravel()


def _softmax(m: Machine, x: int, y: int, n_rows: int, n_labels: int, table: int, *_: int) -> None:
    row = m.arena[x : x + n_rows * n_labels].reshape(n_rows, n_labels).astype(np.int64)
    powers = m.words[table + row.max(1, keepdims=True) - row].astype(np.int64)
    totals = rounding_shift(powers, SUM_BITS).sum(1)
    headroom = np.array([[32 - int(total).bit_length()] for total in totals])
    scale = one_over_one_plus(wrap32((totals[:, None] << headroom) - 2**31))
    shares = rounding_shift(rounding_multiply(scale, powers), SUM_BITS - headroom + 31 - 8)
    m.arena[y : y + row.size] = np.clip(shares, 0, 255).ravel()


def _add(
    m: Machine, x: int, y: int, n: int, x2: int, first: int, second: int, *factor_and_bounds: int
) -> None:
    one, other = (m.arena[at : at + n].astype(np.int64) for at in (x, x2))
    sums = m.words[first + one].astype(np.int64) + m.words[second + other]
    _finish(m, y, sums, *factor_and_bounds)


def _multiply(
    m: Machine, x: int, y: int, n: int, x2: int, first: int, second: int, *factor_and_bounds: int
) -> None:
    one, other = (m.arena[at : at + n].astype(np.int64) for at in (x, x2))
    _finish(m, y, (one - first) * (other - second), *factor_and_bounds)


def _finish(
    m: Machine,
    y: int,
    acc: Int64,
    multiplier: int,
    shift: int,
    zero: int,
    low: int,
    high: int,
    *_: int,
) -> None:
    """Scale sums and store them."""
    values = np.clip(requantize(acc, multiplier, shift) + zero, low, high)
    m.arena[y : y + values.size] = values.ravel()


def _remember(
    m: Machine,
    x: int,
    y: int,
    n_inputs: int,
    n_units: int,
    n_frames: int,
    rank: int,
    first: int,
    time: int,
    state: int,
    factors: int,
    *_: int,
) -> None:
    n_filters = n_units * rank
    m1, s1, m2, s2, zero_in, zero_state, zero_out = m.words[factors : factors + 7].tolist()
    bias = m.words[factors + 7 : factors + 7 + n_units].astype(np.int64)
    frequency = m.weights[first : first + n_filters * n_inputs].reshape(n_filters, n_inputs)
    weights = m.words[time : time + n_filters * n_frames].reshape(n_filters, n_frames)
    columns = m.memory[state : state + weights.size].reshape(weights.shape)
    columns[:, :-1] = columns[:, 1:].copy()
    newest = frequency.astype(np.int64) @ (m.arena[x : x + n_inputs].astype(np.int64) - zero_in)
    scaled = requantize(wrap32(newest), m1, s1) + zero_state
    columns[:, -1] = np.clip(scaled, -(2**15), 2**15 - 1)
    dots = ((columns.astype(np.int64) - zero_state) * weights).sum(1)
    units = wrap32(dots.reshape(n_units, rank).sum(1) + bias)
    values = requantize(units, m2, s2) + zero_out
    m.arena[y : y + n_units] = np.clip(values, 0, 255)


FORMULAS: dict[int, Callable[..., None]] = {
    COPY: _copy,
    GATHER: _gather,
    LOOKUP: _look_up,
    DENSE: _dense,
    DEPTHWISE: _depthwise,
    AVERAGE: _average,
    MAXIMUM: _maximum,
    SOFTMAX: _softmax,
    ADD: _add,
    MUL: _multiply,
    SVDF: _remember,
}
