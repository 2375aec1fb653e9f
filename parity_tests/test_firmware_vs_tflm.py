"""What `info` and `export --firmware` promise about memory and values, against TFLite Micro itself.

The head must be equal, the tail an upper estimate that is not far off; TFLite Micro must compute
what the test vectors say, at every run and every tensor. The oracle is the tflite-micro wheel, a
64-bit build; it runs in a child process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from minikws.cli.firmware.headers import Firmware
from minikws.cli.main import main
from minikws.graph import Graph, Op, Tensor
from minikws.runtime import plan
from minikws.runtime.references import Reference
from minikws.runtime.tail import tail_bytes
from minikws.tflite import read_model, write_model
from parity_tests.tflm_child import TFLiteMicro
from tests.tflite import tiny

pytest.importorskip("tflite_micro", reason="oracle absent: pip install 'minikws[parity]'")

MODELS = (
    *("micro_speech_quantized", "mlperf_tiny_kws_ref_model", "mww_okay_nabu_v2"),
    *("audio_preprocessor_int8", "audio_preprocessor_float"),
)


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    child = Reference("tflm")
    yield child
    child.close()


def assert_estimate(model: bytes, oracle: TFLiteMicro) -> None:
    """The tail is never below what was recorded, and at most 128 bytes and 2 % above it."""
    recorded = oracle.arena_bytes(model)
    graph = read_model(model)
    assert plan(graph).arena_bytes == recorded["head"]
    estimate = tail_bytes(graph)
    assert recorded["tail"] <= estimate <= 1.02 * recorded["tail"] + 128


@pytest.mark.parametrize("name", MODELS)
def test_the_arena_of_models(tflm: Path, name: str, oracle: TFLiteMicro) -> None:
    assert_estimate((tflm / f"{name}.tflite").read_bytes(), oracle)


def act(name: str, shape: tuple[int, ...], scale: float = 0.1, zero_point: int = 3) -> Tensor:
    return tiny.activation(name, shape, scale, zero_point)


def unary(op: str, scale: float = 0.1, zero_point: int = 3, **options: float) -> Graph:
    return tiny.operator(op, [act("x", (1, 4))], act("y", (1, 4), scale, zero_point), options)


def binary(op: str) -> Graph:
    return tiny.operator(op, [act("x", (1, 4)), act("z", (1, 4))], act("y", (1, 4)))


def with_constant(
    op: str, before: tuple[int, ...], values: object, after: tuple[int, ...]
) -> Graph:
    constant = tiny.constant("c", values, "int32")
    return tiny.operator(op, [act("x", before), constant], act("y", after))


def pooled(op: str) -> Graph:
    options = dict(stride_w=2, stride_h=2, filter_width=2, filter_height=2)
    x, y = act("x", (1, 4, 4, 2)), act("y", (1, 2, 2, 2))
    return tiny.operator(op, [x], y, {"padding": "VALID", **options})


def variables(count: int, size: int) -> Graph:
    """Variables in a row: each is written, then read into the next one's value."""
    tensors, ops = [act("x", (1, size))], []
    last = 0
    for number in range(count):
        handle = len(tensors)
        tensors += [Tensor(f"h{number}", (), "resource"), act(f"r{number}", (1, size))]
        ops += [
            Op("VAR_HANDLE", (), (handle,), {"shared_name": f"v{number}"}),
            Op("ASSIGN_VARIABLE", (handle, last), ()),
            Op("READ_VARIABLE", (handle,), (handle + 1,)),
        ]
        last = handle + 1
    return tiny.graph_of(tensors, ops, (0,), (last,))


def svdf(dtype: str) -> Graph:
    """8 filters of rank 2, 5 steps of memory."""
    rng = np.random.default_rng(0)
    scale = tiny.float32(0.1)
    inputs = [
        act("x", (1, 10), scale, 0),
        tiny.constant("w", rng.integers(-127, 128, (8, 10)), "int8", (scale,)),
        tiny.constant("t", rng.integers(-127, 128, (8, 5)), dtype, (scale,)),
        tiny.constant("b", np.zeros(4), "int32", (scale * scale,)),
        Tensor("state", (1, 40), dtype, (scale,), (0,), is_variable=True),
    ]
    return tiny.operator("SVDF", inputs, act("y", (1, 4)), {"rank": 2}, version=3)


def plain(name: str, shape: tuple[int, ...], dtype: str = "int16") -> Tensor:
    return Tensor(name, shape, dtype)


def transform(op: str, dtype: str) -> Graph:
    options = {"T": {"float32": 0, "int32": 2, "int16": 7}[dtype], "fft_length": 256}
    samples, bins = plain("samples", (256,), dtype), plain("bins", (258,), dtype)
    x, y = (samples, bins) if op == "SignalRfft" else (bins, samples)
    return tiny.operator(op, [x], y, options, custom=True)


def frames() -> dict[str, Graph]:
    """Operators that keep samples: two rows of them, one for the stacker."""
    valid = plain("valid", (), "bool")
    cut = {"frame_size": 80, "frame_step": 40, "prefill": 0}
    stacked = {"stacker_left_context": 5, "stacker_right_context": 1, "stacker_step": 1}
    x, y = plain("x", (2, 160)), plain("y", (2, 4, 80))
    return {
        "SignalFramer": tiny.operator("SignalFramer", [x], [y, valid], cut, custom=True),
        "SignalOverlapAdd": tiny.operator(
            "SignalOverlapAdd", [y], x, {"T": 7, "frame_step": 40}, custom=True
        ),
        "SignalDelay": tiny.operator(
            "SignalDelay", [x], plain("y", (2, 160)), {"delay_length": 100}, custom=True
        ),
        "SignalStacker": tiny.operator(
            "SignalStacker",
            [plain("x", (40,))],
            [plain("y", (280,)), valid],
            {"num_channels": 40, **stacked},
            custom=True,
        ),
    }


EXAMPLES: dict[str, Graph] = {
    "keyword model": tiny.keyword_model(),
    "keyword model in floats": tiny.keyword_model(dtype="float32"),
    "CONV_2D": tiny.conv(channels=3, outputs=37),
    "CONV_2D, one scale": tiny.conv(outputs=9, per_channel=False),
    "DEPTHWISE_CONV_2D": tiny.conv(depthwise=True, channels=5, outputs=3),
    "FULLY_CONNECTED": tiny.dense(),
    "FULLY_CONNECTED, a scale a row": tiny.dense(outputs=21, per_channel=True),
    "SOFTMAX": tiny.softmax(),
    "RESHAPE": tiny.reshape(),
    "RELU": unary("RELU"),
    "RELU6": unary("RELU6"),
    "LEAKY_RELU": unary("LEAKY_RELU", alpha=0.5),
    "HARD_SWISH": unary("HARD_SWISH"),
    "LOGISTIC": unary("LOGISTIC", 1 / 256, -128),
    "TANH": unary("TANH", 1 / 128, 0),
    "QUANTIZE": unary("QUANTIZE", 0.2),
    "ADD": binary("ADD"),
    "SUB": binary("SUB"),
    "MUL": binary("MUL"),
    "MINIMUM": binary("MINIMUM"),
    "PAD": with_constant("PAD", (1, 4), [[0, 0], [1, 1]], (1, 6)),
    "TRANSPOSE": with_constant("TRANSPOSE", (2, 4), [1, 0], (4, 2)),
    "EXPAND_DIMS": with_constant("EXPAND_DIMS", (1, 4), [1], (1, 1, 4)),
    "MEAN": with_constant("MEAN", (1, 4, 4, 2), [1, 2], (1, 2)),
    "AVERAGE_POOL_2D": pooled("AVERAGE_POOL_2D"),
    "MAX_POOL_2D": pooled("MAX_POOL_2D"),
    "SVDF, a state of int8": svdf("int8"),
    "SVDF, a state of int16": svdf("int16"),
    **{
        f"{op} of {dtype}": transform(op, dtype)
        for op in ("SignalRfft", "SignalIrfft")
        for dtype in ("int16", "int32", "float32")
    },
    **frames(),
    "a variable": variables(1, 4),
    "three variables": variables(3, 100),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_arena_of_single_operators(name: str, oracle: TFLiteMicro) -> None:
    assert_estimate(write_model(EXAMPLES[name]), oracle)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Firmware]:
    """What the folder was made of; its texts are compared with it in tests/cli/test_firmware.py."""
    from minikws.cli.firmware import folder

    found: list[Firmware] = []
    texts = folder._texts
    monkeypatch.setattr(folder, "_texts", lambda f, blob: (found.append(f), texts(f, blob))[1])
    return found


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("micro_speech_quantized", ["--frontend", "micro"]),
        ("mlperf_tiny_kws_ref_model", []),
        ("mww_okay_nabu_v2", ["--frontend", "micro", "--labels", "okay nabu"]),
        ("mww_okay_nabu_v2", []),
        ("audio_preprocessor_int8", []),
    ],
)
def test_the_test_vectors_are_what_tflite_micro_computes(
    name: str,
    options: list[str],
    tflm: Path,
    oracle: TFLiteMicro,
    reference: Reference,
    seen: list[Firmware],
    tmp_path: Path,
) -> None:
    source = tflm / f"{name}.tflite"
    if "--frontend" in options:
        options = [*options, "--firmware-clip", str(tflm / "yes_1000ms.wav")]
    argv = ["export", str(source), "--firmware", str(tmp_path / "out"), *options]
    assert main([*argv, "--quiet"]) == 0
    (firmware,) = seen
    vectors, shape = firmware.vectors, firmware.input.shape
    graph = read_model(source)
    inputs = [row.reshape(shape) for row in vectors.inputs]
    indices = [tensor.index for tensor in vectors.tensors]
    replies = oracle.run(source.read_bytes(), inputs, tensors=indices)
    found = np.stack([output.ravel() for output, *_ in replies])
    np.testing.assert_array_equal(found, vectors.outputs)
    for tensor, expected in zip(vectors.tensors, replies[-1][1:], strict=True):
        np.testing.assert_array_equal(expected.ravel(), tensor.values, err_msg=tensor.name)
    assert {tensor.index for tensor in vectors.tensors} >= set(graph.main.outputs)
    assert_the_arenas_suffice(source.read_bytes(), firmware, inputs, reference)


def assert_the_arenas_suffice(
    model: bytes, firmware: Firmware, inputs: list[np.ndarray], reference: Reference
) -> None:
    """TFLite Micro runs in KWS_ARENA_BYTES, and keeps all tensors in the self-test's arena."""
    sizes = {False: firmware.arena_bytes, True: firmware.preserving_arena_bytes}
    for keeps, size in sizes.items():
        reference.load(model, arena_bytes=size, keep_tensors=keeps)
        found = [outputs[0].ravel() for outputs, _ in reference.run([(x,) for x in inputs])]
        np.testing.assert_array_equal(np.stack(found), firmware.vectors.outputs)


def test_the_golden_features_of_yes(tflm: Path, seen: list[Firmware], tmp_path: Path) -> None:
    source, clip = tflm / "micro_speech_quantized.tflite", tflm / "yes_1000ms.wav"
    argv = ["export", str(source), "--firmware", str(tmp_path), "--frontend", "micro"]
    labels = "silence,unknown,yes,no"
    assert main([*argv, "--firmware-clip", str(clip), "--labels", labels, "--quiet"]) == 0
    golden = np.loadtxt(tflm / "yes_micro_features_int8_49x40.csv", delimiter=",")
    np.testing.assert_array_equal(seen[0].features, golden)
    assert seen[0].vectors.outputs.tolist() == [[-128, -128, 127, -128]]  # micro_speech.md 6
    text = (tmp_path / "kws_test_vectors.c").read_text()
    assert re.match(r"/\* The last run gives: .*, yes 0\.99609, no 0\.00000\. \*/", text)
