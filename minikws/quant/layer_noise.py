"""What 8 bits leave of every tensor: the integer graph beside its float twin, on the same features.

`convert` and `to_float_graph` make graphs of one form, tensor by tensor of one name. Both run here,
and for each operator's output the signal-to-noise ratio is taken, and the share of values that lie
outside what its 8 bits can hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws._typing import Array, Features
from minikws.graph import Graph, Tensor
from minikws.quant.noise import Noise
from minikws.runtime import Interpreter

MOVED_ONLY = ("RESHAPE", "PAD")  # nothing is computed: what they give has stood in the line before
OWN_RANGE = ("LOGISTIC", "SOFTMAX", "TANH")  # the operator fixes it, and 1 lies just outside


@dataclass(frozen=True)
class TensorNoise:
    """One tensor of the file.

    name : as in the file; op : what computes it, "" for the input.
    sqnr_db : signal to quantisation noise; None where one of the two is 0.
    clipped : share of values that the 8 bits cannot hold; None where the operator fixes the range.
    """

    name: str
    op: str
    sqnr_db: float | None
    clipped: float | None


def layer_noise(integer: Graph, exact: Graph, features: Features) -> list[TensorNoise]:
    """Compare every activation of a quantised graph with its float twin.

    Parameters
    ----------
    integer, exact : of one network, from `convert` and `to_float_graph`.
    features : (n, T, F), real units. A graph that takes frames gets them one by one, its memory
        empty at the first of a clip; all frames count.

    Returns
    -------
    the input, then one entry for each operator that computes something, in the file's order.
    """
    main = integer.main
    rows = [(main.inputs[0], "")]
    rows += [(op.outputs[0], op.name) for op in main.ops if op.name not in MOVED_ONLY]
    noises = {index: Noise() for index, _ in rows}
    outside, counted = dict.fromkeys(noises, 0), dict.fromkeys(noises, 0)
    ours, theirs = Interpreter(integer), Interpreter(exact)
    for clip in features:
        ours.reset()
        theirs.reset()
        for x in clip.reshape(-1, *ours.inputs[0].shape):
            ours.invoke(x)
            theirs.invoke(x)
            for index in noises:
                tensor, values = main.tensors[index], theirs.tensor(index)
                noises[index].add(values, _real(tensor, ours.tensor(index)))
                low, high = _ends(tensor)
                outside[index] += int(((values < low) | (values > high)).sum())
                counted[index] += values.size
    return [
        TensorNoise(
            main.tensors[index].name,
            op,
            noises[index].db,
            None if op in OWN_RANGE else outside[index] / max(1, counted[index]),
        )
        for index, op in rows
    ]


def _real(tensor: Tensor, integers: Array) -> Array:
    return tensor.scale[0] * (integers.astype(np.float64) - tensor.zero_point[0])


def _ends(tensor: Tensor) -> tuple[float, float]:
    """Return between which real values rounding moves a value by half a step at most."""
    limits, scale, zero_point = np.iinfo(tensor.dtype), tensor.scale[0], tensor.zero_point[0]
    return scale * (limits.min - zero_point - 0.5), scale * (limits.max - zero_point + 0.5)
