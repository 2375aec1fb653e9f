"""The same work on many items: over this machine's cores, or over a cluster, through joblib.

The work is a function of a module, so that another process can import it. What comes back comes
as soon as it is done, each item's once, whatever happens to a worker on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any, TypeVar

from minikws.errors import SettingsError, import_extra, nearest

T = TypeVar("T")
R = TypeVar("R")

BACKENDS = ("processes", "dask")
CONNECT_S = 20  # to wait for a scheduler


def run_all(
    work: Callable[[T], R],
    items: Sequence[T],
    *,
    n_jobs: int = 1,
    backend: str = "processes",
    scheduler: str | None = None,
    n_threads: int = 1,
) -> Iterator[tuple[int, R]]:
    """Yield (number of the item, result) in the order in which they become done.

    Parameters
    ----------
    work : of a module; takes an item and returns what can be pickled, as the items can.
    n_jobs : items at the same time; with 1 all are done here, one by one.
    backend : "processes" of this machine, or "dask".
    scheduler : address of Dask's scheduler, "tcp://host:8786".
    n_threads : of each process, for NumPy, BLAS and Numba.

    Raises
    ------
    SettingsError : an unknown backend, Dask without a scheduler, or none at that address.
    MissingExtraError : joblib, dask or distributed is not installed.
    """
    if backend not in BACKENDS:
        raise SettingsError(f"unknown backend {backend!r}; {nearest(backend, BACKENDS)}")
    if n_jobs < 1:
        raise SettingsError(f"{n_jobs} jobs at the same time are none; give 1 or more")
    if backend == "processes" and (n_jobs == 1 or (len(items) < 2 and not find_spec("joblib"))):
        yield from ((number, work(item)) for number, item in enumerate(items))
        return
    joblib = import_extra("joblib", extra="scale", purpose="work on several cores")
    with ExitStack() as until_done:
        if backend == "dask":
            until_done.enter_context(_connect(scheduler))
            until_done.enter_context(
                joblib.parallel_config(backend="dask", wait_for_workers_timeout=60)
            )
            pool = joblib.Parallel(return_as="generator_unordered", batch_size=1)
        else:
            until_done.enter_context(
                joblib.parallel_config(backend="loky", inner_max_num_threads=n_threads)
            )
            pool = joblib.Parallel(n_jobs, return_as="generator_unordered", batch_size=1)
        numbered = joblib.delayed(_numbered)
        done: set[int] = set()
        for number, result in pool(numbered(work, n, item) for n, item in enumerate(items)):
            if number not in done:  # a worker that was lost may have reported already
                done.add(number)
                yield number, result


def _numbered(work: Callable[[T], R], number: int, item: T) -> tuple[int, R]:
    return number, work(item)


def _connect(scheduler: str | None) -> Any:
    if scheduler is None:
        raise SettingsError(
            "the backend dask needs the address of its scheduler; give --scheduler "
            "tcp://HOST:8786, or start one with: dask scheduler"
        )
    distributed = import_extra("distributed", extra="scale", purpose="work on a Dask cluster")
    try:
        return distributed.Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"no Dask scheduler answers at {scheduler}; check the address, or start one with: "
            "dask scheduler"
        ) from error
