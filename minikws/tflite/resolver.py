"""The operators a model needs, in the words of TFLite Micro's `MicroMutableOpResolver`.

In comes a graph; out come the resolver's size and the names of its `Add…` methods. A firmware
that registers these alone leaves the code of all other operators out of its flash.

Source: tensorflow/lite/micro/micro_mutable_op_resolver.h (the methods' names).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from minikws.graph import Graph, Op, Subgraph

# "MAX_POOL_2D" is AddMaxPool2D: words joined, but for these, which the header spells its own way.
_SPELT: Mapping[str, str] = {
    "BATCH_MATMUL": "BatchMatMul",
    "CUMSUM": "CumSum",
    "PADV2": "PadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
}
_BUILTIN = """
    ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND
    BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM DEPTH_TO_SPACE
    DEPTHWISE_CONV_2D DEQUANTIZE DIV ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV
    FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF
    L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR
    LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD
    PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE RESIZE_BILINEAR
    RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX
    SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE
    STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK
    VAR_HANDLE WHILE ZEROS_LIKE
"""
_OFFERED = frozenset(_BUILTIN.split())
_CUSTOM: Mapping[str, str] = {
    "CIRCULAR_BUFFER": "CircularBuffer",
    "TFLite_Detection_PostProcess": "DetectionPostprocess",
    **{
        f"Signal{name}": name
        for name in (
            *("Delay", "Energy", "FftAutoScale", "FilterBank", "FilterBankLog"),
            *("FilterBankSpectralSubtraction", "FilterBankSquareRoot", "Framer", "Irfft"),
            *("OverlapAdd", "PCAN", "Rfft", "Stacker", "Window"),
        )
    },
}


# What takes uint8 tensors still, as parity_tests/test_resolver_vs_tflm.py finds, beside QUANTIZE
# from and to int8. All else is refused when it runs.
_TAKES_UINT8 = frozenset(("ASSIGN_VARIABLE", "DEQUANTIZE", "READ_VARIABLE", "RESHAPE", "SQUEEZE"))


@dataclass(frozen=True)
class Resolver:
    """What `MicroMutableOpResolver<size>` needs.

    methods : "AddConv2D" …, in the order in which the operators first run.
    missing : operators that TFLite Micro has no method for; they count for `size` too.
    resource_variables : how many a `MicroResourceVariables` must hold; 0: the model has none.
    refused : operators that it can register and does not run, because their tensors are uint8.
    """

    methods: tuple[str, ...]
    missing: tuple[str, ...]
    resource_variables: int
    refused: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Different operators."""
        return len(self.methods) + len(self.missing)


def resolver_of(graph: Graph) -> Resolver:
    """Return what a graph, all its subgraphs, needs of TFLite Micro's resolver.

    >>> from minikws.graph import Graph, Op, Subgraph
    >>> ops = (Op("CONV_2D", (), ()), Op("SignalPCAN", (), (), custom=True), Op("LSTM", (), ()))
    >>> resolver_of(Graph((Subgraph((), ops, (), ()),)))
    Resolver(methods=('AddConv2D', 'AddPCAN'), missing=('LSTM',), resource_variables=0, refused=())
    """
    ops = [op for subgraph in graph.subgraphs for op in subgraph.ops]
    kinds = dict.fromkeys((op.name, op.custom) for op in ops)
    methods = {kind: _method(*kind) for kind in kinds}
    variables = {
        (op.options.get("container", ""), op.options.get("shared_name", ""))
        for op in ops
        if op.name == "VAR_HANDLE" and not op.custom
    }
    refused = [
        op.name
        for subgraph in graph.subgraphs
        for op in subgraph.ops
        if methods[op.name, op.custom] and _refuses(op, subgraph)
    ]
    return Resolver(
        tuple(method for method in methods.values() if method),
        tuple(name for (name, _), method in methods.items() if not method),
        len(variables),
        tuple(dict.fromkeys(refused)),
    )


def _refuses(op: Op, subgraph: Subgraph) -> bool:
    """Whether TFLite Micro fails at an operator because of uint8 tensors."""
    dtypes = {subgraph.tensors[i].dtype for i in (*op.inputs, *op.outputs) if i != -1}
    if op.name == "QUANTIZE":
        return "uint8" in dtypes and "int8" not in dtypes
    return "uint8" in dtypes and op.name not in _TAKES_UINT8


def _method(name: str, custom: bool) -> str | None:
    """Return the method that registers an operator, None where TFLite Micro has none."""
    if custom:
        return f"Add{_CUSTOM[name]}" if name in _CUSTOM else None
    if name not in _OFFERED:
        return None
    words = (word if word[0].isdigit() else word.capitalize() for word in name.split("_"))
    return f"Add{_SPELT.get(name) or ''.join(words)}"
