"""stream synth, eval and roc on a small model of tones, from a recording to its threshold."""

from __future__ import annotations

import csv
import json
import shutil
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws.audio import read_wav, write_wav
from minikws.checkpoint import Checkpoint, RunConfig, save
from minikws.cli import stream_windows
from minikws.cli.main import main
from minikws.data.splits import split_of
from minikws.models import build
from minikws.pipeline import load
from minikws.settings import AugmentSettings, CorpusSettings, TrainSettings
from minikws.streaming.live import FreshWindows
from minikws.tflite import info_of
from minikws.workers import ALONE
from tests.tones import LABELS, SETTINGS, write_model_of_tones

SYNTH = [
    *("--wanted-words", "low,high", "--clip-duration-ms", "250", "--word-gap-ms", "1000"),
    *("--seconds", "60", "--quiet"),
]
# A word sounds for 125 ms here, not for a second.
FAST = ["--stride-ms", "20", "--average-window-ms", "60", "--suppression-ms", "300"]


@pytest.fixture(scope="module")
def folder(tone_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of tones, a recording of a minute, and its truth."""
    path = tmp_path_factory.mktemp("stream")
    write_model_of_tones(tone_corpus, path / "tones.tflite")
    wav = str(path / "stream.wav")
    assert main(["stream", "synth", "--data-dir", str(tone_corpus), *SYNTH, "--out", wav]) == 0
    return path


def lines(capsys: pytest.CaptureFixture[str], *argv: str | Path, code: int = 0) -> list[Any]:
    """Run a command with --json; return its objects, the only things on stdout."""
    capsys.readouterr()
    found = main([*map(str, argv), "--json", "--quiet"])
    shown = capsys.readouterr()
    assert found == code, shown.err
    return [json.loads(line) for line in shown.out.splitlines()]


def refusal(capsys: pytest.CaptureFixture[str], *argv: str | Path, code: int = 1) -> str:
    """Run a command that must fail; return its sentence."""
    capsys.readouterr()
    assert main([*map(str, argv)]) == code
    (line,) = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("minikws: error: ")
    ]
    return line


def test_synth_says_what_it_wrote(
    tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wav = tmp_path / "a.wav"
    argv = ["stream", "synth", "--data-dir", str(tone_corpus), *SYNTH, "--out", str(wav)]
    assert main(argv) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"Saved streaming test wav to {wav}",
        f"Saved streaming test labels to {tmp_path / 'a_labels.txt'}",
    ]
    (record,) = lines(capsys, *argv)
    assert record["seconds"] == 60
    assert record["words"] == 48  # 60 / 1.25
    assert len(read_wav(wav).samples) == 960_000
    truth = (tmp_path / "a_labels.txt").read_text().splitlines()
    assert len(truth) == 48
    assert len((tmp_path / "a_audacity.txt").read_text().splitlines()) == 48
    other = tmp_path / "b.wav"
    lines(capsys, *argv[:-1], other, "--seed", "5")
    assert (tmp_path / "b_labels.txt").read_text().splitlines() != truth


def test_the_published_names_work(
    folder: Path, tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wav, labels = tmp_path / "w.wav", tmp_path / "l.txt"
    argv = [
        *("generate_streaming_test_wav", f"--data_dir={tone_corpus}", "--background_dir=x"),
        *("--wanted_words=low,high", "--clip_duration_ms=250", "--test_duration_seconds=30"),
        *(f"--output_audio_file={wav}", f"--output_labels_file={labels}", "--word_gap_ms=500"),
    ]
    assert main(argv) == 0
    assert "--background-dir has no meaning here" in capsys.readouterr().err
    argv = [
        *("test_streaming_accuracy", f"--graph={folder / 'tones.tflite'}", f"--wav={wav}"),
        *(f"--ground_truth={labels}", "--labels=_silence_,_unknown_,low,high", "--verbose"),
        *("--clip_duration_ms=250", "--clip_stride_ms=20", "--average_window_ms=60"),
        *("--suppression_ms=300", "--time_tolerance_ms=750", "--detection_threshold=0.6"),
        *("--input_data_name=decoded_sample_data:0", "--output_name=labels_softmax"),
        *("--input-names", "decoded_sample_data:0", "decoded_sample_data:1"),
    ]
    assert main(argv) == 0
    shown = capsys.readouterr().out.splitlines()
    assert any(line.endswith("(Correct)") and "ms: " in line for line in shown)
    summaries = [line for line in shown if line.endswith("% false positives ")]
    assert len(summaries) > 5  # one a word and the last
    assert summaries[-1] in shown[-10:]


def test_eval_counts_and_mines(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, wav = folder / "tones.tflite", folder / "stream.wav"
    *commands, last = lines(capsys, "stream", "eval", model, wav, *FAST, "--mine", tmp_path)
    assert {"time_ms", "label", "score", "end_ms", "state"} <= set(commands[0])
    assert last["total"] == 48
    assert last["correct"] + last["wrong"] + last["false_positives"] == len(commands)
    assert last["matched"] <= 48
    assert last["hours"] == pytest.approx(1 / 60)
    assert last["missed"] <= last["words"] // 2  # most are heard
    assert last["false_alarms_per_hour"] == pytest.approx(60 * last["false_alarms"])
    assert last["latency_ms"]["median"] > 100
    mined = sorted((tmp_path / "_unknown_").glob("*.wav")) if last["mined"] else []
    assert len(mined) == last["mined"] <= last["false_alarms"]
    for path in mined:
        assert split_of(path) == "training"
        assert len(read_wav(path).samples) == 4000
    again = lines(capsys, "stream", "eval", model, wav, *FAST, "--detection-threshold", "0.01",
                  "--mine", tmp_path / "more")  # fmt: skip
    assert again[-1]["mined"] > 0
    text_code = main(["stream", "eval", str(model), str(wav), *FAST])
    shown = capsys.readouterr()
    assert text_code == 0
    assert "a look every 20 ms" in shown.err
    assert "an hour" in shown.out
    assert "from the beginning of a word's clip to its command" in shown.out


def test_listen_and_eval_hear_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, wav = folder / "tones.tflite", folder / "stream.wav"
    heard = lines(capsys, "listen", model, wav, *FAST)
    *commands, _ = lines(capsys, "stream", "eval", model, wav, *FAST)
    assert heard == [
        {name: value for name, value in command.items() if name != "state"} for command in commands
    ]


def test_fresh_windows_take_any_stride(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, wav = folder / "tones.tflite", folder / "stream.wav"
    fast = ["--stride-ms", "30", *FAST[2:]]
    sentence = refusal(capsys, "stream", "eval", model, wav, *fast)
    assert "every_ms=30 is not a multiple of the hop of 20 ms; the nearest is 40" in sentence
    *commands, last = lines(capsys, "stream", "eval", model, wav, *fast, "--fresh-windows")
    assert last["fresh_windows"]
    assert all(command["time_ms"] % 30 == 0 for command in commands)


def test_fresh_windows_by_stretches_are_those_of_the_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(folder / "tones.tflite")
    sound = read_wav(folder / "stream.wav").samples[: 16_000 * 8, 0]
    expected = FreshWindows(model, 30).push(sound)
    monkeypatch.setattr(stream_windows, "STRETCH", 32)
    for size in (1000, 70_000, len(sound)):
        blocks = [sound[i : i + size] for i in range(0, len(sound), size)]
        found = list(
            stream_windows.score_fresh(Namespace(), "", FreshWindows(model, 30), blocks, ALONE)
        )
        np.testing.assert_array_equal(np.concatenate([block for block, _ in found]), sound)
        windows = [window for _, some in found for window in some]
        assert [(w.start, w.end) for w in windows] == [(w.start, w.end) for w in expected]
        np.testing.assert_array_equal([w.scores for w in windows], [w.scores for w in expected])


def test_each_model_on_each_recording(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, wav = tmp_path / "other.tflite", tmp_path / "short.wav"
    shutil.copy(folder / "tones.tflite", other)
    write_wav(wav, read_wav(folder / "stream.wav").samples[: 16_000 * 20, 0], 16_000)
    shutil.copy(folder / "stream_labels.txt", tmp_path / "short_labels.txt")
    files = [folder / "tones.tflite", folder / "stream.wav", other, wav]
    pairs = [(files[0], files[1]), (files[0], wav), (other, files[1]), (other, wav)]
    alone = [record for pair in pairs for record in lines(capsys, "stream", "eval", *pair, *FAST)]
    assert lines(capsys, "stream", "eval", *files, *FAST) == alone
    summaries = [record for record in alone if "hours" in record]
    assert [(r["model"], r["wav"]) for r in summaries] == [tuple(map(str, p)) for p in pairs]
    assert main(["stream", "eval", *map(str, files), *FAST]) == 0
    shown = capsys.readouterr()
    assert f"\n{other} on {wav}\n" in shown.out
    assert len(shown.out.rpartition("\n\n")[2].splitlines()) == 5  # a head, and a line each
    truth = folder / "stream_labels.txt"
    sentence = refusal(capsys, "stream", "eval", *files, "--ground-truth", truth)
    assert "is of one recording; leave it out" in sentence
    sentence = refusal(capsys, "stream", "roc", *files[:2], "--wav", wav, code=2)
    assert "expected a model and a recording, found" in sentence


@pytest.mark.slow
@pytest.mark.children
def test_jobs_change_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("joblib", reason="needs pip install 'minikws[scale]'")
    monkeypatch.setenv("MINIKWS_JIT", "0")  # in the children
    monkeypatch.setattr("minikws._jit.ENABLED", False)
    monkeypatch.setattr("minikws.runtime.interpreter.ENABLED", False)
    monkeypatch.setattr(stream_windows, "STRETCH", 64)
    model, wav = folder / "tones.tflite", folder / "stream.wav"
    pace = ["--stride-ms", "100", "--average-window-ms", "300", "--suppression-ms", "300"]
    for options in (["--fresh-windows"], [model]):
        command = ("stream", "eval", model, wav, *options, *pace)
        assert lines(capsys, *command, "--jobs", "2") == lines(capsys, *command)
    assert main(["stream", "eval", str(model), str(wav), *pace, "--jobs", "2"]) == 0
    assert "one recording is heard by one job" in capsys.readouterr().err


@pytest.fixture
def short(folder: Path, tmp_path: Path) -> Path:
    """Return the first ten seconds of the recording, its truth beside it."""
    path = tmp_path / "short.wav"
    write_wav(path, read_wav(folder / "stream.wav").samples[: 16_000 * 10, 0], 16_000)
    shutil.copy(folder / "stream_labels.txt", tmp_path / "short_labels.txt")
    return path


@pytest.fixture
def trained(folder: Path, tmp_path: Path) -> Path:
    """Return the folder of a run with the weights of a network of one layer."""
    network = build("single_fc", input_shape=(SETTINGS.n_frames, SETTINGS.n_features), n_labels=4,
                    rng=np.random.default_rng(0))  # fmt: skip
    config = RunConfig(
        model="single_fc",
        frontend=SETTINGS.to_json(),
        labels=LABELS,
        data_dir="nowhere",
        corpus_digest="",
        corpus=CorpusSettings(wanted_words=("low", "high")),
        augment=AugmentSettings(),
        train=TrainSettings(steps=(1,), learning_rates=(0.1,)),
    )
    state = Checkpoint(
        step=1,
        seconds=0,
        config=config,
        weights={name: 100 * value for name, value in network.weights().items()},
        optimizer={},
        generator={},
        validation_accuracy=None,
    )
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    save(state, tmp_path / "run")
    return tmp_path / "run"


def test_a_run_is_heard_as_its_float_file(
    short: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, wav = tmp_path / "float.tflite", short
    lines(capsys, "export", trained, "--float", "--out", file)
    for command in (["listen"], ["stream", "eval"], ["stream", "roc"]):
        pace = [*FAST, "--minimum-count", "1"]
        of_file = lines(capsys, *command, file, wav, *pace)
        of_run = lines(capsys, *command, trained, wav, *pace)
        assert of_run == [{**line, **({"model": str(trained)} if "model" in line else {})}
                          for line in of_file]  # fmt: skip
    (of_file,), (of_run,) = (lines(capsys, "label", each, wav) for each in (file, trained))
    assert of_run["clips"] == of_file["clips"]
    sentence = refusal(capsys, "listen", trained, wav, "--labels", "a,b,c,d")
    assert "is a run, which has its labels and its frontend; leave" in sentence


def test_what_roc_measures_and_listen_cannot_use_is_not_written(
    folder: Path, short: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.tflite"
    shutil.copy(folder / "tones.tflite", model)
    before = model.read_bytes()
    wish = ["--false-alarms-per-hour", "100000"]
    for argv, why in (
        ([model, "--fresh-windows"], "not written: listen has no fresh windows; give --detection"),
        ([trained], "not written: a run keeps no threshold; give --detection-threshold 0."),
    ):
        command = ["stream", "roc", *argv, "--wav", short, *FAST, *wish]
        assert main([*map(str, command)]) == 0
        assert why in capsys.readouterr().err
    assert model.read_bytes() == before


def test_roc_and_eval_agree_on_fresh_windows(
    folder: Path, short: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [folder / "tones.tflite", short, *FAST, "--fresh-windows"]
    (curve,) = lines(capsys, "stream", "roc", *argv)
    point = curve["points"][40]
    threshold = str(point.pop("threshold"))
    *_, last = lines(capsys, "stream", "eval", *argv, "--detection-threshold", threshold)
    assert {name: last[name] for name in point} == point


def test_audacitys_labels_serve_as_truth(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["stream", "eval", folder / "tones.tflite", folder / "stream.wav", *FAST]
    *_, usual = lines(capsys, *argv)
    *_, other = lines(capsys, *argv, "--ground-truth", folder / "stream_audacity.txt")
    assert other == usual


def test_roc_chooses_and_the_model_keeps_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="Matplotlib absent: pip install 'minikws[plots]'")
    model = tmp_path / "model.tflite"
    shutil.copy(folder / "tones.tflite", model)
    argv = ["stream", "roc", model, folder / "stream.wav", *FAST]
    before = model.read_bytes()
    (plain,) = lines(capsys, *argv)
    assert plain["chosen"] is None
    (unwritten,) = lines(capsys, *argv, "--false-alarms-per-hour", "70", "--no-write")
    assert unwritten["written"] is None
    assert model.read_bytes() == before
    (record,) = lines(
        capsys, *argv, "--false-alarms-per-hour", "70",
        "--png", tmp_path / "c.png", "--csv", tmp_path / "c.csv",
    )  # fmt: skip
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"
    with open(tmp_path / "c.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["threshold"]) for row in rows] == [p["threshold"] for p in record["points"]]
    chosen = record["chosen"]
    assert chosen["false_alarms_per_hour"] <= 70
    assert chosen["missed"] == min(
        p["missed"] for p in record["points"] if p["false_alarms_per_hour"] <= 70
    )
    stored = (info_of(model) or {})["recognizer"]
    assert stored["detection_threshold"] == chosen["threshold"]
    assert stored["stride_ms"] == 20
    assert stored["measured"]["false_alarms_per_hour"] == round(chosen["false_alarms_per_hour"], 3)
    # Without any option, listen and stream eval do what was measured.
    *_, last = lines(capsys, "stream", "eval", model, folder / "stream.wav")
    assert last["false_alarms"] == chosen["false_alarms"]
    assert last["missed"] == chosen["missed"]
    assert last["recognizer"]["detection_threshold"] == chosen["threshold"]
    # Another behaviour's numbers mean something else: its own defaults hold.
    *_, last = lines(
        capsys, "stream", "eval", model, folder / "stream.wav", "--behaviour", "device"
    )
    assert last["recognizer"]["average_window_ms"] == 1000
    clip = np.zeros(4000, np.int16)
    assert load(model).label(clip) == load(folder / "tones.tflite").label(clip)
    assert main([*map(str, argv)]) == 0
    assert "false alarms/h" in capsys.readouterr().out


def test_a_rate_that_cannot_be_reached(
    folder: Path, tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, truth = tmp_path / "sure.tflite", tmp_path / "nothing.txt"
    write_model_of_tones(tone_corpus, model, sharpness=100)  # its scores are 0 or 255/256
    before = model.read_bytes()
    truth.write_text("")
    argv = ["stream", "roc", model, folder / "stream.wav", *FAST, "--ground-truth", truth]
    argv += ["--csv", tmp_path / "c.csv"]
    sentence = refusal(capsys, *argv, "--false-alarms-per-hour", "0", code=3)
    assert (tmp_path / "c.csv").exists()
    assert "no threshold gives 0 false alarms an hour or fewer" in sentence
    assert model.read_bytes() == before
    sentence = refusal(capsys, *argv, "--false-alarms-per-hour", "-1")
    assert "--false-alarms-per-hour -1 is no rate" in sentence


def test_what_eval_refuses(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, wav = folder / "tones.tflite", folder / "stream.wav"
    assert "found neither" in refusal(capsys, "stream", "eval", code=2)
    assert "expected a model and a recording" in refusal(capsys, "stream", "eval", model, code=2)
    bad = tmp_path / "bad.txt"
    bad.write_text("low, 100\nhigh at 200\n")
    sentence = refusal(capsys, "stream", "eval", model, wav, "--ground-truth", bad)
    assert "bad.txt line 2: expected label, time in ms, found 'high at 200'" in sentence
    alone = tmp_path / "alone.wav"
    shutil.copy(wav, alone)
    assert "alone_labels.txt cannot be read" in refusal(capsys, "stream", "eval", model, alone)
    sentence = refusal(capsys, "stream", "eval", model, wav, "--average-window-ms", "150")
    assert "nothing would ever be heard" in sentence
    assert "no --data-dir" in refusal(capsys, "stream", "synth")
    assert "the following arguments are required" in refusal(capsys, "stream", code=2)


def test_a_word_the_model_does_not_know_is_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = tmp_path / "truth.txt"
    truth.write_text("low, 100\nother, 9000\n")
    argv = ["stream", "eval", folder / "tones.tflite", folder / "stream.wav", *FAST]
    assert main([*map(str, argv), "--ground-truth", str(truth), "--quiet"]) == 0
    assert "other in" in (shown := capsys.readouterr().err)
    assert "no label of the model and counts as missed" in shown


def test_another_rate(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soxr = pytest.importorskip("soxr", reason="soxr absent: pip install 'minikws[train]'")
    wav = read_wav(folder / "stream.wav").samples[: 16_000 * 20, 0]
    fast = soxr.resample(wav / 32768, 16_000, 44_100)
    path = write_wav(tmp_path / "f.wav", (fast * 32767).astype(np.int16), 44_100)
    capsys.readouterr()
    argv = ["stream", "eval", folder / "tones.tflite", path, *FAST]
    argv += ["--ground-truth", folder / "stream_labels.txt"]
    assert main([*map(str, argv), "--json"]) == 0
    shown = capsys.readouterr()
    assert "is 44100 Hz, resampled as it comes" in shown.err
    last = json.loads(shown.out.splitlines()[-1])
    assert last["hours"] == pytest.approx(20 / 3600, rel=1e-4)
    assert last["correct"] > 3
