"""Rows for what moves values, maps them one by one, or remembers them.

As in `sums`: each function adds rows and returns True, or returns False and adds none.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from minikws._typing import Array, Int64
from minikws.fixedpoint import requantize
from minikws.runtime.fast import rows
from minikws.runtime.fast.rows import MOVED
from minikws.runtime.fast.tables import Tables
from minikws.runtime.ops.add import LEFT_SHIFTS
from minikws.runtime.program import Step

LARGEST_LABELS = 4096  # softmax's sum of exponentials stays inside int32
INT8_VALUES = np.arange(-128, 128, dtype=np.int8)


# Movement


def rename(tables: Tables, step: Step) -> bool:
    """RESHAPE and its like: the same bytes under another tensor."""
    x, y = step.inputs[0], step.outputs[0]
    if not tables.are_int8(x, y) or y in tables.places:
        return False
    tables.places[y] = tables.place(x)
    return True


def move(tables: Tables, step: Step) -> bool:
    """STRIDED_SLICE, TRANSPOSE, SPLIT, PAD: the plain operator says which value goes where."""
    sources = [i for i in step.inputs if tables.tensors[i].data is None]
    if len(sources) != 1 or not tables.are_int8(*sources, *step.outputs):
        return False
    x = sources[0]
    numbers = np.arange(tables.size(x)).reshape(tables.tensors[x].shape)
    state, fill = step.state, 0
    if hasattr(state, "fill"):
        state, fill = replace(state, fill=-1), int(state.fill) + MOVED
    moved = step.kernel.evaluate(state, [numbers if i == x else None for i in step.inputs])
    for y, places in zip(step.outputs, moved, strict=True):
        _fetch(tables, tables.place(x), tables.place(y), places.ravel(), fill)
    return True


def _fetch(tables: Tables, x: int, y: int, places: Int64, fill: int = 0) -> None:
    """Add a row that copies single values, or a run of them."""
    n = places.size
    if places[0] >= 0 and (np.diff(places) == 1).all():
        tables.row(rows.COPY, x + int(places[0]), y, 1, n, n, n)
    else:
        tables.row(rows.GATHER, x, y, n, tables.words(places), fill)


def concatenate(tables: Tables, step: Step) -> bool:
    """CONCATENATION: each input's rows of bytes side by side."""
    (y,), axis = step.outputs, step.state
    if not tables.are_int8(*step.inputs, y):
        return False
    n_rows = int(np.prod(tables.tensors[y].shape[:axis], dtype=np.int64))
    y_step = tables.size(y) // n_rows
    to = tables.place(y)
    for x in step.inputs:
        n_bytes = tables.size(x) // n_rows
        tables.row(rows.COPY, tables.place(x), to, n_rows, n_bytes, n_bytes, y_step)
        to += n_bytes
    return True


# Value by value


def look_up(tables: Tables, step: Step) -> bool:
    """LOGISTIC, TANH, RELU and their like, QUANTIZE: a table of all 256 values."""
    x, y = step.inputs[0], step.outputs[0]
    if not tables.are_int8(x) or tables.tensors[y].dtype not in ("int8", "uint8"):
        return False
    (values,) = step.kernel.evaluate(step.state, [INT8_VALUES])
    table = tables.words(values.view(np.uint8) ^ MOVED)
    tables.row(rows.LOOKUP, tables.place(x), tables.place(y), tables.size(y), table)
    return True


def add(tables: Tables, step: Step) -> bool:
    """ADD and SUB: both inputs on one fine scale by a table, their sum scaled back."""
    if not tables.are_int8(*step.inputs, step.outputs[0]):
        return False
    *factors, factor = step.state.factors
    zeros = step.state.binary.zero_points
    signs = 1, step.state.sign
    first, second = (
        tables.words(sign * requantize((_wide() - zero) << LEFT_SHIFTS["int8"], *factor))
        for zero, factor, sign in zip(zeros[:2], factors, signs, strict=True)
    )
    _pair(tables, step, rows.ADD, first, second, *factor)
    return True


def multiply(tables: Tables, step: Step) -> bool:
    """MUL."""
    if not tables.are_int8(*step.inputs, step.outputs[0]):
        return False
    first, second, _ = (zero + MOVED for zero in step.state.binary.zero_points)
    _pair(tables, step, rows.MUL, first, second, *step.state.factor)
    return True


def _wide() -> Int64:
    return INT8_VALUES.astype(np.int64)


def _pair(tables: Tables, step: Step, kind: int, *columns: int) -> None:
    """Add a row for two tensors, a smaller one repeated before."""
    y = step.outputs[0]
    shape = tables.tensors[y].shape
    places = []
    for x in step.inputs:
        place = tables.place(x)
        if tables.size(x) != tables.size(y):
            numbers = np.arange(tables.size(x)).reshape(tables.tensors[x].shape)
            repeated = tables.bytes(np.zeros(tables.size(y), np.uint8))
            _fetch(tables, place, repeated, np.broadcast_to(numbers, shape).ravel())
            place = repeated
        places.append(place)
    binary = step.state.binary
    bounds = binary.zero_points[2] + MOVED, int(binary.low) + MOVED, int(binary.high) + MOVED
    tables.row(kind, places[0], tables.place(y), tables.size(y), places[1], *columns, *bounds)


def softmax(tables: Tables, step: Step) -> bool:
    """SOFTMAX: its table of exponentials."""
    x, y, state = step.inputs[0], step.outputs[0], step.state
    n_labels = tables.tensors[x].shape[-1]
    if not tables.are_int8(x, y) or n_labels > LARGEST_LABELS:
        return False
    table = tables.words(state.exponentials)
    n_rows = tables.size(x) // n_labels
    tables.row(rows.SOFTMAX, tables.place(x), tables.place(y), n_rows, n_labels, table)
    return True


# Memory


def read(tables: Tables, step: Step) -> bool:
    """READ_VARIABLE: from a variable in the arena, which holds its values as they are."""
    (y,), n = step.outputs, tables.size(step.outputs[0])
    variable = _variable(tables, step, y)
    if variable is None:
        return False
    tables.row(rows.COPY, variable, tables.place(y), 1, n, n, n, MOVED)
    return True


def assign(tables: Tables, step: Step) -> bool:
    """ASSIGN_VARIABLE: the way back."""
    x, n = step.inputs[1], tables.size(step.inputs[1])
    variable = _variable(tables, step, x)
    if variable is None:
        return False
    tables.row(rows.COPY, tables.place(x), variable, 1, n, n, n, MOVED)
    return True


def _variable(tables: Tables, step: Step, value: int) -> int | None:
    """Return a variable's place; None if it is not made of the value's int8."""
    number = step.state.number
    found: Array | None = step.state.shared.variables.get(number)
    shape = tables.tensors[value].shape
    if not tables.are_int8(value) or found is None or found.dtype != np.int8:
        return None
    if found.shape != shape:
        return None
    if number not in tables.variables:
        tables.variables[number] = tables.bytes(found.view(np.uint8))
    return tables.variables[number]


def svdf(tables: Tables, step: Step) -> bool:
    """SVDF with a memory of int16, one clip at a time."""
    x, _, time, _, memory = step.inputs
    y, state = step.outputs[0], step.state
    n_clips, n_inputs = tables.tensors[x].shape
    if not tables.are_int8(x, y) or tables.tensors[time].dtype != "int16" or n_clips != 1:
        return False
    n_filters, n_frames = state.time.shape
    zeros = np.add(state.zero_points, (MOVED, 0, MOVED))
    factors = *state.first, *state.second, *zeros
    lists = tables.weights(state.frequency), tables.words(state.time)
    if memory not in tables.states:
        tables.states[memory] = tables.memory(np.zeros(n_filters * n_frames))
    packed = tables.states[memory], tables.words([*factors, *state.bias])
    n_units = n_filters // state.rank
    sizes = n_inputs, n_units, n_frames, state.rank
    tables.row(rows.SVDF, tables.place(x), tables.place(y), *sizes, *lists, *packed)
    return True
