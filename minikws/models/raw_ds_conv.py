"""The waveform network that won the Raspberry Pi prize of the Kaggle speech challenge.

    samples ─ frames of 40 every 20 ─ conv ─ (context, reduce) x 5 ─ context ─ attention ─ dense

A "context" is a depthwise convolution of 3 and a pointwise one; a "reduce" is the same at every
second moment and with more channels. Frames of 40 every 20 samples and then a convolution of 3 at
stride 2 are together one convolution of 80 samples at stride 40; the network is trained in the
first form, as its authors' was, whose 15,360 weights (against 10,240) start and move differently.

Source: see--/speech_recognition, experiment 195, conv_1d_time_sliced_with_attention: no biases but
the gate's, batch norm and weights as Keras has them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minikws.errors import SettingsError
from minikws.models.registry import Recipe, enter
from minikws.models.stack import Stack
from minikws.nn import Network
from minikws.nn.functional import Padding
from minikws.nn.layers import (
    AttentionPool,
    BatchNorm,
    Conv1D,
    Dense,
    DepthwiseConv1D,
    Dropout,
    Flatten,
    Frames,
    ReLU6,
)

CHANNELS = (128, 192, 256, 320, 384, 512)


@enter(
    doc="depthwise separable convolutions on the waveform itself, with attention; 1.2 million "
    "weights",
    recipe=Recipe(
        steps=(10_000,),
        learning_rates=(0.001,),
        optimizer="rmsprop",
        batch_size=384,
        schedule="plateau",
        label_smoothing=0.1,
        l2=1e-5,
        dropout_rate=0.4,
        frontend={"kind": "raw"},
    ),
)
def raw_ds_conv(
    *,
    input_shape: tuple[int, int],
    n_labels: int,
    rng: np.random.Generator,
    dropout_rate: float,
    dtype: DTypeLike,
    width: float = 1.0,
) -> Network:
    """Build it for slices (T, F) of the waveform, end to end; all channels times `width`."""
    if not 0 < width <= 100:
        raise SettingsError(f"raw_ds_conv's width={width} is not above 0; 1.0 is the published one")
    channels = [max(1, int(width * n)) for n in CHANNELS]
    drawn: dict[str, Any] = {"rng": rng, "sigma": None, "dtype": dtype}
    stack = Stack(input_shape)

    def norm(name: str) -> None:
        norm = BatchNorm(stack.channels, momentum=0.99, epsilon=1e-3, dtype=dtype)
        stack.add(f"{name}_norm", norm)
        stack.add(f"{name}_relu", ReLU6())

    def separable(name: str, n_out: int, *, stride: int, padding: Padding) -> None:
        depthwise = DepthwiseConv1D(
            stack.channels, 3, stride=stride, padding=padding, bias=False, **drawn
        )
        stack.add(f"{name}_dw", depthwise)
        stack.add(f"{name}_pw", Conv1D(stack.channels, n_out, 1, bias=False, **drawn))
        norm(name)

    stack.add("waveform", Flatten())
    stack.add("frames", Frames(40, 20))
    conv = Conv1D(40, channels[0], 3, stride=2, padding="VALID", bias=False, **drawn)
    stack.add("first", conv)
    norm("first")
    for number, n_out in enumerate(channels[1:], 1):
        separable(f"context_{number}", stack.channels, stride=1, padding="VALID")
        separable(f"reduce_{number}", n_out, stride=2, padding="SAME")
    separable(f"context_{len(channels)}", stack.channels, stride=1, padding="VALID")
    n_frames, n_channels = stack.shape
    attention = AttentionPool(n_frames, n_channels, rate=dropout_rate, **drawn)
    stack.add("attention", attention)
    stack.add("dropout", Dropout(dropout_rate, rng=rng))
    stack.add("final_fc", Dense(stack.size, n_labels, bias=False, **drawn))
    return stack.network()
