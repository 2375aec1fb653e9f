"""A float network as a .tflite graph: int8 after training, or float32 of the same form.

In come a network and calibration features; out comes a `Graph` with input `features` (1, T * F),
as micro_speech's firmware expects it, and output `scores` (1, L). A network of SVDF layers becomes
a graph with a memory, whose `features` are one frame (1, F): the scores after a frame are those of
the T frames up to it. What becomes of each layer stands in `quant.lower`.
"""

from __future__ import annotations

import numpy as np

from minikws._typing import Features
from minikws.errors import SettingsError, ShapeError, nearest
from minikws.graph import Graph, Subgraph
from minikws.nn import Network
from minikws.quant.builder import Builder, Int8Builder, Quantization
from minikws.quant.calibrate import INPUT, observe_ranges
from minikws.quant.choose import Calibration
from minikws.quant.lower import lower_layers, softmax
from minikws.quant.qat import is_quantization_aware, trained_quantizations, without_rounding
from minikws.quant.ranges import quantization_of
from minikws.quant.steps import takes_frames
from minikws.quant.uint8 import UInt8Builder

SCORES = "scores"
BUILDERS: dict[str, type[Int8Builder]] = {"int8": Int8Builder, "uint8": UInt8Builder}


def convert(
    network: Network,
    calibration: Features | Calibration | None,
    *,
    input_quantization: Quantization | None = None,
    dtype: str = "int8",
    name: str = "minikws",
) -> Graph:
    """Quantize a trained network to int8, or to uint8.

    Parameters
    ----------
    network : features (T, F) to logits (L,).
    calibration : what `calibrate` has chosen; or features (n, T, F), real units, of training
        clips, whose whole ranges are taken; not used, and None will do, for a network of
        `quantization_aware`, which has learnt its ranges in training.
    input_quantization : the frontend's own scale and zero point as int8; None takes the features'
        range.
    dtype : "int8", or "uint8" as in 2018 (`quant.uint8`), whose zero points are 128 higher.
    name : the file's description.

    Returns
    -------
    a graph with int8 input `features` (1, T * F), or (1, F) with SVDF layers, and int8 output
    `scores` (1, L), softmax, scale 1/256 and zero point -128.

    Raises
    ------
    SettingsError : a layer without an integer form, nothing to calibrate on, a network for
        quantisation-aware training that has not been trained, or another dtype.
    ShapeError : features of another size than the network's.
    """
    if dtype not in BUILDERS:
        raise SettingsError(f"dtype={dtype!r} has no converter; {nearest(dtype, BUILDERS)}")
    if is_quantization_aware(network):
        quantizations = trained_quantizations(network)
    elif isinstance(calibration, Calibration):
        quantizations = dict(calibration.quantizations)
    else:
        empty = np.empty((0, *network.input_shape), np.float32)
        ranges = observe_ranges(network, empty if calibration is None else calibration)
        quantizations = {name: quantization_of(range_) for name, range_ in ranges.items()}
    source = input_quantization or quantizations[INPUT]
    return _lower(without_rounding(network), BUILDERS[dtype](quantizations), source, name)


def to_float_graph(network: Network, *, name: str = "minikws") -> Graph:
    """Return the network as a float32 graph of the same form, for comparison."""
    return _lower(without_rounding(network), Builder(), None, name)


def _lower(
    network: Network, builder: Builder, input_quantization: Quantization | None, name: str
) -> Graph:
    """Lower every layer in order, put a softmax at the end."""
    if len(network.output_shape) != 1:
        raise ShapeError(
            f"the network gives {network.output_shape}, expected one logit a label (L,); "
            "end it with a dense layer"
        )
    shape = network.input_shape[1:] if takes_frames(network) else network.input_shape
    n_features = int(np.prod(shape, dtype=np.int64))
    if input_quantization is not None:
        scale, zero_point = input_quantization
        input_quantization = float(np.float32(scale)), zero_point  # as a file keeps it
    first = x = builder.activation(INPUT, (n_features,), input_quantization)
    x = lower_layers(builder, network, x)
    scores = softmax(builder, SCORES, network.output_shape, x)
    return Graph(
        subgraphs=(Subgraph(tuple(builder.tensors), tuple(builder.ops), (first,), (scores,)),),
        description=name,
        signature={"inputs": {INPUT: first}, "outputs": {SCORES: scores}},
    )
