"""The same work on many items: over this machine's cores, or over a cluster, through joblib.

The work is a function of a module, so that another process can import it. Each item's result comes
once, and whatever happens to a Dask worker on the way: the cluster does its items again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from minikws.errors import RunError, SettingsError, import_extra, nearest

T = TypeVar("T")
R = TypeVar("R")

BACKENDS = ("processes", "dask")
CONNECT_S = 20  # to wait for a scheduler, and then for its first worker


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    n_jobs : items at the same time; 1: this process, one by one. Dask takes as many as its workers
        have threads.
    backend : "processes" of this machine, or "dask".
    scheduler : address of Dask's scheduler, "tcp://host:8786".
    n_threads : of each process, for NumPy, BLAS and Numba; None: an even share of the cores, and
        on Dask 1, as it gives BLAS itself.

    Raises
    ------
    SettingsError : an unknown backend, or no job.
    """

    n_jobs: int = 1
    backend: str = "processes"
    scheduler: str | None = None
    n_threads: int | None = None

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise SettingsError(
                f"unknown backend {self.backend!r}; {nearest(self.backend, BACKENDS)}"
            )
        if self.n_jobs < 1:
            raise SettingsError(f"{self.n_jobs} jobs at the same time are none; give 1 or more")

    @property
    def are_others(self) -> bool:
        """Whether other processes than this one may take part."""
        return self.n_jobs > 1 or self.backend != "processes"


ALONE = Workers()


def run_all(
    work: Callable[[T], R], items: Iterable[T], workers: Workers = ALONE
) -> Iterator[tuple[int, R]]:
    """Yield (number of the item, result) in the order in which they become done.

    Parameters
    ----------
    work : of a module; takes an item and returns what can be pickled, as the items can. Several
        may run in threads of one process (Dask).
    items : taken a few ahead of the work, so that they may be made as they are needed.

    Raises
    ------
    SettingsError : Dask without a scheduler, none at that address, or one without a worker.
    MissingExtraError : joblib, dask or distributed is not installed.
    RunError : a process of this machine was killed.
    MinikwsError : what `work` raises, as it raised it.
    """
    n_jobs = min(workers.n_jobs, len(items)) if isinstance(items, Sized) else workers.n_jobs
    if n_jobs == 0:
        return
    if workers.backend == "processes" and n_jobs == 1:
        yield from ((number, work(item)) for number, item in enumerate(items))
        return
    from concurrent.futures.process import BrokenProcessPool

    joblib = import_extra("joblib", extra="scale", purpose="work on several cores")
    with ExitStack() as until_done:
        if workers.backend == "dask":
            until_done.enter_context(_connect(workers.scheduler))
            n_threads, config = workers.n_threads or 1, joblib.parallel_config("dask")
        else:
            n_threads = workers.n_threads or max(1, (os.cpu_count() or 1) // n_jobs)
            config = joblib.parallel_config("loky", inner_max_num_threads=n_threads)
        until_done.enter_context(config)
        if workers.backend == "dask":
            # For a cluster of one thread joblib would do all the work here.
            cluster, _ = joblib.parallel.get_active_backend()
            n_there = cluster.effective_n_jobs
            cluster.effective_n_jobs = lambda n: max(2, n_there(n))
        pool = joblib.Parallel(
            n_jobs, return_as="generator_unordered", batch_size=1, max_nbytes=None
        )
        there = joblib.delayed(_there)
        try:
            yield from pool(there(work, n, item, n_threads) for n, item in enumerate(items))
        except BrokenProcessPool as error:
            raise RunError(
                "a process was killed at its work, most likely for want of memory; "
                "run fewer --jobs at the same time"
            ) from error


def run_in_order(
    work: Callable[[T], R], items: Iterable[T], workers: Workers = ALONE
) -> Iterator[R]:
    """Yield the items' results in the items' order, each as soon as those before it are done.

    Parameters and errors are those of `run_all`.
    """
    early: dict[int, R] = {}
    turn = 0
    for number, result in run_all(work, items, workers):
        early[number] = result
        while turn in early:
            yield early.pop(turn)
            turn += 1


_kept = threading.local()


def kept(key: str, make: Callable[[], T]) -> T:
    """Return what `make` makes, such as an opened model: once a thread, not once an item.

    Parameters
    ----------
    key : names it; another key's is dropped first.
    """
    if getattr(_kept, "key", None) != key:
        _kept.key = _kept.value = None
        _kept.value = make()
        _kept.key = key
    return cast(T, _kept.value)


def _there(work: Callable[[T], R], number: int, item: T, n_threads: int) -> tuple[int, R]:
    """Do an item's work in another process."""
    # Numba reads it when it is first loaded. The processes of joblib have it already, Dask's not.
    os.environ.setdefault("NUMBA_NUM_THREADS", str(n_threads))
    return number, work(item)


def _connect(scheduler: str | None) -> Any:
    """Return a client of the scheduler, which has a worker."""
    if scheduler is None:
        raise SettingsError(
            "the backend dask needs the address of its scheduler; give --scheduler "
            "tcp://HOST:8786, or start one with: dask scheduler"
        )
    distributed = import_extra("distributed", extra="scale", purpose="work on a Dask cluster")
    try:
        client = distributed.Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"no Dask scheduler answers at {scheduler}; check the address, or start one with: "
            "dask scheduler"
        ) from error
    try:
        client.wait_for_workers(1, timeout=CONNECT_S)
    except TimeoutError as error:
        client.close()
        raise SettingsError(
            f"the Dask scheduler at {scheduler} has no worker; start one with: "
            f"dask worker {scheduler}"
        ) from error
    return client
