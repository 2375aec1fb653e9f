"""minikws export: how ranges are chosen, what it measures, and what it says where 8 bits cost."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import pytest

from minikws import checkpoint
from minikws.cli.export import CALIBRATIONS
from minikws.cli.export_report import keep_in_run, say_accuracies
from minikws.cli.main import main
from minikws.cli.output import Output
from minikws.quant import CHOICES
from minikws.quant.ranges import METHODS

TRAIN = [
    *("--wanted-words", "low,high", "--clip-duration-ms", "250", "--feature-bin-count", "16"),
    *("--steps", "60", "--learning-rate", "0.005", "--batch-size", "20", "--time-shift-ms", "0"),
    *("--model", "svdf_stream", "--num-units", "8", "--no-report", "--quiet"),
]


@pytest.fixture(scope="module")
def run_dir(tone_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "run"
    argv = ["train", "--data-dir", str(tone_corpus), *TRAIN, "--run-dir", str(path)]
    assert main(argv) == 0
    return path


def test_the_report_of_an_export(
    run_dir: Path, tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = json.loads((run_dir / "report.json").read_text())
    file = tmp_path / "m.tflite"
    capsys.readouterr()
    assert main(["export", str(run_dir), "--out", str(file), "--json"]) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert found["count"] == before["test_count"] > 0
    assert found["changed"] == len(found["changed_clips"])
    for clip in found["changed_clips"]:
        assert clip["float"] != clip["int8"]
    chosen = found["calibration"]
    assert (chosen["choice"], chosen["clips"]) == ("auto", 300)
    assert chosen["sqnr_db"] >= chosen["minmax_sqnr_db"] > 10
    assert set(chosen["methods"].values()) <= METHODS.keys()
    names = ["features", "svdf_1", "svdf_2", "svdf_3", "final_fc", "scores"]
    assert [row["name"] for row in found["tensors"]] == names
    assert all(row["sqnr_db"] > 10 for row in found["tensors"])
    assert "calibration auto on 300 clips: the logits keep" in shown.err
    assert "what 8 bits leave of each tensor, on test clips" in shown.err
    # the run's report keeps it, beside what training has written
    report = json.loads((run_dir / "report.json").read_text())
    assert report["export"]["tensors"] == found["tensors"]
    assert {**report, "export": None} == {**before, "export": None}
    # a model with a memory is held against the same clips by eval
    assert main(["eval", str(file), "--data-dir", str(tone_corpus), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["accuracy"], again["count"]) == (found["int8_accuracy"], found["count"])


def test_each_choice_can_be_asked_for(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(CALIBRATIONS) == CHOICES.keys()
    ends = {}
    for choice in ("minmax", "percentile", "mse"):
        capsys.readouterr()
        argv = ["export", str(run_dir), "--out", str(tmp_path / "m.tflite"), "--json", "--quiet"]
        assert main([*argv, "--calibration", choice]) == 0
        shown = capsys.readouterr()
        assert shown.err == ""
        ends[choice] = json.loads(shown.out)["calibration"]
        assert all(method.startswith(choice) for method in ends[choice]["methods"].values())
    assert ends["minmax"]["sqnr_db"] == ends["mse"]["minmax_sqnr_db"]
    assert main(["export", str(run_dir), "--calibration", "median"]) == 2


def test_float_has_no_table_and_the_calibrations_clips_stand_in_for_the_corpus(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    argv = ["export", str(run_dir), "--out", str(tmp_path / "m.tflite"), "--json"]
    assert main([*argv, "--float"]) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert "tensors" not in found and "calibration" not in found and found["changed"] == 0
    newest = checkpoint.load(run_dir)
    moved = tmp_path / "run"
    moved.mkdir()
    (moved / "calibration.npz").write_bytes((run_dir / "calibration.npz").read_bytes())
    gone = replace(newest.config, data_dir=str(tmp_path / "gone"))
    checkpoint.save(replace(newest, config=gone), moved)
    assert main(["export", str(moved), "--json"]) == 0
    shown = capsys.readouterr()
    assert "on the calibration's clips" in shown.err
    assert json.loads(shown.out)["tensors"]
    assert not (moved / "report.json").exists()


@pytest.mark.parametrize(
    ("options", "trained", "words"),
    [
        ({}, False, "int8 costs 1.5 points of accuracy; train with --quantize"),
        ({}, True, "int8 costs 1.5 points of accuracy; train longer"),
        ({"calibration": "mse"}, False, "leave --calibration out"),
        ({"uint8": True}, False, "uint8 costs 1.5 points of accuracy; export int8"),
    ],
)
def test_a_loss_of_more_than_a_point_is_warned_of_with_what_helps(
    options: dict[str, object], trained: bool, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    args = argparse.Namespace(**{"float": False, "uint8": False, "calibration": "auto", **options})
    record = {"float_accuracy": 0.9, "int8_accuracy": 0.885, "changed": 9, "count": 200}
    say_accuracies(record, args, Output(quiet=True), is_trained_for_8_bits=trained)
    shown = capsys.readouterr()
    assert words in shown.err
    assert "9 of 200 clips change their label" in shown.out
    say_accuracies({**record, "int8_accuracy": 0.89}, args, Output(), is_trained_for_8_bits=trained)
    assert capsys.readouterr().err == ""


def test_a_damaged_report_does_not_stop_an_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.json").write_text("[1, 2")
    keep_in_run(tmp_path, {"file": "m.tflite"}, Output())
    assert "does not hold this export" in capsys.readouterr().err
    assert (tmp_path / "report.json").read_text() == "[1, 2"
