"""DS-CNN: one convolution, then depthwise and pointwise ones in turn, each with batch norm.

Source: Zhang et al. 2017, "Hello Edge" (arXiv 1711.07128), and its code, models.py and
train_commands.txt of ARM-software/ML-KWS-for-MCU, with the weights drawn as slim draws them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minikws.errors import SettingsError, nearest
from minikws.models.registry import Recipe, enter
from minikws.models.stack import Stack
from minikws.nn import Network
from minikws.nn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    GlobalAveragePool,
    Layer,
    ReLU,
    Reshape,
)


@dataclass(frozen=True)
class _Size:
    """What tells S, M and L apart: channels, blocks, and where the picture is made smaller."""

    n_channels: int
    n_blocks: int
    first_strides: tuple[int, int]
    block_strides: tuple[int, int]  # of the first block; the others have 1, 1


SIZES = {
    "S": _Size(64, 4, (2, 2), (1, 1)),
    "M": _Size(172, 4, (2, 1), (2, 2)),
    "L": _Size(276, 5, (2, 1), (2, 2)),
}


@enter(
    doc="depthwise separable convolutions, sizes S, M and L: the usual measure of small networks",
    recipe=Recipe(
        steps=(10_000, 10_000, 10_000),
        learning_rates=(0.0005, 0.0001, 0.00002),
        optimizer="adam",
        frontend={"kind": "mfcc", "window_ms": 40.0, "hop_ms": 20.0, "n_mfcc": 10},
    ),
)
def ds_cnn(
    *,
    input_shape: tuple[int, int],
    n_labels: int,
    rng: np.random.Generator,
    dropout_rate: float,
    dtype: DTypeLike,
    size: str = "S",
) -> Network:
    """Build it; there is no dropout in it. Source: create_ds_cnn_model."""
    if size not in SIZES:
        raise SettingsError(f"ds_cnn has no size {size!r}; {nearest(str(size), SIZES)}")
    chosen = SIZES[size]
    n_channels = chosen.n_channels
    drawn: dict[str, Any] = {"rng": rng, "sigma": None, "dtype": dtype}
    stack = Stack(input_shape)

    def add(name: str, layer: Layer) -> None:
        norm = BatchNorm(n_channels, momentum=0.96, epsilon=1e-3, scale=False, dtype=dtype)
        stack.add(name, layer)
        stack.add(f"{name}_norm", norm)
        stack.add(f"{name}_relu", ReLU())

    stack.add("picture", Reshape((*input_shape, 1)))
    add("conv_1", Conv2D(1, n_channels, (10, 4), strides=chosen.first_strides, **drawn))
    for block in range(1, chosen.n_blocks + 1):
        strides = chosen.block_strides if block == 1 else (1, 1)
        add(f"ds_{block}_dw", DepthwiseConv2D(n_channels, (3, 3), strides=strides, **drawn))
        add(f"ds_{block}_pw", Conv2D(n_channels, n_channels, (1, 1), **drawn))
    stack.add("pool", GlobalAveragePool())
    stack.add("final_fc", Dense(n_channels, n_labels, **drawn))
    return stack.network()
