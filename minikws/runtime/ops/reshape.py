"""RESHAPE, EXPAND_DIMS, SQUEEZE: the same values in another shape, of any type.

The output tensor's own shape decides; the input that holds the new shape may contain -1 and
is not read, as in TFLite Micro.

Source: ReshapePrepare, tensorflow/lite/micro/kernels/reshape_common.cc.
"""

from __future__ import annotations

import numpy as np

from minikws.runtime.node import Inputs, Node, Outputs


def prepare(node: Node) -> tuple[int, ...]:
    """Check that type and number of values stay; return the output's shape.

    Raises
    ------
    ModelFileError : they do not.
    """
    node.expect_counts((1, 2), 1)
    x, y = node.input(0, "input"), node.outputs[0]
    node.expect(x.dtype == y.dtype, f"turns {x.dtype} into {y.dtype}, expected the same type")
    node.expect(
        np.prod(x.shape, dtype=np.int64) == np.prod(y.shape, dtype=np.int64),
        f"turns the shape {x.shape} into {y.shape}, which holds another number of values",
    )
    return y.shape


def evaluate(shape: tuple[int, ...], inputs: Inputs) -> Outputs:
    """(...) -> `shape`; a batch of B takes the place of a leading 1."""
    x = inputs[0]
    assert x is not None
    if len(shape) > 1 and shape[0] == 1 and x.size > 0:
        return (x.reshape(-1, *shape[1:]),)
    return (x.reshape(shape),)
