"""minikws info: a file, an architecture, a name that is neither."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minikws.cli.arena import resolver_words
from minikws.cli.main import main
from minikws.settings import MicroSettings
from minikws.tflite import attach, write_model
from minikws.tflite.resolver import Resolver
from tests.tflite import tiny

FIELDS = {
    "bytes",
    "labels",
    "frontend",
    "inputs",
    "outputs",
    "ops",
    "parameters",
    "multiply_adds",
    "arena_bytes",
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "yes_no.tflite"
    frontend = MicroSettings(variant="pymicro").to_json()
    info = {"labels": ["_silence_", "yes", "no"], "frontend": frontend}
    path.write_bytes(write_model(attach(tiny.keyword_model(), info)))
    return path


def test_a_file_in_words(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(model)]) == 0
    shown = capsys.readouterr().out
    for words in ("_silence_, yes, no", "micro variant=pymicro", "DEPTHWISE_CONV_2D", "arena"):
        assert words in shown


def test_a_file_as_json(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(model), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert set(record) >= FIELDS | {"file"}
    assert record["bytes"] == model.stat().st_size
    assert record["labels"] == ["_silence_", "yes", "no"]
    assert record["frontend"]["kind"] == "micro"
    assert record["inputs"][0]["name"] == "features"
    assert record["inputs"][0]["shape"] == [1, 60]
    assert record["outputs"][0]["scale"] == 1 / 256
    assert {"name": "SOFTMAX", "count": 1} in record["ops"]


def test_micro_speech_as_json(tflm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tflm / "micro_speech_quantized.tflite"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["bytes"], record["arena_bytes"]) == (18800, 5968)
    assert (record["parameters"], record["multiply_adds"]) == (16652, 336000)


def test_the_arena_is_drawn(tflm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tflm / "micro_speech_quantized.tflite")]) == 0
    shown = capsys.readouterr().out
    assert "head 5968 bytes, tail about 16" in shown
    assert "peak     5968 bytes at op 2 DEPTHWISE_CONV_2D\n" in shown
    assert (
        "resolver MicroMutableOpResolver<4>: "
        "AddReshape, AddDepthwiseConv2D, AddFullyConnected, AddSoftmax\n" in shown
    )
    # micro_speech.md 7.2: Relu at 0, both reshaped at 4000 and 0, of 5968; 56 characters wide.
    rows = {
        name.strip(): row for name, row in (line.split("|")[:2] for line in shown.splitlines()[-5:])
    }
    assert rows["input"] == "B" * 18 + " " * 38
    assert rows["1 RESHAPE"] == "B" * 18 + " " * 19 + "C" * 19
    assert rows["2 DEPTHWISE_CONV_2D"] == "A" * 37 + "C" * 19
    assert rows["3 FULLY_CONNECTED"] == "A" * 37 + "D" + " " * 18
    assert rows["4 SOFTMAX"] == "E" + " " * 36 + "D" + " " * 18


def test_operators_for_tflite_micro_alone_are_marked(
    tflm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(tflm / "audio_preprocessor_int8.tflite")]) == 0
    (line,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("custom "))
    assert "SignalWindow, SignalFftAutoScale" in line and "LiteRT does not" in line


def test_the_arena_as_json(tflm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tflm / "mww_okay_nabu_v2.tflite"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    arena, resolver = record["arena"], record["resolver"]
    assert arena["head_bytes"] == record["arena_bytes"] == 4096
    assert 19328 <= arena["tail_bytes_estimate"] <= 19800
    assert arena["peak"] == {"subgraph": 0, "index": 23, "name": "CONCATENATION", "bytes": 4032}
    first = arena["buffers"][0]
    assert (first["bytes"], first["offset"], first["first_step"]) == (128, 0, 0)
    assert (resolver["size"], resolver["resource_variables"], resolver["missing"]) == (13, 6, [])


def test_gaps_and_long_names(tflm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tflm / "mww_okay_nabu_v2.tflite")]) == 0
    shown = capsys.readouterr().out
    assert "peak     4032 bytes at op 24 CONCATENATION, 64 more lie in gaps" in shown
    assert "MicroResourceVariables for 6" in shown
    table = shown.partition("tensor in the arena")[2].partition("needed")[0]
    assert "…" in table and max(map(len, table.splitlines())) < 100


def test_a_uint8_model_has_no_resolver() -> None:
    assert resolver_words(Resolver(("AddReshape", "AddSoftmax"), (), 0, ("SOFTMAX",))) == [
        "resolver none: TFLite Micro refuses uint8 in SOFTMAX; export int8 for a board"
    ]


def test_an_operator_that_tflite_micro_lacks() -> None:
    assert resolver_words(Resolver((), ("LSTM", "RNN"), 0)) == [
        "resolver MicroMutableOpResolver<2>: nothing",
        "         TFLite Micro has no method for LSTM, RNN",
    ]


def test_a_picture_of_the_arena(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="needs pip install 'minikws[plots]'")
    picture = tmp_path / "arena.png"
    assert main(["info", str(model), "--png", str(picture), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] == [str(picture)]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_an_architecture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "tiny_conv", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert set(record) >= FIELDS | {"architecture"}
    assert (record["parameters"], record["multiply_adds"]) == (16652, 336000)
    # 10 * 8 * 8 + 4000 * 4 weights, 8 + 4 biases
    assert (record["bytes"], record["int8_bytes"]) == (4 * 16652, 16640 + 4 * 12)
    assert main(["info", "tiny_conv", "--labels-count", "12"]) == 0
    assert "12 labels" in capsys.readouterr().out


def test_an_architecture_with_options(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["info", "ds_cnn", "--model-options", "size=M", "--labels-count", "12"]
    assert main([*argv, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["options"] == {"size": "M"}
    assert record["inputs"][0]["shape"] == [1, 49, 10]  # its own features: 40 ms, 10 coefficients
    assert record["multiply_adds"] == 9_816_384
    # peers.md 3.1: 6,880 + 4 * (1,548 + 29,584) + 2,064 weights, the rest of 135,032 biases
    assert record["int8_bytes"] == 133_472 + 4 * (135_032 - 133_472)
    assert main(argv) == 0
    assert "ds_cnn (size=M)" in capsys.readouterr().out


def test_layers_within_layers_are_shown_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "tc_resnet", "--labels-count", "12", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    by_name = {layer["name"]: layer for layer in record["layers"]}
    assert by_name["block_1.shortcut.conv"]["output"] == [49, 24]
    assert by_name["block_3.main.second.conv"]["parameters"] == 20_736
    assert sum(layer["parameters"] for layer in record["layers"]) == 65_168
    assert sum(layer["multiply_adds"] for layer in record["layers"]) == record["multiply_adds"]


def test_another_frontend_sizes_the_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "conv", "--frontend", "average", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["inputs"][0]["shape"] == [1, 98, 43]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["tiny_con"], "neither a file nor an architecture; did you mean tiny_conv"),
        (["tiny_conv", "--labels-count", "0"], "--labels-count 0 is below 1"),
        (["ds_cnn", "--model-options", "siz=M"], "no option 'siz'; did you mean size?"),
        (["conv", "--frontend", "micr"], "did you mean micro?"),
        (["."], ". is a folder, expected a file or an architecture; a run is exported first"),
        (["conv", "--png", "a.png"], "--png draws the arena of a .tflite file"),
    ],
)
def test_what_it_refuses(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", *argv]) == 1
    assert words in capsys.readouterr().err


def test_a_cut_file(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model.write_bytes(model.read_bytes()[:500])
    assert main(["info", str(model)]) == 1
    assert "yes_no.tflite" in capsys.readouterr().err
