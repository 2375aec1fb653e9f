"""What runs on a Raspberry Pi, run as there: Debian's Python and NumPy for Arm, under emulation.

The tests of runtime, frontends and streaming run inside; so does `listen` on a minute of sound,
whose words must be those that it hears here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minikws.audio import write_wav
from minikws.cli.main import main

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
MACHINES = {"arm64": "linux_aarch64", "armhf": "linux_armv7l"}
CANNOT = 77  # userland.sh's exit code where this machine lacks something

pytestmark = [pytest.mark.slow, pytest.mark.children]


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    """Return an architecture whose userland works here."""
    tried = python_there(request.param, "-c", "import numpy; print(numpy.__version__)")
    if tried.returncode == CANNOT:
        pytest.skip(tried.stderr.strip())
    assert tried.returncode == 0, tried.stderr
    assert tried.stdout.startswith("1.24.")
    return str(request.param)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with pytest and hypothesis, pure Python."""
    folder = tmp_path_factory.mktemp("packages")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    pure = ["--only-binary=:all:", "--python-version=3.11"]
    pure += [f"--platform={name}" for name in MACHINES.values()]
    done = subprocess.run(
        [*pip, *pure, "-r", str(REPOSITORY / "requirements" / "pi.txt")],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"pip cannot fetch requirements/pi.txt: {done.stderr.strip()[-200:]}")
    return folder


def python_there(
    machine: str, *arguments: str, path: tuple[Path, ...] = (REPOSITORY,), cwd: Path = REPOSITORY
) -> subprocess.CompletedProcess[str]:
    """Run the emulated Python."""
    return subprocess.run(
        ["sh", str(HERE / "userland.sh"), machine, *arguments],
        env={
            **os.environ,
            "PYTHONPATH": ":".join(map(str, path)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HYPOTHESIS_PROFILE": "brief",
        },
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_runtime_frontends_and_streaming(machine: str, packages: Path) -> None:
    done = python_there(
        machine,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not children and not slow"),
        *("tests/runtime", "tests/frontend", "tests/streaming", "tests/test_fixedpoint.py"),
        path=(packages, REPOSITORY),
    )
    print(done.stdout[-4000:], done.stderr[-2000:])
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout


@pytest.fixture(scope="module")
def minute(tone_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model of 250 ms tones and a minute of them."""
    folder = tmp_path_factory.mktemp("minute")
    run = folder / "run"
    argv = ["train", "--data-dir", str(tone_corpus), "--wanted-words", "low,high", "--quiet"]
    argv += ["--clip-duration-ms", "250", "--steps", "60", "--learning-rate", "0.01"]
    assert main([*argv, "--batch-size", "20", "--no-report", "--run-dir", str(run)]) == 0
    assert main(["export", str(run), "--out", str(folder / "tones.tflite"), "--quiet"]) == 0
    rng = np.random.default_rng(3)
    time_s = np.arange(4000) / 16_000
    sound = rng.normal(0, 20, 60 * 16_000)
    for second in range(1, 59, 2):
        tone = 8000 * np.sin(2 * np.pi * rng.choice([300, 2500]) * time_s)
        sound[16_000 * second :][:4000] += tone * (np.abs(time_s - 0.125) < 0.06)
    write_wav(folder / "minute.wav", np.round(sound).astype(np.int16), 16_000)
    return folder


LISTEN = ("listen", "tones.tflite", "minute.wav", "--json", "--quiet", "--stride-ms", "40")
LISTEN += ("--average-window-ms", "120", "--suppression-ms", "500", "--detection-threshold", "0.5")


def test_listen_hears_there_what_it_hears_here(
    machine: str,
    minute: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(minute)
    capsys.readouterr()
    assert main(list(LISTEN)) == 0
    here = capsys.readouterr().out.splitlines()
    done = python_there(machine, "-m", "minikws", *LISTEN, cwd=minute)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == here
    assert {json.loads(line)["label"] for line in here} == {"low", "high"}
    assert len(here) > 15
