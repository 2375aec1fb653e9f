"""A program as compiled calls: the same integers, many times as fast, where Numba is installed.

In comes a prepared `Program`; neighbouring int8 operators become rows of one table, and one
compiled loop runs through them for all clips (`fast.machine`). Most models become a single call.
Operators that the machine has no rows for stay as they are, between the calls. The `Interpreter`
uses it where it is told to, or where there is much to do.

The machine code depends on the processor and not on the model: Numba keeps it on disk, and only
the first run of all compiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from time import perf_counter

import numpy as np

from minikws._typing import Array, Int64
from minikws.runtime.fast import machine
from minikws.runtime.fast.rows import MOVED, Machine
from minikws.runtime.fast.tables import Tables
from minikws.runtime.fast.translate import translate
from minikws.runtime.node import Shared
from minikws.runtime.program import Program, Step

_REPEATS = 16  # of one operator, to time it


class Run:
    """Neighbouring operators as one compiled call.

    Parameters
    ----------
    tables, arrays : of the whole program.
    rows : the operators' rows.
    inputs, outputs : tensors that they take from other operators, and that others take.
    """

    def __init__(
        self,
        tables: Tables,
        arrays: Machine,
        rows: Int64,
        inputs: Sequence[int],
        outputs: Sequence[int],
    ) -> None:
        def columns(indices: Sequence[int]) -> Int64:
            """Return place, first column and size of each tensor."""
            sizes = np.array([tables.size(i) for i in indices], np.int64)
            places = np.array([tables.places[i] for i in indices], np.int64)
            return np.stack([places, np.cumsum(sizes) - sizes, sizes], 1)

        self._sources, self._targets = columns(inputs), columns(outputs)
        self._n_inputs, self._n_outputs = (
            int(side[:, 2].sum()) for side in (self._sources, self._targets)
        )
        self._inputs = [*zip(inputs, _slices(self._sources), strict=True)]
        tensors = [tables.tensors[i] for i in outputs]
        self._outputs = [*zip(outputs, _slices(self._targets), tensors, strict=True)]
        self._arrays = *arrays, rows
        self._call = machine.run.compiled()

    def __call__(self, values: list[Array | None], n_clips: int) -> None:
        """Set the outputs among the values of all tensors."""
        # A copy: for an array that is read-only or strided, Numba would compile once more.
        x = np.empty((n_clips, self._n_inputs), np.int8)
        for i, part in self._inputs:
            x[:, part] = np.asarray(values[i]).reshape(n_clips, -1)
        y = np.empty((n_clips, self._n_outputs), np.int8)
        self._call(*self._arrays, x, y, self._sources, self._targets)
        for i, part, tensor in self._outputs:
            shape = tensor.shape if n_clips == 1 else (n_clips, *tensor.shape[1:])
            values[i] = y[:, part].view(tensor.dtype).reshape(shape)


class Compiled:
    """A program that runs as compiled calls, with plain operators between them where it must.

    Takes the program's memory over: variables and states move into the machine's arrays, where
    the program, its `reset` and other subgraphs find them.

    Parameters
    ----------
    program : the subgraph to run.
    shared : its variables.

    Attributes
    ----------
    n_calls : compiled calls in a run; 0 where the machine knows none of the operators.
    compile_s : seconds that it took to have the machine code, made anew or read from the disk;
        None where there are no calls.
    """

    def __init__(self, program: Program, shared: Shared) -> None:
        self._program = program
        self._tables = tables = Tables(program.subgraph.tensors)
        self._rows: list[slice | None] = []  # of each step
        for op, step in zip(program.subgraph.ops, program.steps, strict=True):
            first = len(tables.rows)
            is_known = translate(op.name, tables, step)
            self._rows.append(slice(first, len(tables.rows)) if is_known else None)
        self._arrays = tables.machine()
        self._table = tables.table()
        self._last: list[Array | None] = []
        is_any = any(rows is not None for rows in self._rows)
        self.compile_s = self._compile() if is_any else None
        self._parts: list[Run | Step] = []
        steps = range(len(program.steps))
        for is_known, numbers in groupby(steps, lambda i: self._rows[i] is not None):
            if is_known:
                self._parts.append(self._run_of([*numbers]))
            else:
                self._parts += [program.steps[i] for i in numbers]
        self.n_calls = sum(isinstance(part, Run) for part in self._parts)
        self._move_memory(shared)

    def run(self, inputs: Sequence[Array]) -> list[Array | None]:
        """Run every operator; return the values of the tensors between the calls."""
        values = list(self._program.held)
        main = self._program.subgraph
        n_clips = 1
        for index, array in zip(main.inputs, inputs, strict=True):
            values[index] = array
            if array.shape != main.tensors[index].shape:
                n_clips = len(array)
        for part in self._parts:
            if isinstance(part, Run):
                part(values, n_clips)
            else:
                for i, array in zip(part.outputs, part.run(values), strict=True):
                    values[i] = array
        self._last = values
        return values

    def complete(self, values: list[Array | None]) -> None:
        """Fill in what stayed inside compiled calls of the last run, as its last clip left it."""
        if values is not self._last:
            return
        tensors = self._program.subgraph.tensors
        for index, place in self._tables.places.items():
            if values[index] is None:
                found = self._arrays.arena[place : place + self._tables.size(index)] ^ MOVED
                values[index] = found.view(tensors[index].dtype).reshape(tensors[index].shape)

    def time_steps(self, values: list[Array | None]) -> list[float]:
        """Run each operator on the values of the last run; return their seconds."""
        self.complete(values)
        nothing, nowhere = np.empty((_REPEATS, 0), np.int8), np.empty((0, 3), np.int64)
        times = []
        for step, rows in zip(self._program.steps, self._rows, strict=True):
            started = perf_counter()
            if rows is None:
                step.run(values)
                times.append(perf_counter() - started)
            else:
                ends = nothing, nothing, nowhere, nowhere
                machine.run.compiled()(*self._arrays, self._table[rows], *ends)
                times.append((perf_counter() - started) / _REPEATS)
        return times

    def _compile(self) -> float:
        """Have the machine code ready; return the seconds it took."""
        started = perf_counter()
        nothing, nowhere = np.empty((0, 0), np.int8), np.empty((0, 3), np.int64)
        call = machine.run.compiled()
        call(*self._arrays, self._table, nothing, nothing, nowhere, nowhere)
        return perf_counter() - started

    def _run_of(self, numbers: Sequence[int]) -> Run:
        """Return the call of neighbouring steps: it takes and gives what others have or want."""
        tensors, places = self._program.subgraph.tensors, self._tables.places
        steps = [self._program.steps[i] for i in numbers]
        others = [step for i, step in enumerate(self._program.steps) if i not in numbers]
        made = _all(step.outputs for step in steps)
        read = {i for i in _all(step.inputs for step in steps) if i in places}
        wanted = _all(step.inputs for step in others) | {*self._program.subgraph.outputs}
        inputs = sorted(i for i in read - made if tensors[i].data is None)
        rows = [self._rows[i] for i in (numbers[0], numbers[-1])]
        assert rows[0] is not None and rows[1] is not None
        table = self._table[rows[0].start : rows[1].stop]
        return Run(self._tables, self._arrays, table, inputs, sorted(made & wanted))

    def _move_memory(self, shared: Shared) -> None:
        """Make the program's variables and states views of the machine's arrays."""
        for number, place in self._tables.variables.items():
            old = shared.variables[number]
            new = self._arrays.arena[place : place + old.size].view(np.int8)
            shared.variables[number] = new.reshape(old.shape)
        for index, place in self._tables.states.items():
            held = self._program.held[index]
            assert held is not None
            state = self._arrays.memory[place : place + held.size].reshape(held.shape)
            state[...] = held
            self._program.held[index] = state


def _slices(columns: Int64) -> list[slice]:
    return [slice(column, column + size) for _, column, size in columns.tolist()]


def _all(parts: Iterable[tuple[int, ...]]) -> set[int]:
    return {i for part in parts for i in part}
