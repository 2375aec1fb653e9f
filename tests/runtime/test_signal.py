"""The Signal operators: the preprocessor's published features, what they remember, what they say.

That every value equals TFLite Micro's is shown in parity_tests/test_tflm_signal.py.
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws.errors import ModelFileError
from minikws.graph import Graph, Tensor
from minikws.runtime import Interpreter
from minikws.runtime.ops.signal_filter_bank import rounded_root
from tests.tflite import tiny


def plain(name: str, shape: tuple[int, ...], dtype: str = "int16", data: Any = None) -> Tensor:
    return Tensor(name, shape, dtype, data=None if data is None else np.asarray(data, dtype))


def signal(name: str, inputs: list[Tensor], outputs: list[Tensor], **options: int | bool) -> Graph:
    return tiny.operator(f"Signal{name}", inputs, outputs, dict(options), custom=True)


def features(model: Interpreter, tflm: Path, clip: str) -> np.ndarray:
    with wave.open(str(tflm / f"{clip}_1000ms.wav")) as file:
        samples = np.frombuffer(file.readframes(16000), "<i2").astype(np.int16)
    frames = [samples[None, start : start + 480] for start in range(0, 15521, 320)]
    return np.stack([model.invoke(frame) for frame in frames])


def test_the_published_features(tflm: Path) -> None:
    model = Interpreter(tflm / "audio_preprocessor_int8.tflite")
    for clip in ("yes", "no", "noise", "silence"):
        expected = np.loadtxt(tflm / f"{clip}_preproc_int8_49x40.csv", delimiter=",")
        np.testing.assert_array_equal(features(model, tflm, clip), expected)
        model.reset()


def test_the_float_preprocessor_gives_the_same_before_its_last_steps(tflm: Path) -> None:
    real = Interpreter(tflm / "audio_preprocessor_float.tflite")
    found = features(real, tflm, "yes") / np.float32(0.0390625)
    expected = np.loadtxt(tflm / "yes_preproc_int8_49x40.csv", delimiter=",")
    rounded = (found.astype(np.int64) * 256 + 333) // 666 - 128
    np.testing.assert_array_equal(np.clip(rounded, -128, 127), expected)


def test_frames_overlap_and_begin_with_zeros() -> None:
    model = Interpreter(
        signal(
            "Framer", [plain("x", (2,))], [plain("y", (1, 5)), plain("ok", (), "bool")],
            frame_size=5, frame_step=2, prefill=True,
        )
    )  # fmt: skip
    rows = [model.run({"x": np.array([i, i + 1], np.int16)}) for i in (1, 3, 5)]
    assert [row["output_0"].tolist() for row in rows] == [
        [[0, 0, 0, 1, 2]],
        [[0, 1, 2, 3, 4]],
        [[2, 3, 4, 5, 6]],
    ]
    assert all(row["output_1"] for row in rows)


def test_frames_are_incomplete_until_enough_has_come() -> None:
    model = Interpreter(
        signal(
            "Framer", [plain("x", (2,))], [plain("y", (1, 5)), plain("ok", (), "bool")],
            frame_size=5, frame_step=2, prefill=False,
        )
    )  # fmt: skip
    x = np.array([1, 2], np.int16)
    assert [bool(model.run({"x": x})["output_1"]) for _ in range(4)] == [False, False, True, True]
    model.reset()
    assert not model.run({"x": x})["output_1"]


def test_a_stack_repeats_the_first_frame() -> None:
    model = Interpreter(
        signal(
            "Stacker", [plain("x", (1,))], [plain("y", (3,)), plain("ok", (), "bool")],
            num_channels=1, stacker_left_context=1, stacker_right_context=1, stacker_step=2,
        )
    )  # fmt: skip
    rows = [model.run({"x": np.array([i], np.int16)}) for i in range(1, 5)]
    assert [bool(row["output_1"]) for row in rows] == [False, True, False, True]
    assert rows[1]["output_0"].tolist() == [1, 1, 2]
    assert rows[3]["output_0"].tolist() == [2, 3, 4]


def test_a_delay() -> None:
    model = Interpreter(signal("Delay", [plain("x", (2,))], [plain("y", (2,))], delay_length=3))
    rows = [model.invoke(np.array([i, i + 1], np.int16)).tolist() for i in (1, 3, 5)]
    assert rows == [[0, 0], [0, 1], [2, 3]]


def test_sums_are_cut_to_sixteen_bits() -> None:
    graph = signal("OverlapAdd", [plain("x", (2, 2))], [plain("y", (2,))], T=7, frame_step=1)
    model = Interpreter(graph)
    x = np.array([[1, 30000], [30000, 5]], np.int16)
    assert model.invoke(x).tolist() == [1, 32767]
    assert model.invoke(x).tolist() == [6, 32767]


def test_roots_where_they_turn() -> None:
    values = np.array([2**32 - 2**16, 2**32 - 2**16 + 1, 2**32 - 1, 2**32], np.uint64)
    assert rounded_root(values).tolist() == [65535, 65535, 65535, 65536]
    root = np.array([3037000500, 2**32 - 1], np.uint64)
    np.testing.assert_array_equal(rounded_root(root * root + root), root)
    np.testing.assert_array_equal(rounded_root(root[:1] ** 2 + root[:1] + 1), root[:1] + 1)


def stack(**changed: int) -> Graph:
    options = {"num_channels": 2, "stacker_left_context": 1, "stacker_right_context": 0}
    outputs = [plain("y", (4,)), plain("ok", (), "bool")]
    return signal(
        "Stacker", [plain("x", (2,))], outputs, **{**options, "stacker_step": 1, **changed}
    )


def bank(**changed: Any) -> Graph:
    tables = {"w": [1, 2], "u": [3, 4], "bins": [0, 1, 1], "starts": [0, 1, 0], "widths": [1, 1, 1]}
    tables.update(changed)
    inputs = [plain(name, (len(data),), data=data) for name, data in tables.items()]
    x, y = plain("x", (3,), "uint32"), plain("y", (2,), "uint64")
    return signal("FilterBank", [x, *inputs], [y], num_channels=2)


def window(samples: tuple[int, ...], size: int, dtype: str = "int16") -> Graph:
    inputs = [plain("x", samples, dtype), plain("w", (size,))]
    return signal("Window", inputs, [plain("y", samples)], shift=12)


def transform(samples: int, bins: int, length: int, code: int = 7) -> Graph:
    inputs, outputs = [plain("x", (samples,))], [plain("y", (bins,))]
    return signal("Rfft", inputs, outputs, T=code, fft_length=length)


def framer(y: tuple[int, ...], **changed: int | bool) -> Graph:
    options: dict[str, Any] = {"frame_size": 5, "frame_step": 2, "prefill": False, **changed}
    return signal("Framer", [plain("x", (4,))], [plain("y", y), plain("ok", (), "bool")], **options)


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (window((4,), 4, "int8"), r"has int8 \(4,\) as input 0, expected int16"),
        (window((6,), 4), r"samples \(6,\) and a window of 4, expected a multiple"),
        (window((), 4), "expected a multiple"),
        (transform(64, 66, 64, 9), r"has T=9 \(int8\), expected int16 or int32 or float32"),
        (transform(65, 66, 64), r"transforms 64 samples, found \(65,\)"),
        (transform(60, 66, 66), "fft_length=66, expected a power of two"),
        (transform(64, 64, 64), r"declares the output \(64,\), computes \(66,\)"),
        (
            signal("Irfft", [plain("x", (64,))], [plain("y", (64,))], T=7, fft_length=64),
            r"makes 64 samples of bins \(64,\)",
        ),
        (
            signal("Energy", [plain("x", (8,))], [plain("y", (4,), "uint32")],
                   start_index=1, end_index=5),
            "uses the bins 1 to 5 of 4",
        ),
        (bank(widths=[1, 1, 3]), "a band of bins 1 to 3, there are 3"),
        (bank(starts=[0, -1, 0]), "a band of weights -1 to -1, there are 2"),
        (bank(widths=[1, 1]), "3, 3, 2 places for 2 channels"),
        (bank(u=[3, 4, 5]), "tables of 2, 3 weights"),
        (
            signal("FilterBankSquareRoot",
                   [plain("x", (2,), "uint64"), plain("s", (1,), "int32")],
                   [plain("y", (2,), "uint32")]),
            r"has int32 \(1,\) as input 1, expected int32 with 0 dimensions",
        ),
        (
            signal("PCAN", [plain("x", (2,), "uint32"), plain("n", (2,), "uint32"),
                            plain("g", (9,), data=[0] * 9)],
                   [plain("y", (2,), "uint32")], snr_shift=6),
            "a gain table of 9, expected 125 or more",
        ),
        (framer((2, 5), frame_step=3), "steps of 3, expected a multiple"),
        (framer((2, 1), frame_size=1, prefill=True), "puts zeros before frames of 1 at steps of 2"),
        (framer((2, 4)), r"declares the output \(2, 4\), computes \(2, 5\)"),
        (stack(num_channels=3), r"has 3 channels and a frame of \(2,\)"),
        (stack(stacker_step=3), "takes steps of 3 frames, stacks 2"),
        (
            signal("OverlapAdd", [plain("x", (2, 3))], [plain("y", (8,))], T=7, frame_step=4),
            "steps of 4 samples, its frames have 3",
        ),
        (
            signal("Delay", [plain("x", (2**11, 2))], [plain("y", (2**11, 2))], delay_length=2**20),
            "remembers 4294967296 bytes",
        ),
        (framer((2, 5), frame_step=0), "has frame_step=0, expected 1 to"),
    ],
)  # fmt: skip
def test_what_is_refused_and_why(graph: Graph, words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        Interpreter(graph)


def numbers(name: str, dtypes: tuple[str, str, str] = ("int32",) * 3, scaled: int = -1) -> Graph:
    tensors = [
        Tensor(n, (2,), dtype, *(((0.5,), (0,)) if i == scaled else ((), ())))
        for i, (n, dtype) in enumerate(zip("aby", dtypes, strict=True))
    ]
    return tiny.operator(name, tensors[:2], tensors[2])


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (numbers("ADD", scaled=1), "the int32 tensor 'b' with a scale, expected plain numbers"),
        (numbers("SUB", scaled=2), "the int32 tensor 'y' with a scale"),
        (numbers("DIV", scaled=0), "the int32 tensor 'a' with a scale"),
        (numbers("DIV", ("int16",) * 3), "expected all int8 or all int32 or all float32"),
        (numbers("MUL", ("int32", "int32", "int8")), "takes int32 and int32 to int8"),
        (
            tiny.operator("CAST", [Tensor("x", (2,), "int64")], Tensor("y", (2,), "int32")),
            "turns int64 into int32, expected types of float32, int32",
        ),
        (
            tiny.operator("CAST", [Tensor("x", (2,), "int8")], Tensor("y", (3,), "int32")),
            r"turns the shape \(2,\) into \(3,\)",
        ),
    ],
)
def test_what_arithmetic_refuses(graph: Graph, words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        Interpreter(graph)


def test_a_division_by_zero_is_told_at_the_run() -> None:
    model = Interpreter(numbers("DIV"))
    assert model.run({"a": np.array([7, -7], np.int32), "b": np.array([2, 2], np.int32)})[
        "output_0"
    ].tolist() == [3, -3]
    with pytest.raises(ModelFileError, match=r"op 1 of 1 \(DIV\) in the model divides by 0"):
        model.run({"a": np.array([7, 7], np.int32), "b": np.array([2, 0], np.int32)})
