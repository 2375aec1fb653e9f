"""minikws diff: changed weights, scales, labels and features, as a firmware engineer meets them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws.audio import write_wav
from minikws.cli.main import main
from minikws.frontend.micro import Micro
from minikws.graph import Graph
from minikws.runtime import Interpreter
from minikws.settings import MicroSettings
from minikws.tflite import attach, write_model
from tests.tflite import tiny

# 3 frames of 20 channels fill the tiny model's 60 inputs.
SETTINGS = MicroSettings(n_mels=20, clip_ms=70)
LABELS = ["_silence_", "yes", "no"]


def described(graph: Graph, **info: Any) -> Graph:
    return attach(graph, {"labels": LABELS, "frontend": SETTINGS.to_json(), **info})


def changed(graph: Graph, index: int, **fields: Any) -> Graph:
    tensors = list(graph.main.tensors)
    tensors[index] = replace(tensors[index], **fields)
    return replace(graph, subgraphs=(replace(graph.main, tensors=tuple(tensors)),))


@pytest.fixture
def graph() -> Graph:
    return described(tiny.keyword_model())


@pytest.fixture
def model(graph: Graph, tmp_path: Path) -> Path:
    return written(graph, tmp_path / "model.tflite")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    rng = np.random.default_rng(4)
    samples = rng.integers(-20000, 20000, SETTINGS.clip_samples).astype(np.int16)
    return write_wav(tmp_path / "clip.wav", samples, 16_000)


def samples_of(clip: Path) -> np.ndarray:
    return np.frombuffer(clip.read_bytes()[44:], "<i2")


def written(graph: Graph, path: Path) -> Path:
    path.write_bytes(write_model(graph))
    return path


def diff(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> tuple[int, dict[str, Any]]:
    """Run with --json; return the exit code and the object."""
    capsys.readouterr()
    code = main(["diff", *map(str, argv), "--json", "--quiet"])
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return code, found


def test_a_copy_is_equal(model: Path, graph: Graph, capsys: pytest.CaptureFixture[str]) -> None:
    other = written(graph, model.with_name("copy.tflite"))
    code, found = diff(capsys, model, other, "--count", "3")
    assert (code, found["equal"], found["first"], found["causes"]) == (0, True, None, [])
    assert [t["name"] for t in found["tensors"]] == [
        *("features", "image", "first", "second", "logits", "scores"),
    ]
    assert {t["differing"] for t in found["tensors"]} == {0}
    assert found["tensors"][0]["values"] == 180
    assert main(["diff", str(model), str(other)]) == 0
    assert "equal: 6 tensors" in capsys.readouterr().out


def test_a_changed_weight(model: Path, graph: Graph, capsys: pytest.CaptureFixture[str]) -> None:
    weights = graph.main.tensors[3].data
    assert weights is not None
    moved = weights.copy()
    moved[0, 1, 1, 2] ^= 64
    other = written(changed(graph, 3, data=moved), model.with_name("other.tflite"))
    code, found = diff(capsys, model, other)
    assert (code, found["equal"]) == (3, False)
    assert found["first"]["tensor"] == "w1"
    assert found["first"]["index"] == [0, 1, 1, 2]
    assert found["first"]["expected"] == weights[0, 1, 1, 2]
    assert found["first"]["found"] == moved[0, 1, 1, 2]
    rows = {t["name"]: t for t in found["tensors"]}
    assert (rows["w1"]["differing"], rows["w1"]["max_difference"]) == (1, 64)
    assert rows["image"]["differing"] == 0 < rows["first"]["differing"]
    assert found["causes"][0].startswith("other weights: weights of op 2 of 5")
    assert main(["diff", str(model), str(other)]) == 3
    shown = capsys.readouterr().out
    assert "first difference: w1 (op 2 DEPTHWISE_CONV_2D) at [0, 1, 1, 2]: expected" in shown
    assert "likely cause: other weights" in shown
    assert "(1 of 48 values differ)" in shown


def test_another_scale(model: Path, graph: Graph, capsys: pytest.CaptureFixture[str]) -> None:
    other = written(changed(graph, 6, scale=(0.1,)), model.with_name("other.tflite"))
    code, found = diff(capsys, model, other)
    assert (code, found["first"]["tensor"], found["first"]["op"]) == (3, "second", "3 CONV_2D")
    assert found["causes"][0].startswith("another scale: output of op 3 of 5 (CONV_2D), second")


def test_what_the_file_says_of_itself(
    model: Path, graph: Graph, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = written(described(graph, labels=LABELS[::-1]), model.with_name("labels.tflite"))
    code, found = diff(capsys, model, other)
    assert (code, found["equal"], found["first"]) == (3, False, None)
    assert found["causes"] == [
        "other labels: the outputs: _silence_, yes, no against no, yes, _silence_"
    ]
    stored = replace(SETTINGS, enable_pcan=False).to_json()
    other = written(described(graph, frontend=stored), model.with_name("frontend.tflite"))
    code, found = diff(capsys, model, other, "--input", clip)
    assert (code, found["causes"]) == (3, ["another frontend: its enable_pcan: True against False"])
    assert found["first"]["tensor"].startswith("features (each file")
    assert main(["diff", str(model), str(other)]) == 3
    assert "every tensor is equal on this input, the files are not:" in capsys.readouterr().out


def test_an_operator_version_is_noted(
    model: Path, graph: Graph, capsys: pytest.CaptureFixture[str]
) -> None:
    ops = list(graph.main.ops)
    ops[1] = replace(ops[1], version=9)
    other = replace(graph, subgraphs=(replace(graph.main, ops=tuple(ops)),))
    code, found = diff(capsys, model, written(other, model.with_name("other.tflite")))
    assert (code, found["equal"]) == (0, True)
    assert found["notes"] == [
        "without effect: another operator version: op 2 of 5 (DEPTHWISE_CONV_2D): 3 against 9"
    ]


def test_float_against_int8_is_compared_in_real_units(
    model: Path, graph: Graph, capsys: pytest.CaptureFixture[str]
) -> None:
    other = written(tiny.keyword_model(dtype="float32"), model.with_name("float.tflite"))
    code, found = diff(capsys, model, other, "--count", "1")
    assert code == 3
    assert any(cause.startswith("another type: the input features") for cause in found["causes"])
    rows = {t["name"]: t for t in found["tensors"]}
    assert rows["features"]["differing"] == 0  # the same real values went in
    assert 0 < rows["scores"]["max_difference"] <= 1


def test_another_graph_is_compared_by_name(
    model: Path, graph: Graph, capsys: pytest.CaptureFixture[str]
) -> None:
    main_part = replace(graph.main, ops=graph.main.ops[:-1], outputs=(8,))
    other = replace(graph, subgraphs=(main_part,), signature=None)
    code, found = diff(capsys, model, written(other, model.with_name("other.tflite")))
    assert code == 3
    assert found["causes"][0] == (
        "another graph: op 5 (5 operators against 4): SOFTMAX against nothing"
    )


def dump(model: Path, path: Path, x: np.ndarray, *names: str, **others: np.ndarray) -> Path:
    """What a board might write: the input as features, and some tensors."""
    interpreter = Interpreter(model)
    interpreter.invoke(x.reshape(1, 60))
    np.savez(path, features=x, **{n: interpreter.tensor(n) for n in names}, **others)
    return path


def test_a_dump_that_is_equal(
    model: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = Micro(SETTINGS).extract_int8(samples_of(clip))
    assert x.shape == (3, 20)
    interpreter = Interpreter(model)
    interpreter.invoke(x.reshape(1, 60))
    second = interpreter.tensor("second").ravel()
    others = {"tensor_6": second, "battery": np.ones(3)}
    path = dump(model, tmp_path / "board.npz", x, "scores", **others)
    for argv in ((), ("--input", clip)):
        code, found = diff(capsys, model, path, *argv)
        assert (code, found["equal"]) == (0, True)
        assert [t["name"] for t in found["tensors"]] == ["features", "second", "scores"]
        assert "not compared: battery in" in found["notes"][0]


def test_a_dump_in_real_units_and_in_the_librarys(
    model: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frontend = Micro(SETTINGS)
    for values in (
        frontend.extract(samples_of(clip)),
        frontend.extract_raw(samples_of(clip)),
        frontend.extract_int8(samples_of(clip)).astype(np.float64),
    ):
        np.savez(tmp_path / "f.npz", features=values)
        code, found = diff(capsys, model, tmp_path / "f.npz", "--input", clip)
        assert (code, found["tensors"][0]["differing"]) == (0, 0)


def test_a_dump_of_another_frontend(
    model: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Micro(replace(SETTINGS, enable_pcan=False)).extract_int8(samples_of(clip))
    path = dump(model, tmp_path / "board.npz", other, "logits", "scores")
    code, found = diff(capsys, model, path, "--input", clip)
    assert (code, found["first"]["tensor"]) == (3, "features")
    assert found["causes"] == [
        "another frontend: the micro frontend without PCAN made exactly these features, "
        "the model's is micro tensorflow",
        "run on the dump's own input, the model gives its other 2 tensors exactly: "
        "only the input differs",
    ]
    assert main(["diff", str(model), str(path), "--input", str(clip)]) == 3
    assert "(input) at [0, 0], frame 0 channel 0: expected" in capsys.readouterr().out


def test_a_dump_in_another_layout(
    model: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = Micro(SETTINGS).extract_int8(samples_of(clip))
    for values, words in (
        (x.T, "transposed, (20, 3)"),
        ((x.astype(np.int64) + 128).astype(np.uint8), "as uint8, 128 higher"),
        (np.vstack([x[:1], x[:-1]]), "1 frame later"),
        (x[::-1], "the nearest, the micro frontend's variant"),
    ):
        np.savez(tmp_path / "board.npz", features=values)
        code, found = diff(capsys, model, tmp_path / "board.npz", "--input", clip)
        assert code == 3
        assert words in found["causes"][0]


def test_a_dump_with_a_wrong_operator(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.random.default_rng(0).integers(-128, 128, (3, 20), np.int8)
    interpreter = Interpreter(model)
    interpreter.invoke(x.reshape(1, 60))
    first = interpreter.tensor("first").copy()
    first[0, 2, 1, 3] += 1
    path = dump(model, tmp_path / "board.npz", x, first=first)
    code, found = diff(capsys, model, path)
    assert (code, found["first"]["index"]) == (3, [0, 2, 1, 3])
    assert found["causes"][0].startswith("op 2 DEPTHWISE_CONV_2D gets other sums by up to 1")
    logits = interpreter.tensor("logits") ^ np.int8(1)
    code, found = diff(capsys, model, dump(model, path, x, logits=logits))
    assert found["causes"] == [
        "not known: it may lie in op 4 FULLY_CONNECTED or before; dump first, second, too"
    ]
    code, found = diff(capsys, model, dump(model, path, x, w1=np.zeros((1, 4, 3, 4))))
    assert (code, found["first"]["tensor"], found["first"]["op"]) == (
        3,
        "w1",
        "2 DEPTHWISE_CONV_2D",
    )
    assert found["causes"] == ["other weights: w1 is not the file's, 48 of 48 values differ"]


def refusal(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> str:
    capsys.readouterr()
    assert main(["diff", *map(str, argv)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_bad_input_is_one_sentence(
    model: Path, graph: Graph, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "neither a file nor a runtime; give a .tflite" in refusal(capsys, model, "tlfm")
    text = tmp_path / "text.npz"
    text.write_text("no array")
    assert "is not an NPZ file; write it with numpy.savez" in refusal(capsys, model, text)
    np.savez(tmp_path / "words.npz", features=np.array(["yes"]))
    assert "expected numbers; leave it out" in refusal(capsys, model, tmp_path / "words.npz")
    np.savez(tmp_path / "other.npz", something=np.zeros(3))
    other = tmp_path / "other.npz"
    assert "not the model's input (features or input); say what" in refusal(capsys, model, other)
    assert "none of the model's tensors; call its arrays features, image" in refusal(
        capsys, model, other, "--input", clip
    )
    assert "expected the model's input as" in refusal(capsys, model, model, "--input", other)
    np.savez(other, scores=np.zeros(5, np.int8))
    assert "has 5 values (5,), the tensor has 3" in refusal(capsys, model, other, "--input", clip)
    np.savez(other, features=np.zeros(59))
    assert "the features are (59,); use the frontend" in refusal(capsys, model, other)
    np.savez(other, features=np.full(60, np.nan))
    assert "are not all finite; dump it again" in refusal(capsys, model, other)
    np.savez(other, features=np.arange(60) - 400)
    assert "the stored values reach from -400 to -341; store" in refusal(capsys, model, other)
    line = refusal(capsys, model, model, "--frontend", "mfcc")
    assert "trained on the micro frontend, not on mfcc; leave --frontend out" in line
    bare = written(tiny.keyword_model(), tmp_path / "bare.tflite")
    assert "does not say which frontend" in refusal(capsys, bare, model, "--input", clip)
    assert "--count 0 is below 1" in refusal(capsys, model, model, "--count", "0")
    assert "is below 0" in refusal(capsys, model, model, "--tolerance", "-1")
    assert "unknown frontend 'micra'" in refusal(capsys, model, model, "--frontend", "micra")
    wrong = written(described(graph, frontend={"kind": "mfcc"}), tmp_path / "mfcc.tflite")
    line = refusal(capsys, wrong, model, "--micro-variant", "pymicro")
    assert "the mfcc frontend has no variants" in line
