"""One compiled loop for all int8 models: rows of numbers and clips in, scores out.

`rows` says what the rows mean, in NumPy; here are the same formulas as loops. What goes through
the loop is data, so one compiled function serves every model, and after the first run on a
machine it comes from Numba's cache.
"""

from __future__ import annotations

import numpy as np

from minikws._jit import Part, kernel
from minikws._typing import Array, Int8, Int64
from minikws.runtime.fast.rows import (
    ADD,
    AVERAGE,
    COPY,
    DENSE,
    DEPTHWISE,
    FORMULAS,
    LOOKUP,
    MAXIMUM,
    MOVED,
    MUL,
    SOFTMAX,
    SUM_BITS,
    SVDF,
    Machine,
)
from minikws.runtime.fast.tile import (
    FOUR,
    LANES,
    QUAD,
    dense_four,
    dense_one,
    depthwise_four,
    depthwise_one,
)


@kernel
def run(
    arena: Array,
    words: Array,
    weights: Array,
    memory: Array,
    ops: Int64,
    x: Int8,
    y: Int8,
    sources: Int64,
    targets: Int64,
) -> Int8:
    """Run the operations for each clip.

    Parameters
    ----------
    arena, words, weights, memory, ops : see `rows`; work in place.
    x, y : (B, n) int8, what goes in, and what comes out.
    sources, targets : (k, 3): a tensor's place in the arena, its first column in x or y, its size.

    Returns
    -------
    y.
    """
    machine = Machine(arena, words, weights, memory)
    for clip, result in zip(x, y, strict=True):
        for place, column, n in sources:
            arena[place : place + n] = clip[column : column + n].view(np.uint8) ^ MOVED
        for kind, *columns in ops.tolist():
            FORMULAS[kind](machine, *columns)
        for place, column, n in targets:
            result[column : column + n] = (arena[place : place + n] ^ MOVED).view(np.int8)
    return y


@run.jit(error_model="numpy")
def _(arena, words, weights, memory, ops, x, y, sources, targets):  # type: ignore[no-untyped-def]
    for clip in range(len(x)):
        for i in range(len(sources)):
            place, column = sources[i, 0], sources[i, 1]
            given = x[clip, column : column + sources[i, 2]]
            values = arena[place : place + len(given)]
            for j in range(len(given)):
                values[j] = np.uint8(given[j]) ^ np.uint8(MOVED)
        for i in range(len(ops)):
            op = ops[i]
            kind = op[0]
            if kind == DENSE:
                slide_dense(arena, words, weights, op)
            elif kind == DEPTHWISE:
                slide_depthwise(arena, words, weights, op)
            elif kind == COPY:
                copy(arena, op)
            elif kind == SOFTMAX:
                softmax(arena, words, op)
            elif kind == AVERAGE:
                average(arena, words, op)
            elif kind == MAXIMUM:
                maximum(arena, words, op)
            elif kind == ADD:
                add(arena, words, op)
            elif kind == MUL:
                multiply(arena, op)
            elif kind == SVDF:
                remember(arena, words, weights, memory, op)
            elif kind == LOOKUP:
                look_up(arena, words, op)
            else:
                gather(arena, words, op)
        for i in range(len(targets)):
            place, column = targets[i, 0], targets[i, 1]
            result = y[clip, column : column + targets[i, 2]]
            values = arena[place : place + len(result)]
            for j in range(len(result)):
                result[j] = np.int8(values[j] ^ np.uint8(MOVED))
    return y


@Part
def slide_dense(arena, words, weights, op):  # type: ignore[no-untyped-def]
    """Fill 16 outputs of 4 positions at a time."""
    x, y, n, n_outputs, starts, taps, n_taps = op[1], op[2], op[3], op[4], op[5], op[6], op[7]
    zero, low, high = op[10], op[11], op[12]
    for block in range((n_outputs + LANES - 1) // LANES):
        at = min(block * LANES, max(n_outputs - LANES, 0))
        w = op[8] + block * n_taps * LANES * QUAD
        c = op[9] + block * 3 * LANES
        if n >= FOUR:  # the last four positions may overlap those before
            for four in range((n + FOUR - 1) // FOUR):
                p = min(four * FOUR, n - FOUR)
                to = y + p * n_outputs + at
                dense_four(
                    arena, words, weights, x, starts + p, taps, n_taps, w, c, to, n_outputs,
                    zero, low, high,
                )  # fmt: skip
        else:
            for p in range(n):
                to = y + p * n_outputs + at
                dense_one(
                    arena, words, weights, x, starts + p, taps, n_taps, w, c, to, n_outputs,
                    zero, low, high,
                )  # fmt: skip


@Part
def slide_depthwise(arena, words, weights, op):  # type: ignore[no-untyped-def]
    """Fill 16 channels of 4 positions at a time."""
    x, y, n, n_outputs, starts, taps, n_taps = op[1], op[2], op[3], op[4], op[5], op[6], op[7]
    zero, low, high = op[10], op[11], op[12]
    for block in range((n_outputs + LANES - 1) // LANES):
        at = min(block * LANES, max(n_outputs - LANES, 0))
        w = op[8] + block * n_taps * LANES
        c = op[9] + block * 3 * LANES
        if n >= FOUR:
            for four in range((n + FOUR - 1) // FOUR):
                p = min(four * FOUR, n - FOUR)
                to = y + p * n_outputs + at
                depthwise_four(
                    arena, words, weights, x + at, starts + p, taps, n_taps, w, c, to, n_outputs,
                    zero, low, high,
                )  # fmt: skip
        else:
            for p in range(n):
                to = y + p * n_outputs + at
                depthwise_one(
                    arena, words, weights, x + at, starts + p, taps, n_taps, w, c, to, n_outputs,
                    zero, low, high,
                )  # fmt: skip


@Part
def copy(arena, op):  # type: ignore[no-untyped-def]
    """COPY."""
    n_rows, n_bytes, x_step, y_step, flip = op[3], op[4], op[5], op[6], np.uint8(op[7])
    for row in range(n_rows):
        source = arena[op[1] + row * x_step : op[1] + row * x_step + n_bytes]
        target = arena[op[2] + row * y_step : op[2] + row * y_step + n_bytes]
        for i in range(n_bytes):
            target[i] = source[i] ^ flip


@Part
def gather(arena, words, op):  # type: ignore[no-untyped-def]
    """GATHER."""
    x, y, places, fill = op[1], op[2], op[4], np.uint8(op[5])
    for i in range(op[3]):
        place = words[places + i]
        arena[y + i] = fill if place < 0 else arena[x + place]


@Part
def look_up(arena, words, op):  # type: ignore[no-untyped-def]
    """LOOKUP."""
    x, y, table = op[1], op[2], op[4]
    for i in range(op[3]):
        arena[y + i] = np.uint8(words[table + np.int64(arena[x + i])])


@Part
def average(arena, words, op):  # type: ignore[no-untyped-def]
    """AVERAGE."""
    x, y, n, n_channels, starts, taps, n_taps = op[1], op[2], op[3], op[4], op[5], op[6], op[7]
    sums = words[op[11] : op[11] + n_channels]
    for p in range(n):
        sums[:] = 0
        for k in range(n_taps):
            place = x + words[starts + p] + words[taps + k]
            values = arena[place : place + n_channels]
            for c in range(n_channels):
                sums[c] += np.int32(values[c]) - np.int32(MOVED)
        count = np.int64(words[op[8] + p])
        means = arena[y + p * n_channels : y + (p + 1) * n_channels]
        for c in range(n_channels):
            total = np.int64(sums[c])
            mean = (abs(total) + count // 2) // count
            mean = (-mean if total < 0 else mean) + MOVED
            means[c] = np.uint8(min(max(mean, op[9]), op[10]))


@Part
def maximum(arena, words, op):  # type: ignore[no-untyped-def]
    """MAXIMUM."""
    x, y, n, n_channels, starts, taps, n_taps = op[1], op[2], op[3], op[4], op[5], op[6], op[7]
    low, high = np.uint8(op[9]), np.uint8(op[10])
    for p in range(n):
        largest = arena[y + p * n_channels : y + (p + 1) * n_channels]
        largest[:] = low
        for k in range(n_taps):
            place = x + words[starts + p] + words[taps + k]
            values = arena[place : place + n_channels]
            for c in range(n_channels):
                largest[c] = max(largest[c], values[c])
        for c in range(n_channels):
            largest[c] = min(largest[c], high)


@Part
def high_product(a, b):  # type: ignore[no-untyped-def]
    """Return a * b / 2**31, rounded: `fixedpoint.rounding_multiply` without its one overflow."""
    return (np.int64(a) * np.int64(b) + 2**30) >> 31


@Part
def shifted(value, bits):  # type: ignore[no-untyped-def]
    """Return value / 2**bits, halves away from zero: `fixedpoint.rounding_shift`."""
    half = (np.int64(1) << bits) >> 1
    return (value + half - (1 if value < 0 and bits > 0 else 0)) >> bits


@Part
def requantized(acc, multiplier, shift):  # type: ignore[no-untyped-def]
    """Return acc * multiplier * 2**(shift - 31), rounded twice: `fixedpoint.requantize`."""
    left, right = np.int64(max(shift, 0)), np.int64(max(-shift, 0))
    return shifted(high_product(np.int32(np.int64(acc) << left), multiplier), right)


@Part
def softmax(arena, words, op):  # type: ignore[no-untyped-def]
    """SOFTMAX."""
    n_labels, table = op[4], op[5]
    for row in range(op[3]):
        values = arena[op[1] + row * n_labels : op[1] + (row + 1) * n_labels]
        shares = arena[op[2] + row * n_labels : op[2] + (row + 1) * n_labels]
        largest = np.int64(0)
        for i in range(n_labels):
            largest = max(largest, np.int64(values[i]))
        total = np.int64(0)
        for i in range(n_labels):
            total += shifted(np.int64(words[table + largest - values[i]]), SUM_BITS)
        headroom = np.int64(0)
        while (total << (headroom + 1)) < 2**32:
            headroom += 1
        # 1 / total by three Newton steps, see `fixedpoint.one_over_one_plus`
        half = (total << headroom) >> 1
        inverse = 1515870810 + high_product(half, -1010580540)
        for _ in range(3):
            inverse += high_product(inverse, 2**29 - high_product(half, inverse)) << 2
        scale = min(inverse << 1, np.int64(2**31 - 1))
        for i in range(n_labels):
            product = high_product(scale, words[table + largest - values[i]])
            share = shifted(product, SUM_BITS - headroom + 31 - 8)
            shares[i] = np.uint8(min(max(share, 0), 255))


@Part
def add(arena, words, op):  # type: ignore[no-untyped-def]
    """ADD."""
    x, y, x2, first, second = op[1], op[2], op[4], op[5], op[6]
    multiplier, shift, zero, low, high = op[7], op[8], op[9], op[10], op[11]
    for i in range(op[3]):
        one = np.int64(words[first + np.int64(arena[x + i])])
        other = np.int64(words[second + np.int64(arena[x2 + i])])
        value = requantized(one + other, multiplier, shift) + zero
        arena[y + i] = np.uint8(min(max(value, low), high))


@Part
def multiply(arena, op):  # type: ignore[no-untyped-def]
    """MUL."""
    x, y, x2, first, second = op[1], op[2], op[4], op[5], op[6]
    multiplier, shift, zero, low, high = op[7], op[8], op[9], op[10], op[11]
    for i in range(op[3]):
        acc = (np.int64(arena[x + i]) - first) * (np.int64(arena[x2 + i]) - second)
        value = requantized(acc, multiplier, shift) + zero
        arena[y + i] = np.uint8(min(max(value, low), high))


@Part
def remember(arena, words, weights, memory, op):  # type: ignore[no-untyped-def]
    """SVDF."""
    n_inputs, n_units, n_frames, rank = op[3], op[4], op[5], op[6]
    factors = words[op[10] : op[10] + 7 + n_units]
    x = arena[op[1] : op[1] + n_inputs]
    for unit in range(n_units):
        total = np.int64(0)
        for n in range(unit * rank, (unit + 1) * rank):
            w = weights[op[7] + n * n_inputs : op[7] + (n + 1) * n_inputs]
            newest = np.int32(0)
            for f in range(n_inputs):
                newest += np.int32((np.int32(x[f]) - factors[4]) * np.int32(w[f]))
            scaled = requantized(newest, factors[0], factors[1]) + factors[5]
            column = memory[op[9] + n * n_frames : op[9] + (n + 1) * n_frames]
            time = words[op[8] + n * n_frames : op[8] + (n + 1) * n_frames]
            for m in range(n_frames - 1):
                column[m] = column[m + 1]
            column[n_frames - 1] = np.int16(min(max(scaled, -(2**15)), 2**15 - 1))
            for m in range(n_frames):
                total += np.int64(column[m] - factors[5]) * np.int64(time[m])
        acc = np.int32(total + factors[7 + unit])
        value = requantized(acc, factors[2], factors[3]) + factors[6]
        arena[op[2] + unit] = np.uint8(min(max(value, 0), 255))
