"""TFLite Micro, LiteRT and TensorFlow as references, each in a child process that may die.

`minikws diff` and `minikws bench` hold a model against them. None is imported here: the child
(`reference_child`) does, so that a model which kills TFLite Micro kills a child alone, and the
times of one runtime do not feel the threads of another.
"""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from minikws._typing import Array
from minikws.errors import MinikwsError, MissingExtraError, SettingsError, nearest
from minikws.graph import Graph

TIMEOUT_S = 120.0  # loading TensorFlow on a busy machine takes 20


@dataclass(frozen=True)
class Kind:
    """A runtime: how it is called in answers, its module, its package on PyPI."""

    title: str
    module: str
    package: str


REFERENCES = MappingProxyType(
    {
        "tflm": Kind("TFLite Micro", "tflite_micro", "tflite-micro"),
        "litert-reference": Kind("LiteRT's reference kernels", "ai_edge_litert", "ai-edge-litert"),
        "litert": Kind("LiteRT with XNNPACK", "ai_edge_litert", "ai-edge-litert"),
        "tensorflow": Kind("TensorFlow Lite with XNNPACK", "tensorflow", "tensorflow"),
    }
)


class Refused(MinikwsError):
    """A reference would not take a model, or died of it."""


def installed_references() -> list[str]:
    """Return the names of `REFERENCES` whose package is here (nothing is imported)."""
    return [name for name, kind in REFERENCES.items() if util.find_spec(kind.module) is not None]


class Reference:
    """A runtime to compare with.

    Parameters
    ----------
    name : one of `REFERENCES`.
    timeout_s : an answer that takes longer counts as a refusal.

    The child starts at the first call, and again after it died. Use it as a context manager, or
    call `close`.

    Raises
    ------
    SettingsError : an unknown name.
    """

    def __init__(self, name: str, *, timeout_s: float = TIMEOUT_S) -> None:
        if name not in REFERENCES:
            raise SettingsError(f"unknown reference {name!r}; {nearest(name, REFERENCES)}")
        self.name = name
        self.title = REFERENCES[name].title
        self._timeout_s = timeout_s
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Reference:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def version(self) -> str:
        """Package and version, such as "ai-edge-litert 2.3.0"."""
        package = REFERENCES[self.name].package
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            return package

    def load(
        self,
        model: bytes,
        *,
        n_outputs: int = 1,
        arena_bytes: int | None = None,
        keep_tensors: bool = False,
    ) -> None:
        """Prepare a model, its variables fresh.

        Parameters
        ----------
        model : the file's bytes.
        n_outputs : of the model.
        arena_bytes : of TFLite Micro's arena; `arena_for` gives enough.
        keep_tensors : every tensor can be asked for, which takes memory and time.

        Raises
        ------
        MissingExtraError : the package is not installed.
        Refused : the runtime would not; the sentence says why.
        """
        size = arena_bytes or max(200_000, 10 * len(model))
        self._ask(
            "load",
            model=model,
            n_outputs=n_outputs,
            arena_bytes=size,
            keep_tensors=keep_tensors,
        )

    def run(
        self, rounds: Sequence[Sequence[Array] | None], *, tensors: Sequence[int] = ()
    ) -> list[tuple[list[Array], dict[int, Array]]]:
        """Run inputs in turn; return, for each, the outputs and the tensors asked for.

        Parameters
        ----------
        rounds : for each run the arrays of the model's inputs; None resets its variables, which
            answers with nothing.
        tensors : indices of the main subgraph, which must have them; those without values are
            left out.

        Raises
        ------
        Refused : the runtime stopped or died.
        """
        results: list[tuple[list[Array], dict[int, Array]]] = self._ask(
            "run", rounds=rounds, tensors=tensors
        )
        return results

    def seconds(self, inputs: Sequence[Array], runs: int) -> list[float]:
        """Return the seconds of each run, measured in the child."""
        times: list[float] = self._ask("seconds", inputs=inputs, runs=runs)
        return times

    def peak_memory_bytes(self) -> int | None:
        """Return the most RAM the child has held, its Python included."""
        peak: int | None = self._ask("peak_memory_bytes")
        return peak

    def allocations(self) -> str:
        """Return TFLite Micro's own log of its arena."""
        log: str = self._ask("allocations")
        return log

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    pipe.close()
            self._log.close()
            self._child = None

    def _start(self) -> subprocess.Popen[bytes]:
        self.close()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (close() does)
        package_home = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, (package_home, os.environ.get("PYTHONPATH"))))
        return subprocess.Popen(
            [sys.executable, "-m", "minikws.runtime.reference_child", self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # A worker that spins while it waits would slow whoever's turn it is.
            env={**os.environ, "PYTHONPATH": path, "OMP_WAIT_POLICY": "passive"},
        )

    def _ask(self, method: str, **arguments: Any) -> Any:
        if self._child is None or self._child.poll() is not None:
            self._child = self._start()
        child = self._child
        assert child.stdin is not None and child.stdout is not None
        self._log.seek(0)
        self._log.truncate()  # the child writes on from the start
        late = threading.Event()

        def give_up() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(self._timeout_s, give_up)
        timer.daemon = True
        timer.start()
        try:
            pickle.dump((method, arguments), child.stdin)
            child.stdin.flush()
            kind, value = pickle.load(child.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            child.wait()
            if late.is_set():
                what = f"gave no answer within {self._timeout_s:g} s"
            else:
                what = f"died of it (exit code {child.returncode})"
            raise Refused(f"{self.title} {what}{self._last_words()}") from error
        finally:
            timer.cancel()
        if kind == "absent":
            raise MissingExtraError(value)
        if kind == "refused":
            raise Refused(f"{self.title} will not run the model ({value}){self._last_words()}")
        return value

    def _last_words(self) -> str:
        """Return the end of what the runtime printed: it holds the reason, as a rule."""
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().decode(errors="replace").splitlines()]
        told = [line for line in lines if line and not line.startswith(("INFO", "WARNING"))]
        return f"; its last words: {' / '.join(told[-2:])}" if told else ""


def arena_for(graph: Graph, n_file_bytes: int) -> int:
    """Return an arena that is large enough for TFLite Micro even when it keeps every tensor."""
    values = sum(
        8 * math.prod(tensor.shape)
        for subgraph in graph.subgraphs
        for tensor in subgraph.tensors
        if tensor.data is None
    )
    return 200_000 + 10 * n_file_bytes + values
