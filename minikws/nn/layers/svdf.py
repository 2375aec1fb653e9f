"""The SVDF layer, on whole clips and on a stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from minikws._typing import Float
from minikws.errors import SettingsError, ShapeError
from minikws.nn import functional as fn
from minikws.nn.init import draw
from minikws.nn.layers.base import Layer, Shape


class SVDF(Layer):
    """Filter frames in frequency, then in time: (T, F) -> (U,), or -> (T - memory + 1, U).

    Parameters
    ----------
    n_features, n_units : F and U.
    memory : M, frames that a unit looks back on.
    rank : R, filters that a unit sums; N = R * U in all.
    sequence : an output for each frame from which the memory is full, so that SVDF layers can
        follow each other; else T is `memory` and there is one output.
    rng, sigma : the weights' first values (`nn.init.draw`); biases start at 0.

    Source: create_low_latency_svdf_model in its training form, without the ReLU.
    """

    decays = ("weights_frequency", "weights_time")

    def __init__(
        self,
        n_features: int,
        n_units: int,
        memory: int,
        *,
        rank: int = 2,
        sequence: bool = False,
        rng: np.random.Generator,
        sigma: float | None = 0.01,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        if min(n_features, n_units, memory, rank) < 1:
            raise SettingsError(
                f"an SVDF of {n_features} -> {n_units} with memory {memory} and rank {rank} holds "
                "a number below 1; give 1 or more everywhere"
            )
        self.memory, self.rank, self.sequence = memory, rank, sequence
        n_filters = rank * n_units
        self.params = {
            "weights_frequency": draw(rng, (n_features, n_filters), sigma=sigma, dtype=dtype),
            "weights_time": draw(rng, (n_filters, memory), sigma=sigma, dtype=dtype),
            "bias": np.zeros(n_units, dtype),
        }

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, U), or (B, T - memory + 1, U)."""
        y, self._cache = fn.svdf(x, *self.params.values())
        return y if self.sequence else y[:, 0]

    def backward_params(self, dy: Float) -> None:
        """Fill `grads`."""
        gradients = fn.svdf_backward_params(self._in_time(dy), self._cache)
        self.grads.update(zip(self.params, gradients, strict=True))

    def backward(self, dy: Float) -> Float:
        """Fill `grads` and return dx."""
        self.backward_params(dy)
        return fn.svdf_backward_input(self._in_time(dy), self._cache)

    def _in_time(self, dy: Float) -> Float:
        return dy if self.sequence else dy[:, None]

    def stream(self) -> SvdfStream:
        """Return a stream with an empty memory, which runs on this layer's weights."""
        return SvdfStream(self)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (U,) or (T - memory + 1, U)."""
        n_features, n_units = len(self.params["weights_frequency"]), self.params["bias"].size
        if len(input_shape) != 2 or input_shape[1] != n_features:
            raise ShapeError(f"{self!r} takes (T, {n_features}), found {input_shape}")
        n_outputs = input_shape[0] - self.memory + 1
        if n_outputs < 1 or (n_outputs > 1 and not self.sequence):
            raise ShapeError(
                f"{self!r} looks at {self.memory} frames, found {input_shape[0]}; "
                "give it memory=T" + (" or less" if self.sequence else ", or sequence=True")
            )
        return (n_outputs, n_units) if self.sequence else (n_units,)

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return frames times frequency weights plus outputs times time weights."""
        n_outputs = input_shape[0] - self.memory + 1
        frequency, time, _ = self.params.values()
        return input_shape[0] * frequency.size + n_outputs * time.size

    def __repr__(self) -> str:
        n_features, n_units = len(self.params["weights_frequency"]), self.params["bias"].size
        end = ", sequence" if self.sequence else ""
        return f"SVDF({n_features} -> {n_units}, rank {self.rank}, memory {self.memory}{end})"


class SvdfStream:
    """An SVDF layer that sees a sound frame by frame and computes each frame only once.

    memory : (M, N), what the frequency filters gave for the last M frames, oldest first.
    n_seen : frames since the start or the last `reset`.
    """

    def __init__(self, layer: SVDF) -> None:
        self.layer = layer
        self.reset()

    def reset(self) -> None:
        """Forget every frame."""
        weights_time = self.layer.params["weights_time"]
        self.memory: Float = np.zeros(weights_time.T.shape, weights_time.dtype)
        self.n_seen = 0

    def push(self, frames: Float) -> Float:
        """Return (n, U), an output for each of the frames (t, F) with which the memory is full.

        Raises
        ------
        ShapeError : frames of another number of features.
        """
        n_features, n_units = len(self.layer.params["weights_frequency"]), self.layer.params["bias"]
        if frames.ndim != 2 or frames.shape[1] != n_features:
            raise ShapeError(
                f"frames are {frames.shape}, {self.layer!r} takes (t, {n_features}); "
                "push one row a frame"
            )
        rows = []
        for frame in frames:
            row, self.memory = fn.svdf_step(self.memory, frame, *self.layer.params.values())
            self.n_seen += 1
            if self.n_seen >= self.layer.memory:
                rows.append(row)
        return np.stack(rows) if rows else np.empty((0, n_units.size), self.memory.dtype)
