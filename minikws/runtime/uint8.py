"""uint8 as int8 moved by 128, for operators that do the same to either.

A uint8 x with the zero point z is the int8 x - 128 with the zero point z - 128: the same real
value, as far from its zero point. In come an operator on uint8 tensors and the kernel for int8;
out come the same operator on int8 tensors and a kernel that moves values in and out. Convolutions,
dense layers, pools and softmax have a uint8 form of their own.

TFLite Micro refuses uint8; LiteRT's reference kernels run it, equal but for `Node.ratio` and RELU6.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from minikws._typing import Array
from minikws.graph import Tensor
from minikws.runtime.node import Inputs, Kernel, Node, Outputs

MOVED_OPS = frozenset(
    (
        *("ADD", "CONCATENATION", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MAXIMUM", "MEAN"),
        *("MINIMUM", "MUL", "PAD", "PADV2", "REDUCE_MAX", "RELU", "RELU6", "SPLIT", "SPLIT_V"),
        *("STRIDED_SLICE", "SUB", "SUM", "TANH", "TRANSPOSE"),
    )
)
_TOP_BIT = np.uint8(128)  # to turn it round is to add 128, or to take it away


def moved(node: Node, kernel: Kernel) -> tuple[Node, Kernel]:
    """Return an operator on uint8 as one on int8, with the kernel for it; others as they are."""
    dtypes = {tensor.dtype for tensor in (*node.inputs, *node.outputs) if tensor is not None}
    if node.op.name not in MOVED_OPS or "uint8" not in dtypes or "int8" in dtypes:
        return node, kernel
    as_int8 = replace(
        node,
        inputs=tuple(None if tensor is None else _tensor(tensor) for tensor in node.inputs),
        outputs=tuple(_tensor(tensor) for tensor in node.outputs),
        what=f"{node.what}, uint8 read as int8 with zero points 128 less,",
        is_moved=True,
    )

    def evaluate(state: object, inputs: Inputs) -> Outputs:
        results = kernel.evaluate(state, [None if x is None else _int8(x) for x in inputs])
        return tuple(_uint8(y) for y in results)

    return as_int8, Kernel(kernel.prepare, evaluate, kernel.batches)


def _tensor(tensor: Tensor) -> Tensor:
    if tensor.dtype != "uint8":
        return tensor
    zero_points = tuple(zero_point - 128 for zero_point in tensor.zero_point)
    data = None if tensor.data is None else _int8(tensor.data)
    return replace(tensor, dtype="int8", zero_point=zero_points, data=data)


def _int8(x: Array) -> Array:
    return (x ^ _TOP_BIT).view(np.int8) if x.dtype == np.uint8 else x


def _uint8(y: Array) -> Array:
    return np.asarray(y.view(np.uint8) ^ _TOP_BIT if y.dtype == np.int8 else y)
