"""One clip through micro_speech_quantized: minikws with NumPy alone, TFLite Micro, LiteRT.

    python benchmarks/inference.py [MODEL] [--rounds 300] [--runs 3]

Reasons to doubt the figures: the machine is shared; each side runs a few times before the next
one takes its turn, so its data is in cache; TFLite Micro's wheel has plain reference kernels,
which a device would replace; LiteRT uses XNNPACK, written for each processor by hand.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_WAIT_POLICY"] = "passive"
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_pool] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHARED = Path(__file__).parents[2] / "shared" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    model_file = (
        Path(os.environ.get("MINIKWS_SHARED", SHARED)) / "tflm/micro_speech_quantized.tflite"
    )
    parser.add_argument("model", nargs="?", type=Path, default=model_file)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3, help="runs a turn")
    args = parser.parse_args()
    if not args.model.is_file():
        print(f"{args.model} is absent; give the path of an int8 .tflite file")
        return

    import numpy as np
    from ai_edge_litert.interpreter import Interpreter as LiteRT
    from tflite_micro.python.tflite_micro import runtime

    from minikws.runtime import Interpreter

    ours = Interpreter(args.model)
    micro = runtime.Interpreter.from_file(str(args.model))
    lite = LiteRT(str(args.model), num_threads=1)
    lite.allocate_tensors()
    given, result = (
        side()[0]["index"] for side in (lite.get_input_details, lite.get_output_details)
    )
    rng = np.random.default_rng(59185)
    x = rng.integers(-128, 128, ours.inputs[0].shape, np.int8)

    def run_micro() -> object:
        micro.set_input(x, 0)
        micro.invoke()
        return micro.get_output(0)

    def run_lite() -> object:
        lite.set_tensor(given, x)
        lite.invoke()
        return lite.get_tensor(result)

    contestants: dict[str, Callable[[], object]] = {
        "minikws (NumPy)": lambda: ours.invoke(x),
        "tflite-micro": run_micro,
        "LiteRT (XNNPACK)": run_lite,
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(args.rounds + 2):
        for name, run in contestants.items():
            start = time.perf_counter()
            for _ in range(args.runs):
                run()
            if number >= 2:  # the first turns warm up
                times[name].append((time.perf_counter() - start) / args.runs)
    np.testing.assert_array_equal(ours.invoke(x), run_micro())
    assert "numba" not in sys.modules

    print(f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"{args.model.name}, median of {args.rounds} turns of {args.runs} runs, one thread")
    own = statistics.median(times["minikws (NumPy)"])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:<18} {median * 1e6:8.1f} us   ratio {median / own:5.2f}")
    batch = rng.integers(-128, 128, (1000, *ours.inputs[0].shape[1:]), np.int8)
    start = time.perf_counter()
    ours.invoke(batch)
    print(f"minikws, 1000 clips in one call: {(time.perf_counter() - start) * 1e3:.1f} us a clip")


if __name__ == "__main__":
    main()
