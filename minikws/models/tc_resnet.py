"""TC-ResNet: features as channels, convolutions along time alone, with a way around each pair.

A clip of 98 frames by 40 coefficients is a signal of 40 channels, so that the first layer hears
all frequencies at once and every later one is small.

Source: Choi et al. 2019 (arXiv 1904.03814) and its code, hyperconnect/TC-ResNet: no biases, batch
norm with scale and offset, decay 0.997 (slim's epsilon, 0.001), Glorot's weights.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minikws.errors import SettingsError
from minikws.models.registry import Recipe, enter
from minikws.models.stack import Stack
from minikws.nn import Network
from minikws.nn.layers import (
    BatchNorm,
    Conv1D,
    Dense,
    Dropout,
    GlobalAveragePool,
    Layer,
    ReLU,
    Residual,
    Sequential,
)

# Depth -> the channels of the first layer and of each block.
CHANNELS = {8: (16, 24, 32, 48), 14: (16, 24, 24, 32, 32, 48, 48)}


@enter(
    doc="residual convolutions along time: the accuracy of conv with a fourteenth of its weights",
    recipe=Recipe(
        steps=(10_000, 10_000, 10_000),
        learning_rates=(0.1, 0.01, 0.001),
        l2=0.001,
        frontend={"kind": "mfcc"},
    ),
)
def tc_resnet(
    *,
    input_shape: tuple[int, int],
    n_labels: int,
    rng: np.random.Generator,
    dropout_rate: float,
    dtype: DTypeLike,
    depth: int = 8,
    width: float = 1.0,
) -> Network:
    """Build TC-ResNet8 or, with depth=14, TC-ResNet14, all channels times `width`."""
    if depth not in CHANNELS:
        known = " or ".join(map(str, CHANNELS))
        raise SettingsError(f"tc_resnet has no depth {depth}; give {known}")
    if not 0 < width <= 100:
        raise SettingsError(f"tc_resnet's width={width} is not above 0; 1.0 and 1.5 are published")
    channels = [max(1, int(width * n)) for n in CHANNELS[depth]]
    drawn: dict[str, Any] = {"rng": rng, "sigma": None, "dtype": dtype}

    def conv(n_in: int, n_out: int, n_taps: int, stride: int = 1) -> list[tuple[str, Layer]]:
        return [
            ("conv", Conv1D(n_in, n_out, n_taps, stride=stride, bias=False, **drawn)),
            ("norm", BatchNorm(n_out, momentum=0.997, epsilon=0.001, dtype=dtype)),
        ]

    def block(n_in: int, n_out: int) -> Residual:
        """Two convolutions of 9 frames; where the channels change, time is halved on both ways."""
        stride = 1 if n_in == n_out else 2
        first, second = conv(n_in, n_out, 9, stride), conv(n_out, n_out, 9)
        main = Sequential(
            [
                ("first", Sequential([*first, ("relu", ReLU())])),
                ("second", Sequential(second)),
            ]
        )
        if n_in == n_out:
            return Residual(main)
        return Residual(main, Sequential([*conv(n_in, n_out, 1, 2), ("relu", ReLU())]))

    stack = Stack(input_shape)
    stack.add("first", Sequential([*conv(input_shape[1], channels[0], 3), ("relu", ReLU())]))
    for number, (n_in, n_out) in enumerate(pairwise(channels), 1):
        stack.add(f"block_{number}", block(n_in, n_out))
        stack.add(f"block_{number}_relu", ReLU())
    stack.add("pool", GlobalAveragePool())
    stack.add("dropout", Dropout(dropout_rate, rng=rng))
    stack.add("final_fc", Dense(channels[-1], n_labels, bias=False, **drawn))
    return stack.network()
