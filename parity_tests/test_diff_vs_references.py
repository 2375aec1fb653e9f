"""minikws diff and bench beside TFLite Micro and LiteRT: what is equal, and why what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws.cli.main import main
from minikws.graph import Op, Tensor
from minikws.runtime import Interpreter
from minikws.runtime.compare import computed_tensors, record
from minikws.runtime.judge import judge_operators
from minikws.runtime.references import Reference, Refused, arena_for
from minikws.settings import MicroSettings
from minikws.tflite import attach, read_model, write_model
from tests.tflite import tiny

pytest.importorskip("tflite_micro", reason="oracle absent: pip install 'minikws[parity]'")
pytest.importorskip("ai_edge_litert", reason="oracle absent: pip install 'minikws[parity]'")


def run(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main([*map(str, argv), "--json", "--quiet"])
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return code, found


@pytest.fixture
def described(tflm: Path, tmp_path: Path) -> Path:
    """micro_speech with its labels and its frontend, as minikws writes them."""
    info = {
        "labels": ["_silence_", "_unknown_", "yes", "no"],
        "frontend": MicroSettings(variant="preprocessor").to_json(),
    }
    path = tmp_path / "micro_speech.tflite"
    graph = read_model(tflm / "micro_speech_quantized.tflite")
    path.write_bytes(write_model(attach(graph, info)))
    return path


@pytest.mark.parametrize(
    "name",
    [
        "micro_speech_quantized",
        "mlperf_tiny_kws_ref_model",
        "mww_okay_nabu_v2",
        "audio_preprocessor_int8",
    ],
)
def test_tflite_micro_is_equal(name: str, tflm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = run(capsys, "diff", tflm / f"{name}.tflite", "tflm", "--count", "10")
    assert (code, found["equal"]) == (0, True)
    graph = read_model(tflm / f"{name}.tflite")
    assert len(found["tensors"]) == len(computed_tensors(graph))


def test_the_uint8_model(tflm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tflm / "tiny_conv_simple_uint8.tflite"
    code, found = run(capsys, "diff", model, "litert-reference")
    assert (code, found["equal"]) == (0, True)
    code, found = run(capsys, "diff", model, "tflm")
    assert (code, found["kind"]) == (1, "Refused")
    assert "UINT8" in found["error"]  # TFLite Micro's own reason is passed on


def test_xnnpack_rounds_in_float32(tflm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tflm / "mlperf_tiny_kws_ref_model.tflite"
    code, found = run(capsys, "diff", model, "litert")
    assert (code, found["first"]["op"]) == (3, "1 CONV_2D")
    assert abs(found["first"]["expected"] - found["first"]["found"]) == 1
    assert len(found["causes"]) == 1
    assert found["causes"][0].startswith("rounding: XNNPACK's float32 requantisation")


def test_which_rule_each_operator_of_litert_follows(tflm: Path) -> None:
    """The rule must give every value of every convolution, in 20 inputs: 1.4 million."""
    path = tflm / "mlperf_tiny_kws_ref_model.tflite"
    ours = Interpreter(path)
    rng = np.random.default_rng(1)
    rounds = [[rng.integers(-128, 128, (1, 49, 10, 1), np.int8)] for _ in range(20)]
    expected = record(ours, rounds)
    wanted = list(computed_tensors(ours.graph))
    data = path.read_bytes()
    judged = {}
    for name in ("litert", "litert-reference"):
        with Reference(name) as reference:
            reference.load(data, arena_bytes=arena_for(ours.graph, len(data)), keep_tensors=True)
            found = [kept for _, kept in reference.run(rounds, tensors=wanted)]
        judged[name] = judge_operators(ours.graph, expected, found)
    xnnpack = judged["litert"]
    assert xnnpack.judged == 13
    assert len(xnnpack.rules) == 10  # nine convolutions and the dense layer
    assert set(xnnpack.at_fault) == set(xnnpack.rules)
    assert all("float32" in names for names in xnnpack.rules.values())
    assert not all("single" in names for names in xnnpack.rules.values())
    # LiteRT's own dense layer rounds once, where its convolutions round twice.
    reference_kernels = judged["litert-reference"]
    assert reference_kernels.at_fault == (11,)
    assert "float64" in reference_kernels.rules[11]


@pytest.mark.parametrize(
    ("name", "rule"), [("tflm", None), ("litert-reference", "float64"), ("litert", "float32")]
)
def test_the_rule_of_dense_layers_at_ties(name: str, rule: str | None) -> None:
    """Halves, quarters and eighths of -10 … 9 tell the four rules apart."""
    for ratio in (0.5, 0.25, 0.125):
        tensors = [
            Tensor("x", (20, 1), "int8", (0.5,), (0,)),
            tiny.constant("w", [[1]], "int8", (1.0,)),
            Tensor("y", (20, 1), "int8", (0.5 / ratio,), (0,)),
        ]
        graph = tiny.graph_of(tensors, [Op("FULLY_CONNECTED", (0, 1), (2,), {}, 4)], (0,), (2,))
        x = np.arange(-10, 10, dtype=np.int8).reshape(20, 1)
        expected = record(Interpreter(graph), [[x]])
        with Reference(name) as reference:
            reference.load(write_model(graph))
            ((outputs, _),) = reference.run([[x]])
        judged = judge_operators(graph, expected, [{0: x, 2: outputs[0]}])
        assert judged.rules == ({} if rule is None else {0: (rule,)})


def test_a_clip_goes_into_both(
    described: Path, tflm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = run(capsys, "diff", described, "tflm", "--input", tflm / "no_1000ms.wav")
    assert (code, found["equal"]) == (0, True)
    ours = Interpreter(described)
    golden = np.loadtxt(tflm / "no_preproc_int8_49x40.csv", delimiter=",").astype(np.int8)
    np.savez(
        described.with_name("x.npz"), features=golden, scores=ours.invoke(golden.reshape(1, -1))
    )
    code, found = run(
        capsys, "diff", described, described.with_name("x.npz"), "--input", tflm / "no_1000ms.wav"
    )
    assert (code, found["equal"]) == (0, True)


def test_the_published_features_are_the_librarys(
    described: Path, tflm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published = np.loadtxt(tflm / "no_micro_features_int8_49x40.csv", delimiter=",")
    path = described.with_name("board.npz")
    np.savez(path, features=published.astype(np.int8))
    code, found = run(capsys, "diff", described, path, "--input", tflm / "no_1000ms.wav")
    # micro_speech.md 9, quirk 26: they differ in 10 values from the preprocessor model's
    assert (code, found["tensors"][0]["differing"]) == (3, 10)
    assert "variant tensorflow made exactly these features" in found["causes"][0]


def test_float_models_are_equal_within_the_order_of_sums(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "float.tflite"
    path.write_bytes(write_model(tiny.keyword_model(dtype="float32")))
    for name in ("tflm", "litert", "litert-reference"):
        code, found = run(capsys, "diff", path, name)
        assert (code, found["equal"]) == (0, True)


def test_several_outputs_and_an_arena_that_is_too_small() -> None:
    graph = tiny.keyword_model()
    from dataclasses import replace

    wide = replace(graph, subgraphs=(replace(graph.main, outputs=(8, 9)),), signature=None)
    data = write_model(wide)
    x = np.zeros((1, 60), np.int8)
    expected = list(Interpreter(wide).run({"features": x}).values())
    with Reference("tflm") as reference:
        reference.load(data, n_outputs=2)
        ((outputs, _),) = reference.run([[x]])
        for found, wanted in zip(outputs, expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
        with pytest.raises(Refused, match="TFLite Micro"):
            reference.load(data, arena_bytes=16)


def test_bench_runs_beside_all_three(
    described: Path, tflm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tflm / "yes_1000ms.wav"
    code, found = run(capsys, "bench", described, clip, "--rounds", "1", "--max-secs", "1")
    assert code == (0 if found["budget"]["within"] else 3)
    names = [runtime["name"] for runtime in found["runtimes"]]
    assert names[0] == "minikws (NumPy)"
    assert names[-3:] == ["TFLite Micro", "LiteRT's reference kernels", "LiteRT with XNNPACK"]
    assert found["not_measured"] == []
    code, found = run(capsys, "bench", tflm / "tiny_conv_simple_uint8.tflite", "--rounds", "1")
    assert [absent["name"] for absent in found["not_measured"]] == ["TFLite Micro"]
