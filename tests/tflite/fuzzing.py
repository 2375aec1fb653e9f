"""Damaged models through reader, planner, `info` and interpreter, in a process held on a leash.

`python -m tests.tflite.fuzzing --count 200000 --seed 1` prints one JSON line: how many models
ran, were refused, which was the slowest, which took the most memory. A model that raises
anything but a `MinikwsError`, takes more than a second of processor time or more than 256 MB
of memory ends the run with exit code 1; its bytes or its number are printed. The same seed
gives the same models. With `--compiled` those that run are run as compiled calls as well, and
must give the same values.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from minikws._typing import Array
from minikws.cli import info
from minikws.cli.output import Output
from minikws.errors import MinikwsError, UnsupportedOpError
from minikws.graph import Graph, Tensor
from minikws.runtime import Interpreter, plan, summarize
from minikws.runtime.measure import peak_memory_bytes
from minikws.tflite import info_of, labels_of, read_model, write_model
from tests.tflite.every_op import every_op
from tests.tflite.mutations import damage_bytes, damage_graph

MAX_BYTES = 256 * 2**20
MAX_SECONDS = 1.0
MAX_SENTENCE = 1000
INFO_EACH = 16  # one model in so many goes through `minikws info` as well


class Hang(BaseException):
    """A model took too long; no `except Exception` may catch it."""


def seeds(shared: Path | None) -> list[bytes]:
    """Return undamaged files: one for every operator, and real models where there are some."""
    models = [write_model(graph) for graph in every_op().values()]
    if shared is not None:
        models += [path.read_bytes() for path in sorted((shared / "tflm").glob("*.tflite"))]
    return models


def _info_arguments(path: Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    info.configure(parser)
    return parser.parse_args([str(path)])


def exercise(model: bytes | Graph, path: Path | None = None) -> None:
    """Read, look at, prepare and run a model twice; `path` is where `info` reads it from."""
    if not isinstance(model, Graph):
        graph = read_model(model)
        info_of(graph)
        labels_of(graph)
        plan(graph)
        summarize(graph)
    if path is not None and not isinstance(model, Graph):
        path.write_bytes(model)
        with redirect_stdout(io.StringIO()):
            info.run(_info_arguments(path), Output())
    interpreter = Interpreter(model)
    zeros = {t.name: np.zeros(t.shape, t.dtype) for t in interpreter.inputs}
    for _ in range(2):
        interpreter.run(zeros)
    interpreter.reset()
    interpreter.tensors()
    repr(interpreter)


@contextmanager
def leash(seconds: float) -> Iterator[None]:
    """Raise `Hang` after so much processor time."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang(f"more than {seconds} s")

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def hold_memory() -> None:
    """Let this process have no more than `MAX_BYTES`, what it holds by now included.

    Only Linux says how much that is; elsewhere what was held is looked at afterwards.
    """
    sizes = Path("/proc/self/statm")
    if not sizes.exists():
        return
    pages = sizes.read_text().split()
    virtual, resident = (int(n) * resource.getpagesize() for n in pages[:2])
    limit = virtual + MAX_BYTES - resident
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def fuzz(count: int, seed: int, shared: Path | None, log: Any = None) -> dict[str, Any]:
    """Run `count` damaged models, half damaged as bytes, half as graphs.

    Returns
    -------
    counts, the slowest and the largest.

    Raises
    ------
    AssertionError : a model that did not give a sentence or a result, in time and memory.
    """
    models = seeds(shared)
    graphs = [graph for graph in map(_readable, models) if graph is not None]
    for model in models:
        with leash(30):  # everything is imported before memory is held
            _outcome(model, None)
    warnings.simplefilter("error")
    hold_memory()
    found: Counter[str] = Counter()
    slowest, peak = (0.0, -1), ((peak_memory_bytes() or 0), -1)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            rng = np.random.default_rng((seed, number))
            model: bytes | Graph
            if number % 2:
                model = damage_bytes(models[rng.integers(0, len(models))], rng)
            else:
                model = damage_graph(graphs[rng.integers(0, len(graphs))], rng)
            path = Path(folder) / "model.tflite" if number % INFO_EACH == 1 else None
            start = time.process_time()
            try:
                with leash(MAX_SECONDS):
                    found[_outcome(model, path)] += 1
            except (Exception, Hang) as error:
                text = model.hex() if isinstance(model, bytes) else "a graph"
                raise AssertionError(f"seed {seed}, model {number}: {error!r}: {text}") from error
            seconds = time.process_time() - start
            slowest = max(slowest, (seconds, number))
            if (peak_memory_bytes() or 0) > peak[0]:
                peak = ((peak_memory_bytes() or 0), number)
            assert seconds <= MAX_SECONDS, f"seed {seed}, model {number}: {seconds} s"
            assert peak[0] <= MAX_BYTES, f"seed {seed}, model {number}: {peak[0]} bytes"
            if log is not None and number % 5000 == 4999:
                print(number + 1, dict(found), slowest, peak, file=log, flush=True)
    return {
        "seed": seed,
        **{key: found[key] for key in ("ran", "refused", "unsupported")},
        "slowest_s": slowest[0],
        "slowest_model": slowest[1],
        "peak_bytes": peak[0],
        "peak_model": peak[1],
    }


def compare_compiled(count: int, seed: int, shared: Path | None) -> dict[str, Any]:
    """Run damaged graphs, those that will, with and without compiled calls.

    Returns
    -------
    how many ran.

    Raises
    ------
    AssertionError : other values; a compiled call that reads elsewhere may end the process.
    """
    graphs = [graph for graph in map(_readable, seeds(shared)) if graph is not None]
    n_ran = 0
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        graph = damage_graph(graphs[rng.integers(0, len(graphs))], rng)
        try:
            plain, compiled = Interpreter(graph), Interpreter(graph, compiled=True)
        except MinikwsError:
            continue
        inputs = {t.name: _random_values(t, rng) for t in plain.inputs}
        if len(inputs) < len(plain.inputs):
            continue  # two of one name
        with np.errstate(all="ignore"):
            expected, found = plain.run(inputs), compiled.run(inputs)
        for name, values in expected.items():
            same = np.array_equal(values, found[name], equal_nan=values.dtype.kind == "f")
            assert same, f"seed {seed}, model {number}: {name!r} differs"
        n_ran += 1
    return {"seed": seed, "ran": n_ran}


def _random_values(tensor: Tensor, rng: np.random.Generator) -> Array:
    if tensor.dtype in ("int8", "uint8", "int16", "int32"):
        limits = np.iinfo(tensor.dtype)
        return rng.integers(limits.min, limits.max, tensor.shape, tensor.dtype, endpoint=True)
    return rng.integers(0, 2, tensor.shape).astype(tensor.dtype)


def _readable(model: bytes) -> Graph | None:
    try:
        return read_model(model)
    except MinikwsError:
        return None


def _outcome(model: bytes | Graph, path: Path | None) -> str:
    """Return "ran", "refused" or "unsupported"; a refusal must be one sentence."""
    try:
        if isinstance(model, Graph) and len(model.subgraphs) == 1:
            model = write_model(model)  # what the writer takes, the reader sees, too
        with np.errstate(all="ignore"):  # damaged float weights may overflow
            exercise(model, path)
    except MinikwsError as error:
        sentence = str(error)
        assert "; " in sentence and "\n" not in sentence, sentence
        assert len(sentence) <= MAX_SENTENCE, sentence
        return "unsupported" if isinstance(error, UnsupportedOpError) else "refused"
    return "ran"


def main() -> None:
    """Fuzz as the arguments say and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shared", type=Path)
    parser.add_argument("--compiled", action="store_true")
    args = parser.parse_args()
    if args.compiled:
        result = compare_compiled(args.count, args.seed, args.shared)
    else:
        result = fuzz(args.count, args.seed, args.shared, sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
