"""A small model for every operator, and for what only whole models have: memories, subgraphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from minikws.graph import Graph, Op, Subgraph, Tensor
from minikws.tflite import attach
from tests.tflite import tiny

INFO = {"labels": ["_silence_", "yes", "no"], "frontend": {"kind": "micro"}}


def every_op() -> dict[str, Graph]:
    """Return name -> model; together they hold every operator that minikws runs."""
    return {
        "keyword model": attach(tiny.keyword_model(), INFO),
        "float keyword model": tiny.keyword_model(dtype="float32"),
        "conv": tiny.conv(channels=3, dilation=(2, 1), padding="VALID", hw=(9, 9)),
        "depthwise": tiny.conv(depthwise=True, channels=2),
        "dense": tiny.dense(per_channel=True, rows=3),
        "softmax": tiny.softmax((3, 7)),
        "svdf": svdf("int16"),
        "svdf int8": svdf("int8"),
        "svdf float": svdf("float32"),
        "variables": streaming_model(),
        "signal": preprocessor(),
        **_frames(),
        **_movement(),
        **_arithmetic(),
    }


def _int8(name: str, *shape: int, scale: float = 0.05, zero_point: int = -3) -> Tensor:
    return tiny.activation(name, shape, scale, zero_point)


def _int32(name: str, values: Any) -> Tensor:
    return tiny.constant(name, values, "int32")


def _movement() -> dict[str, Graph]:
    x, flat = _int8("x", 1, 4, 6), _int8("x", 1, 24)
    ends = [_int32("begin", [0, 1, 0]), _int32("end", [1, 4, 6]), _int32("strides", [1, 1, 2])]
    paddings = _int32("paddings", [[0, 0], [1, 2], [0, 3]])
    halves = [_int8("y1", 1, 4, 2), _int8("y2", 1, 4, 4)]
    thirds = [_int8(f"y{i}", 1, 4, 2) for i in range(3)]
    f = Tensor("f", (1, 24), "float32")
    i32 = Tensor("i", (1, 24), "int32")
    return {
        "reshape": tiny.reshape(),
        "expand": tiny.operator("EXPAND_DIMS", [flat, _int32("axis", 1)], _int8("y", 1, 1, 24)),
        "squeeze": tiny.operator("SQUEEZE", [_int8("x", 1, 1, 24)], flat, {"squeeze_dims": (1,)}),
        "transpose": tiny.operator(
            "TRANSPOSE", [x, _int32("order", [0, 2, 1])], _int8("y", 1, 6, 4)
        ),
        "pad": tiny.operator("PAD", [x, paddings], _int8("y", 1, 7, 9)),
        "padv2": tiny.operator(
            "PADV2",
            [x, paddings, tiny.constant("value", 7, "int8", (0.05,))],
            replace(_int8("y", 1, 7, 9), zero_point=(0,)),
        ),
        "split": tiny.operator("SPLIT", [_int32("axis", 2), x], thirds, {"num_splits": 3}),
        "split_v": tiny.operator(
            "SPLIT_V",
            [x, _int32("sizes", [2, 4]), _int32("axis", 2)],
            halves,
            {"num_splits": 2},
        ),
        "slice": tiny.operator("STRIDED_SLICE", [x, *ends], _int8("y", 1, 3, 3)),
        "concatenation": tiny.operator(
            "CONCATENATION", [x, _int8("x2", 1, 4, 3)], _int8("y", 1, 4, 9), {"axis": 2}
        ),
        "quantize": tiny.operator("QUANTIZE", [f], _int8("y", 1, 24)),
        "requantize": tiny.operator("QUANTIZE", [flat], _int8("y", 1, 24, scale=0.1)),
        "dequantize": tiny.operator("DEQUANTIZE", [flat], replace(f, name="y")),
        "cast": tiny.operator("CAST", [i32], Tensor("y", (1, 24), "int8")),
    }


def _arithmetic() -> dict[str, Graph]:
    x, x2, y = _int8("x", 1, 4, 6), _int8("x2", 1, 1, 6, scale=0.02), _int8("y", 1, 4, 6, scale=0.2)
    same = _int8("y", 1, 4, 6)
    image, pooled = _int8("x", 1, 8, 6, 2), _int8("y", 1, 4, 3, 2)
    pool = {"filter_height": 3, "filter_width": 2, "stride_h": 2, "stride_w": 2}
    axes = _int32("axes", [1])
    floats = [Tensor("x", (1, 6), "float32"), Tensor("x2", (1, 6), "float32")]
    models = {name.lower(): tiny.operator(name, [x, x2], y) for name in ("ADD", "SUB", "MUL")}
    for name in ("MINIMUM", "MAXIMUM"):
        models[name.lower()] = tiny.operator(name, [x, replace(same, name="x2")], same)
    for name in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
        models[name.lower()] = tiny.operator(name, [image], pooled, pool)
    for name in ("MEAN", "SUM", "REDUCE_MAX"):
        y_reduced = _int8("y", 1, 6, scale=0.05 if name == "REDUCE_MAX" else 0.1)
        models[name.lower()] = tiny.operator(name, [x, axes], y_reduced)
    for name in ("RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH"):
        options = {"alpha": 0.2} if name == "LEAKY_RELU" else {}
        models[name.lower()] = tiny.operator(name, [x], same, options)
    models["logistic"] = tiny.operator(
        "LOGISTIC", [x], _int8("y", 1, 4, 6, scale=1 / 256, zero_point=-128)
    )
    models["tanh"] = tiny.operator("TANH", [x], _int8("y", 1, 4, 6, scale=1 / 128, zero_point=0))
    models["div"] = tiny.operator("DIV", floats, Tensor("y", (1, 6), "float32"))
    return models


def svdf(wide: str) -> Graph:
    """Two frames of memory, two units of rank 2; `wide` is the type of the memory."""
    rng = np.random.default_rng(5)

    def tensor(name: str, shape: tuple[int, ...], dtype: str, scale: float) -> Tensor:
        kind = "float32" if wide == "float32" else dtype
        scales = () if wide == "float32" else (tiny.float32(scale),)
        return Tensor(name, shape, kind, scales, (0,) * len(scales))

    def constant(name: str, shape: tuple[int, ...], dtype: str, scale: float) -> Tensor:
        row = tensor(name, shape, dtype, scale)
        return replace(row, data=rng.integers(-100, 100, shape).astype(row.dtype))

    return tiny.operator(
        "SVDF",
        [
            tensor("x", (1, 5), "int8", 0.05),
            constant("frequency", (4, 5), "int8", 0.01),
            constant("time", (4, 3), wide, 0.01),
            constant("bias", (2,), "int32", 0.001),
            replace(tensor("state", (1, 12), wide, 0.1), is_variable=True),
        ],
        tensor("y", (1, 2), "int8", 0.2),
        {"rank": 2},
        version=1 if wide == "float32" else 3,
    )


def streaming_model() -> Graph:
    """The last two frames are a resource variable, which a subgraph fills at the first call."""
    resource = Tensor("handle", (), "resource")
    old, new = _int8("old", 1, 3, 2), _int8("new", 1, 1, 2)
    joined, kept = _int8("joined", 1, 4, 2), _int8("kept", 1, 3, 2)
    name = {"container": "", "shared_name": "frames"}
    ends = [_int32("begin", [0, 1, 0]), _int32("end", [1, 4, 2]), _int32("strides", [1, 1, 1])]
    main = Subgraph(
        (new, resource, old, joined, *ends, kept),
        (
            Op("CALL_ONCE", (), (), {"init_subgraph_index": 1}),
            Op("VAR_HANDLE", (), (1,), name),
            Op("READ_VARIABLE", (1,), (2,)),
            Op("CONCATENATION", (2, 0), (3,), {"axis": 1}, 2),
            Op("STRIDED_SLICE", (3, 4, 5, 6), (7,), {}, 2),
            Op("ASSIGN_VARIABLE", (1, 7), ()),
        ),
        (0,),
        (3,),
    )
    first = tiny.constant("first", np.full((1, 3, 2), -3), "int8", (0.05,))
    start = Subgraph(
        (resource, replace(first, zero_point=(-3,))),
        (Op("VAR_HANDLE", (), (0,), name), Op("ASSIGN_VARIABLE", (0, 1), ())),
        (),
        (),
        "start",
    )
    return Graph((main, start), metadata={"min_runtime_version": tiny.RUNTIME_VERSION})


def _frames() -> dict[str, Graph]:
    """The Signal operators that the preprocessor lacks: those that remember, and the way back."""
    x, channels, done = (
        Tensor("x", (1, 40), "int16"),
        Tensor("x", (3,), "int16"),
        Tensor("is complete", (), "bool"),
    )
    frames = Tensor("y", (1, 2, 30), "int16")
    stack = {"num_channels": 3, "stacker_left_context": 1, "stacker_right_context": 1}
    rows = {
        "Delay": ([x], [Tensor("y", (1, 40), "int16")], {"delay_length": 7}),
        "Framer": ([x], [frames, done], {"frame_size": 30, "frame_step": 20, "prefill": 1}),
        "Stacker": (
            [channels],
            [Tensor("y", (9,), "int16"), done],
            {**stack, "stacker_step": 2},
        ),
        "Irfft": (
            [Tensor("x", (1, 34), "float32")],
            [Tensor("y", (1, 32), "float32")],
            {"T": 0, "fft_length": 32},
        ),
        "OverlapAdd": (
            [Tensor("x", (1, 2, 30), "int16")],
            [Tensor("y", (1, 40), "int16")],
            {"T": 7, "frame_step": 20},
        ),
    }
    models = {}
    for name, (inputs, outputs, options) in rows.items():
        indices = tuple(range(1, 1 + len(outputs)))
        op = Op(f"Signal{name}", (0,), indices, options, custom=True)
        models[name] = tiny.graph_of([*inputs, *outputs], [op], (0,), indices)
    return models


def preprocessor() -> Graph:
    """The audio preprocessor's operators on one frame of 64 samples, 5 channels."""
    rng = np.random.default_rng(6)
    tensors: list[Tensor] = []
    ops: list[Op] = []

    def add(name: str, shape: tuple[int, ...], dtype: str) -> int:
        tensors.append(Tensor(name, shape, dtype))
        return len(tensors) - 1

    def fixed(name: str, values: Any) -> int:
        tensors.append(tiny.constant(name, values, "int16"))
        return len(tensors) - 1

    def signal(
        name: str, inputs: tuple[int, ...], outputs: tuple[int, ...], **options: Any
    ) -> None:
        ops.append(Op(f"Signal{name}", inputs, outputs, options, custom=True))

    smoothing: Mapping[str, int] = {
        "alternate_one_minus_smoothing": 15401,
        "alternate_smoothing": 983,
        "clamping": 0,
        "min_signal_remaining": 819,
        "num_channels": 5,
        "one_minus_smoothing": 15975,
        "smoothing": 409,
        "smoothing_bits": 10,
        "spectral_subtraction_bits": 14,
    }
    x, window = add("x", (1, 64), "int16"), fixed("window", rng.integers(0, 4096, 64))
    windowed, flat = add("windowed", (1, 64), "int16"), add("flat", (64,), "int16")
    scaled, bits = add("scaled", (64,), "int16"), add("bits", (), "int32")
    spectrum, energy = add("spectrum", (66,), "int16"), add("energy", (33,), "uint32")
    weights = rng.integers(0, 4096, 24)
    starts = 4 * np.arange(6)
    bank = [
        fixed("weights", weights),
        fixed("unweights", 4096 - weights),
        fixed("frequency starts", starts),
        fixed("weight starts", starts),
        fixed("widths", [4] * 6),
    ]
    channels, roots = add("channels", (5,), "uint64"), add("roots", (5,), "uint32")
    clean, noise = add("clean", (5,), "uint32"), add("noise", (5,), "uint32")
    table = fixed("table", rng.integers(0, 2**14, 125))
    levelled, y = add("levelled", (5,), "uint32"), add("y", (5,), "int16")
    signal("Window", (x, window), (windowed,), shift=12)
    ops.append(Op("RESHAPE", (windowed,), (flat,), {"new_shape": (64,)}))
    signal("FftAutoScale", (flat,), (scaled, bits))
    signal("Rfft", (scaled,), (spectrum,), T=7, fft_length=64)
    signal("Energy", (spectrum,), (energy,), start_index=1, end_index=30)
    signal("FilterBank", (energy, *bank), (channels,), num_channels=5)
    signal("FilterBankSquareRoot", (channels, bits), (roots,))
    signal("FilterBankSpectralSubtraction", (roots,), (clean, noise), **smoothing)
    signal("PCAN", (clean, noise, table), (levelled,), snr_shift=6)
    signal("FilterBankLog", (levelled,), (y,), input_correction_bits=3, output_scale=64)
    return tiny.graph_of(tensors, ops, (x,), (y,))
