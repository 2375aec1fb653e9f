"""Quantisation-aware training: the network meets its later integers while it can still adapt.

`quantization_aware` wraps the layers of a float network. In the forward pass weights are rounded
to the 255 values that `quant.convert` will store, from the largest of them as they are now, and
activations to the 256 values of a range that follows the data, wherever the int8 file has a tensor
of its own: after a layer with weights and what is merged into it, after an addition, inside an
attention, and on the input. What a file holds in 16 bits, an SVDF's weights in time and its memory,
is left as it is. Gradients pass as if nothing had been rounded. The names of layers and parameters
stay, the ranges are buffers beside them, and the export takes those ranges instead of calibrating.

Batch normalisation needs no folding here: folded, it multiplies each output channel's weights by
one number, and symmetric rounding with a scale a channel gives the same integers before and after
such a factor. (Not so for a dense layer, which has one scale for all its outputs.)

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference"; tf.contrib.quantize.
Differs: weights are rounded symmetrically, as int8 files need them, where tf.contrib.quantize took
smallest and largest weight for uint8.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import DTypeLike

from minikws._typing import Float
from minikws.errors import SettingsError
from minikws.nn import (
    Conv1D,
    Conv2D,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    FakeQuant,
    Layer,
    Network,
    ReLU,
)
from minikws.nn import functional as fn
from minikws.nn.layers import (
    SVDF,
    AttentionPool,
    BatchNorm,
    HardSwish,
    ReLU6,
    Residual,
    Sequential,
    Shape,
)
from minikws.quant.builder import Quantization
from minikws.quant.calibrate import INPUT
from minikws.quant.steps import unrolled

INPUT_LAYER = "input"  # the layer that rounds the features
INT8_MIN, INT8_MAX = -128, 127

# The weights that are rounded, and how many of their last axes count output channels, which have a
# scale each; 0: one for all.
ROUNDED: dict[type[Layer], tuple[str, int]] = {
    Conv2D: ("w", 1),
    Conv1D: ("w", 1),
    DepthwiseConv2D: ("w", 2),
    DepthwiseConv1D: ("w", 2),
    Dense: ("w", 0),
    AttentionPool: ("w", 0),
    SVDF: ("weights_frequency", 0),
}
MERGED = (BatchNorm, ReLU, ReLU6)  # into the layer before them
MERGES = (Residual, Conv2D, Conv1D, DepthwiseConv2D, DepthwiseConv1D, Dense, SVDF)
ALONE = (AttentionPool, HardSwish, ReLU)  # have a range, merge nothing


class Quantized(Layer):
    """A layer with rounded weights, a rounded output, or both; its parameters stay in float.

    Parameters
    ----------
    layer : shares its params and buffers with this one.
    output : rounds what comes out; its buffers are "output.averages" and "output.weight".
    """

    def __init__(self, layer: Layer, output: FakeQuant | None) -> None:
        super().__init__()
        self.layer, self.output = layer, output
        self.params, self.decays = layer.params, layer.decays
        self.buffers = dict(layer.buffers)
        if output is not None:
            self.buffers |= {f"output.{name}": array for name, array in output.buffers.items()}

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Run the layer on a rounded copy of its weights, then round its output."""
        if type(self.layer) in ROUNDED:
            name, axes = ROUNDED[type(self.layer)]
            rounded = round_weights(self.params[name], channel_axes=axes)
            self.layer.params = {**self.params, name: rounded}
        try:
            y = self.layer.forward(x, training=training)
        finally:
            self.layer.params = self.params
        return y if self.output is None else self.output.forward(y, training=training)

    def backward(self, dy: Float) -> Float:
        """Fill `grads` and return dx; dw is that of the rounded weights."""
        dx = self.layer.backward(self._through_output(dy))
        self.grads = self.layer.grads
        return dx

    def backward_params(self, dy: Float) -> None:
        """Fill `grads`."""
        self.layer.backward_params(self._through_output(dy))
        self.grads = self.layer.grads

    def _through_output(self, dy: Float) -> Float:
        return dy if self.output is None else self.output.backward(dy)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the layer's own."""
        return self.layer.output_shape(input_shape)

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return the layer's own."""
        return self.layer.multiply_adds(input_shape)

    def children(self) -> list[tuple[str, Layer]]:
        """Return the layer's own."""
        return self.layer.children()

    def __repr__(self) -> str:
        return f"Quantized({self.layer!r})"


class QuantizedAttention(Quantized):
    """An attention whose gate is rounded, too, before its softmax.

    gate : rounds; its buffers are "gate.averages" and "gate.weight".
    """

    layer: AttentionPool

    def __init__(self, layer: AttentionPool, output: FakeQuant, gate: FakeQuant) -> None:
        super().__init__(layer, output)
        self.gate = gate
        self.buffers |= {f"gate.{name}": array for name, array in gate.buffers.items()}

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Run the layer with rounded weights and gate, then round its output."""
        with self._rounding():
            return super().forward(x, training=training)

    def backward(self, dy: Float) -> Float:
        """Fill `grads` and return dx."""
        with self._rounding():
            return super().backward(dy)

    def backward_params(self, dy: Float) -> None:
        """Fill `grads`."""
        with self._rounding():
            super().backward_params(dy)

    @contextmanager
    def _rounding(self) -> Iterator[None]:
        """Put the gate's rounding into the layer, which others use without it."""
        self.layer.scores_through = self.gate
        try:
            yield
        finally:
            self.layer.scores_through = None


def round_weights(w: Float, *, channel_axes: int) -> Float:
    """Round weights to -127 … 127 times a scale, one for all or one an output channel.

    Parameters
    ----------
    w : (…, C) float; channel_axes : how many of its last axes count channels; 0: one scale.

    >>> round_weights(np.array([-1.27, 0.304, 0.306]), channel_axes=0).round(6).tolist()
    [-1.27, 0.3, 0.31]
    """
    n_channels = int(np.prod(w.shape[w.ndim - channel_axes :], dtype=np.int64))
    rows = w.reshape(-1, n_channels) if channel_axes else w.reshape(-1)
    largest = np.abs(rows).max(0)
    return fn.fake_quant(rows, -largest, largest, narrow_range=True)[0].reshape(w.shape)


def quantization_aware(network: Network, input_quantization: Quantization | None = None) -> Network:
    """Wrap a float network for training with the rounding of its int8 form.

    Parameters
    ----------
    network : its layers and weights are shared, not copied.
    input_quantization : the frontend's own scale and zero point; None follows the features.

    Returns
    -------
    a network that gives other logits, with the same names, and an "input" layer before the first.
    """
    fixed = None
    if input_quantization is not None:
        scale, zero_point = input_quantization
        fixed = scale * (INT8_MIN - zero_point), scale * (INT8_MAX - zero_point)
    dtype = network.dtype
    owners = set(_range_owners(layer for _, layer in network.layers))
    wrapped = [(name, _wrap(layer, owners, dtype)) for name, layer in network.layers]
    return Network(
        [(INPUT_LAYER, FakeQuant(fixed=fixed, dtype=dtype)), *wrapped],
        input_shape=network.input_shape,
    )


def is_quantization_aware(network: Network) -> bool:
    """Whether `quantization_aware` made this network."""
    return any(isinstance(layer, Quantized) for _, layer in network.layers)


def without_rounding(network: Network) -> Network:
    """Return the float network that was wrapped, its weights shared; any other as it is."""
    if not is_quantization_aware(network):
        return network
    layers = [(name, _unwrap(layer)) for name, layer in network.layers if name != INPUT_LAYER]
    return Network(layers, input_shape=network.input_shape)


def trained_quantizations(network: Network) -> dict[str, Quantization]:
    """Return the int8 scale and zero point of each range: {"features" or layer name: …}.

    Raises
    ------
    SettingsError : a range has not seen a batch yet.
    """
    ranges = ranges_of(network.layers)
    unknown = [name for name, output in ranges.items() if not output.is_known]
    if unknown:
        raise SettingsError(
            f"the range of {unknown[0]} is not known, the network was made for quantisation-aware "
            "training and has not seen a batch; train it first"
        )
    return {
        name: (float(output.grid.scale), int(output.grid.zero_point) + INT8_MIN)
        for name, output in ranges.items()
    }


def ranges_of(layers: Iterable[tuple[str, Layer]]) -> dict[str, FakeQuant]:
    """Return what rounds each tensor, by the names of `calibrate.observe_ranges`."""
    return {INPUT if name == INPUT_LAYER else name: output for name, output in _outputs(layers)}


def _range_owners(layers: Iterable[Layer]) -> Iterator[int]:
    """Yield the id of every layer whose output is an int8 tensor with a range of its own."""
    chain = deque(layer for _, layer in unrolled(("", layer) for layer in layers))
    while chain:
        layer = chain.popleft()
        if isinstance(layer, Residual):
            for _, way in layer.children():
                yield from _range_owners([way])
        if isinstance(layer, MERGES):
            while chain and isinstance(chain[0], MERGED):
                layer = chain.popleft()
            yield id(layer)
        elif isinstance(layer, ALONE):
            yield id(layer)


def _wrap(layer: Layer, owners: set[int], dtype: DTypeLike) -> Layer:
    wrapped = _rebuilt(layer, lambda part: _wrap(part, owners, dtype))
    if isinstance(wrapped, AttentionPool):
        return QuantizedAttention(wrapped, FakeQuant(dtype=dtype), FakeQuant(dtype=dtype))
    if id(layer) in owners:
        return Quantized(wrapped, FakeQuant(dtype=dtype))
    return Quantized(wrapped, None) if type(layer) in ROUNDED else wrapped


def _unwrap(layer: Layer) -> Layer:
    return _rebuilt(layer.layer if isinstance(layer, Quantized) else layer, _unwrap)


def _rebuilt(layer: Layer, change: Callable[[Layer], Layer]) -> Layer:
    """Return a composite with each of its parts changed; a single layer as it is."""
    parts = [(name, change(part)) for name, part in layer.children()]
    if isinstance(layer, Residual):
        return Residual(*(part for _, part in parts))
    return Sequential(parts) if isinstance(layer, Sequential) else layer


def _outputs(layers: Iterable[tuple[str, Layer]]) -> Iterator[tuple[str, FakeQuant]]:
    """Yield every range by the name of the layer that it rounds, parts of composites as "a.b"."""
    for name, layer in layers:
        if isinstance(layer, FakeQuant):
            yield name, layer
        if isinstance(layer, Quantized) and layer.output is not None:
            yield name, layer.output
        if isinstance(layer, QuantizedAttention):
            yield f"{name}.gate", layer.gate
        yield from _outputs((f"{name}.{part}", inner) for part, inner in layer.children())
