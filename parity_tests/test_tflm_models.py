"""Whole models against TFLite Micro: every tensor, every integer; and its memory planner.

The oracle is the tflite-micro wheel, a build with double rounding; it runs in a child process.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from minikws.runtime import Interpreter, plan
from minikws.tflite import attach, read_model, write_model
from parity_tests.tflm_child import TFLiteMicro
from tests.tflite import tiny

pytest.importorskip("tflite_micro", reason="oracle absent: pip install 'minikws[parity]'")

CLIPS = ("yes", "no", "noise", "silence")


def features(tflm: Path, clip: str) -> np.ndarray:
    values = np.loadtxt(tflm / f"{clip}_preproc_int8_49x40.csv", delimiter=",")
    return values.astype(np.int8).reshape(1, 1960)


def assert_every_tensor(model: bytes, inputs: list[np.ndarray], oracle: TFLiteMicro) -> None:
    ours = Interpreter(model)
    n_tensors = len(ours.graph.main.tensors)
    for x, (_, *tensors) in zip(inputs, oracle.run(model, inputs, tensors=n_tensors), strict=True):
        ours.invoke(x)
        compared = 0
        for index, expected in enumerate(tensors):
            if ours.graph.main.tensors[index].data is None:
                np.testing.assert_array_equal(ours.tensor(index).ravel(), expected.ravel())
                compared += 1
        assert compared == len(ours.tensors())


def test_every_tensor_of_micro_speech(tflm: Path, oracle: TFLiteMicro) -> None:
    model = (tflm / "micro_speech_quantized.tflite").read_bytes()
    rng = np.random.default_rng(59185)
    inputs = [features(tflm, clip) for clip in CLIPS]
    inputs += [rng.integers(-128, 128, (1, 1960), np.int8) for _ in range(200)]
    assert_every_tensor(model, inputs, oracle)


def test_every_tensor_of_the_mlperf_ds_cnn(tflm: Path, oracle: TFLiteMicro) -> None:
    model = (tflm / "mlperf_tiny_kws_ref_model.tflite").read_bytes()
    inputs = [stream_of(seed, (1, 49, 10, 1)) for seed in range(1, 21)]
    assert_every_tensor(model, inputs, oracle)
    ours = Interpreter(model)
    outputs = b"".join(ours.invoke(x).tobytes() for x in inputs)
    assert zlib.crc32(outputs) == 0x1781FBBB  # micro_speech.md 3.4
    np.testing.assert_array_equal(
        ours.invoke(np.concatenate(inputs)), np.concatenate([ours.invoke(x) for x in inputs])
    )


def test_a_streaming_wake_word_model_remembers_as_tflite_micro(
    tflm: Path, oracle: TFLiteMicro
) -> None:
    model = (tflm / "mww_okay_nabu_v2.tflite").read_bytes()
    inputs = [stream_of(seed, (1, 3, 40)) for seed in range(1, 41)]
    expected = np.concatenate([y.ravel() for (y,) in oracle.run(model, inputs)])
    ours = Interpreter(model)
    found = np.concatenate([ours.invoke(x).ravel() for x in inputs])
    np.testing.assert_array_equal(found, expected)
    assert zlib.crc32(found[:20].tobytes()) == 0x50EB4D63  # micro_speech.md 3.4
    ours.reset()
    again = np.concatenate([ours.invoke(x).ravel() for x in inputs])
    np.testing.assert_array_equal(again, expected)


def stream_of(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """The bytes of a linear congruential generator, as int8."""
    values, state = [], seed
    for _ in range(int(np.prod(shape))):
        state = (1664525 * state + 1013904223) % 2**32
        values.append(state >> 24)
    return np.array(values, np.uint8).view(np.int8).reshape(shape)


def test_micro_speech_written_again_runs_the_same(tflm: Path, oracle: TFLiteMicro) -> None:
    model = (tflm / "micro_speech_quantized.tflite").read_bytes()
    inputs = [features(tflm, clip) for clip in CLIPS]
    again = write_model(read_model(model))
    for (expected,), (found,) in zip(
        oracle.run(model, inputs), oracle.run(again, inputs), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    assert_every_tensor(again, inputs, oracle)


def test_every_tensor_of_a_model_from_a_seed(oracle: TFLiteMicro) -> None:
    rng = np.random.default_rng(1)
    inputs = [rng.integers(-128, 128, (1, 60), np.int8) for _ in range(20)]
    graph = attach(tiny.keyword_model(seed=3), {"labels": ["_silence_", "yes", "no"]})
    assert_every_tensor(write_model(graph), inputs, oracle)


@pytest.mark.parametrize(
    ("clip", "crc", "relu", "logits", "output"),
    [
        ("yes", 0xA83FAE7A, 0x6E44F814, (-50, -4, 121, -4), (-128, -128, 127, -128)),
        ("no", 0xE4C6E456, 0x07519580, (-61, 37, -13, 68), (-128, -114, -128, 114)),
        ("noise", 0x3BBD8C92, 0x81004B70, (55, 7, 2, 8), (120, -125, -126, -125)),
        ("silence", 0x6AD42105, 0xE193F591, (18, 14, 14, 12), (-42, -68, -68, -78)),
    ],
)
def test_the_published_results(
    tflm: Path, clip: str, crc: int, relu: int, logits: tuple[int], output: tuple[int]
) -> None:
    x = features(tflm, clip)
    assert zlib.crc32(x.tobytes()) == crc
    ours = Interpreter(tflm / "micro_speech_quantized.tflite")
    assert tuple(ours.invoke(x)[0]) == output
    assert tuple(ours.tensor("add_1")[0]) == logits
    assert zlib.crc32(ours.tensor("Relu").tobytes()) == relu


def test_the_deterministic_inputs(tflm: Path) -> None:
    ours = Interpreter(tflm / "micro_speech_quantized.tflite")
    outputs = b""
    for seed in range(1, 21):
        state, values = seed, bytearray()
        for _ in range(1960):
            state = (1664525 * state + 1013904223) % 2**32
            values.append(state >> 24)
        outputs += ours.invoke(np.frombuffer(values, np.int8).reshape(1, 1960)).tobytes()
    assert zlib.crc32(outputs) == 0x47B61EFC


@pytest.mark.parametrize(
    "name",
    [
        "micro_speech_quantized",
        "mlperf_tiny_kws_ref_model",
        "audio_preprocessor_int8",
        "audio_preprocessor_float",
        "mww_okay_nabu_v2",
    ],
)
def test_the_planned_arena_is_the_recorded_one(tflm: Path, name: str, oracle: TFLiteMicro) -> None:
    model = (tflm / f"{name}.tflite").read_bytes()
    assert plan(read_model(model)).arena_bytes == oracle.head_bytes(model)


def test_the_planned_arena_of_models_from_seeds(oracle: TFLiteMicro) -> None:
    for graph in (
        tiny.keyword_model(),
        tiny.conv(channels=3, outputs=5),
        tiny.conv(depthwise=True, channels=3, stride=(2, 2)),
        tiny.dense(depth=300, rows=2),
    ):
        assert plan(graph).arena_bytes == oracle.head_bytes(write_model(graph))
