"""Counts of a known model, and by hand."""

from __future__ import annotations

from pathlib import Path

from minikws.runtime import summarize
from minikws.tflite import read_model
from tests.tflite import tiny


def test_micro_speech(tflm: Path) -> None:
    summary = summarize(read_model(tflm / "micro_speech_quantized.tflite"))
    assert summary.multiply_adds == 320_000 + 16_000
    assert summary.parameters == 640 + 8 + 16_000 + 4
    assert [op.multiply_adds for op in summary.ops] == [0, 320_000, 16_000, 0]
    assert summary.ops[1].output_shape == (1, 25, 20, 8)


def test_by_hand() -> None:
    conv = summarize(tiny.conv(channels=2, outputs=5)).ops[0]
    assert conv.multiply_adds == 9 * 7 * 5 * (3 * 3 * 2)
    assert (conv.parameters, conv.parameter_bytes) == (5 * 18 + 5, 5 * 18 + 4 * 5)
    depthwise = summarize(tiny.conv(depthwise=True, channels=2, outputs=3)).ops[0]
    assert depthwise.multiply_adds == 9 * 7 * 6 * (3 * 3)
    assert summarize(tiny.dense(depth=20, outputs=4, rows=3)).multiply_adds == 3 * 20 * 4
    assert summarize(tiny.softmax()).multiply_adds == 0
