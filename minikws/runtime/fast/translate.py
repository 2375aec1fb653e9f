"""Which operators the machine knows, and who makes their rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

from minikws.runtime.fast import moves, rows, sums
from minikws.runtime.fast.tables import Tables
from minikws.runtime.program import Step

Translate: TypeAlias = Callable[[Tables, Step], bool]

TRANSLATIONS: Mapping[str, Translate] = MappingProxyType(
    {
        "ADD": moves.add,
        "ASSIGN_VARIABLE": moves.assign,
        "AVERAGE_POOL_2D": partial(sums.pool, kind=rows.AVERAGE),
        "CONCATENATION": moves.concatenate,
        "CONV_2D": sums.conv,
        "DEPTHWISE_CONV_2D": sums.depthwise,
        "EXPAND_DIMS": moves.rename,
        "FULLY_CONNECTED": sums.fully_connected,
        "HARD_SWISH": moves.look_up,
        "LEAKY_RELU": moves.look_up,
        "LOGISTIC": moves.look_up,
        "MAX_POOL_2D": partial(sums.pool, kind=rows.MAXIMUM),
        "MEAN": sums.mean,
        "MUL": moves.multiply,
        "PAD": moves.move,
        "PADV2": moves.move,
        "QUANTIZE": moves.look_up,
        "READ_VARIABLE": moves.read,
        "REDUCE_MAX": sums.reduce_max,
        "RELU": moves.look_up,
        "RELU6": moves.look_up,
        "RESHAPE": moves.rename,
        "SOFTMAX": moves.softmax,
        "SPLIT": moves.move,
        "SPLIT_V": moves.move,
        "SQUEEZE": moves.rename,
        "STRIDED_SLICE": moves.move,
        "SUB": moves.add,
        "SUM": sums.mean,
        "SVDF": moves.svdf,
        "TANH": moves.look_up,
        "TRANSPOSE": moves.move,
    }
)


def translate(name: str, tables: Tables, step: Step) -> bool:
    """Add an operator's rows; return False, having added none, where there are none for it."""
    return name in TRANSLATIONS and TRANSLATIONS[name](tables, step)
