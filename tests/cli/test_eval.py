"""minikws eval and label on a small run: labels folded by a map, answers averaged over copies."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws.audio import read_clip, write_wav
from minikws.classifiers import open_classifier
from minikws.cli.main import main
from minikws.quant import to_float_graph
from minikws.runs import load_network, open_corpus
from minikws.tflite import attach, write_model

TRAIN = [
    *("--wanted-words", "low,high", "--silence-percentage", "25", "--unknown-percentage", "50"),
    *("--clip-duration-ms", "250", "--feature-bin-count", "16", "--time-shift-ms", "20"),
    *("--steps", "40", "--learning-rate", "0.01", "--batch-size", "20", "--seed", "3"),
]


def answer(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> dict[str, Any]:
    capsys.readouterr()
    code = main([*map(str, argv), "--json", "--quiet"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    found = json.loads(shown.out)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def run_dir(tone_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "run"
    assert main(["train", "--data-dir", str(tone_corpus), *TRAIN, "--run-dir", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def model_file(run_dir: Path) -> Path:
    path = run_dir.parent / "tones.tflite"
    assert main(["export", str(run_dir), "--out", str(path)]) == 0
    return path


def test_a_map_folds_truth_and_prediction(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "map.txt").write_text("low,tone\nhigh,tone\n_unknown_,tone\n*,_silence_\n")
    folded = answer(capsys, "eval", run_dir, "--partition", "all", "--map", tmp_path / "map.txt")
    assert folded["labels"] == ["_silence_", "tone"]

    checkpoint, frontend, network = load_network(run_dir)
    corpus = open_corpus(checkpoint.config)
    clips = [clip for part in corpus.partitions.values() for clip in part]
    logits = network.predict(frontend.extract(corpus.clean(clips))).astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    predicted = shares[:, 1:].sum(1) > shares[:, 0]
    true = corpus.label_indices(clips) > 0
    expected = [[int(np.sum((true == t) & (predicted == p))) for p in (0, 1)] for t in (0, 1)]
    assert folded["confusion_matrix"] == expected
    assert folded["accuracy"] == pytest.approx(np.mean(true == predicted))
    assert [row["label"] for row in folded["per_label"]] == ["_silence_", "tone"]
    assert [row["count"] for row in folded["per_label"]] == [sum(row) for row in expected]

    assert main(["eval", str(run_dir), "--map", str(tmp_path / "map.txt")]) == 0
    assert "true \\ predicted  _silence_  tone" in capsys.readouterr().out


def test_outputs_that_are_no_probabilities_keep_their_order(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file may end before the softmax, and all its outputs lie below zero."""
    found, frontend, network = load_network(run_dir)
    weights = network.weights()
    (bias,) = (name for name in weights if name.endswith("fc.b"))
    network.load_weights({**weights, bias: weights[bias] - 100})
    graph = to_float_graph(network)
    (subgraph,) = graph.subgraphs
    *ops, softmax = subgraph.ops
    assert softmax.name == "SOFTMAX"
    logits = replace(subgraph, ops=tuple(ops), outputs=(softmax.inputs[0],))
    file = tmp_path / "logits.tflite"
    info = {"labels": list(found.config.labels), "frontend": frontend.settings.to_json()}
    cut = replace(graph, subgraphs=(logits,), signature=None)
    file.write_bytes(write_model(attach(cut, info)))
    corpus = ("--data-dir", found.config.data_dir, "--partition", "all", *TRAIN[2:6])
    by_run, by_file = (answer(capsys, "eval", model, *corpus) for model in (run_dir, file))
    assert by_file["confusion_matrix"] == by_run["confusion_matrix"]


def test_a_map_of_each_label_to_itself_changes_nothing(
    model_file: Path, tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "map.txt").write_text("low,low\nhigh,high\n_silence_,_silence_\n*,_unknown_\n")
    command = ("eval", model_file, "--data-dir", tone_corpus, "--partition", "all")
    plain = answer(capsys, *command)
    folded = answer(capsys, *command, "--map", tmp_path / "map.txt")
    for field in ("labels", "confusion_matrix", "per_label", "accuracy", "count"):
        assert folded[field] == plain[field]
    assert plain["map"] is None


def test_a_map_that_does_not_fit(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "map.txt").write_text("hihg,a\n*,b\n")
    assert main(["eval", str(run_dir), "--map", str(tmp_path / "map.txt")]) == 1
    assert "'hihg', which the model lacks; did you mean high?" in capsys.readouterr().err


def test_labels_are_matched_by_name(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = answer(capsys, "eval", run_dir, "--partition", "training")
    part = answer(capsys, "eval", run_dir, "--partition", "training", "--no-silence")
    assert part["labels"] == whole["labels"] == ["_silence_", "_unknown_", "low", "high"]
    assert part["confusion_matrix"][0] == [0, 0, 0, 0]
    assert part["confusion_matrix"][2:] == whole["confusion_matrix"][2:]


def test_eval_averages_copies(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "eval", "--tta", run_dir, "--partition", "training")
    assert found["tta"] == ["left", "louder"]
    checkpoint, _, _ = load_network(run_dir)
    corpus = open_corpus(checkpoint.config)
    clips = corpus.partitions["training"]
    samples = corpus.clean(clips)
    left = np.zeros_like(samples)
    left[:, :-1500] = samples[:, 1500:]
    louder = np.clip(np.rint(samples * 1.2), -32768, 32767).astype(np.int16)
    classifier = open_classifier(run_dir)
    scores = sum(classifier.probabilities(x).astype(np.float64) for x in (samples, left, louder))
    hits = np.mean(np.argmax(scores, 1) == corpus.label_indices(clips))
    assert found["accuracy"] == pytest.approx(hits)


def test_label_averages_copies(
    model_file: Path, tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = sorted((tone_corpus / "low").iterdir())[0]
    samples = read_clip(clip, sample_rate_hz=16_000)
    right = np.concatenate([np.zeros(1500, np.int16), samples[:-1500]])
    write_wav(tmp_path / "a.wav", samples, 16_000)
    write_wav(tmp_path / "b.wav", right, 16_000)
    write_wav(tmp_path / "c.wav", np.rint(samples / 1.2).astype(np.int16), 16_000)

    alone = answer(capsys, "label", model_file, tmp_path)["clips"]
    by_label = [{s["label"]: s["score"] for s in record["scores"]} for record in alone]
    expected = {label: sum(one[label] for one in by_label) / 3 for label in by_label[0]}
    found = answer(capsys, "label", model_file, clip, "--tta", "right,quieter")
    assert found["tta"] == ["right", "quieter"]
    (record,) = found["clips"]
    assert {s["label"]: s["score"] for s in record["scores"]} == pytest.approx(expected)
    assert record["output"] == alone[0]["output"]  # the clip's own, raw
    bare = answer(capsys, "label", "--tta", model_file, clip)
    assert bare["tta"] == ["left", "louder"]
    assert answer(capsys, "label", model_file, clip)["tta"] == []


def test_an_unknown_copy(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(run_dir), "--tta=left,strech"]) == 1
    assert "no copy 'strech' to average; did you mean stretch?" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.children
def test_jobs_change_nothing(
    run_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("joblib", reason="needs pip install 'minikws[scale]'")
    monkeypatch.setenv("MINIKWS_JIT", "0")  # in the children
    monkeypatch.setattr("minikws._jit.ENABLED", False)
    monkeypatch.setattr("minikws.cli.eval_blocks.BLOCK", 40)
    command = ("eval", run_dir, "--partition", "all")
    alone = answer(capsys, *command)
    assert alone["count"] > 80  # three blocks
    assert answer(capsys, *command, "--jobs", "2") == alone


def test_a_submission(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "submission.csv"
    found = answer(capsys, "eval", run_dir, "--csv", path)
    head, *lines = path.read_text().splitlines()
    assert head == "fname,label"
    labels = [line.partition(",")[2] for line in lines]
    assert all(line.partition(",")[0].endswith(".wav") for line in lines)
    silent = sum(found["confusion_matrix"][found["labels"].index("_silence_")])
    assert len(lines) == found["count"] - silent
    columns = np.array(found["confusion_matrix"])
    columns = columns[[label != "_silence_" for label in found["labels"]]].sum(0)
    for label, count in zip(found["labels"], columns, strict=True):
        assert labels.count(label.strip("_")) == count


def test_a_run_has_its_own_labels_and_frontend(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in (["--frontend", "mfcc"], ["--labels", "a,b,c,d"]):
        assert main(["eval", str(run_dir), *option]) == 1
        assert "is a run, which has its labels and its frontend" in capsys.readouterr().err


def test_an_accuracy_of_nothing_is_none(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = ["--validation-percentage", "0", "--testing-percentage", "0"]
    assert main(["eval", str(run_dir), *nothing]) == 1
    assert "falls into the testing partition; name another" in capsys.readouterr().err
