"""Damaged models: a sentence or a result, in a second and 256 MB; nothing else.

The short run is a part of every test run; the deep one takes 200,000, `MINIKWS_FUZZ` so many.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from minikws._jit import ENABLED
from minikws.errors import MinikwsError
from minikws.runtime.limits import MAX_BYTES
from minikws.runtime.ops import OPS
from tests.tflite import fuzzing
from tests.tflite.every_op import every_op
from tests.tflite.mutations import stretched

COUNT = int(os.environ.get("MINIKWS_FUZZ") or (200_000 if settings().max_examples > 100 else 2_000))
ROOT = Path(__file__).parents[2]
PARTS = 2  # processes, which run side by side


def run_child(count: int, seed: int, *flags: str, **environment: str) -> dict[str, Any]:
    shared = Path(os.environ.get("MINIKWS_SHARED", ROOT.parent / "shared" / "data"))
    command = [sys.executable, "-m", "tests.tflite.fuzzing", *flags]
    command += ["--count", str(count), "--seed", str(seed)]
    if shared.is_dir():
        command += ["--shared", str(shared)]
    child = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert child.returncode == 0, child.stderr[-3000:]
    result: dict[str, Any] = json.loads(child.stdout)
    return result


@pytest.mark.parametrize("seed", range(PARTS))
def test_damaged_models_give_a_sentence_or_a_result(seed: int) -> None:
    # Threads would each take address space, of which the child has little.
    result = run_child(COUNT // PARTS, seed, OPENBLAS_NUM_THREADS="1", MINIKWS_JIT="0")
    print(result)
    assert result["ran"] + result["refused"] + result["unsupported"] == COUNT // PARTS
    assert result["ran"] > COUNT // 100 and result["refused"] > COUNT // 10


@pytest.mark.skipif(not ENABLED, reason="compiled calls need Numba, and MINIKWS_JIT other than 0")
def test_damaged_models_give_the_same_in_compiled_calls() -> None:
    assert run_child(COUNT // 10, 7, "--compiled")["ran"] > COUNT // 400


def test_every_operator_is_a_seed() -> None:
    names = {op.name for graph in every_op().values() for s in graph.subgraphs for op in s.ops}
    assert names >= OPS.keys()


@pytest.mark.parametrize("name", every_op())
def test_the_undamaged_seeds_run(name: str) -> None:
    fuzzing.exercise(every_op()[name])


@pytest.mark.parametrize("name", every_op())
def test_the_largest_models_that_are_taken_stay_within_memory(name: str) -> None:
    graph = every_op()[name]
    sizes = {n for s in graph.subgraphs for t in s.tensors for n in t.shape if t.data is None}
    ran = 0
    for old in sizes:
        for exponent in range(24, 4, -1):
            parts = tuple(stretched(s, old, 2**exponent) for s in graph.subgraphs)
            tracemalloc.start()
            try:
                with fuzzing.leash(fuzzing.MAX_SECONDS):
                    fuzzing.exercise(replace(graph, subgraphs=parts))
                ran += 1
                break
            except MinikwsError:
                pass
            finally:
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
        assert peak <= 1.2 * MAX_BYTES
    assert ran > 0 or len(graph.main.ops) > 1  # whose shapes must fit each other
