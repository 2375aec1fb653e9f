"""What the frontends' benchmarks share: contestants in turn, one thread pool, the same clips."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any


def median_ms(
    contestants: dict[str, Callable[[], object]], *, rounds: int, pause_ms: float
) -> dict[str, float]:
    """Run all in turn, `rounds` times after a warm-up; return the median of each."""
    for run in contestants.values():
        run()
        run()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            time.sleep(pause_ms / 1000)
            start = time.perf_counter()
            run()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def read_arguments(doc: str) -> argparse.Namespace:
    """Read the options and bound every pool of threads; call it before NumPy is imported."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pause-ms", type=float, default=0.0)
    args = parser.parse_args()
    os.environ["OMP_WAIT_POLICY"] = "passive"  # a spinning worker would slow the references
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(args.threads)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return args


def noise_clips(n_clips: int) -> Any:
    """Return (n_clips, 16000) int16: noise with speech's loudness."""
    import numpy as np

    rng = np.random.default_rng(0)
    loudness = np.abs(np.sin(np.linspace(0, 9, 16000)))
    clips = np.clip(rng.normal(0, 2000, (n_clips, 16000)) * loudness, -32768, 32767)
    return clips.astype(np.int16)
