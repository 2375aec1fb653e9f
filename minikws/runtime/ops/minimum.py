"""MINIMUM and MAXIMUM of two tensors, broadcast; scales are not compared.

Source: maximum_minimum.cc of TFLite Micro.
"""

from __future__ import annotations

import numpy as np

from minikws.runtime.broadcast import expect_broadcast
from minikws.runtime.node import Inputs, Node, Outputs

_DTYPES = ("int8", "float32", "int16", "int32", "int64")


def prepare(node: Node) -> None:
    """Check types and shapes."""
    expect_broadcast(node, _DTYPES)


def evaluate_minimum(state: None, inputs: Inputs) -> Outputs:
    """(...), (...) -> the smaller values."""
    x1, x2 = inputs
    assert x1 is not None and x2 is not None
    return (np.minimum(x1, x2),)


def evaluate_maximum(state: None, inputs: Inputs) -> Outputs:
    """(...), (...) -> the larger values."""
    x1, x2 = inputs
    assert x1 is not None and x2 is not None
    return (np.maximum(x1, x2),)
