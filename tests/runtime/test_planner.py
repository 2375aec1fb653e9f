"""The memory plan: the published heads, and the law that living buffers never overlap."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.errors import ModelFileError
from minikws.graph import Graph, Op, Tensor
from minikws.runtime import plan
from minikws.tflite import read_model
from tests.tflite import tiny


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("micro_speech_quantized", 5968),
        ("mlperf_tiny_kws_ref_model", 16000),
        ("audio_preprocessor_int8", 3040),
        ("audio_preprocessor_float", 3040),
        ("mww_okay_nabu_v2", 4096),
    ],
)
def test_the_recorded_heads(tflm: Path, name: str, head: int) -> None:
    assert plan(read_model(tflm / f"{name}.tflite")).arena_bytes == head


def test_every_place_of_micro_speech(tflm: Path) -> None:
    planned = plan(read_model(tflm / "micro_speech_quantized.tflite"))
    rows = {b.tensor: (b.n_bytes, b.first, b.last, b.offset) for b in planned.buffers}
    assert rows == {
        2: (4000, 2, 3, 0),
        4: (1968, 1, 2, 4000),
        3: (1968, 0, 1, 0),
        9: (16, 4, 4, 0),
        6: (16, 3, 4, 4000),
    }


def test_the_steps_of_micro_speech(tflm: Path) -> None:
    planned = plan(read_model(tflm / "micro_speech_quantized.tflite"))
    assert [step.label for step in planned.steps] == [
        *("input", "1 RESHAPE", "2 DEPTHWISE_CONV_2D", "3 FULLY_CONNECTED", "4 SOFTMAX")
    ]
    # input; + reshaped; reshaped + Relu; Relu + logits; logits + scores
    assert planned.needed_bytes == (1968, 1968 + 1968, 1968 + 4000, 4000 + 16, 16 + 16)
    assert planned.peak == 2


def test_a_called_subgraph_has_steps_of_its_own(tflm: Path) -> None:
    planned = plan(read_model(tflm / "mww_okay_nabu_v2.tflite"))
    labels = [step.label for step in planned.steps]
    assert labels[:5] == [
        *("input", "1 CALL_ONCE", "1 CALL_ONCE", "1:1 VAR_HANDLE", "1:2 ASSIGN_VARIABLE")
    ]
    assert labels[-1] == "55 QUANTIZE"
    assert max(b.last for b in planned.buffers) == len(labels) - 1
    assert labels[planned.peak] == "24 CONCATENATION"
    assert planned.needed_bytes[planned.peak] == max(planned.needed_bytes) <= planned.arena_bytes


def test_scratch_of_the_preprocessor(tflm: Path) -> None:
    planned = plan(read_model(tflm / "audio_preprocessor_int8.tflite"))
    by_tensor = {b.tensor: b.offset for b in planned.buffers}
    scratch = [b for b in planned.buffers if b.tensor == -1]
    assert [(b.n_bytes, b.offset, b.name) for b in scratch] == [(1024, 1040, "scratch of op 4")]
    assert (by_tensor[0], by_tensor[19], by_tensor[21], by_tensor[23]) == (0, 960, 2064, 0)
    assert (by_tensor[22], by_tensor[26]) == (3024, 2080)


@st.composite
def branched(draw: st.DrawFn) -> Graph:
    """Operators that each read earlier tensors and write a new one."""
    sizes = draw(st.lists(st.integers(0, 300), min_size=2, max_size=12))
    tensors = [Tensor(f"t{i}", (size,), "int8") for i, size in enumerate(sizes)]
    ops = []
    for i in range(1, len(sizes)):
        sources = draw(st.lists(st.integers(0, i - 1), min_size=1, max_size=3))
        ops.append(Op("CONCATENATION", tuple(sources), (i,)))
    return tiny.graph_of(tensors, ops, (0,), (len(sizes) - 1,))


@given(graph=branched())
def test_living_buffers_never_overlap(graph: Graph) -> None:
    planned = plan(graph)
    for i, a in enumerate(planned.buffers):
        assert a.offset % 16 == 0 and 0 <= a.first <= a.last
        for b in planned.buffers[:i]:
            alive_together = a.first <= b.last and b.first <= a.last
            apart = a.offset >= b.offset + b.n_bytes or b.offset >= a.offset + a.n_bytes
            assert apart or not alive_together
    together = [
        sum(b.n_bytes for b in planned.buffers if b.first <= step <= b.last)
        for step in range(len(graph.main.ops) + 1)
    ]
    assert planned.arena_bytes >= max(together)


def offline(offsets: list[int]) -> Graph:
    plan_bytes = np.array([1, 0, len(offsets), *offsets], "<i4").tobytes()
    return replace(tiny.reshape(), metadata={"OfflineMemoryAllocation": plan_bytes})


def test_an_offline_plan_is_followed() -> None:
    planned = plan(offline([64, -1, 16]))
    assert {b.tensor: b.offset for b in planned.buffers} == {0: 64, 2: 16}
    assert planned.arena_bytes == 80


def test_an_offline_plan_that_overlaps_is_refused() -> None:
    with pytest.raises(ModelFileError, match="puts 'y' and 'x' on one place"):
        plan(offline([16, -1, 16]))


def test_a_graph_without_activations_needs_nothing() -> None:
    planned = plan(tiny.graph_of([], [], (), ()))
    assert (planned.arena_bytes, planned.needed_bytes, planned.peak) == (0, (0,), 0)
