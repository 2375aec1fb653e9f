"""Another runtime in a process of its own, asked through pipes; see `references`.

Started as `python -m minikws.runtime.reference_child NAME`. Pickled requests, (method,
arguments), come in on stdin; pickled replies, (kind, value), go out on stdout, where the kind
is "done", "refused" (the runtime would not) or "absent" (the package is not installed). A model
that kills the runtime kills this process, which is an answer too.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import warnings
from collections.abc import Sequence
from typing import Any, BinaryIO, Protocol

from minikws._typing import Array
from minikws.errors import MissingExtraError, import_extra
from minikws.runtime.measure import peak_memory_bytes, repeat


class Runtime(Protocol):
    """What is asked of each runtime."""

    def load(self, model: bytes, n_outputs: int, arena_bytes: int, keep_tensors: bool) -> None:
        """Make a model ready; with `keep_tensors` every tensor can be read after a run."""

    def invoke(self, inputs: Sequence[Array]) -> list[Array]:
        """Run arrays, in the order of the model's inputs; return its outputs."""
        ...

    def tensor(self, index: int) -> Array:
        """Return a tensor of the last run."""
        ...

    def reset(self) -> None:
        """Give variables their first values."""


class TFLiteMicro:
    """The tflite-micro package: TFLite Micro with its reference kernels."""

    def __init__(self) -> None:
        self._module: Any = import_extra(
            "tflite_micro.python.tflite_micro.runtime", extra="parity", purpose="TFLite Micro"
        )

    def load(self, model: bytes, n_outputs: int, arena_bytes: int, keep_tensors: bool) -> None:
        """Prepare the model in an arena of so many bytes."""
        kinds = self._module.InterpreterConfig
        kind = kinds.kPreserveAllTensors if keep_tensors else kinds.kAllocationRecording
        self._interpreter = self._module.Interpreter.from_bytes(
            model,
            arena_size=arena_bytes,
            intrepreter_config=kind,  # the package spells it so
        )
        self._n_outputs = n_outputs  # asked for one more, the package ends the process

    def invoke(self, inputs: Sequence[Array]) -> list[Array]:
        """Run once."""
        for index, array in enumerate(inputs):
            self._interpreter.set_input(array, index)
        self._interpreter.invoke()
        return [self._interpreter.get_output(i) for i in range(self._n_outputs)]

    def tensor(self, index: int) -> Array:
        """Return a tensor of the main subgraph."""
        values: Array = self._interpreter.GetTensor(index, 0)["tensor_data"]
        return values

    def reset(self) -> None:
        """Give variables their first values."""
        self._interpreter.reset()

    def allocations(self) -> str:
        """Return the package's own log of the arena."""
        with tempfile.TemporaryFile() as log:
            stderr = os.dup(2)
            os.dup2(log.fileno(), 2)
            self._interpreter.print_allocations()
            os.dup2(stderr, 2)
            os.close(stderr)
            log.seek(0)
            return log.read().decode()


class LiteRT:
    """LiteRT, or TensorFlow's copy of it; one thread.

    Parameters
    ----------
    resolver : "AUTO" has XNNPACK, "BUILTIN_REF" the reference kernels.
    """

    def __init__(self, module: str, purpose: str, resolver: str) -> None:
        found: Any = import_extra(module, extra="parity", purpose=purpose)
        self._make = found.Interpreter
        self._resolver = getattr(found.OpResolverType, resolver)

    def load(self, model: bytes, n_outputs: int, arena_bytes: int, keep_tensors: bool) -> None:
        """Prepare the model, which knows its outputs; an arena has no meaning here."""
        self._interpreter = self._make(
            model_content=model,
            num_threads=1,
            experimental_op_resolver_type=self._resolver,
            experimental_preserve_all_tensors=keep_tensors,
        )
        self._interpreter.allocate_tensors()
        self._inputs = [d["index"] for d in self._interpreter.get_input_details()]
        self._outputs = [d["index"] for d in self._interpreter.get_output_details()]

    def invoke(self, inputs: Sequence[Array]) -> list[Array]:
        """Run once."""
        for index, array in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_tensor(index, array)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]

    def tensor(self, index: int) -> Array:
        """Return a tensor of the main subgraph."""
        values: Array = self._interpreter.get_tensor(index)
        return values

    def reset(self) -> None:
        """Give variables their first values."""
        self._interpreter.reset_all_variables()


def make_runtime(name: str) -> Runtime:
    """Import a runtime by its name in `references.REFERENCES`.

    Raises
    ------
    MissingExtraError : its package is not installed.
    """
    if name == "tflm":
        return TFLiteMicro()
    if name == "tensorflow":
        # Its interpreter is an attribute of tf.lite, which loads on access.
        import_extra("tensorflow", extra="parity", purpose="TensorFlow")
        return LiteRT("tensorflow.lite.python.interpreter", "TensorFlow", "AUTO")
    resolver = "BUILTIN_REF" if name == "litert-reference" else "AUTO"
    return LiteRT("ai_edge_litert.interpreter", "LiteRT", resolver)


class Desk:
    """Answers requests for one runtime."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._runtime: Any = None

    def load(self, **arguments: Any) -> None:
        """Import the runtime at the first call, and prepare a model, with fresh variables."""
        if self._runtime is None:
            self._runtime = make_runtime(self._name)
        self._runtime.load(**arguments)

    def run(
        self, rounds: Sequence[Sequence[Array] | None], tensors: Sequence[int]
    ) -> list[tuple[list[Array], dict[int, Array]]]:
        """Run inputs one after the other; return outputs and the tensors asked for of each."""
        results: list[tuple[list[Array], dict[int, Array]]] = []
        for inputs in rounds:
            if inputs is None:
                self._runtime.reset()
                results.append(([], {}))
                continue
            outputs = self._runtime.invoke(inputs)
            kept: dict[int, Array] = {}
            for index in tensors:
                try:
                    kept[index] = self._runtime.tensor(index).copy()
                except (RuntimeError, ValueError, TypeError):
                    continue  # a handle, or a tensor that nothing fills
            results.append((outputs, kept))
        return results

    def seconds(self, inputs: Sequence[Array], runs: int) -> list[float]:
        """Time runs, setting the inputs and reading the outputs included."""
        return repeat(lambda: self._runtime.invoke(inputs), runs)

    def allocations(self) -> str:
        """Return TFLite Micro's log of its arena."""
        log: str = self._runtime.allocations()
        return log

    def peak_memory_bytes(self) -> int | None:
        """Return the most RAM that this process has held."""
        return peak_memory_bytes()


def serve(name: str, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer until the requests end."""
    desk = Desk(name)
    while True:
        try:
            method, arguments = pickle.load(requests)
        except EOFError:
            return
        try:
            reply: tuple[str, Any] = ("done", getattr(desk, method)(**arguments))
        except MissingExtraError as error:
            reply = ("absent", str(error))
        except Exception as error:  # whatever the runtime raises is its way to say no
            reply = ("refused", f"{type(error).__name__}: {error}")
        pickle.dump(reply, replies)
        replies.flush()


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the parent knows what it asks for
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what C++ code prints must not mix with the replies
    serve(sys.argv[1], sys.stdin.buffer, answers)
