"""The tail's estimate: recorded sizes of whole models, and what it grows by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from minikws.graph import Op
from minikws.runtime.tail import tail_bytes
from minikws.tflite import read_model
from tests.tflite import tiny


@pytest.mark.parametrize(
    ("name", "recorded"),  # micro_speech.md 7.3, and the allocation log of tflite-micro
    [
        ("micro_speech_quantized", 1616),
        ("mlperf_tiny_kws_ref_model", 8272),
        ("audio_preprocessor_int8", 7184),
        ("audio_preprocessor_float", 6368),
        ("mww_okay_nabu_v2", 19328),
    ],
)
def test_recorded_tails(tflm: Path, name: str, recorded: int) -> None:
    estimate = tail_bytes(read_model(tflm / f"{name}.tflite"))
    assert recorded <= estimate <= 1.03 * recorded


def test_each_channel_has_a_multiplier_and_a_shift() -> None:
    # 16 more channels: 16 * 4 bytes, twice; nothing else differs.
    assert tail_bytes(tiny.conv(outputs=20)) - tail_bytes(tiny.conv(outputs=4)) == 128
    # A dense layer keeps them only where it has a scale for each row.
    wide = tiny.dense(outputs=20)
    assert tail_bytes(wide) == tail_bytes(tiny.dense(outputs=4))
    assert tail_bytes(tiny.dense(outputs=20, per_channel=True)) - tail_bytes(wide) == 2 * 80


def test_an_operator_without_a_row_is_taken_for_a_large_one() -> None:
    graph = tiny.softmax()
    known = replace(graph.main, ops=(Op("TANH", (0,), (1,)),))
    other = replace(graph.main, ops=(Op("LSTM", (0,), (1,)),))
    # 128 + 48 against a record of 16
    assert (
        tail_bytes(replace(graph, subgraphs=(other,)))
        - tail_bytes(replace(graph, subgraphs=(known,)))
        == 160
    )
