"""A float network as a .tflite graph: int8 after training, or float32 of the same form.

In come a network and calibration features; out comes a `Graph` with input `features` (1, T * F),
as micro_speech's firmware expects it, and output `scores` (1, L). What becomes of each layer stands
in `quant.lower`.
"""

from __future__ import annotations

import numpy as np

from minikws._typing import Features
from minikws.errors import ShapeError
from minikws.fixedpoint import round_half_away
from minikws.graph import Graph, Subgraph
from minikws.nn import Network
from minikws.quant.builder import Builder, Int8Builder, Quantization
from minikws.quant.calibrate import INPUT, Range, observe_ranges
from minikws.quant.lower import LOGISTIC_OUTPUT, lower_layers
from minikws.quant.qat import is_quantization_aware, trained_quantizations, without_rounding

SCORES = "scores"


def convert(
    network: Network,
    calibration_features: Features | None,
    *,
    input_quantization: Quantization | None = None,
    name: str = "minikws",
) -> Graph:
    """Quantize a trained network to int8.

    Parameters
    ----------
    network : features (T, F) to logits (L,).
    calibration_features : (n, T, F), real units, of training clips; not used, and None will do,
        for a network of `quantization_aware`, which has learnt its ranges in training.
    input_quantization : the frontend's own scale and zero point; None takes the features' range.
    name : the file's description.

    Returns
    -------
    a graph with int8 input `features` (1, T * F) and int8 output `scores` (1, L), softmax,
    scale 1/256 and zero point -128.

    Raises
    ------
    SettingsError : a layer without an integer form, nothing to calibrate on, or a network for
        quantisation-aware training that has not been trained.
    ShapeError : features of another size than the network's.
    """
    if is_quantization_aware(network):
        quantizations = trained_quantizations(network)
    else:
        features = np.empty((0, *network.input_shape), np.float32)
        if calibration_features is not None:
            features = calibration_features
        ranges = observe_ranges(network, features)
        quantizations = {name: quantization_of(range_) for name, range_ in ranges.items()}
    source = input_quantization or quantizations[INPUT]
    return _lower(without_rounding(network), Int8Builder(quantizations), source, name)


def to_float_graph(network: Network, *, name: str = "minikws") -> Graph:
    """Return the network as a float32 graph of the same form, for comparison."""
    return _lower(without_rounding(network), Builder(), None, name)


def quantization_of(range_: Range) -> Quantization:
    """Return scale and zero point of an int8 activation that must hold this range and 0.

    >>> quantization_of((-1.0, 1.55))
    (0.009999999776482582, -28)
    """
    low, high = min(range_[0], 0.0), max(range_[1], 0.0)
    if low == high:
        high = 1.0
    scale = _as_stored((high - low) / 255)
    zero_point = int(np.clip(round_half_away(-128 - low / scale), -128, 127))
    return scale, zero_point


def _as_stored(scale: float) -> float:
    """Round to float32, as which a file keeps it."""
    return float(np.float32(scale))


def _lower(
    network: Network, builder: Builder, input_quantization: Quantization | None, name: str
) -> Graph:
    """Lower every layer in order, put a softmax at the end."""
    if len(network.output_shape) != 1:
        raise ShapeError(
            f"the network gives {network.output_shape}, expected one logit a label (L,); "
            "end it with a dense layer"
        )
    n_features = int(np.prod(network.input_shape, dtype=np.int64))
    if input_quantization is not None:
        input_quantization = (_as_stored(input_quantization[0]), input_quantization[1])
    first = x = builder.activation(INPUT, (n_features,), input_quantization)
    x = lower_layers(builder, network, x)
    quantization = LOGISTIC_OUTPUT if builder.dtype == "int8" else None
    scores = builder.activation(SCORES, network.output_shape, quantization)
    builder.op("SOFTMAX", [x], scores, beta=1.0)
    return Graph(
        subgraphs=(Subgraph(tuple(builder.tensors), tuple(builder.ops), (first,), (scores,)),),
        description=name,
        signature={"inputs": {INPUT: first}, "outputs": {SCORES: scores}},
    )
