"""What becomes of each layer in a .tflite file: one function a type of layer, in `LOWERINGS`.

Batch normalisations and most ReLUs have no operator of their own: `quant.steps` merges them into
the one before. Activations along time alone, (T, C), are stored as pictures (1, T, 1, C), which is
what the convolutions take. A new layer needs a function here, or cannot be exported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minikws._typing import Float
from minikws.errors import SettingsError
from minikws.nn import Layer, Network
from minikws.nn.layers import (
    SVDF,
    AttentionPool,
    AveragePool2D,
    Conv1D,
    Conv2D,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    HardSwish,
    MaxPool2D,
    ReLU,
    Reshape,
    Residual,
    Shape,
    Sigmoid,
    Softmax,
    Tanh,
)
from minikws.quant.builder import Builder, Quantization
from minikws.quant.steps import FramedConv, Step, steps_of

LOGISTIC_OUTPUT: Quantization = (1 / 256, -128)  # the operators LOGISTIC and SOFTMAX take no other
TANH_OUTPUT: Quantization = (1 / 128, 0)


def lower_layers(builder: Builder, network: Network, x: int) -> int:
    """Add a network's operators after tensor `x` and return the last one's output.

    Raises
    ------
    SettingsError : a layer without a form in a file.
    """
    return _lower_chain(builder, network.layers, network.input_shape, x)


def softmax(builder: Builder, name: str, shape: Shape, x: int) -> int:
    """Add a SOFTMAX after tensor `x` and return its output."""
    y = builder.activation(name, shape, builder.fixed(LOGISTIC_OUTPUT))
    return builder.op("SOFTMAX", [x], y, beta=1.0)


def _lower_chain(
    builder: Builder, layers: Iterable[tuple[str, Layer]], shape: Shape, x: int
) -> int:
    for step in steps_of(layers, shape):
        lower = LOWERINGS.get(type(step.layer))
        if lower is None:
            known = ", ".join(layer.__name__ for layer in LOWERINGS)
            raise SettingsError(
                f"layer {step.name} is {step.layer!r}, which has no form in a .tflite file; "
                f"known are {known}, and BatchNorm right after a convolution or dense layer"
            )
        x = lower(builder, step, x)
    return x


def _picture(builder: Builder, x: int, shape: Shape, name: str) -> int:
    """Return a tensor with the four dimensions that convolutions and pools take."""
    wanted = (1, *_stored(shape))
    if builder.tensors[x].shape == wanted:
        return x
    return _reshaped(builder, x, wanted[1:], name)


def _stored(shape: Shape) -> Shape:
    """Return how a file holds an activation: (T, C) as (T, 1, C)."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def _reshaped(builder: Builder, x: int, shape: Shape, name: str) -> int:
    new = builder.constant(f"{name}/shape", np.array([1, *shape], np.int32))
    y = builder.activation(name, shape, builder.same_as(x))
    return builder.op("RESHAPE", [x, new], y, new_shape=(1, *shape))


def _convolution(
    builder: Builder, step: Step, x: int, *, in_shape: Shape, kernel: Float, **options: Any
) -> int:
    """Add a CONV_2D, or a DEPTHWISE_CONV_2D where the options hold a depth_multiplier."""
    x = _picture(builder, x, in_shape, f"{step.name}/input")
    assert step.b is not None
    is_depthwise = "depth_multiplier" in options
    axis = kernel.ndim - 1 if is_depthwise else 0
    weights = builder.weights(step.name, kernel, step.b, x, per_channel=True, axis=axis)
    y = builder.activation(step.name, _stored(step.shape), builder.quantization(step.range_name))
    name = "DEPTHWISE_CONV_2D" if is_depthwise else "CONV_2D"
    return builder.op(name, [x, *weights], y, fused_activation_function=step.activation, **options)


def _windows(layer: Any) -> dict[str, Any]:
    """Return padding, strides and dilations as options; a layer along time has a width of 1."""
    strides, dilations = (*layer.strides, 1)[:2], (*layer.dilations, 1)[:2]
    options = {"padding": layer.padding, "stride_h": strides[0], "stride_w": strides[1]}
    if max(dilations) > 1:
        options |= {"dilation_h_factor": dilations[0], "dilation_w_factor": dilations[1]}
    return options


def _in_two_dimensions(w: Float) -> Float:
    """Return the weights of a layer along time, (kt, ...), as (kt, 1, ...)."""
    return w[:, None] if w.ndim == 3 else w


def _conv(builder: Builder, step: Step, x: int) -> int:
    w = step.w
    assert w is not None
    shape = _input_shape(builder, x, w.shape[-2])
    kernel = _in_two_dimensions(w).transpose(3, 0, 1, 2)
    return _convolution(builder, step, x, in_shape=shape, kernel=kernel, **_windows(step.layer))


def _depthwise(builder: Builder, step: Step, x: int) -> int:
    w = step.w
    assert w is not None
    shape = _input_shape(builder, x, w.shape[-2])
    w = _in_two_dimensions(w)
    kernel = w.reshape(1, *w.shape[:2], -1)
    options = {"depth_multiplier": w.shape[3], **_windows(step.layer)}
    return _convolution(builder, step, x, in_shape=shape, kernel=kernel, **options)


def _input_shape(builder: Builder, x: int, n_channels: int) -> Shape:
    """Return the shape of one clip that a convolution sees in tensor `x`."""
    shape = builder.tensors[x].shape[1:]
    return shape if len(shape) != 1 else (shape[0] // n_channels, n_channels)


def _framed_conv(builder: Builder, step: Step, x: int) -> int:
    layer = step.layer
    assert isinstance(layer, FramedConv) and step.w is not None
    n_samples = int(np.prod(builder.tensors[x].shape, dtype=np.int64))
    before, n_read = layer.padding(n_samples)
    x = _picture(builder, x, (n_samples, 1, 1), f"{step.name}/waveform")
    after = max(0, n_read - before - n_samples)
    if before or after:
        pads = np.array([[0, 0], [before, after], [0, 0], [0, 0]], np.int32)
        padded = (before + n_samples + after, 1, 1)
        y = builder.activation(f"{step.name}/padded", padded, builder.same_as(x))
        x = builder.op("PAD", [x, builder.constant(f"{step.name}/paddings", pads)], y)
    kernel = _in_two_dimensions(step.w).transpose(3, 0, 1, 2)
    options = {"padding": "VALID", "stride_h": layer.stride, "stride_w": 1}
    shape = builder.tensors[x].shape[1:]
    return _convolution(builder, step, x, in_shape=shape, kernel=kernel, **options)


def _dense(builder: Builder, step: Step, x: int) -> int:
    # one scale for all rows: TFLite Micro and LiteRT both take it, whatever their age
    assert step.w is not None and step.b is not None
    weights = builder.weights(step.name, step.w.T, step.b, x, per_channel=False)
    y = builder.activation(step.name, step.shape, builder.quantization(step.range_name))
    return builder.op(
        "FULLY_CONNECTED", [x, *weights], y, fused_activation_function=step.activation
    )


def _svdf(builder: Builder, step: Step, x: int) -> int:
    """Add the one operator; in int8 it knows no activation, the range of its output does that."""
    layer = step.layer
    assert isinstance(layer, SVDF)
    frequency, time, b = layer.params.values()
    *constants, state = builder.filters(step.name, frequency.T, time, b, x)
    quantization = builder.quantization(step.range_name)
    y = builder.activation(step.name, step.shape[-1:], quantization)
    return builder.op(
        "SVDF",
        [x, *constants, state],
        y,
        rank=layer.rank,
        fused_activation_function=step.activation,
    )


def _pool(builder: Builder, step: Step, x: int) -> int:
    layer = step.layer
    assert isinstance(layer, MaxPool2D | AveragePool2D)
    y = builder.activation(step.name, step.shape, builder.same_as(x))
    return builder.op(
        "MAX_POOL_2D" if isinstance(layer, MaxPool2D) else "AVERAGE_POOL_2D",
        [x],
        y,
        padding=layer.padding,
        stride_h=layer.strides[0],
        stride_w=layer.strides[1],
        filter_height=layer.size[0],
        filter_width=layer.size[1],
    )


def _axes(builder: Builder, name: str, x: int) -> int:
    """Add the axes between clip and channel."""
    rank = len(builder.tensors[x].shape)
    return builder.constant(f"{name}/axes", np.arange(1, rank - 1, dtype=np.int32))


def _global_average(builder: Builder, step: Step, x: int) -> int:
    y = builder.output(step.name, step.shape, step.range_name, x)
    return builder.op("MEAN", [x, _axes(builder, step.name, x)], y, keep_dims=False)


def _global_max(builder: Builder, step: Step, x: int) -> int:
    y = builder.activation(step.name, step.shape, builder.same_as(x))
    return builder.op("REDUCE_MAX", [x, _axes(builder, step.name, x)], y, keep_dims=False)


def _residual(builder: Builder, step: Step, x: int) -> int:
    """Lower both ways and add them; the step's shape is that of the input."""
    layer = step.layer
    assert isinstance(layer, Residual)
    ways = {name: way for name, way in layer.children()}
    x = _picture(builder, x, _input_shape(builder, x, step.shape[-1]), f"{step.name}/input")
    ends = [
        _lower_chain(builder, [(f"{step.name}.{name}", way)], step.shape, x)
        for name, way in ways.items()
    ]
    if len(ends) == 1:
        ends.append(x)
    shape = _stored(layer.output_shape(step.shape))
    y = builder.activation(step.name, shape, builder.quantization(step.range_name))
    return builder.op("ADD", ends, y, fused_activation_function=step.activation)


def _attention(builder: Builder, step: Step, x: int) -> int:
    """Gate a map by a softmax over time, take maximum and mean, put them side by side."""
    layer = step.layer
    assert isinstance(layer, AttentionPool)
    n_frames, n_channels = layer.n_frames, layer.n_channels
    x = _picture(builder, x, (n_frames, n_channels), f"{step.name}/input")
    gate = Step(
        f"{step.name}/gate",
        layer,
        (n_frames,),
        layer.params["w"],
        layer.params["b"],
        range_name=f"{step.name}.gate",
    )
    logits = _dense(builder, gate, x)
    shares = softmax(builder, f"{step.name}/shares", gate.shape, logits)
    shares = _reshaped(builder, shares, (n_frames, 1, 1), f"{step.name}/over_time")
    out = builder.quantization(step.range_name)  # all that is put side by side must share it
    gated = builder.activation(f"{step.name}/gated", (n_frames, 1, n_channels), out)
    builder.op("MUL", [x, shares], gated)
    axes = _axes(builder, step.name, x)
    largest = builder.activation(f"{step.name}/largest", (n_channels,), out)
    builder.op("REDUCE_MAX", [gated, axes], largest, keep_dims=False)
    mean = builder.activation(f"{step.name}/mean", (n_channels,), out)
    builder.op("MEAN", [x, axes], mean, keep_dims=False)
    y = builder.activation(step.name, step.shape, out)
    return builder.op("CONCATENATION", [largest, mean], y, axis=1)


def _softmax(builder: Builder, step: Step, x: int) -> int:
    return softmax(builder, step.name, step.shape, x)


def _activation(name: str, output: Quantization | None = None) -> Lowering:
    """Return the lowering of an activation as an operator of its own."""

    def lower(builder: Builder, step: Step, x: int) -> int:
        shape = builder.tensors[x].shape[1:]
        quantization = builder.fixed(output) if output else builder.quantization(step.range_name)
        return builder.op(name, [x], builder.activation(step.name, shape, quantization))

    return lower


def _reshape(builder: Builder, step: Step, x: int) -> int:
    if builder.tensors[x].shape == (1, *step.shape):
        return x
    return _reshaped(builder, x, step.shape, step.name)


def _nothing(builder: Builder, step: Step, x: int) -> int:
    return x  # only training knows dropout


Lowering = Callable[[Builder, Step, int], int]
LOWERINGS: dict[type[Layer], Lowering] = {
    Conv1D: _conv,
    Conv2D: _conv,
    DepthwiseConv1D: _depthwise,
    DepthwiseConv2D: _depthwise,
    FramedConv: _framed_conv,
    Dense: _dense,
    SVDF: _svdf,
    MaxPool2D: _pool,
    AveragePool2D: _pool,
    GlobalAveragePool: _global_average,
    GlobalMaxPool: _global_max,
    Residual: _residual,
    AttentionPool: _attention,
    ReLU: _activation("RELU"),
    Sigmoid: _activation("LOGISTIC", LOGISTIC_OUTPUT),
    Tanh: _activation("TANH", TANH_OUTPUT),
    HardSwish: _activation("HARD_SWISH"),
    Softmax: _softmax,
    Dropout: _nothing,
    Reshape: _reshape,
    Flatten: _reshape,
}
