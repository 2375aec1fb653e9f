"""Options of the commands whose work can be shared: among processes, or over a Dask cluster."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minikws.workers import Workers


def add_worker_options(parser: argparse.ArgumentParser, *, things: str, default: str = "1") -> None:
    """Add how many jobs, and where they run.

    Parameters
    ----------
    things : what a job takes, as "trainings".
    default : number of jobs, in words.
    """
    group = parser.add_argument_group("sharing the work")
    add = group.add_argument
    add(
        "--jobs",
        type=int,
        metavar="N",
        help=f"{things} at the same time, in processes of their own (default: {default})",
    )
    add("--backend", default="processes", metavar="NAME", help="processes (default) or dask")
    add(
        "--scheduler",
        metavar="ADDRESS",
        help="of Dask, tcp://HOST:8786; start its workers in this folder, they read the same files",
    )


def workers_from(args: argparse.Namespace, *, n_jobs: int = 1) -> Workers:
    """Return who does the work.

    Parameters
    ----------
    n_jobs : where none are given.

    Raises
    ------
    SettingsError : no job, an unknown backend.
    """
    from minikws.workers import Workers

    return Workers(
        n_jobs if args.jobs is None else args.jobs,
        args.backend,
        args.scheduler,
        args.threads,
    )
