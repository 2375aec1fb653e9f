"""Damaged files through reader and interpreter: a sentence or a result, nothing else.

`MINIKWS_FUZZ=20000` runs that many files.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from minikws.errors import MinikwsError
from minikws.runtime import Interpreter, plan, summarize
from minikws.tflite import attach, info_of, labels_of, write_model
from tests.tflite import tiny

COUNT = int(os.environ.get("MINIKWS_FUZZ", "300"))
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def seeds_for_fuzzing() -> list[bytes]:
    info = {"labels": ["a", "b", "c"], "frontend": {"kind": "micro"}}
    models = [
        write_model(attach(tiny.keyword_model(), info)),
        write_model(tiny.keyword_model(dtype="float32")),
        write_model(tiny.conv(depthwise=True, channels=2)),
    ]
    shared = Path(os.environ.get("MINIKWS_SHARED", Path(__file__).parents[3] / "shared" / "data"))
    return models + [path.read_bytes() for path in sorted((shared / "tflm").glob("*.tflite"))]


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip bits, cut, copy a part elsewhere, or write an extreme number, a few times."""
    out = bytearray(data)
    # Most of a file is weights, which may hold anything: aim at its tables half of the time.
    tables = np.flatnonzero(np.frombuffer(data[: len(data) // 4 * 4], "<u4") < 4096) * 4
    for _ in range(rng.integers(1, 5)):
        kind = rng.integers(0, 5)
        at = int(rng.choice(tables)) if rng.random() < 0.5 else int(rng.integers(0, len(data)))
        if kind == 0:
            for place in rng.integers(0, len(out), rng.integers(1, 9)):
                out[place] ^= 1 << rng.integers(0, 8)
        elif kind == 1 and rng.random() < 0.3:
            out = out[: rng.integers(8, len(out))]
        elif kind == 2:
            length = int(rng.integers(1, 64))
            source = int(rng.integers(0, max(1, len(out) - length)))
            out[at : at + length] = out[source : source + length]
        elif kind == 3:
            out[at : at + 4] = int(rng.choice(EXTREMES)).to_bytes(4, "little")
        else:
            word = int.from_bytes(out[at : at + 4], "little")
            moved = (word + int(rng.integers(-16, 17))) % 2**32
            out[at : at + 4] = moved.to_bytes(4, "little")
        if len(out) < 16:
            break
    return bytes(out)


def exercise(data: bytes) -> bool:
    """Read, look at, prepare and run a model; return whether it ran."""
    model = Interpreter(data)
    info_of(model.graph)
    labels_of(model.graph)
    plan(model.graph)
    summarize(model.graph)
    inputs = model.inputs
    if sum(int(np.prod(tensor.shape)) for tensor in inputs) > 10**6:
        return False
    model.run({tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in inputs})
    return True


def test_damaged_files_give_a_sentence_or_a_result(tmp_path: Path) -> None:
    rng = np.random.default_rng(59185)
    models = seeds_for_fuzzing()
    ran = refused = 0
    with np.errstate(all="ignore"):  # damaged float weights may overflow
        for number in range(COUNT):
            data = mutate(models[number % len(models)], rng)
            try:
                ran += exercise(data)
            except MinikwsError as error:
                refused += 1
                assert "; " in str(error), error
            except Exception as error:
                path = tmp_path / f"{number}.tflite"
                path.write_bytes(data)
                raise AssertionError(f"{path}: {error!r}") from error
    assert ran > 0 and refused > 0
