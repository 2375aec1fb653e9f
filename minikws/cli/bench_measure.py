"""What `minikws bench` measures: contestants that take turns, operators, memory, budgets."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minikws import __version__
from minikws._jit import ENABLED
from minikws._typing import Array, Samples
from minikws.audio import read_clip
from minikws.cli.model_inputs import Given, cut, frontend_of, random_inputs, to_input
from minikws.cli.output import Output
from minikws.errors import ModelFileError, SettingsError, nearest
from minikws.frontend import FRONTENDS
from minikws.pipeline import Model
from minikws.runtime import Interpreter, Summary, plan, summarize
from minikws.runtime.measure import (
    RUNS_A_TURN,
    Contestant,
    Spread,
    peak_memory_bytes,
    repeat,
    take_turns,
)
from minikws.runtime.references import (
    REFERENCES,
    Reference,
    Refused,
    arena_for,
    installed_references,
)

if TYPE_CHECKING:
    from minikws.frontend import Frontend
    from minikws.graph import Graph

# TensorFlow's copy of LiteRT takes a quarter of a minute to load and is the same code.
USUAL = ("tflm", "litert-reference", "litert")
NUMPY, COMPILED = "minikws (NumPy)", "minikws (compiled)"
PROFILE_ROUNDS = 30


def measure(path: str, args: argparse.Namespace, out: Output) -> dict[str, Any]:
    """Measure a model file; return the record that `--json` prints."""
    interpreter = Interpreter(path)
    graph = interpreter.graph
    frontend = frontend_of(graph, args.frontend)
    given, clip = _sound(graph, frontend, path, args, out)
    data = Path(path).read_bytes()
    contestants: dict[str, Contestant] = {}
    if frontend is not None and clip is not None:
        contestants |= _with_sound(interpreter, frontend, clip)
    else:
        out.say(f"{path} names no frontend: the model alone is timed (--frontend KIND adds it)")
    first = given.rounds[0]
    named = dict(zip([t.name for t in interpreter.inputs], first, strict=True))
    contestants[NUMPY] = _timed(lambda: interpreter.run(named))
    for run in contestants.values():
        run(1)
    memory = {NUMPY: peak_memory_bytes()}  # before Numba comes in
    if ENABLED:
        out.say("making the compiled form (once on a machine; MINIKWS_JIT=0 leaves it out)")
    compiled = Interpreter(path)
    compile_s = compiled.compile()
    if compile_s is not None:
        contestants[COMPILED] = _timed(lambda: compiled.run(named))
        contestants[COMPILED](1)
        memory[COMPILED] = peak_memory_bytes()
    with ExitStack() as stack:
        references, absent = _references(args.references, graph, data, first, stack)
        for reference in references:
            contestants[reference.title] = _asked(reference, first)
        spreads = take_turns(contestants, rounds=args.rounds, at_most_s=args.max_secs)
        memory |= {reference.title: reference.peak_memory_bytes() for reference in references}
        versions = {reference.title: reference.version for reference in references}
    summary = summarize(graph)
    whole = spreads.get("clip", spreads[NUMPY])
    milliseconds = 1000 * whole.mean_s
    return {
        "model": path,
        "bytes": len(data),
        "parameters": summary.parameters,
        "multiply_adds": summary.multiply_adds,
        "arena_bytes": plan(graph, path).arena_bytes,
        "peak_memory_bytes": memory[NUMPY],
        "compile_seconds": compile_s,
        "input": given.what,
        "frontend": frontend.settings.kind if frontend else None,
        "rounds": whole.count // RUNS_A_TURN,
        "clip": _record(spreads.get("clip")),
        "features": _record(spreads.get("features")),
        "stream": _stream(spreads, interpreter, frontend),
        "runtimes": [
            {
                "name": name,
                "version": versions.get(name, f"minikws {__version__}"),
                **(_record(spread) or {}),
                "ratio": spread.p50_s / spreads[NUMPY].p50_s,
                "peak_memory_bytes": memory[name],
            }
            for name, spread in spreads.items()
            if name in memory
        ],
        "not_measured": absent,
        "ops": _operators(interpreter, first, summary),
        "budget": {
            "milliseconds": args.budget_ms,
            "bytes": args.budget_bytes,
            "milliseconds_found": milliseconds,
            "bytes_found": len(data),
            "within": milliseconds <= args.budget_ms and len(data) <= args.budget_bytes,
        },
    }


def _sound(
    graph: Graph, frontend: Frontend | None, path: str, args: argparse.Namespace, out: Output
) -> tuple[Given, Samples | None]:
    """Return the model's input, and the clip (N,) of the model's length that it was made from."""
    if frontend is None:
        if args.clip:
            raise ModelFileError(
                f"{path} does not say which frontend it was trained with; "
                f"give it, as --frontend {'|'.join(FRONTENDS)}, or leave the clip out"
            )
        return random_inputs(graph, 1, args.seed), None
    settings = frontend.settings
    n = settings.clip_samples
    if args.clip:
        rate = settings.sample_rate_hz
        samples, what = read_clip(args.clip, sample_rate_hz=rate, on_message=out.say), args.clip
    else:
        rng = np.random.default_rng(args.seed)
        samples = np.clip(rng.normal(0, 2000, n), -32768, 32767).astype(np.int16)
        what = "noise"
    clip = np.zeros(n, np.int16)
    clip[: min(n, len(samples))] = samples[:n]
    values = to_input(graph, frontend.extract(clip), frontend)
    return Given(cut(graph, values, settings.n_features), what, clip, frontend), clip


def _with_sound(
    interpreter: Interpreter, frontend: Frontend, clip: Samples
) -> dict[str, Contestant]:
    """Return a clip's features and model, its features alone; a hop of a stream, its features."""
    n_outputs = int(np.prod(interpreter.outputs[0].shape))
    model = Model(interpreter, frontend, [str(i) for i in range(n_outputs)])
    settings = frontend.settings
    stream, frames = model.stream(every_ms=settings.hop_ms), frontend.stream()
    stream.push(clip)
    frames.push(clip)
    hops = [
        clip[start : start + settings.hop_samples]
        for start in range(0, len(clip) - settings.hop_samples + 1, settings.hop_samples)
    ]
    endless, again = cycle(hops), cycle(hops)
    return {
        "clip": _timed(lambda: model.outputs(clip[None])),
        "features": _timed(lambda: frontend.extract(clip[None])),
        "stream": _timed(lambda: stream.push(next(endless))),
        "hop": _timed(lambda: frames.push(next(again))),
    }


def _references(
    wanted: str | None,
    graph: Graph,
    data: bytes,
    inputs: Sequence[Array],
    stack: ExitStack,
) -> tuple[list[Reference], list[dict[str, str]]]:
    """Start the references; return those that run the model, and why the others do not.

    Raises
    ------
    SettingsError : an unknown name.
    """
    installed = installed_references()
    if wanted is None:
        names = list(USUAL)
    else:
        names = [n for n in wanted.replace("_", "-").split(",") if n and n != "none"]
    ready, absent = [], []
    for name in names:
        if name not in REFERENCES:
            raise SettingsError(f"unknown runtime {name!r}; {nearest(name, [*REFERENCES, 'none'])}")
        kind = REFERENCES[name]
        if name not in installed:
            reason = f"{kind.package} is not installed (pip install 'minikws[parity]')"
            absent.append({"name": kind.title, "reason": reason})
            continue
        reference = stack.enter_context(Reference(name))
        try:
            reference.load(
                data,
                n_outputs=len(graph.main.outputs),
                arena_bytes=arena_for(graph, len(data)),
            )
            reference.run([inputs])
        except Refused as error:
            absent.append({"name": kind.title, "reason": str(error)})
        else:
            ready.append(reference)
    return ready, absent


def _timed(work: Callable[[], object]) -> Contestant:
    return lambda runs: repeat(work, runs)


def _asked(reference: Reference, inputs: Sequence[Array]) -> Contestant:
    return lambda runs: reference.seconds(inputs, runs)


def _operators(
    interpreter: Interpreter, inputs: Sequence[Array], summary: Summary
) -> list[dict[str, Any]]:
    """Time the operators, on the input where it is the only one."""
    single = len(interpreter.inputs) == len(interpreter.outputs) == 1
    times = interpreter.profile(inputs[0] if single else None, rounds=PROFILE_ROUNDS)
    return [
        {
            "op": f"{time.index + 1} {time.name}",
            "name": time.name,
            "output": list(row.output_shape),
            "multiply_adds": row.multiply_adds,
            "microseconds": 1e6 * time.seconds,
            "share": time.share,
        }
        for time, row in zip(times, summary.ops, strict=True)
    ]


def _record(spread: Spread | None) -> dict[str, float] | None:
    """Return a spread for JSON, in milliseconds."""
    if spread is None:
        return None
    return {
        "mean_ms": 1000 * spread.mean_s,
        "p50_ms": 1000 * spread.p50_s,
        "p95_ms": 1000 * spread.p95_s,
    }


def _stream(
    spreads: Mapping[str, Spread], interpreter: Interpreter, frontend: Frontend | None
) -> dict[str, Any] | None:
    """Return what a hop takes, and which share of real time that is, by how often it asks.

    A model with a memory runs at every frame; another may be asked at every k-th hop, which costs
    k hops of features and one run. The medians count.
    """
    record = _record(spreads.get("stream"))
    if record is None or frontend is None:
        return None
    hop_ms = frontend.settings.hop_ms
    shares = [{"every_ms": hop_ms, "share": record["p50_ms"] / hop_ms}]
    if not interpreter.has_memory:
        hop, run = 1000 * spreads["hop"].p50_s, 1000 * spreads[NUMPY].p50_s
        shares += [
            {"every_ms": k * hop_ms, "share": (k * hop + run) / (k * hop_ms)} for k in (2, 5, 10)
        ]
    return {**record, "hop_ms": hop_ms, "shares_of_real_time": shares}
