"""Three SVDF layers for a device that listens all the time.

Each layer looks further back than the one before: 10, 17 and 24 of a second's 49 frames, so that
a unit of the first hears a part of a sound, one of the second a sound, one of the third a word.
Nothing is padded, and each frame passes a layer's frequency filters once: on a stream a hop of
20 ms costs 14 thousand multiplications, `tiny_conv` 336 thousand for each window it looks at.
An SVDF layer is one operator of TensorFlow Lite Micro, which keeps its memory from call to call.

An own design; its layer is that of `low_latency_svdf` and of Alvarez and Park 2018
(arXiv 1812.02802), its size that of `tiny_conv`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minikws.models.registry import Recipe, enter
from minikws.models.stack import Stack, at_least_one
from minikws.nn import Network
from minikws.nn.layers import SVDF, Dense, Dropout, ReLU


@enter(
    doc="three SVDF layers: made to run on a stream, frame by frame, with memory between them",
    recipe=Recipe(
        steps=(8000, 4000),
        learning_rates=(0.001, 0.0002),
        optimizer="adam",
        dropout_rate=0.2,
        frontend={"kind": "micro"},
    ),
)
def svdf_stream(
    *,
    input_shape: tuple[int, int],
    n_labels: int,
    rng: np.random.Generator,
    dropout_rate: float,
    dtype: DTypeLike,
    rank: int = 1,
    num_units: int = 64,
) -> Network:
    """Build it; the three memories together span the whole clip, whatever its length."""
    at_least_one(rank=rank, num_units=num_units)
    n_frames = input_shape[0]
    first, second = 1 + (n_frames - 1) // 5, 1 + (n_frames - 1) // 3
    memories = (first, second, n_frames - (first - 1) - (second - 1))
    drawn: dict[str, Any] = {"rng": rng, "sigma": None, "dtype": dtype}
    stack = Stack(input_shape)
    for number, memory in enumerate(memories, 1):
        is_last = number == len(memories)
        svdf = SVDF(stack.channels, num_units, memory, rank=rank, sequence=not is_last, **drawn)
        stack.add(f"svdf_{number}", svdf)
        stack.add(f"svdf_{number}_relu", ReLU())
        stack.add(f"svdf_{number}_dropout", Dropout(dropout_rate, rng=rng))
    stack.add("final_fc", Dense(num_units, n_labels, **drawn))
    return stack.network()
