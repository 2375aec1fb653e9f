"""The .tflite schema as rows: operators, their options, enumerations, tensor types, versions.

Reader and writer hold no code for single operators: a new one is a row here. Names and order
of fields are those of TensorFlow's schema.fbs, schema version 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from minikws.errors import ModelFileError, nearest
from minikws.graph import Op, OptionValue

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
SIGNATURE_KEY = "serving_default"
CUSTOM_CODE = 32
MAX_TENSOR_BYTES = 2**30


class TensorType(NamedTuple):
    """A type of tensor values: its code in the file, and bits a value."""

    code: int
    bits: int


TENSOR_TYPES: Mapping[str, TensorType] = {
    "float32": TensorType(0, 32),
    "float16": TensorType(1, 16),
    "int32": TensorType(2, 32),
    "uint8": TensorType(3, 8),
    "int64": TensorType(4, 64),
    "string": TensorType(5, 8),
    "bool": TensorType(6, 8),
    "int16": TensorType(7, 16),
    "complex64": TensorType(8, 64),
    "int8": TensorType(9, 8),
    "float64": TensorType(10, 64),
    "complex128": TensorType(11, 128),
    "uint64": TensorType(12, 64),
    "resource": TensorType(13, 32),
    "variant": TensorType(14, 32),
    "uint32": TensorType(15, 32),
    "uint16": TensorType(16, 16),
    "int4": TensorType(17, 4),
    "bfloat16": TensorType(18, 16),
}
TYPE_NAMES = {row.code: name for name, row in TENSOR_TYPES.items()}
OPAQUE_TYPES = ("string", "resource", "variant", "bfloat16")  # NumPy holds no values of these

ENUMS: Mapping[str, tuple[str, ...]] = {
    "padding": ("SAME", "VALID"),
    "activation": ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT"),
    "weights_format": ("DEFAULT", "SHUFFLED4x16INT8"),
    "tensor_type": tuple(TYPE_NAMES[code].upper() for code in sorted(TYPE_NAMES)),
}


class Field(NamedTuple):
    """One option: its name, its kind, and what a file means that leaves it out.

    kind : a key of `ENUMS` (one byte, the value is a name), "int" (32 bits), "bool", "float",
        "ints" (a list of 32-bit numbers) or "text".
    """

    name: str
    kind: str = "int"
    default: OptionValue = 0


class Options(NamedTuple):
    """A table of options: its number in the schema's union, its fields in slot order."""

    number: int
    fields: tuple[Field, ...] = ()


_ACTIVATION = Field("fused_activation_function", "activation", "NONE")
_PADDING = Field("padding", "padding", "SAME")
_STRIDES = (Field("stride_w"), Field("stride_h"))
_DILATIONS = (Field("dilation_w_factor", "int", 1), Field("dilation_h_factor", "int", 1))
_BIAS_TYPE = Field("quantized_bias_type", "tensor_type", "FLOAT32")
_POT = Field("pot_scale_int16", "bool", True)
_ASYMMETRIC = Field("asymmetric_quantize_inputs", "bool", False)

_CONV = Options(1, (_PADDING, *_STRIDES, _ACTIVATION, *_DILATIONS, _BIAS_TYPE))
_DEPTHWISE = Options(2, (_PADDING, *_STRIDES, Field("depth_multiplier"), _ACTIVATION, *_DILATIONS))
_POOL = Options(
    5, (_PADDING, *_STRIDES, Field("filter_width"), Field("filter_height"), _ACTIVATION)
)
_FULLY_CONNECTED = Options(
    8,
    (
        _ACTIVATION,
        Field("weights_format", "weights_format", "DEFAULT"),
        Field("keep_num_dims", "bool", False),
        _ASYMMETRIC,
        _BIAS_TYPE,
    ),
)
_STRIDED_SLICE = Options(
    32,
    (
        Field("begin_mask"),
        Field("end_mask"),
        Field("ellipsis_mask"),
        Field("new_axis_mask"),
        Field("shrink_axis_mask"),
        Field("offset", "bool", False),
    ),
)
_CAST = Options(
    37,
    (
        Field("in_data_type", "tensor_type", "FLOAT32"),
        Field("out_data_type", "tensor_type", "FLOAT32"),
    ),
)
_REDUCER = Options(27, (Field("keep_dims", "bool", False),))

# Operators without a row may stand in a file, which can then be looked at but not run.
OPTIONS: Mapping[str, Options | None] = {
    "ADD": Options(11, (_ACTIVATION, _POT)),
    "ASSIGN_VARIABLE": Options(113),
    "AVERAGE_POOL_2D": _POOL,
    "CALL_ONCE": Options(103, (Field("init_subgraph_index"),)),
    "CAST": _CAST,
    "CONCATENATION": Options(10, (Field("axis"), _ACTIVATION)),
    "CONV_2D": _CONV,
    "DEPTHWISE_CONV_2D": _DEPTHWISE,
    "DEQUANTIZE": Options(38),
    "DIV": Options(29, (_ACTIVATION,)),
    "EXPAND_DIMS": Options(52),
    "FULLY_CONNECTED": _FULLY_CONNECTED,
    "HARD_SWISH": Options(91),
    "LEAKY_RELU": Options(75, (Field("alpha", "float", 0.0),)),
    "LOGISTIC": None,
    "MAXIMUM": Options(39),
    "MAX_POOL_2D": _POOL,
    "MEAN": _REDUCER,
    "MINIMUM": Options(39),
    "MUL": Options(21, (_ACTIVATION,)),
    "PAD": Options(22),
    "PADV2": Options(43),
    "QUANTIZE": Options(89),
    "READ_VARIABLE": Options(112),
    "REDUCE_MAX": _REDUCER,
    "RELU": None,
    "RELU6": None,
    "RESHAPE": Options(17, (Field("new_shape", "ints", ()),)),
    "SOFTMAX": Options(9, (Field("beta", "float", 0.0),)),
    "SPLIT": Options(35, (Field("num_splits"),)),
    "SPLIT_V": Options(79, (Field("num_splits"),)),
    "SQUEEZE": Options(30, (Field("squeeze_dims", "ints", ()),)),
    "STRIDED_SLICE": _STRIDED_SLICE,
    "SUB": Options(28, (_ACTIVATION, _POT)),
    "SUM": _REDUCER,
    "SVDF": Options(6, (Field("rank"), _ACTIVATION, _ASYMMETRIC)),
    "TANH": None,
    "TRANSPOSE": Options(26),
    "VAR_HANDLE": Options(111, (Field("container", "text", ""), Field("shared_name", "text", ""))),
}

# Custom operators: the exact set of their options, with the lowest and highest value. TFLite
# Micro reads most of them by alphabetical position, so a key too many would shift the others.
CUSTOM_OPTIONS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "SignalDelay": {"delay_length": (0, 2**20)},
    "SignalFramer": {"frame_size": (1, 2**20), "frame_step": (1, 2**20), "prefill": (0, 1)},
    "SignalIrfft": {"T": (0, 18), "fft_length": (4, 2**15)},
    "SignalOverlapAdd": {"T": (0, 18), "frame_step": (1, 2**20)},
    "SignalStacker": {
        "num_channels": (1, 2**20),
        "stacker_left_context": (0, 2**20),
        "stacker_right_context": (0, 2**20),
        "stacker_step": (1, 2**20),
    },
    "SignalWindow": {"shift": (0, 31)},
    "SignalFftAutoScale": {},
    "SignalRfft": {"T": (0, 18), "fft_length": (4, 2**15)},
    "SignalEnergy": {"end_index": (0, 2049), "start_index": (0, 2049)},
    "SignalFilterBank": {"num_channels": (1, 4096)},
    "SignalFilterBankSquareRoot": {},
    "SignalFilterBankSpectralSubtraction": {
        "alternate_one_minus_smoothing": (0, 2**31 - 1),
        "alternate_smoothing": (0, 2**31 - 1),
        "clamping": (0, 1),
        "min_signal_remaining": (0, 2**31 - 1),
        "num_channels": (1, 4096),
        "one_minus_smoothing": (0, 2**31 - 1),
        "smoothing": (0, 2**31 - 1),
        "smoothing_bits": (0, 31),
        "spectral_subtraction_bits": (0, 31),
    },
    "SignalPCAN": {"snr_shift": (0, 31)},
    "SignalFilterBankLog": {"input_correction_bits": (0, 31), "output_scale": (0, 65535)},
}

# The version an operator must carry once its input is int8 (the converters' habit; LiteRT
# looks at it, TFLite Micro does not).
INT8_VERSIONS: Mapping[str, int] = {
    "ADD": 2,
    "AVERAGE_POOL_2D": 2,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "LOGISTIC": 2,
    "MAX_POOL_2D": 2,
    "MEAN": 2,
    "MUL": 2,
    "SOFTMAX": 2,
    "SPLIT_V": 2,
    "STRIDED_SLICE": 2,
    "SUB": 2,
    "SVDF": 3,
}

# Every built-in operator up to code 161, in the order of their codes.
_NAMES_IN_CODE_ORDER = """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
    EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
    LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1
    RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS
    SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER
    BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE
    UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT
    LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG
    PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE
    EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD
    REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV
    REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU
    SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE
    RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
    NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
    BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D
    IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
    CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS
    RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE
    RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2
    UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT
"""
BUILTIN_NAMES = tuple(_NAMES_IN_CODE_ORDER.split())
BUILTIN_CODES = {name: code for code, name in enumerate(BUILTIN_NAMES)}


def n_bytes_of(dtype: str, shape: tuple[int, ...]) -> int:
    """Return the bytes of a tensor in a file or an arena; two int4 values share a byte."""
    count = 1
    for dimension in shape:
        count *= dimension
    return -(-count * TENSOR_TYPES[dtype].bits // 8)


def complete_options(op: Op, what: str) -> dict[str, OptionValue]:
    """Return every option of an operator: those it has, defaults for the others.

    what : how messages name the operator, such as "op 3 (CONV_2D) of the model".

    Raises
    ------
    ModelFileError : an option that the schema does not know, or a value of a wrong kind.
    """
    if op.custom:
        return _checked_custom_options(op, what)
    row = OPTIONS.get(op.name)
    fields = row.fields if row else ()
    if op.name in OPTIONS:
        known = [field.name for field in fields]
        for name in op.options:
            if name not in known:
                raise ModelFileError(
                    f"{what} has an option {name!r} that the schema lacks; {nearest(name, known)}"
                )
    result: dict[str, OptionValue] = {}
    for field in fields:
        value = op.options.get(field.name, field.default)
        if not _fits(field, value):
            raise ModelFileError(
                f"{what} has {field.name}={value!r}, which is no {field.kind}; "
                f"{_choices(field.kind)}"
            )
        result[field.name] = value
    return result


def _choices(kind: str) -> str:
    return f"known are {', '.join(ENUMS[kind])}" if kind in ENUMS else "see the schema's table"


def _fits(field: Field, value: OptionValue) -> bool:
    if field.kind in ENUMS:
        return value in ENUMS[field.kind]
    if field.kind == "int":
        return isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31
    if field.kind == "bool":
        return isinstance(value, bool)
    if field.kind == "float":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if field.kind == "text":
        return isinstance(value, str)
    return isinstance(value, tuple) and all(
        isinstance(item, int) and -(2**31) <= item < 2**31 for item in value
    )


def _checked_custom_options(op: Op, what: str) -> dict[str, OptionValue]:
    allowed = CUSTOM_OPTIONS.get(op.name)
    if allowed is None:
        return dict(op.options)
    if set(op.options) != set(allowed):
        raise ModelFileError(
            f"{what} has the options {str(sorted(op.options))[:200]}, expected {sorted(allowed)}; "
            "export it again with the converter of TFLite Micro"
        )
    for name, value in op.options.items():
        low, high = allowed[name]
        if not isinstance(value, int) or not low <= value <= high:
            raise ModelFileError(
                f"{what} has {name}={repr(value)[:60]}, expected {low} to {high}; "
                "export the model again"
            )
    return dict(op.options)
