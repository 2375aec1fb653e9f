"""Times and memory: contestants that run in turn, the spread of their times, the peak of RAM.

Absolute times on a shared machine mean little; contestants that take turns meet the same
disturbances, so that their ratios hold. `minikws bench` shows both.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

import numpy as np

# Runs n times, one after the other; returns the seconds of each run.
Contestant: TypeAlias = Callable[[int], Sequence[float]]

RUNS_A_TURN = 3
MINIMUM_ROUNDS = 3


@dataclass(frozen=True)
class Spread:
    """What many runs took, in seconds: their mean, median and 95th percentile; how many."""

    mean_s: float
    p50_s: float
    p95_s: float
    count: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        """Sum up times, one or more."""
        p50, p95 = np.percentile(np.asarray(seconds, np.float64), (50, 95)).tolist()
        return cls(sum(seconds) / len(seconds), p50, p95, len(seconds))


def repeat(work: Callable[[], object], runs: int) -> list[float]:
    """Run `work` and return the seconds of each run."""
    seconds = []
    for _ in range(runs):
        start = perf_counter()
        work()
        seconds.append(perf_counter() - start)
    return seconds


def take_turns(
    contestants: Mapping[str, Contestant], *, rounds: int, at_most_s: float = 60.0
) -> dict[str, Spread]:
    """Let every contestant run in every round; return the spread of each.

    Parameters
    ----------
    contestants : by name, in the order of their turns.
    rounds : turns of each; in a turn the first run, which finds cold caches, does not count.
    at_most_s : no further round starts after so many seconds, beyond the first few.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        run(2)  # memory is allocated, pages are touched
    start = perf_counter()
    for number in range(rounds):
        if number >= MINIMUM_ROUNDS and perf_counter() - start > at_most_s:
            break
        for name, run in contestants.items():
            seconds[name] += run(1 + RUNS_A_TURN)[1:]
    return {name: Spread.of(values) for name, values in seconds.items()}


def peak_memory_bytes() -> int | None:
    """Return the most RAM this process has held so far, None where the system does not say."""
    status = Path("/proc/self/status")
    if status.is_file():
        # getrusage's figure survives exec: a child would report its parent's peak.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
