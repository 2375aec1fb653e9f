"""minikws doctor: versions, extras, BLAS, threads and the compile cache, for a bug report."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib import metadata
from typing import Any

from minikws.cli.output import Output

HELP = "print versions and what is installed, for a bug report"
EXAMPLE = "minikws doctor"

# What each extra brings, by distribution name.
EXTRAS = {
    "fast": ("numba", "scipy"),
    "train": ("tqdm", "soxr", "tensorboardX"),
    "plots": ("matplotlib",),
    "synth": ("espeakng-loader",),
    "mic": ("sounddevice",),
    "scale": ("joblib", "dask", "distributed"),
    "mqtt": ("paho-mqtt",),
    "notebooks": ("jupyterlab",),
    "parity": ("tensorflow", "tflite-micro", "ai-edge-litert", "pymicro-features", "tflite"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options (it has none of its own)."""


def run(args: argparse.Namespace, out: Output) -> int:
    """Print the report."""
    from minikws import __version__

    record: dict[str, Any] = {
        "minikws": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "numpy": _version("numpy"),
        "blas": _blas(),
        "extras": {extra: {n: _version(n) for n in names} for extra, names in EXTRAS.items()},
        "jit": _jit(),
    }
    out.result(record)
    out.answer(f"minikws {record['minikws']}, Python {record['python']}, NumPy {record['numpy']}")
    out.answer(f"{record['platform']}, {record['cores']} cores; BLAS: {record['blas']}")
    for extra, names in EXTRAS.items():
        found = ", ".join(f"{n} {_version(n) or 'missing'}" for n in names)
        missing = any(_version(n) is None for n in names)
        out.answer(f"{extra:<10} {found}" + (f"   (minikws[{extra}])" if missing else ""))
    for name, value in record["jit"].items():
        out.answer(f"jit {name}: {value}")
    return 0


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _blas() -> str:
    """Return the name and version of NumPy's BLAS."""
    import numpy as np

    try:
        config: Any = np.show_config(mode="dicts")
        blas = config["Build Dependencies"]["blas"]
        return f"{blas['name']} {blas['version']}"
    except (TypeError, KeyError):  # NumPy before 1.26 only prints
        return "unknown"


def _jit() -> dict[str, Any]:
    """Return how kernels are compiled here, and where the compiled code is kept."""
    from minikws._jit import ENABLED

    state: dict[str, Any] = {
        "enabled": ENABLED,
        "MINIKWS_JIT": os.environ.get("MINIKWS_JIT", "not set"),
        "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", "not set (beside the source)"),
    }
    if ENABLED:
        import numba

        state["threads"] = numba.get_num_threads()
    return state
