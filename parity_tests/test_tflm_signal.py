"""The Signal operators, and the preprocessor models made of them, against TFLite Micro.

Each case is one operator in a file of its own that runs several times in a row, is reset, and
runs again: every output must be equal, value by value, and the arena as large as recorded.
TFLite Micro leaves some values unwritten (bins outside a range, frames that are not complete);
these are not compared.
"""

from __future__ import annotations

import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.errors import ModelFileError
from minikws.graph import Graph, Tensor
from minikws.runtime import Interpreter, plan
from minikws.settings import MicroSettings
from minikws.tflite import read_model, write_model
from parity_tests.tflm_child import Refused, TFLiteMicro
from tests.tflite import tiny

pytest.importorskip("tflite_micro", reason="oracle absent: pip install 'minikws[parity]'")

CLIPS = ("yes", "no", "noise", "silence")
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 12)
Picker = Callable[[int, list[np.ndarray]], Sequence[Any]]


def plain(name: str, shape: tuple[int, ...], dtype: str = "int16", data: Any = None) -> Tensor:
    values = None if data is None else np.asarray(data, dtype).reshape(shape)
    return Tensor(name, shape, dtype, data=values)


def signal(
    name: str, inputs: list[Tensor], outputs: list[Tensor], options: dict[str, Any] | None = None
) -> Graph:
    return tiny.operator(f"Signal{name}", inputs, outputs, options, custom=True)


def random_values(rng: np.random.Generator, tensor: Tensor) -> np.ndarray:
    """Values of any size, a few bits only, or the type's ends."""
    if tensor.dtype == "float32":
        return rng.normal(scale=10.0 ** rng.integers(-3, 4), size=tensor.shape).astype(np.float32)
    limits = np.iinfo(tensor.dtype)
    kind = rng.integers(4)
    if kind == 0:
        return rng.choice(np.array([limits.min, limits.max, 0], tensor.dtype), tensor.shape)
    values = rng.integers(limits.min, limits.max, tensor.shape, tensor.dtype, endpoint=True)
    if kind == 1:
        return values
    return np.asarray(values >> rng.integers(0, limits.bits, tensor.shape, tensor.dtype))


def everything(run: int, outputs: list[np.ndarray]) -> Sequence[Any]:
    return [...] * len(outputs)


def assert_equal(
    graph: Graph,
    oracle: TFLiteMicro,
    seed: int,
    *,
    n_runs: int = 3,
    written: Picker = everything,
    inputs: Sequence[tuple[np.ndarray, ...] | None] | None = None,
) -> None:
    """Compare every output of runs in a row.

    written : the number of a run since the start or reset, and our outputs -> what of each
        output TFLite Micro has written.
    inputs : given ones, None for a reset; else random ones.
    """
    model = write_model(graph)
    main = graph.main
    tensors = [main.tensors[i] for i in main.inputs]
    rng = np.random.default_rng(seed)
    if inputs is None:
        random = [tuple(random_values(rng, t) for t in tensors) for _ in range(2 * n_runs)]
        inputs = [*random[:n_runs], None, *random[n_runs:]]
    assert plan(graph).arena_bytes == oracle.head_bytes(model)
    expected_all = oracle.run(model, list(inputs), tensors=len(main.tensors))
    ours = Interpreter(model)
    run = 0
    for arrays, (*_, expected) in zip(inputs, expected_all_of(expected_all), strict=True):
        if arrays is None:
            ours.reset()
            run = 0
            continue
        ours.run({t.name: a for t, a in zip(tensors, arrays, strict=True)})
        outputs = [ours.tensor(i) for i in main.outputs]
        for i, found, where in zip(main.outputs, outputs, written(run, outputs), strict=True):
            assert found.dtype == expected[i].dtype and found.shape == main.tensors[i].shape
            value = np.reshape(expected[i], found.shape)
            np.testing.assert_array_equal(found[where], value[where])
        run += 1


def expected_all_of(replies: list[list[Any]]) -> list[tuple[list[Any]]]:
    """Return the tensors of each run; nothing for a reset."""
    return [(reply[1:],) for reply in replies]


@given(
    n_windows=sizes, rows=st.integers(0, 3), width=sizes, shift=st.integers(0, 31), seed=seeds,
    computed=st.booleans(),
)  # fmt: skip
def test_window(
    n_windows: int, rows: int, width: int, shift: int, seed: int, computed: bool,
    oracle: TFLiteMicro,
) -> None:  # fmt: skip
    shape = (*[2] * rows, n_windows * width)
    window = plain("w", (width,))
    if not computed:
        window = plain("w", (width,), data=random_values(np.random.default_rng(seed), window))
    graph = signal("Window", [plain("x", shape), window], [plain("y", shape)], {"shift": shift})
    assert_equal(graph, oracle, seed)


@given(n=st.integers(1, 40), seed=seeds)
def test_auto_scale(n: int, seed: int, oracle: TFLiteMicro) -> None:
    outputs = [plain("y", (n,)), plain("shift", (), "int32")]
    assert_equal(signal("FftAutoScale", [plain("x", (n,))], outputs), oracle, seed)


@given(
    log2=st.integers(2, 11),
    short=st.integers(0, 3),
    rows=st.integers(0, 2),
    seed=seeds,
)
@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
def test_transform(
    dtype: str, log2: int, short: int, rows: int, seed: int, oracle: TFLiteMicro
) -> None:
    length, lead = 2**log2, [2] * rows
    options = {"T": {"float32": 0, "int32": 2, "int16": 7}[dtype], "fft_length": length}
    bins = plain("bins", (*lead, length + 2), dtype)
    samples = plain("samples", (*lead, length - short), dtype)
    assert_equal(signal("Rfft", [samples], [bins], options), oracle, seed, n_runs=2)
    samples = plain("samples", (*lead, length), dtype)
    assert_equal(signal("Irfft", [bins], [samples], options), oracle, seed, n_runs=2)


@given(n_bins=sizes, ends=st.tuples(st.integers(0, 12), st.integers(0, 12)), seed=seeds)
def test_energy(n_bins: int, ends: tuple[int, int], seed: int, oracle: TFLiteMicro) -> None:
    start, end = sorted(min(e, n_bins) for e in ends)
    graph = signal(
        "Energy", [plain("x", (2 * n_bins,))], [plain("y", (n_bins,), "uint32")],
        {"end_index": end, "start_index": start},
    )  # fmt: skip
    assert_equal(graph, oracle, seed, written=lambda run, outputs: [slice(start, end)])


@given(n_channels=sizes, n_bins=st.integers(4, 30), n_weights=st.integers(4, 40), seed=seeds)
def test_filter_bank(
    n_channels: int, n_bins: int, n_weights: int, seed: int, oracle: TFLiteMicro
) -> None:
    rng = np.random.default_rng(seed)
    widths = rng.integers(-1, 5, n_channels + 1)
    room = np.maximum(widths, 0)
    tables = [
        plain("weights", (n_weights,), data=random_values(rng, plain("", (n_weights,)))),
        plain("unweights", (n_weights,), data=random_values(rng, plain("", (n_weights,)))),
        plain("bins", widths.shape, data=rng.integers(0, n_bins - room + 1)),
        plain("starts", widths.shape, data=rng.integers(0, n_weights - room + 1)),
        plain("widths", widths.shape, data=widths),
    ]
    graph = signal(
        "FilterBank", [plain("x", (n_bins,), "uint32"), *tables],
        [plain("y", (n_channels,), "uint64")], {"num_channels": n_channels},
    )  # fmt: skip
    assert_equal(graph, oracle, seed)


def interesting_squares(rng: np.random.Generator, n: int) -> np.ndarray:
    """Squares of all sizes, where rounding turns, and what lies beside them."""
    root = rng.integers(0, 2**32, n, np.uint64) >> rng.integers(0, 32, n, np.uint64)
    half = root * root + root  # rounds down; one more rounds up
    return np.asarray(half + rng.integers(-1, 3, n).astype(np.uint64))


@given(n=sizes, seed=seeds)
def test_square_root(n: int, seed: int, oracle: TFLiteMicro) -> None:
    inputs = [plain("x", (n,), "uint64"), plain("shift", (), "int32")]
    graph = signal("FilterBankSquareRoot", inputs, [plain("y", (n,), "uint32")])
    rng = np.random.default_rng(seed)
    edges = np.array([2**32 - 1, 2**32, 2**32 - 2**16, 65535**2 + 65535, 2**64 - 1], np.uint64)
    given_ = [
        (values, np.array(rng.integers(-40, 80), np.int32))
        for values in (interesting_squares(rng, n), rng.choice(edges, n) - np.uint64(seed % 2))
    ] + [(random_values(rng, inputs[0]), np.array(0, np.int32))]
    assert_equal(graph, oracle, seed, inputs=given_)


def shares(rng: np.random.Generator, bits: int) -> tuple[int, int]:
    """How much of 2**bits is taken and left; now and then any two numbers."""
    if rng.integers(4):
        taken = int(rng.integers(0, 2**bits + 1))
        return taken, 2**bits - taken
    return int(rng.integers(2**31)), int(rng.integers(2**31))


@given(n=sizes, bits=st.integers(0, 31), smoothing_bits=st.integers(0, 31), seed=seeds)
def test_spectral_subtraction(
    n: int, bits: int, smoothing_bits: int, seed: int, oracle: TFLiteMicro
) -> None:
    rng = np.random.default_rng(seed)
    (even, keep_even), (odd, keep_odd) = (shares(rng, min(bits, 30)) for _ in range(2))
    options = {
        "alternate_one_minus_smoothing": keep_odd,
        "alternate_smoothing": odd,
        "clamping": bool(rng.integers(2)),
        "min_signal_remaining": int(rng.integers(2**14)),
        "num_channels": n,
        "one_minus_smoothing": keep_even,
        "smoothing": even,
        "smoothing_bits": smoothing_bits,
        "spectral_subtraction_bits": bits,
    }
    outputs = [plain("y", (n,), "uint32"), plain("noise", (n,), "uint32")]
    graph = signal("FilterBankSpectralSubtraction", [plain("x", (n,), "uint32")], outputs, options)
    assert_equal(graph, oracle, seed, n_runs=5)


@given(n=sizes, snr_shift=st.integers(0, 31), extra=st.integers(0, 3), seed=seeds)
def test_pcan(n: int, snr_shift: int, extra: int, seed: int, oracle: TFLiteMicro) -> None:
    table = plain("gains", (125 + extra,))
    gains = random_values(np.random.default_rng(seed), table)
    inputs = [
        plain("x", (n,), "uint32"),
        plain("noise", (n,), "uint32"),
        plain("gains", table.shape, data=gains),
    ]
    graph = signal("PCAN", inputs, [plain("y", (n,), "uint32")], {"snr_shift": snr_shift})
    assert_equal(graph, oracle, seed)


@given(n=sizes, bits=st.integers(0, 31), scale=st.integers(0, 65535), seed=seeds)
def test_log(n: int, bits: int, scale: int, seed: int, oracle: TFLiteMicro) -> None:
    graph = signal(
        "FilterBankLog", [plain("x", (n,), "uint32")], [plain("y", (n,))],
        {"input_correction_bits": bits, "output_scale": scale},
    )  # fmt: skip
    assert_equal(graph, oracle, seed)


@given(
    rows=st.integers(0, 2), size=st.integers(1, 9), step=st.integers(1, 6),
    n_frames=st.integers(1, 4), prefill=st.booleans(), seed=seeds,
)  # fmt: skip
def test_framer(
    rows: int, size: int, step: int, n_frames: int, prefill: bool, seed: int, oracle: TFLiteMicro
) -> None:
    prefill = prefill and size >= step
    lead = [2] * rows
    x = plain("x", (*lead, n_frames * step))
    outputs = [plain("y", (*lead, n_frames, size)), plain("is_complete", (), "bool")]
    options = {"frame_size": size, "frame_step": step, "prefill": prefill}
    zeros = size - step if prefill else 0
    first = max(0, -(-(size - zeros) // step) - 1)  # the first complete frame of all

    def complete(run: int, outputs: list[np.ndarray]) -> Sequence[Any]:
        return (..., slice(max(0, first - run * n_frames), None), slice(None)), ...

    graph = signal("Framer", [x], outputs, options)
    assert_equal(graph, oracle, seed, n_runs=6, written=complete)


@given(
    n_channels=st.integers(1, 4), left=st.integers(0, 3), right=st.integers(0, 3), seed=seeds,
    step=st.integers(1, 7),
)  # fmt: skip
def test_stacker(
    n_channels: int, left: int, right: int, seed: int, step: int, oracle: TFLiteMicro
) -> None:
    n_stacked = left + right + 1
    outputs = [plain("y", (n_stacked * n_channels,)), plain("is_complete", (), "bool")]
    options = {
        "num_channels": n_channels,
        "stacker_left_context": left,
        "stacker_right_context": right,
        "stacker_step": min(step, n_stacked),
    }

    def complete(run: int, outputs: list[np.ndarray]) -> Sequence[Any]:
        return slice(None if run >= right else 0), ...

    graph = signal("Stacker", [plain("x", (n_channels + seed % 2,))], outputs, options)
    assert_equal(graph, oracle, seed, n_runs=9, written=complete)


@given(
    rows=st.integers(0, 2), size=st.integers(1, 9), step=st.integers(1, 9),
    n_frames=st.integers(1, 4), dtype=st.sampled_from(["int16", "float32"]), seed=seeds,
)  # fmt: skip
def test_overlap_add(
    rows: int, size: int, step: int, n_frames: int, dtype: str, seed: int, oracle: TFLiteMicro
) -> None:
    lead, step = [2] * rows, min(step, size)
    x = plain("x", (*lead, n_frames, size), dtype)
    y = plain("y", (*lead, n_frames * step), dtype)
    options = {"T": {"float32": 0, "int16": 7}[dtype], "frame_step": step}
    assert_equal(signal("OverlapAdd", [x], [y], options), oracle, seed, n_runs=4)


@given(rows=st.integers(0, 2), n=sizes, delay=st.integers(0, 30), seed=seeds)
def test_delay(rows: int, n: int, delay: int, seed: int, oracle: TFLiteMicro) -> None:
    shape = (*[2] * rows, n)
    graph = signal("Delay", [plain("x", shape)], [plain("y", shape)], {"delay_length": delay})
    assert_equal(graph, oracle, seed, n_runs=5)


def refused_graphs() -> dict[str, Graph]:
    """Operators that TFLite Micro refuses or dies of."""
    u32 = plain("n", (3,), "uint32")
    framer = {"frame_size": 5, "frame_step": 2, "prefill": False}
    frames = [plain("y", (2, 5)), plain("ok", (), "bool")]
    bank = [plain(name, (3,), data=[0, 0, 0]) for name in "abcde"]
    return {
        "window of int8": signal(
            "Window", [plain("x", (4,), "int8"), plain("w", (4,))], [plain("y", (4,))], {"shift": 1}
        ),
        "window of two dimensions": signal(
            "Window", [plain("x", (4,)), plain("w", (1, 4))], [plain("y", (4,))], {"shift": 1}
        ),
        "scaling two rows": signal(
            "FftAutoScale", [plain("x", (1, 4))], [plain("y", (1, 4)), plain("s", (), "int32")]
        ),
        "shift as a list": signal(
            "FftAutoScale", [plain("x", (4,))], [plain("y", (4,)), plain("s", (1,), "int32")]
        ),
        "more samples than the transform has": signal(
            "Rfft", [plain("x", (70,))], [plain("y", (66,))], {"T": 7, "fft_length": 64}
        ),
        "transform of int8": signal(
            "Rfft", [plain("x", (64,), "int8")], [plain("y", (66,), "int8")],
            {"T": 9, "fft_length": 64},
        ),
        "another type than T says": signal(
            "Rfft", [plain("x", (64,), "float32")], [plain("y", (66,), "float32")],
            {"T": 7, "fft_length": 64},
        ),
        "energy as int32": signal(
            "Energy", [plain("x", (8,))], [plain("y", (4,), "int32")],
            {"end_index": 3, "start_index": 1},
        ),
        "bank of int32": signal(
            "FilterBank", [plain("x", (3,), "int32"), *bank], [plain("y", (2,), "uint64")],
            {"num_channels": 2},
        ),
        "root of uint32": signal(
            "FilterBankSquareRoot", [u32, plain("s", (), "int32")], [plain("y", (3,), "uint32")]
        ),
        "gain without estimates": signal(
            "PCAN", [u32, plain("g", (125,), data=[0] * 125)], [plain("y", (3,), "uint32")],
            {"snr_shift": 6},
        ),
        "logarithm to int32": signal(
            "FilterBankLog", [u32], [plain("y", (3,), "int32")],
            {"input_correction_bits": 3, "output_scale": 64},
        ),
        "frames of float32": signal("Framer", [plain("x", (4,), "float32")], frames, framer),
        "samples that are no whole steps": signal("Framer", [plain("x", (5,))], frames, framer),
        "frames without a dimension of their own": signal(
            "Framer", [plain("x", (4,))], [plain("y", (10,)), plain("ok", (), "bool")], framer
        ),
        "zeros before frames with gaps": signal(
            "Framer", [plain("x", (4,))], [plain("y", (1, 2)), plain("ok", (), "bool")],
            {"frame_size": 2, "frame_step": 4, "prefill": True},
        ),
        "stack of rows": signal(
            "Stacker", [plain("x", (1, 4))], [plain("y", (8,)), plain("ok", (), "bool")],
            {"num_channels": 4, "stacker_left_context": 1, "stacker_right_context": 0,
             "stacker_step": 1},
        ),
        "sums with gaps": signal(
            "OverlapAdd", [plain("x", (2, 3))], [plain("y", (8,))], {"T": 7, "frame_step": 4}
        ),
        "sums of int32": signal(
            "OverlapAdd", [plain("x", (2, 3), "int32")], [plain("y", (6,), "int32")],
            {"T": 2, "frame_step": 3},
        ),
        "delay of float32": signal(
            "Delay", [plain("x", (4,), "float32")], [plain("y", (4,), "float32")],
            {"delay_length": 1},
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", refused_graphs())
def test_refused_by_both(name: str, oracle: TFLiteMicro) -> None:
    graph = refused_graphs()[name]
    with pytest.raises(ModelFileError, match="op 1 of 1"):
        Interpreter(graph)
    inputs = tuple(
        np.zeros(graph.main.tensors[i].shape, graph.main.tensors[i].dtype)
        for i in graph.main.inputs
    )
    with pytest.raises(Refused):
        oracle.run(write_model(graph), [inputs])


def frames_of(tflm: Path, clip: str) -> list[np.ndarray]:
    with wave.open(str(tflm / f"{clip}_1000ms.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    settings = MicroSettings(variant="preprocessor")
    step = settings.hop_samples
    return [samples[None, i : i + 480] for i in range(0, len(samples) - 479, step)]


@pytest.mark.parametrize("kind", ["int8", "float"])
@pytest.mark.parametrize("clip", [*CLIPS, "loud"])
def test_every_tensor_of_the_preprocessors(
    tflm: Path, kind: str, clip: str, oracle: TFLiteMicro
) -> None:
    model = (tflm / f"audio_preprocessor_{kind}.tflite").read_bytes()
    if clip == "loud":
        rng = np.random.default_rng(59185)
        frames = [random_values(rng, plain("x", (1, 480))) for _ in range(60)]
    else:
        frames = frames_of(tflm, clip)
    frames = [*frames[:20], None, *frames]  # the reset must leave nothing behind
    graph = read_model(model)
    used = slice(5, 241)  # bins that the filter bank needs; TFLite Micro computes no others
    partly = {op.outputs[0] for op in graph.main.ops[4:6]}
    replies = oracle.run(model, frames, tensors=len(graph.main.tensors))
    ours = Interpreter(model)
    for frame, (*_, expected) in zip(frames, expected_all_of(replies), strict=True):
        if frame is None:
            ours.reset()
            continue
        ours.invoke(frame)
        for i, tensor in enumerate(graph.main.tensors):
            if tensor.data is None:
                where = used if i in partly else slice(None)
                found, value = ours.tensor(i).ravel(), np.ravel(expected[i])
                assert found.dtype == value.dtype
                np.testing.assert_array_equal(found[where], value[where], err_msg=tensor.name)
