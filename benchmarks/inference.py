"""One clip through int8 models: minikws plain and compiled, TFLite Micro, LiteRT twice.

    python benchmarks/inference.py [MODEL ...] [--rounds 300] [--runs 3]

Every run sets the input and reads the output, on one thread. Beside it: how long a new process
takes from `import minikws.runtime` to its first scores, NumPy being there already.

Reasons to doubt the figures: the machine is shared, so compare ratios, and those of the fastest
turns where the medians waver; each side runs a few times before the next one takes its turn, so
its data is in cache; TFLite Micro's wheel has plain reference kernels, which a device would
replace; LiteRT's other side is XNNPACK, written for each processor by hand.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_WAIT_POLICY"] = "passive"
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_pool] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHARED = Path(os.environ.get("MINIKWS_SHARED", Path(__file__).parents[2] / "shared" / "data"))
MODELS = ("micro_speech_quantized.tflite", "mlperf_tiny_kws_ref_model.tflite")

FIRST_RESULT = """
import resource, sys, time
import numpy as np
def now():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), usage.ru_utime + usage.ru_stime
start = now()
from minikws.runtime import Interpreter
model = Interpreter(sys.argv[1], compiled=sys.argv[2] == "compiled")
model.invoke(np.zeros(model.inputs[0].shape, np.int8))
print(*(1e3 * (end - begin) for begin, end in zip(start, now())))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3, help="runs a turn")
    parser.add_argument("--starts", type=int, default=7, help="new processes to time")
    args = parser.parse_args()
    import numpy as np

    print(f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}")
    models = args.models or [SHARED / "tflm" / name for name in MODELS]
    for model in models:
        if not model.is_file():
            print(f"{model} is absent; give the paths of int8 .tflite files")
            return
        compare(model, args.rounds, args.runs)
    for form in ("plain", "compiled"):
        first_result(models[0], form, args.starts)


def compare(model: Path, rounds: int, runs: int) -> None:
    """Run all in turn and print their times."""
    import numpy as np

    from minikws.runtime import Interpreter

    plain, compiled = Interpreter(model), Interpreter(model)
    compile_s = compiled.compile()
    x = np.random.default_rng(59185).integers(-128, 128, plain.inputs[0].shape, np.int8)
    contestants = {
        "minikws, NumPy": lambda: plain.invoke(x),
        "minikws, compiled": lambda: compiled.invoke(x),
        "TFLite Micro": tflite_micro(model, x),
        "LiteRT, reference": litert(model, x, reference=True),
        "LiteRT, XNNPACK": litert(model, x, reference=False),
    }
    if compile_s is None:
        del contestants["minikws, compiled"]
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 2):
        for name, run in contestants.items():
            start = time.perf_counter()
            for _ in range(runs):
                run()
            if number >= 2:  # the first turns warm up
                times[name].append((time.perf_counter() - start) / runs)
    for name in ("minikws, NumPy", "minikws, compiled"):
        if name in contestants:
            np.testing.assert_array_equal(contestants[name](), contestants["TFLite Micro"]())

    print(f"\n{model.name}, {rounds} turns of {runs} runs, one thread")
    print(f"{'':<18}   median  fastest     us a clip; of its fastest, minikws takes")
    fastest = {name: min(values) for name, values in times.items()}
    for name, values in times.items():
        shares = [
            f"{fastest[own] / fastest[name]:6.2f} ({own.split(', ')[1]})"
            for own in ("minikws, NumPy", "minikws, compiled")
            if own in fastest and not name.startswith("minikws")
        ]
        medians = f"{statistics.median(values) * 1e6:8.1f} {fastest[name] * 1e6:8.1f}"
        print(f"{name:<18} {medians}    {'  '.join(shares)}")
    batch = np.random.default_rng(0).integers(-128, 128, (900, *x.shape[1:]), np.int8)
    for name, own in (("NumPy", plain), ("compiled", compiled)):
        start = time.perf_counter()
        own.invoke(batch)
        print(
            f"900 clips in one call, {name}: {(time.perf_counter() - start) / 9e-4:.1f} us a clip"
        )
    if compile_s is not None:
        print(f"machine code ready after {compile_s:.2f} s, Numba's import included")


def tflite_micro(model: Path, x: Any) -> Callable[[], Any]:
    """Return a run of the Python wheel."""
    from tflite_micro.python.tflite_micro import runtime

    micro = runtime.Interpreter.from_file(str(model))

    def run() -> Any:
        micro.set_input(x, 0)
        micro.invoke()
        return micro.get_output(0)

    return run


def litert(model: Path, x: Any, *, reference: bool) -> Callable[[], Any]:
    """Return a run of LiteRT, by its reference kernels or by XNNPACK."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kind = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    lite = Interpreter(str(model), num_threads=1, experimental_op_resolver_type=kind)
    lite.allocate_tensors()
    given = lite.get_input_details()[0]["index"]
    result = lite.get_output_details()[0]["index"]

    def run() -> Any:
        lite.set_tensor(given, x)
        lite.invoke()
        return lite.get_tensor(result)

    return run


def first_result(model: Path, form: str, starts: int) -> None:
    """Print how long new processes take to their first scores, NumPy not counted."""
    command = [sys.executable, "-c", FIRST_RESULT, str(model), form]
    times = []
    for _ in range(starts + 1):  # the first fills the caches
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        times.append([float(word) for word in done.stdout.split()])
    wall, cpu = (statistics.median(column) for column in zip(*times[1:], strict=True))
    print(f"\nfirst result after `import numpy`, {form}: {wall:.0f} ms ({cpu:.0f} ms of processor)")


if __name__ == "__main__":
    main()
