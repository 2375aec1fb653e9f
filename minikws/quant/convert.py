"""A float network as a .tflite graph: int8 after training, or float32 of the same form.

In come a network and calibration features; out comes a `Graph` with input `features` (1, T * F),
as micro_speech's firmware expects it, and output `scores` (1, L). Each type of layer has one
lowering function in `LOWERINGS`, which adds its tensors and its operator; a ReLU is merged into the
convolution or dense layer before it. A new layer needs a lowering here, or cannot be exported.

Source: the TFLite 8-bit quantisation specification (per-channel symmetric int8 weights of
convolutions, int32 biases at input scale times weight scale, asymmetric int8 activations).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from minikws._typing import Array, Features, Float
from minikws.errors import SettingsError, ShapeError
from minikws.fixedpoint import round_half_away
from minikws.graph import Graph, Op, OptionValue, Subgraph, Tensor
from minikws.nn import Conv2D, Dense, Dropout, Flatten, Layer, Network, ReLU, Reshape
from minikws.quant.calibrate import INPUT, Range, observe_ranges

Shape = tuple[int, ...]
Quantization = tuple[float, int]  # scale, zero point

SCORES = "scores"
SCORES_QUANTIZATION: Quantization = (1 / 256, -128)  # SOFTMAX takes no other


def convert(
    network: Network,
    calibration_features: Features,
    *,
    input_quantization: Quantization | None = None,
    name: str = "minikws",
) -> Graph:
    """Quantize a trained network to int8.

    Parameters
    ----------
    network : features (T, F) to logits (L,).
    calibration_features : (n, T, F), real units, of training clips.
    input_quantization : the frontend's own scale and zero point; None takes the features' range.
    name : the file's description.

    Returns
    -------
    a graph with int8 input `features` (1, T * F) and int8 output `scores` (1, L), softmax,
    scale 1/256 and zero point -128.

    Raises
    ------
    SettingsError : a layer without an integer form, or nothing to calibrate on.
    ShapeError : features of another size than the network's.
    """
    ranges = observe_ranges(network, calibration_features)
    source = input_quantization or quantization_of(ranges[INPUT])
    return _lower(network, _Int8Builder(ranges), source, name)


def to_float_graph(network: Network, *, name: str = "minikws") -> Graph:
    """Return the network as a float32 graph of the same form, for comparison."""
    return _lower(network, _Builder(), None, name)


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


class _Builder:
    """Tensors and operators as they are added; float32 here, int8 in the class below."""

    dtype = "float32"

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []

    def tensor(self, tensor: Tensor) -> int:
        """Add a tensor and return its index."""
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(
        self,
        name: str,
        values: Array,
        *,
        scale: tuple[float, ...] = (),
        axis: int = 0,
    ) -> int:
        """Add a constant tensor, its zero points 0."""
        data = np.ascontiguousarray(values)
        data.flags.writeable = False
        return self.tensor(
            Tensor(name, data.shape, data.dtype.name, scale, (0,) * len(scale), axis, data)
        )

    def activation(self, name: str, shape: Shape, quantization: Quantization | None) -> int:
        """Add an activation of one clip."""
        scale, zero_point = ((quantization[0],), (quantization[1],)) if quantization else ((), ())
        return self.tensor(Tensor(name, (1, *shape), self.dtype, scale, zero_point))

    def quantization(self, range_name: str) -> Quantization | None:
        """Return how the values of a layer are stored."""
        return None

    def same_as(self, index: int) -> Quantization | None:
        """Return how another tensor is stored."""
        tensor = self.tensors[index]
        return (tensor.scale[0], tensor.zero_point[0]) if tensor.scale else None

    def weights(self, name: str, w: Float, b: Float, x: int, *, per_channel: bool) -> list[int]:
        """Add weights (C_out, …) and bias of an operator with input tensor `x`."""
        return [
            self.constant(f"{name}/weights", w.astype(np.float32)),
            self.constant(f"{name}/bias", b.astype(np.float32)),
        ]

    def op(self, name: str, inputs: list[int], output: int, **options: OptionValue) -> int:
        """Add an operator and return its output."""
        self.ops.append(Op(name, tuple(inputs), (output,), options))
        return output


class _Int8Builder(_Builder):
    """The same with int8 activations by the ranges of calibration, and int8 weights."""

    dtype = "int8"

    def __init__(self, ranges: dict[str, Range]) -> None:
        super().__init__()
        self.ranges = ranges

    def quantization(self, range_name: str) -> Quantization | None:
        """Return scale and zero point for the calibrated range of a layer."""
        return quantization_of(self.ranges[range_name])

    def weights(self, name: str, w: Float, b: Float, x: int, *, per_channel: bool) -> list[int]:
        """Add symmetric weights from -127 to 127, one scale or one a channel, and int32 bias."""
        rows = w.reshape(len(w), -1).astype(np.float64)
        largest = np.abs(rows).max(axis=1)
        biggest_bias = np.abs(b.astype(np.float64))
        if not per_channel:
            largest, biggest_bias = largest.max(keepdims=True), biggest_bias.max(keepdims=True)
        scale = np.where(largest > 0, largest, 1.0) / 127
        # a channel of tiny weights may need a larger scale, for its bias to fit into int32
        x_scale = self.tensors[x].scale[0]
        scale = np.maximum(scale, biggest_bias / (x_scale * 2**30)).astype(np.float32)
        integers = np.clip(round_half_away(rows / scale[:, None].astype(np.float64)), -127, 127)
        bias_scale = (np.float64(x_scale) * scale).astype(np.float32)
        bias = round_half_away(b / bias_scale.astype(np.float64))
        return [
            self.constant(
                f"{name}/weights",
                integers.reshape(w.shape).astype(np.int8),
                scale=tuple(scale.tolist()),
            ),
            self.constant(f"{name}/bias", bias.astype(np.int32), scale=tuple(bias_scale.tolist())),
        ]


@dataclass(frozen=True)
class _Step:
    """A layer to lower: its output's shape, a fused activation, and whose range it has."""

    name: str
    layer: Layer
    shape: Shape
    activation: str = "NONE"
    range_name: str = ""


def _steps(network: Network) -> Iterator[_Step]:
    """Merge each ReLU into the layer before it and drop what a file does not need."""
    named = list(zip(network.layers, network.shapes[1:], strict=True))
    i = 0
    while i < len(named):
        (name, layer), shape = named[i]
        following = named[i + 1][0] if i + 1 < len(named) else ("", Layer())
        i += 1
        if isinstance(layer, Flatten) and isinstance(following[1], Dense):
            continue  # FULLY_CONNECTED flattens its input itself
        if isinstance(layer, Conv2D | Dense) and isinstance(following[1], ReLU):
            i += 1
            yield _Step(name, layer, shape, "RELU", following[0])
        else:
            yield _Step(name, layer, shape, range_name=name)


def _lower(
    network: Network, builder: _Builder, input_quantization: Quantization | None, name: str
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
    for step in _steps(network):
        lower = LOWERINGS.get(type(step.layer))
        if lower is None:
            known = ", ".join(layer.__name__ for layer in LOWERINGS)
            raise SettingsError(
                f"layer {step.name} is {step.layer!r}, which has no form in a .tflite file; "
                f"known are {known}, and ReLU right after Conv2D or Dense"
            )
        x = lower(builder, step, x)
    quantization = SCORES_QUANTIZATION if builder.dtype == "int8" else None
    scores = builder.activation(SCORES, network.output_shape, quantization)
    builder.op("SOFTMAX", [x], scores, beta=1.0)
    return Graph(
        subgraphs=(Subgraph(tuple(builder.tensors), tuple(builder.ops), (first,), (scores,)),),
        description=name,
        signature={"inputs": {INPUT: first}, "outputs": {SCORES: scores}},
    )


def _conv2d(builder: _Builder, step: _Step, x: int) -> int:
    layer = step.layer
    assert isinstance(layer, Conv2D)
    ohwi = layer.params["w"].transpose(3, 0, 1, 2)
    weights = builder.weights(step.name, ohwi, layer.params["b"], x, per_channel=True)
    y = builder.activation(step.name, step.shape, builder.quantization(step.range_name))
    return builder.op(
        "CONV_2D",
        [x, *weights],
        y,
        padding=layer.padding,
        stride_h=layer.strides[0],
        stride_w=layer.strides[1],
        fused_activation_function=step.activation,
    )


def _dense(builder: _Builder, step: _Step, x: int) -> int:
    # one scale for all rows: TFLite Micro and LiteRT both take it, whatever their age
    w, b = step.layer.params["w"].T, step.layer.params["b"]
    weights = builder.weights(step.name, w, b, x, per_channel=False)
    y = builder.activation(step.name, step.shape, builder.quantization(step.range_name))
    return builder.op(
        "FULLY_CONNECTED", [x, *weights], y, fused_activation_function=step.activation
    )


def _reshape(builder: _Builder, step: _Step, x: int) -> int:
    if builder.tensors[x].shape == (1, *step.shape):
        return x
    shape = builder.constant(f"{step.name}/shape", np.array([1, *step.shape], np.int32))
    y = builder.activation(step.name, step.shape, builder.same_as(x))
    return builder.op("RESHAPE", [x, shape], y, new_shape=(1, *step.shape))


def _nothing(builder: _Builder, step: _Step, x: int) -> int:
    return x  # only training knows dropout


LOWERINGS: dict[type[Layer], Callable[[_Builder, _Step, int], int]] = {
    Conv2D: _conv2d,
    Dense: _dense,
    Dropout: _nothing,
    Reshape: _reshape,
    Flatten: _reshape,
}
