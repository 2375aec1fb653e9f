"""CAST: the same numbers in another type.

Fractions are cut off, real numbers that do not fit become the nearest that does (not-a-number
0); integers that do not fit keep their low bits; as bool, everything but 0 is true. The options
of the operator name both types, and are not looked at: the tensors' own types decide.

Source: cast.cc of TFLite Micro; real numbers as on its usual processors (C++ leaves them open).
"""

from __future__ import annotations

import numpy as np

from minikws.runtime.node import Inputs, Node, Outputs

_DTYPES = ("float32", "int32", "int16", "int8", "uint32", "bool")


def prepare(node: Node) -> str:
    """Check the tensors; return the output's type.

    Raises
    ------
    ModelFileError : types that TFLite Micro does not cast, other shapes.
    """
    node.expect_counts((1,), 1)
    x, y = node.input(0, "input"), node.outputs[0]
    node.expect(
        x.dtype in _DTYPES and y.dtype in _DTYPES,
        f"turns {x.dtype} into {y.dtype}, expected types of {', '.join(_DTYPES)}",
    )
    node.expect(x.shape == y.shape, f"turns the shape {x.shape} into {y.shape}")
    return y.dtype


def evaluate(dtype: str, inputs: Inputs) -> Outputs:
    """(...) -> (...) of another type."""
    x = inputs[0]
    assert x is not None
    if x.dtype == np.float32 and dtype not in ("float32", "bool"):
        limits = np.iinfo(dtype)
        real = np.where(np.isnan(x), 0, x).astype(np.float64)
        return (np.clip(real, limits.min, limits.max).astype(np.int64).astype(dtype),)
    return (x.astype(dtype),)
