"""Estimate the arena's tail: what TFLite Micro keeps beside the planned tensors.

In comes a graph; out comes a number of bytes, an upper estimate. The tail holds a record of each
tensor and operator, the operators' own data (a multiplier for each channel, the tables of an FFT),
variables, and the interpreter's objects. Their sizes are those of the 64-bit build that the
tflite-micro wheel holds, as its allocation log shows them for models of one operator; a 32-bit
board, whose pointers are half as long, needs less, most boards about two thirds.

Source: micro_allocator.cc, recording_micro_allocator.cc (what is kept), the kernels' OpData.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from minikws.graph import Graph, Op, OptionValue, Subgraph
from minikws.runtime.planner import ALIGNMENT, scratch_bytes
from minikws.tflite.schema import n_bytes_of

INTERPRETER_BYTES = 512  # allocators, planner, the graph's own record
SUBGRAPH_BYTES = 32
TENSOR_BYTES = 24  # TfLiteEvalTensor
NODE_BYTES = 64  # TfLiteNode and its registration
END_BYTES = 64 + 24 + 8 + 8  # an input or output: TfLiteTensor, its quantization, a pointer to it
SCRATCH_BYTES = 8  # a pointer to an operator's work memory
RESOURCE_BYTES = 64  # a resource variable: its record, and what aligns it


class _OpBytes(NamedTuple):
    """What one operator keeps.

    data : its kernel's record.
    options : the parsed options.
    """

    data: int
    options: int = 0


_OP_BYTES: Mapping[str, _OpBytes] = {
    "ADD": _OpBytes(60, 8),
    "ASSIGN_VARIABLE": _OpBytes(0),
    "AVERAGE_POOL_2D": _OpBytes(32, 40),
    "CALL_ONCE": _OpBytes(16, 4),
    "CAST": _OpBytes(0, 8),
    "CONCATENATION": _OpBytes(80, 8),
    "CONV_2D": _OpBytes(80, 28),
    "DEPTHWISE_CONV_2D": _OpBytes(80, 28),
    "DEQUANTIZE": _OpBytes(32),
    "DIV": _OpBytes(28, 4),
    "EXPAND_DIMS": _OpBytes(0),
    "FULLY_CONNECTED": _OpBytes(72, 20),
    "HARD_SWISH": _OpBytes(20),
    "LEAKY_RELU": _OpBytes(24, 4),
    "LOGISTIC": _OpBytes(16),
    "MAXIMUM": _OpBytes(0),
    "MAX_POOL_2D": _OpBytes(32, 40),
    "MEAN": _OpBytes(44, 1),
    "MINIMUM": _OpBytes(0),
    "MUL": _OpBytes(36, 4),
    "PAD": _OpBytes(56),
    "PADV2": _OpBytes(56),
    "QUANTIZE": _OpBytes(32),
    "READ_VARIABLE": _OpBytes(0),
    "REDUCE_MAX": _OpBytes(44, 1),
    "RELU": _OpBytes(28),
    "RELU6": _OpBytes(8),
    "RESHAPE": _OpBytes(0, 36),
    "SOFTMAX": _OpBytes(80, 4),
    "SPLIT": _OpBytes(0, 4),
    "SPLIT_V": _OpBytes(0, 4),
    "SQUEEZE": _OpBytes(0, 36),
    "STRIDED_SLICE": _OpBytes(84, 24),
    "SUB": _OpBytes(52, 8),
    "SUM": _OpBytes(44, 1),
    "SVDF": _OpBytes(36, 12),
    "TANH": _OpBytes(16),
    "TRANSPOSE": _OpBytes(0),
    "VAR_HANDLE": _OpBytes(16, 16),
    "SignalDelay": _OpBytes(32),
    "SignalEnergy": _OpBytes(8),
    "SignalFftAutoScale": _OpBytes(0),
    "SignalFilterBank": _OpBytes(64),
    "SignalFilterBankLog": _OpBytes(8),
    "SignalFilterBankSpectralSubtraction": _OpBytes(56),
    "SignalFilterBankSquareRoot": _OpBytes(0),
    "SignalFramer": _OpBytes(40),
    "SignalIrfft": _OpBytes(336),
    "SignalOverlapAdd": _OpBytes(32),
    "SignalPCAN": _OpBytes(4),
    "SignalRfft": _OpBytes(336),
    "SignalStacker": _OpBytes(96),
    "SignalWindow": _OpBytes(8),
}
_UNKNOWN = _OpBytes(128, 48)  # an operator without a row: more than any here


def tail_bytes(graph: Graph) -> int:
    """Return an upper estimate of the arena's tail, in bytes, for a 64-bit build.

    >>> from minikws.graph import Graph, Subgraph
    >>> tail_bytes(Graph((Subgraph((), (), (), ()),)))
    544
    """
    main = graph.main
    total = INTERPRETER_BYTES + END_BYTES * (len(main.inputs) + len(main.outputs))
    for subgraph in graph.subgraphs:
        total += SUBGRAPH_BYTES + TENSOR_BYTES * len(subgraph.tensors)
        total += sum(
            _rounded(n_bytes_of(tensor.dtype, tensor.shape))
            for tensor in subgraph.tensors
            if tensor.is_variable
        )
        total += sum(_op_bytes(op, subgraph) for op in subgraph.ops)
    return total + sum(RESOURCE_BYTES + size for size in _resources(graph).values())


def _op_bytes(op: Op, subgraph: Subgraph) -> int:
    row = _OP_BYTES.get(op.name, _UNKNOWN)
    # An operator that lacks what it needs is refused where it is prepared.
    is_whole = len(op.inputs) > 0 and -1 not in op.inputs[:2] and len(op.outputs) > 0
    arrays = _ARRAYS[op.name](op, subgraph) if op.name in _ARRAYS and is_whole else 0
    scratch = SCRATCH_BYTES * len(scratch_bytes(op, subgraph))
    return NODE_BYTES + _rounded(row.data) + _rounded(row.options, 8) + arrays + scratch


def _per_channel(op: Op, subgraph: Subgraph) -> int:
    """Count a multiplier and a shift for each output channel, even where one scale serves all."""
    shape = subgraph.tensors[op.outputs[0]].shape
    return 2 * _rounded(4 * math.prod(shape[-1:]))


def _per_row(op: Op, subgraph: Subgraph) -> int:
    """Count the same for a dense layer, only where each row has its own scale."""
    count = len(subgraph.tensors[op.inputs[1]].scale) if len(op.inputs) > 1 else 0
    return 2 * _rounded(4 * count) if count > 1 else 0


def _transform(op: Op, subgraph: Subgraph) -> int:
    """Count an FFT's twiddles and work area: in 16 bits, or in 32."""
    wide = n_bytes_of(subgraph.tensors[op.inputs[0]].dtype, (1,)) > 2
    return (10 if wide else 5) * _option(op, "fft_length")


def _ring_buffers(n_values: int, n_rows: int) -> int:
    """Count buffers of int16 that are written twice, so that any stretch lies in one piece."""
    return n_rows * (_rounded(4 * n_values) + 64)


def _framer(op: Op, subgraph: Subgraph) -> int:
    rows = math.prod(subgraph.tensors[op.inputs[0]].shape[:-1])
    return _ring_buffers(_option(op, "frame_size"), rows)


def _delay(op: Op, subgraph: Subgraph) -> int:
    shape = subgraph.tensors[op.inputs[0]].shape
    return _ring_buffers(math.prod(shape[-1:]) + _option(op, "delay_length"), math.prod(shape[:-1]))


def _stacker(op: Op, subgraph: Subgraph) -> int:
    frames = _option(op, "stacker_left_context") + _option(op, "stacker_right_context") + 1
    return _rounded(4 * _option(op, "num_channels") * frames)


def _overlap_add(op: Op, subgraph: Subgraph) -> int:
    tensor = subgraph.tensors[op.inputs[0]]
    a_row = _rounded(n_bytes_of(tensor.dtype, tensor.shape[-1:])) + 16
    return math.prod(tensor.shape[:-2]) * a_row


def _option(op: Op, name: str) -> int:
    value = op.options[name]
    assert isinstance(value, int)
    return value


_ARRAYS: Mapping[str, Callable[[Op, Subgraph], int]] = {
    "CONV_2D": _per_channel,
    "DEPTHWISE_CONV_2D": _per_channel,
    "FULLY_CONNECTED": _per_row,
    "SignalDelay": _delay,
    # 64-bit sums of each channel, and one that is thrown away.
    "SignalFilterBank": lambda op, _: _rounded(8 * (_option(op, "num_channels") + 1)),
    "SignalFilterBankSpectralSubtraction": lambda op, _: _rounded(4 * _option(op, "num_channels")),
    "SignalFramer": _framer,
    "SignalIrfft": _transform,
    "SignalOverlapAdd": _overlap_add,
    "SignalRfft": _transform,
    "SignalStacker": _stacker,
}


def _resources(graph: Graph) -> dict[tuple[OptionValue, OptionValue], int]:
    """Return the bytes of each resource variable, by its container and its name."""
    sizes: dict[tuple[OptionValue, OptionValue], int] = {}
    for subgraph in graph.subgraphs:
        handles: dict[int, tuple[OptionValue, OptionValue]] = {}
        for op in subgraph.ops:
            if op.name == "VAR_HANDLE" and op.outputs:
                key = (op.options.get("container", ""), op.options.get("shared_name", ""))
                handles[op.outputs[0]] = key
                sizes.setdefault(key, 0)
            elif op.name == "ASSIGN_VARIABLE" and len(op.inputs) == 2 and op.inputs[0] in handles:
                value = subgraph.tensors[op.inputs[1]]
                key = handles[op.inputs[0]]
                sizes[key] = max(sizes[key], _rounded(n_bytes_of(value.dtype, value.shape)))
    return sizes


def _rounded(size: int, step: int = ALIGNMENT) -> int:
    return math.ceil(size / step) * step
