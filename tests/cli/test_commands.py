"""The commands on a small corpus of tones: what they write, print and refuse."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws.audio import write_wav
from minikws.checkpoint import load
from minikws.cli.main import main

TRAIN = [
    *("--wanted-words", "low,high", "--silence-percentage", "25", "--unknown-percentage", "25"),
    *("--clip-duration-ms", "250", "--feature-bin-count", "16", "--time-shift-ms", "20"),
    *("--steps", "120,30", "--learning-rate", "0.01,0.001", "--batch-size", "20"),
    *("--eval-step-interval", "50", "--seed", "3"),
]


def answer(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> dict[str, Any]:
    """Run a command with --json; return its object, the only thing on stdout."""
    capsys.readouterr()
    code = main([*map(str, argv), "--json", "--quiet"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    found = json.loads(shown.out)
    assert isinstance(found, dict)
    return found


def refusal(capsys: pytest.CaptureFixture[str], *argv: str | Path, code: int = 1) -> str:
    """Run a command that must fail; return its sentence."""
    capsys.readouterr()
    assert main([*map(str, argv)]) == code
    lines = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("minikws: error: ")
    ]
    assert len(lines) == 1
    return lines[0]


@pytest.fixture(scope="module")
def run_dir(tone_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "run"
    code = main(["train", "--data-dir", str(tone_corpus), *TRAIN, "--run-dir", str(path)])
    assert code == 0
    return path


@pytest.fixture(scope="module")
def model_file(run_dir: Path) -> Path:
    path = run_dir.parent / "tones.tflite"
    assert main(["export", str(run_dir), "--out", str(path), "--c-array", "g_model"]) == 0
    return path


def test_train_reports_and_eval_repeats_it(
    run_dir: Path, model_file: Path, tone_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = json.loads((run_dir / "report.json").read_text())
    assert report["train_accuracy"] > 0.9
    again = answer(capsys, "eval", run_dir)
    assert again["confusion_matrix"] == report["confusion_matrix"]
    assert again["count"] == report["test_count"]
    training = answer(capsys, "eval", run_dir, "--partition", "training")
    assert training["accuracy"] == report["train_accuracy"]
    everything = answer(capsys, "eval", run_dir, "--partition", "all")
    parts = [
        answer(capsys, "eval", run_dir, "--partition", part)["count"]
        for part in ("training", "validation", "testing")
    ]
    assert everything["count"] == sum(parts)
    # The file remembers how its corpus was cut, so it is held against the same clips.
    exported = answer(capsys, "eval", model_file, "--data-dir", tone_corpus)
    assert exported["count"] == report["test_count"]


def test_eval_draws_its_confusions(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(capsys, "eval", run_dir, "--png", tmp_path / "confusions.png")
    assert (tmp_path / "confusions.png").read_bytes().startswith(b"\x89PNG")


def test_export_writes_model_and_c(
    run_dir: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(capsys, "export", run_dir, "--out", model_file, "--c-array", "g_model")
    assert found["bytes"] == model_file.stat().st_size
    assert found["int8_accuracy"] == pytest.approx(found["float_accuracy"], abs=0.1)
    assert found["count"] == json.loads((run_dir / "report.json").read_text())["test_count"]
    source = model_file.with_suffix(".c").read_text()
    assert source.count("0x") == found["bytes"]


def test_export_writes_uint8_where_asked(
    run_dir: Path, tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "old.tflite"
    found = answer(capsys, "export", run_dir, "--uint8", "--out", path)
    assert found["int8_accuracy"] == pytest.approx(found["float_accuracy"], abs=0.1)
    shown = answer(capsys, "info", path)
    assert [(t["dtype"], t["zero_point"]) for t in shown["inputs"]] == [("uint8", 0)]
    assert [(t["dtype"], t["zero_point"]) for t in shown["outputs"]] == [("uint8", 0)]
    again = answer(capsys, "eval", path, "--data-dir", tone_corpus)
    assert (again["accuracy"], again["count"]) == (found["int8_accuracy"], found["count"])
    labelled = answer(capsys, "label", path, tone_corpus / "low")["clips"]
    assert sum(clip["scores"][0]["label"] == "low" for clip in labelled) > 35
    assert main(["export", str(run_dir), "--uint8", "--float"]) == 2


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler: gcc is not installed")
@pytest.mark.parametrize("language", ["c", "c++"])
def test_the_c_array_compiles_and_is_aligned(
    language: str, model_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "tones.h"\n'
        "int main(void) { unsigned long sum = 0; unsigned int i;\n"
        "  for (i = 0; i < g_model_len; i++) sum = sum * 31 + g_model[i];\n"
        '  printf("%u %lu %lu", g_model_len, sum % 1000003, (unsigned long)g_model % 16);\n'
        "  return 0; }\n"
    )
    for ending in (".c", ".h"):
        shutil.copy(model_file.with_suffix(ending), tmp_path)
    program = tmp_path / "program"
    subprocess.run(
        ["gcc", "-x", language, "-Wall", "-Wextra", "-Werror", "-o", program]
        + [tmp_path / "main.c", tmp_path / "tones.c"]
        + (["-lstdc++"] if language == "c++" else []),
        check=True,
    )
    shown = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    total = 0
    for byte in model_file.read_bytes():
        total = (total * 31 + byte) % 2**64
    assert shown.split() == [str(model_file.stat().st_size), str(total % 1000003), "0"]


def test_export_without_the_corpus_has_no_accuracies(
    run_dir: Path, tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = Path(shutil.copytree(run_dir, tmp_path / "run"))
    config = json.loads((moved / "config.json").read_text())
    newest = load(moved)
    assert newest.config.data_dir == config["data_dir"] == str(tone_corpus)
    # The configuration that counts is the checkpoint's: point it to a folder that is gone.
    from dataclasses import replace

    from minikws import checkpoint

    gone = replace(newest.config, data_dir=str(tmp_path / "gone"))
    checkpoint.save(replace(newest, config=gone), moved)
    found = answer(capsys, "export", moved, "--out", tmp_path / "m.tflite")
    assert found["float_accuracy"] is None
    assert found["int8_accuracy"] is None
    assert (tmp_path / "m.tflite").read_bytes()[4:8] == b"TFL3"


def test_label_prints_as_the_tutorial_does(
    model_file: Path, tone_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = sorted((tone_corpus / "low").iterdir())[0]
    capsys.readouterr()
    assert main(["label", str(model_file), str(clip)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("low (score = 0.") or lines[0].startswith("high (score = 0.")
    assert main(["label_wav", f"--graph={model_file}", f"--wav={clip}", "--how_many_labels=1"]) == 0
    assert capsys.readouterr().out.splitlines() == lines[:1]


def test_label_of_a_folder_means_its_wavs(
    model_file: Path, tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(capsys, "label", model_file, tone_corpus / "low")
    assert len(found["clips"]) == 40
    right = sum(c["scores"][0]["label"] == "low" for c in found["clips"])
    assert right > 35
    assert "holds no .wav file" in refusal(capsys, "label", model_file, tmp_path)
    assert "needs a model and a clip" in refusal(capsys, "label", model_file, code=2)


def test_label_resamples_and_says_so(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_wav(tmp_path / "r8k.wav", np.full(2000, 100, np.int16), 8000)
    capsys.readouterr()
    assert main(["label", str(model_file), str(path)]) == 0
    assert "8000 Hz" in capsys.readouterr().err


def test_dry_run_says_what_would_be_trained(
    tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "--data-dir", tone_corpus, *TRAIN, "--run-dir", tmp_path / "x", "--dry-run"]
    found = answer(capsys, *argv)
    assert found["labels"] == ["_silence_", "_unknown_", "low", "high"]
    assert found["unknown_words"] == ["middle"]
    assert found["input_shape"] == [12, 16]
    assert found["noise_minutes"] == pytest.approx(12_000 / 16_000 / 60)
    assert found["multiply_adds"] > 0
    assert not (tmp_path / "x").exists()
    capsys.readouterr()
    main([str(word) for word in argv])
    shown = capsys.readouterr()
    assert "words that become unknown: middle" in shown.out
    assert "training  validation  testing" in shown.err


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        (["--frontend", "mfcc", "--dct-coefficient-count", "13"], [23, 13]),
        (["--preprocess=average", "--window_stride=20", "--feature_bin_count=40"], [12, 43]),
        (["--frontend", "spectrogram"], [23, 257]),
        (["--frontend", "micro", "--feature-bin-count", "16"], [12, 16]),
    ],
)
def test_the_number_of_features_means_the_frontends_own(
    options: list[str],
    shape: list[int],
    tone_corpus: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = ["train", "--data-dir", tone_corpus, "--wanted-words", "low", "--dry-run", *options]
    assert answer(capsys, *argv, "--clip-duration-ms", "250")["input_shape"] == shape


def test_a_frontend_without_a_number_of_features_says_so(
    tone_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [
        "train",
        "--data-dir",
        tone_corpus,
        "--wanted-words",
        "low",
        "--frontend",
        "spectrogram",
    ]
    assert "no number of features to choose" in refusal(capsys, *argv, "--feature-bin-count", "9")


def test_the_tutorials_spelling(
    tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(
        capsys,
        "train",
        f"--data_dir={tone_corpus}",
        "--data_url=",
        "--wanted_words=low,high",
        "--model_architecture=tiny_conv",
        "--preprocess=micro",
        "--window_stride=20",
        "--clip_duration_ms=250",
        "--how_many_training_steps=2,1",
        "--learning_rate=0.001,0.0001",
        f"--train_dir={tmp_path / 'pasted'}",
        f"--summaries_dir={tmp_path / 'summaries'}",
        "--quantize=1",
    )
    assert found["steps"] == 3


def test_freeze_as_pasted_writes_a_tflite_and_says_so(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "my_frozen_graph.tflite"
    capsys.readouterr()
    argv = [f"--start_checkpoint={run_dir}", f"--output_file={file}", "--quantize=1"]
    assert main(["freeze", *argv, "--window_stride_ms=20", "--wanted_words=low,high"]) == 0
    said = capsys.readouterr().err
    assert "a .tflite file is written: there is no graph to freeze" in said
    assert "--window-stride-ms has no meaning here: it comes from the run" in said
    assert file.read_bytes()[4:8] == b"TFL3"


def test_ctrl_c_saves_and_resume_ends_with_the_same_weights(
    run_dir: Path, tone_corpus: Path, tmp_path: Path
) -> None:
    """In a process of its own, interrupted as a terminal does it."""
    cut = tmp_path / "cut"
    argv = [sys.executable, "-m", "minikws", "train", "--data-dir", tone_corpus, *TRAIN]
    argv += ["--run-dir", cut, "--save-step-interval", "5"]
    whole = tmp_path / "whole"
    subprocess.run([*argv[:-3], whole, *argv[-2:]], check=True, capture_output=True)
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(cut.glob("checkpoints/*.npz")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=120)
    assert process.returncode == 130, shown
    assert "Traceback" not in shown
    stopped_at = load(cut).step
    assert f"stopped after step {stopped_at}; go on" in shown
    assert f"minikws train --resume --run-dir {cut}" in shown
    assert 0 < stopped_at < 150
    resumed = subprocess.run(
        [sys.executable, "-m", "minikws", "train", "--resume", "--run-dir", cut, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(resumed.stdout)["steps"] == 150
    one, other = load(whole).weights, load(cut).weights
    assert {k: v.tobytes() for k, v in one.items()} == {k: v.tobytes() for k, v in other.items()}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--wanted-words", "low,hihg"], "did you mean high"),
        (["--model", "tiny_con"], "did you mean tiny_conv"),
        (["--frontend", "mikro"], "did you mean micro"),
        (["--steps", "10,20", "--learning-rate", "0.1"], "lists of equal length"),
        (["--optimizer", "adma"], "unknown optimizer 'adma'"),
        (["--window-size-ms", "300"], "window of 300 ms is longer than the clip of 250 ms"),
        (["--feature-bin-count", "0"], "n_mels=0"),
    ],
)
def test_train_refuses_in_one_sentence(
    options: list[str],
    words: str,
    tone_corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = ["train", "--data-dir", tone_corpus, *TRAIN, "--run-dir", tmp_path / "x", *options]
    assert words in refusal(capsys, *argv)


def test_train_needs_words(tone_corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no --wanted-words" in refusal(capsys, "train", "--data-dir", tone_corpus)


def test_few_clips_and_empty_labels_are_warned_of(
    tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = Path(shutil.copytree(tone_corpus, tmp_path / "few"))
    for path in sorted((few / "low").iterdir())[7:]:
        path.unlink()
    shutil.rmtree(few / "middle")
    argv = ["train", "--data-dir", str(few), *TRAIN, "--run-dir", str(tmp_path / "x"), "--dry-run"]
    assert main(argv) == 0
    shown = capsys.readouterr().err
    assert "low has only 7 clips" in shown
    assert "the label _unknown_ has no clip" in shown
    assert "--no-unknown" in shown


def test_resume_refuses_other_options(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["train", "--resume", "--run-dir", run_dir, "--batch-size", "30"]
    assert "train.batch_size was 20, now 30" in refusal(capsys, *argv)
    assert "give --run-dir" in refusal(capsys, "train", "--resume")


def test_eval_refuses_other_words(
    run_dir: Path, tone_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["eval", run_dir, "--data-dir", tone_corpus, "--wanted-words", "high,low"]
    assert "the model's words are low,high" in refusal(capsys, *argv)


def test_no_permission_for_the_runs_folder(
    tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    argv = ["train", "--data-dir", tone_corpus, *TRAIN, "--run-dir", tmp_path / "file" / "run"]
    assert "cannot be written" in refusal(capsys, *argv)


def test_export_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing to export" in refusal(capsys, "export", code=2)
    assert "no run or checkpoint" in refusal(capsys, "export", tmp_path / "nowhere")
    (tmp_path / "x.npz").write_bytes(b"text")
    assert "x.npz is not a checkpoint" in refusal(capsys, "export", tmp_path / "x.npz")


def test_export_writes_a_firmware_around_a_test_clip(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "firmware"
    argv = ["export", run_dir, "--out", tmp_path / "m.tflite", "--firmware", folder]
    found = answer(capsys, *argv)
    assert {str(path) for path in folder.iterdir()} == set(found["written"][1:])
    vectors = (folder / "kws_test_vectors.h").read_text()
    # The last wanted word's; TFLite Micro must give the scores of `label`.
    clip = next(word for word in vectors.split() if word.startswith("high/"))
    assert clip.endswith(".wav,")
    last = load(run_dir).config.corpus.wanted_words[-1]
    assert clip.startswith(f"{last}/")
    assert "#define KWS_TEST_SAMPLES 4000 " in vectors
    assert (
        '"_silence_",\n  "_unknown_",\n  "low",\n  "high"' in (folder / "kws_labels.c").read_text()
    )
    assert "comes from the run" in refusal(capsys, *argv, "--labels", "a,b")
    assert "give --firmware DIR too" in refusal(capsys, *argv[:4], "--firmware-clip", "a.wav")


def test_a_c_name_that_is_none(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["export", run_dir, "--out", run_dir.parent / "n.tflite", "--c-array", "7 bad"]
    assert "not a C identifier" in refusal(capsys, *argv)


def test_doctor_names_versions_and_extras(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "doctor")
    assert found["numpy"] == np.__version__
    assert set(found["extras"]["fast"]) == {"numba", "scipy"}
    assert found["cores"] == os.cpu_count()
    assert main(["doctor"]) == 0
    assert "NumPy" in capsys.readouterr().out
