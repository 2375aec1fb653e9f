"""minikws bench: what it measures, and its budgets. No test asserts how long anything takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws._jit import ENABLED
from minikws.audio import write_wav
from minikws.cli.main import main
from minikws.runtime import interpreter
from minikws.settings import MicroSettings
from minikws.tflite import attach, write_model
from tests.tflite import tiny

SETTINGS = MicroSettings(n_mels=20, clip_ms=70)  # fills the tiny model's 60 inputs
QUICK = ("--rounds", "1", "--references", "none")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the compiled form, which takes seconds to get ready where it is not on disk."""
    monkeypatch.setattr(interpreter, "ENABLED", False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    info = {"labels": ["_silence_", "yes", "no"], "frontend": SETTINGS.to_json()}
    path = tmp_path / "model.tflite"
    path.write_bytes(write_model(attach(tiny.keyword_model(), info)))
    return path


def bench(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["bench", *map(str, argv), *QUICK, "--json", "--quiet"])
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return code, found


def test_what_is_measured(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = bench(capsys, model, "--budget-ms", "1e9")
    assert code == 0
    assert found["bytes"] == model.stat().st_size
    assert found["multiply_adds"] == sum(op["multiply_adds"] for op in found["ops"])
    assert [op["name"] for op in found["ops"]][:2] == ["RESHAPE", "DEPTHWISE_CONV_2D"]
    assert sum(op["share"] for op in found["ops"]) == pytest.approx(1)
    for part in (found["clip"], found["features"], found["stream"], found["runtimes"][0]):
        assert 0 < part["p50_ms"] <= part["p95_ms"]
        assert part["mean_ms"] > 0
    assert found["stream"]["hop_ms"] == 20
    every = [share["every_ms"] for share in found["stream"]["shares_of_real_time"]]
    assert every == [20, 40, 100, 200]
    assert found["runtimes"][0]["ratio"] == 1
    assert found["not_measured"] == []
    assert (found["input"], found["frontend"]) == ("noise", "micro")


@pytest.mark.slow
@pytest.mark.skipif(not ENABLED, reason="compiled twins are off: MINIKWS_JIT=0")
def test_the_compiled_form_is_measured_beside_the_plain_one(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter, "ENABLED", True)
    code, found = bench(capsys, model, "--budget-ms", "1e9")
    assert code == 0
    assert [runtime["name"] for runtime in found["runtimes"]] == [
        "minikws (NumPy)",
        "minikws (compiled)",
    ]
    assert found["compile_seconds"] > 0
    monkeypatch.setattr(interpreter, "ENABLED", False)
    assert bench(capsys, model, "--budget-ms", "1e9")[1]["compile_seconds"] is None


def test_the_budgets(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = model.stat().st_size
    code, found = bench(capsys, model, "--budget-ms", "1e9", "--budget-bytes", str(size))
    assert (code, found["budget"]["within"]) == (0, True)
    code, found = bench(capsys, model, "--budget-ms", "1e9", "--budget-bytes", str(size - 1))
    assert (code, found["budget"]["within"]) == (3, False)
    code, found = bench(capsys, model, "--budget-ms", "1e-9")
    assert (code, found["budget"]["bytes"]) == (3, 5_000_000)


def test_tables(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_wav(tmp_path / "clip.wav", np.zeros(2000, np.int16), 16_000)
    argv = [str(model), str(clip), *QUICK, "--budget-ms", "1e9", "--show-type", "--show-time=1"]
    assert main(["bench", *argv]) == 0
    shown = capsys.readouterr().out
    for words in (
        *("clip, features and model", "stream, a hop of 20 ms", "share of real time"),
        *("minikws (NumPy)", "2 DEPTHWISE_CONV_2D", "1x5x3x4", "kind", "bytes, within"),
        *(f"on {clip}", "arena"),
    ):
        assert words in shown
    assert shown.count("4 FULLY_CONNECTED") == 2  # in the order of the run, and of time


def test_a_model_without_a_frontend(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bare.tflite"
    path.write_bytes(write_model(tiny.keyword_model()))
    code, found = bench(capsys, path, "--budget-ms", "1e9")
    assert (code, found["clip"], found["features"], found["stream"]) == (0, None, None, None)
    assert found["input"] == "1 random input (seed 59185)"
    assert main(["bench", str(path), *QUICK, "--budget-ms", "1e9"]) == 0
    assert "names no frontend: the model alone is timed" in capsys.readouterr().err


def test_the_tutorials_spelling(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [f"--graph={model}", "--input_layer=decoded_sample_data:0", "--show_flops=true"]
    argv += ["--show_run_order=false", "--num_runs=1", "--num_threads=1", "--references=none"]
    assert main(["benchmark_model", *argv, "--budget_ms=1e9"]) == 0
    shown = capsys.readouterr()
    assert "FULLY_CONNECTED" not in shown.out
    assert "--input-layer has no meaning here: the file names its inputs" in shown.err
    assert "--show-flops has no meaning here: it is always shown" in shown.err
    assert "every runtime has one thread" in shown.err


def test_bad_input_is_one_sentence(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusal(*argv: str | Path, code: int = 1) -> str:
        capsys.readouterr()
        assert main(["bench", *map(str, argv), "--quiet"]) == code
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "bench needs a model" in refusal(code=2)
    assert "--rounds 0 is below 1" in refusal(model, "--rounds", "0")
    assert "--budget-ms 0.0 is not above 0" in refusal(model, "--budget-ms", "0")
    assert "--max-secs nan is not above 0" in refusal(model, "--max-secs", "nan")
    assert "unknown runtime 'tlfm'; did you mean tflm" in refusal(model, "--references", "tlfm")
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(write_model(tiny.keyword_model()))
    assert "or leave the clip out" in refusal(bare, tmp_path / "clip.wav")
    assert "absent.tflite cannot be read" in refusal(tmp_path / "absent.tflite")
