"""Test vectors: what went in, what came out, and every tensor between, of a run from the start.

In comes an interpreter and something that runs it; out come flat arrays that a board's can be held
against, integer by integer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minikws._typing import Array
from minikws.errors import ShapeError
from minikws.runtime.interpreter import Interpreter
from minikws.tflite.schema import OPAQUE_TYPES

_PARTLY_WRITTEN = ("SignalEnergy", "SignalFramer", "SignalStacker")


@dataclass(frozen=True, eq=False)
class TensorVector:
    """A tensor of the main subgraph after the last run.

    index, name : as in the file.
    op : index of the operator that computes it; -1: the input, or a state the model keeps.
    values : flat, in the tensor's dtype.
    """

    index: int
    name: str
    op: int
    values: Array


@dataclass(frozen=True, eq=False)
class RunVectors:
    """One or several runs in a row, from an empty memory.

    inputs, outputs : (runs, values) in the tensors' dtypes.
    tensors : after the last of them, in the order in which the operators compute them; without
        those of which TFLite Micro leaves a part undefined.
    """

    inputs: Array
    outputs: Array
    tensors: tuple[TensorVector, ...]


def record_runs(
    interpreter: Interpreter, run: Callable[[int], object], *, n_runs: int
) -> RunVectors:
    """Reset a model, run it some times, and keep what its tensors held.

    Parameters
    ----------
    run : runs the interpreter once, given the number of the run from 0.

    Raises
    ------
    ShapeError : a model with several inputs or outputs.
    """
    main = interpreter.graph.main
    if len(main.inputs) != 1 or len(main.outputs) != 1:
        raise ShapeError(
            f"test vectors are of models with one input and one output, this one has "
            f"{len(main.inputs)} and {len(main.outputs)}; split the model"
        )
    interpreter.reset()
    inputs, outputs = [], []
    for number in range(n_runs):
        run(number)
        inputs.append(_flat(interpreter, main.inputs[0]))
        outputs.append(_flat(interpreter, main.outputs[0]))
    uncertain = _uncertain(interpreter)
    made_by = {index: number for number, op in enumerate(main.ops) for index in op.outputs}
    tensors = tuple(
        TensorVector(index, tensor.name, made_by.get(index, -1), _flat(interpreter, index))
        for index, tensor in enumerate(main.tensors)
        if (index in made_by or index in main.inputs or tensor.is_variable)
        and tensor.data is None
        and tensor.dtype not in OPAQUE_TYPES
        and index not in uncertain
    )
    by_op = tuple(sorted(tensors, key=lambda tensor: tensor.op))
    return RunVectors(np.stack(inputs), np.stack(outputs), by_op)


def _uncertain(interpreter: Interpreter) -> set[int]:
    """Return the tensors of which TFLite Micro leaves some values as the memory happens to be.

    SignalEnergy writes the bins of its band only, a framer or stacker nothing before its frame is
    full; a CAST copies the rest as well, and what comes after takes the band out.
    """
    found: set[int] = set()
    for op in interpreter.graph.main.ops:
        if op.name in _PARTLY_WRITTEN or (op.name == "CAST" and op.inputs[0] in found):
            found.add(op.outputs[0])
    return found


def _flat(interpreter: Interpreter, index: int) -> Array:
    return np.array(interpreter.tensor(index)).ravel()
