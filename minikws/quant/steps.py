"""A network as the steps of a file: chains unrolled, normalisations folded, activations merged.

A batch normalisation goes into the convolution or dense layer before it, a ReLU or ReLU6 into the
operator before it, frames of a waveform into the convolution over them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from minikws._typing import Float
from minikws.errors import SettingsError
from minikws.nn import Layer, Network
from minikws.nn.layers import (
    SVDF,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    Frames,
    HardSwish,
    ReLU,
    ReLU6,
    Residual,
    Sequential,
    Shape,
    Sigmoid,
    Tanh,
)
from minikws.nn.layers.base import leaves
from minikws.quant.fold import folded

WEIGHTED = (Conv1D, Conv2D, Dense, DepthwiseConv1D, DepthwiseConv2D)
FUSED: dict[type[Layer], str] = {ReLU: "RELU", ReLU6: "RELU6"}
ANY_SHAPE = (Dropout, HardSwish, ReLU, ReLU6, Sigmoid, Tanh)  # the same for a frame as for a clip


@dataclass(frozen=True)
class Step:
    """A layer to lower, and what has been merged into it.

    name : parts of composites as "block.first.conv".
    shape : of its output, without the leading 1.
    w, b : weights and biases of a convolution or dense layer, a normalisation folded in.
    activation : fused; range_name : the layer whose output's range counts.
    """

    name: str
    layer: Layer
    shape: Shape
    w: Float | None = None
    b: Float | None = None
    activation: str = "NONE"
    range_name: str = ""


def steps_of(layers: Iterable[tuple[str, Layer]], shape: Shape) -> Iterator[Step]:
    """Unroll chains, fold normalisations and merge activations into the layer before them."""
    chain = deque(unrolled(layers))

    def following() -> Layer | None:
        return chain[0][1] if chain else None

    while chain:
        name, layer = chain.popleft()
        if isinstance(layer, Flatten) and isinstance(following(), Dense):
            shape = layer.output_shape(shape)
            continue  # FULLY_CONNECTED flattens its input itself
        if isinstance(layer, Frames) and isinstance(conv := following(), Conv1D):
            name, _ = chain.popleft()
            layer = FramedConv(layer, conv)
        before, shape = shape, layer.output_shape(shape)
        step = Step(name, layer, shape, range_name=name)
        if isinstance(layer, (*WEIGHTED, FramedConv)):
            w, b = layer.params["w"], layer.params.get("b")
            if isinstance(norm := following(), BatchNorm):
                w, b = folded(w, b, norm)
                step = replace(step, range_name=chain.popleft()[0])
            b = np.zeros(shape[-1], w.dtype) if b is None else b
            step = replace(step, w=w, b=b)
        is_fusing = isinstance(layer, (*WEIGHTED, FramedConv, Residual, SVDF))
        if is_fusing and type(following()) in FUSED:
            range_name, activation = chain.popleft()
            step = replace(step, activation=FUSED[type(activation)], range_name=range_name)
        yield replace(step, shape=before) if isinstance(layer, Residual) else step


def unrolled(layers: Iterable[tuple[str, Layer]], prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield the layers of chains in chains, named as "chain.layer"."""
    for name, layer in layers:
        if isinstance(layer, Sequential):
            yield from unrolled(layer.children(), f"{prefix}{name}.")
        else:
            yield prefix + name, layer


class FramedConv(Layer):
    """Frames and the convolution over them as one convolution of the waveform.

    Frame t holds samples t * hop to t * hop + size of the padded waveform, so that a kernel of k
    frames sees (k - 1) * hop + size samples; where its frames overlap their weights add up.
    """

    def __init__(self, frames: Frames, conv: Conv1D) -> None:
        super().__init__()
        self.frames, self.conv = frames, conv
        if conv.padding != "VALID" or conv.dilations != (1,):
            raise SettingsError(
                f"{conv!r} after {frames!r} has no form in a .tflite file; "
                "use padding VALID and no dilation"
            )
        n_taps, size, n_out = conv.params["w"].shape
        merged = np.zeros(((n_taps - 1) * frames.hop + size, 1, n_out), conv.params["w"].dtype)
        for tap, weights in enumerate(conv.params["w"]):
            merged[tap * frames.hop : tap * frames.hop + size, 0] += weights
        self.params = {**conv.params, "w": merged}
        self.stride = conv.strides[0] * frames.hop

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (T', C_out)."""
        return self.conv.output_shape(self.frames.output_shape(input_shape))

    def padding(self, n_samples: int) -> tuple[int, int]:
        """Return how many zeros go before the waveform, and how many samples are read in all."""
        n_taps, _, _ = self.params["w"].shape
        n_frames, size = self.frames.output_shape((n_samples,))
        total = max((n_frames - 1) * self.frames.hop + size - n_samples, 0)
        (n_out, _) = self.output_shape((n_samples,))
        return total // 2, (n_out - 1) * self.stride + n_taps


def takes_frames(network: Network) -> bool:
    """Whether a network becomes a graph with a memory, which takes one frame at a time.

    Raises
    ------
    SettingsError : it has an SVDF, and before it or around it a layer that needs a whole clip.
    """
    if not any(isinstance(layer, SVDF) for _, layer in leaves(network.layers)):
        return False
    chain = list(unrolled(network.layers))
    is_svdf = [isinstance(layer, SVDF) for _, layer in chain]
    last = len(chain) - 1 - is_svdf[::-1].index(True) if any(is_svdf) else 0
    for name, layer in chain[: last + 1]:
        if not isinstance(layer, (SVDF, *ANY_SHAPE)):
            raise SettingsError(
                f"layer {name} is {layer!r}, which needs more than the one frame at a time that "
                "an SVDF takes in a .tflite file; put the SVDF layers first, with nothing but "
                "activations and dropout between them"
            )
    name, svdf = chain[last]
    if isinstance(svdf, SVDF) and svdf.sequence:
        raise SettingsError(
            f"layer {name} is {svdf!r}, the last of its kind, and gives several outputs; in a "
            ".tflite file what follows sees one at a time: leave sequence out"
        )
    return True
