"""Who may import whom, and what a light machine never loads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = ("numba", "scipy", "matplotlib", "soxr", "tqdm", "tensorflow")


def loaded_after(statement: str, **environment: str) -> set[str]:
    """Run a statement in a fresh process; return the names of its loaded modules."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "minikws.runtime",
        "minikws.pipeline",
        "minikws.frontend",
        "minikws.audio",
        "minikws.streaming.sources",
        "minikws.streaming.microphone",
    ],
)
def test_the_runtime_side_needs_numpy_alone(module: str) -> None:
    loaded = loaded_after(f"import {module}")
    assert not loaded & set(HEAVY)
    assert not {"minikws.nn", "minikws.train", "minikws.data"} & loaded
    assert "numpy" in loaded


def test_the_package_itself_imports_nothing_heavy() -> None:
    assert "numpy" not in loaded_after("import minikws")


def test_help_is_instant() -> None:
    loaded = loaded_after("from minikws.cli.main import main; main(['--help'])")
    assert "numpy" not in loaded


def test_contracts_of_the_floors() -> None:
    pytest.importorskip("importlinter", reason="import-linter absent: pip install 'minikws[dev]'")
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_public_names_are_there() -> None:
    import minikws

    for name in minikws.__all__:
        assert getattr(minikws, name) is not None, name
    assert set(minikws.__all__) <= set(dir(minikws))
    with pytest.raises(AttributeError, match="no_such_name"):
        minikws.no_such_name  # noqa: B018
