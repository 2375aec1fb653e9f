"""Run a graph: prepare every operator once, then push arrays through them in order.

In come a .tflite file (or a `Graph`) and input arrays; out come output arrays, the same
integers that TFLite Micro computes, with NumPy alone. Every tensor of the last run can be
looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from minikws._jit import ENABLED
from minikws._typing import Array
from minikws.errors import SettingsError, ShapeError, nearest
from minikws.fixedpoint import quantize
from minikws.graph import Graph, Tensor
from minikws.runtime.limits import check_limits
from minikws.runtime.node import Shared
from minikws.runtime.ops import OPS
from minikws.runtime.program import Program
from minikws.tflite import check_graph, read_model
from minikws.tflite.checks import short

if TYPE_CHECKING:
    from minikws.runtime.compiled import Compiled

QUANTIZED = ("int8", "uint8", "int16", "int32")
BATCH_CLIPS = 16  # clips that go through the operators at once; more leave the cache
COMPILED_CLIPS = 1000  # as many as take the plain form as long as it takes to load Numba


@dataclass(frozen=True)
class OpTime:
    """How long one operator took: seconds (median of the rounds), and its share of all."""

    index: int
    name: str
    seconds: float
    share: float


class Interpreter:
    """A model that is ready to run.

    Parameters
    ----------
    model : a path, the bytes of a .tflite file, or a `Graph`.
    compiled : run int8 operators as one compiled call where Numba is installed, to the same
        integers: worth it for a stream, and for many clips one by one. After batches of
        `COMPILED_CLIPS` in all it happens by itself; a single clip is sooner done without.

    Raises
    ------
    ModelFileError : the file is damaged, or an operator's tensors do not fit together.
    UnsupportedOpError : the model has an operator that minikws lacks.
    """

    def __init__(
        self,
        model: str | PathLike[str] | bytes | bytearray | memoryview | Graph,
        *,
        compiled: bool = False,
    ) -> None:
        name = str(model) if isinstance(model, str | PathLike) else "the model"
        if isinstance(model, Graph):
            check_graph(model)
            self.graph = model
        else:
            self.graph = read_model(model)
        check_limits(self.graph, name)
        self._shared = Shared(call=self._call)
        self._programs = [
            Program(self.graph, i, OPS, self._shared, name)
            for i in range(len(self.graph.subgraphs))
        ]
        self._main = self._programs[0]
        self._tensors = self.graph.main.tensors
        self._values = list(self._main.held)
        self._batches = self._can_batch()
        self._compiled: Compiled | None = None
        self._n_batched = 0  # clips that came in batches
        if compiled:
            self.compile()

    def __repr__(self) -> str:
        def side(tensors: tuple[Tensor, ...]) -> str:
            return ", ".join(f"{t.name} {t.dtype} {t.shape}" for t in tensors)

        n_ops = len(self._main.steps)
        return f"<Interpreter {side(self.inputs)} -> {side(self.outputs)}, {n_ops} ops>"

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The tensors that go in: name, shape, dtype, scale, zero_point."""
        return tuple(self._tensors[i] for i in self.graph.main.inputs)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The tensors that come out."""
        return tuple(self._tensors[i] for i in self.graph.main.outputs)

    @property
    def has_memory(self) -> bool:
        """Whether a run depends on those before it, since the last `reset`."""
        return any(
            any(tensor.is_variable for tensor in subgraph.tensors)
            or any(op.name == "VAR_HANDLE" for op in subgraph.ops)
            for subgraph in self.graph.subgraphs
        )

    def invoke(self, x: Array) -> Array:
        """Run a model with one input and one output.

        Parameters
        ----------
        x : of the input's shape and dtype; or of shape (B, ...) where the file says (1, ...);
            or floating point real values, which are quantized by the input's scale.

        Returns
        -------
        the output tensor's integers (or float32), (B, ...) for a batch.

        Raises
        ------
        ShapeError : another shape or dtype, or a model with several inputs or outputs.
        """
        self._expect_single("invoke()")
        return self._run([np.asarray(x)])[0]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run a model on named inputs.

        Parameters
        ----------
        inputs : name -> array as for `invoke`; names of the signature or of the tensors.

        Returns
        -------
        name -> array; the signature's names where the file has them, else the tensors'.

        Raises
        ------
        ShapeError : a name that is missing, unknown or given twice; shapes as for `invoke`.
        """
        main = self.graph.main
        known = self._names("inputs")
        given: dict[int, Array] = {}
        for name, array in inputs.items():
            if name not in known:
                raise ShapeError(f"the model has no input {name!r}; {nearest(name, known)}")
            if known[name] in given:
                raise ShapeError(f"the input {name!r} is given twice; name each input once")
            given[known[name]] = np.asarray(array)
        for index in main.inputs:
            if index not in given:
                raise ShapeError(
                    f"the input {self._tensors[index].name!r} is missing; give every input"
                )
        results = self._run([given[index] for index in main.inputs])
        signature = (self.graph.signature or {}).get("outputs", {})
        labels = {index: name for name, index in signature.items()}
        return {
            labels.get(index, self._tensors[index].name): result
            for index, result in zip(main.outputs, results, strict=True)
        }

    def tensor(self, name_or_index: str | int) -> Array:
        """Return the values of one tensor in the last run.

        Raises
        ------
        SettingsError : no such tensor, or nothing has run yet.
        """
        if isinstance(name_or_index, str):
            names = [tensor.name for tensor in self._tensors]
            if name_or_index not in names:
                raise SettingsError(
                    f"the model has no tensor {name_or_index!r}; {nearest(name_or_index, names)}"
                )
            name_or_index = names.index(name_or_index)
        if not 0 <= name_or_index < len(self._values):
            raise SettingsError(
                f"the model has no tensor {name_or_index}; give 0 to {len(self._values) - 1}"
            )
        value = self._known_values()[name_or_index]
        if value is None:
            raise SettingsError(
                f"tensor {name_or_index} has no values yet; call invoke() or run() first"
            )
        return value

    def tensors(self) -> dict[str, Array]:
        """Return every intermediate of the last run by its name, inputs and outputs included.

        A name that several tensors share is followed by "#" and the index. After a batch of
        more than `BATCH_CLIPS` they hold its last part, or compiled, its last clip.
        """
        names = [tensor.name for tensor in self._tensors]
        return {
            name if names.count(name) == 1 else f"{name}#{i}": value
            for i, (name, value) in enumerate(zip(names, self._known_values(), strict=True))
            if value is not None and self._tensors[i].data is None
        }

    def reset(self) -> None:
        """Forget the last run: the next one is as the first."""
        for program in self._programs:
            program.reset()
        self._shared.reset()
        self._values = list(self._main.held)

    def profile(self, x: Array | None = None, *, rounds: int = 50) -> list[OpTime]:
        """Time every operator; a model with a memory is reset afterwards.

        Parameters
        ----------
        x : the input of `invoke`; the zero points where not given.
        rounds : how often the model runs; the medians count.
        """
        if x is None:
            given = [
                np.full(t.shape, t.zero_point[0] if t.zero_point else 0, t.dtype)
                for t in self.inputs
            ]
        else:
            self._expect_single("profile() with an array")
            given = [np.asarray(x)]
        self._run(given)
        program = self._compiled or self._main
        times = [program.time_steps(self._values) for _ in range(rounds)]
        self.reset()
        medians = np.median(times, axis=0)
        total = float(medians.sum()) or 1.0
        return [
            OpTime(i, op.name, float(seconds), float(seconds) / total)
            for i, (op, seconds) in enumerate(zip(self.graph.main.ops, medians, strict=True))
        ]

    def compile(self) -> float | None:
        """Run as compiled calls from now on; the memory of a stream goes with it.

        Returns
        -------
        seconds that it took to have the machine code (most of them only once on a machine), or
        None where the model stays as it is: Numba is not installed, MINIKWS_JIT=0, no int8.
        """
        if ENABLED and self._compiled is None:
            from minikws.runtime.compiled import Compiled

            self._compiled = Compiled(self._main, self._shared)
        return self._compiled.compile_s if self._compiled else None

    def _known_values(self) -> list[Array | None]:
        if self._compiled is not None:
            self._compiled.complete(self._values)
        return self._values

    def _call(self, index: int) -> None:
        self._programs[index].run([])

    def _expect_single(self, caller: str) -> None:
        main = self.graph.main
        if len(main.inputs) != 1 or len(main.outputs) != 1:
            raise ShapeError(
                f"{caller} takes models with one input and one output, this one has "
                f"{len(main.inputs)} and {len(main.outputs)}; use run()"
            )

    def _names(self, side: str) -> dict[str, int]:
        """Return every name of the inputs: the tensors' own, and the signature's before them."""
        indices = self.graph.main.inputs if side == "inputs" else self.graph.main.outputs
        names = {self._tensors[index].name: index for index in indices}
        return {**names, **(self.graph.signature or {}).get(side, {})}

    def _can_batch(self) -> bool:
        """Whether B clips can take the place of the leading 1 in every computed tensor."""
        computed = {i for step in self._main.steps for i in step.outputs} | set(
            self.graph.main.inputs
        )
        shapes = [self._tensors[i].shape for i in computed]
        return all(step.kernel.batches for step in self._main.steps) and all(
            len(shape) > 1 and shape[0] == 1 for shape in shapes
        )

    def _run(self, arrays: list[Array]) -> list[Array]:
        main = self.graph.main
        pairs = list(zip(arrays, main.inputs, strict=True))
        prepared = [self._checked_input(array, index) for array, index in pairs]
        n_clips = self._batch_of(prepared)
        if n_clips is None:
            return self._run_once(prepared)
        self._n_batched += n_clips
        if self._n_batched >= COMPILED_CLIPS:
            self.compile()
        at_once = BATCH_CLIPS if self._batches else 1
        parts = [
            self._run_once([array[start : start + at_once] for array in prepared])
            for start in range(0, n_clips, at_once)
        ]
        return [np.concatenate(results) for results in zip(*parts, strict=True)]

    def _batch_of(self, prepared: list[Array]) -> int | None:
        """Return the number of clips if it is not what the file says."""
        counts = {
            len(array)
            for array, tensor in zip(prepared, self.inputs, strict=True)
            if array.shape != tensor.shape
        }
        if not counts:
            return None
        if len(counts) > 1 or any(len(array) not in counts for array in prepared):
            raise ShapeError(
                f"the inputs hold {sorted({len(array) for array in prepared})} clips; "
                "give every input the same number"
            )
        if 0 in counts:
            raise ShapeError("the batch holds no clip; give one or more")
        if not all(len(t.shape) > 1 and t.shape[0] == 1 for t in self.outputs):
            raise ShapeError(
                f"a batch was given, the model's output is {self.outputs[0].shape}; "
                "run it clip by clip"
            )
        return counts.pop()

    def _checked_input(self, array: Array, index: int) -> Array:
        tensor = self._tensors[index]
        batched = tensor.shape[:1] == (1,) and len(tensor.shape) > 1
        if array.shape != tensor.shape and not (
            batched and array.ndim == len(tensor.shape) and array.shape[1:] == tensor.shape[1:]
        ):
            raise ShapeError(
                f"{self._input_name(index)} is {array.dtype} {array.shape}, the model expects "
                f"{tensor.dtype} {tensor.shape}"
                f"{', or (B, ...) for a batch' if batched else ''}; reshape the features"
            )
        if array.dtype == np.dtype(tensor.dtype):
            return array
        is_real = tensor.dtype == "float32"
        is_quantized = tensor.dtype in QUANTIZED and len(tensor.scale) == 1
        if array.dtype.kind != "f" or not (is_real or is_quantized):
            raise ShapeError(
                f"{self._input_name(index)} is {array.dtype} {array.shape}, the model expects "
                f"{tensor.dtype} {tensor.shape}"
                f"{' or real values as float' if is_quantized else ''}; convert the features"
            )
        if not np.isfinite(array).all():
            raise SettingsError(
                f"{self._input_name(index)} holds values that are not finite; "
                "check how the features were computed"
            )
        if is_real:
            return array.astype(np.float32)
        return quantize(array, tensor.scale[0], tensor.zero_point[0], tensor.dtype)

    def _input_name(self, index: int) -> str:
        """Return how messages name an input, and the first operator that reads it."""
        name, ops = short(self._tensors[index].name), self.graph.main.ops
        reader = next((i for i, op in enumerate(ops) if index in op.inputs), None)
        of_op = "" if reader is None else f" of op {reader + 1} of {len(ops)} ({ops[reader].name})"
        return f"the input {name!r}{of_op}"

    def _run_once(self, inputs: list[Array]) -> list[Array]:
        values = (self._compiled or self._main).run(inputs)
        self._values = values
        results = [values[i] for i in self.graph.main.outputs]
        return [np.array(result) for result in results if result is not None]
