"""Attention: pooling that chooses its moments."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from minikws._typing import Float
from minikws.errors import SettingsError, ShapeError
from minikws.nn import functional as fn
from minikws.nn.init import draw
from minikws.nn.layers.base import Layer, Shape
from minikws.nn.layers.dropout import Dropout


class AttentionPool(Layer):
    """Pool a map over time, (T, C) -> (2 C): gated maximum and plain mean of each channel.

    The gate is a softmax over time of a dense layer T * C -> T (weights `w`, biases `b`), which in
    training sees its input through dropout; what is pooled is not silenced.

    Parameters
    ----------
    n_frames, n_channels : T and C.
    rate : the share of the gate's inputs that dropout silences.
    rng, sigma : the dropout's generator and the weights' first values (`nn.init.draw`).
    """

    def __init__(
        self,
        n_frames: int,
        n_channels: int,
        *,
        rate: float = 0.4,
        rng: np.random.Generator,
        sigma: float | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        if min(n_frames, n_channels) < 1:
            raise SettingsError(
                f"attention over {n_frames} frames of {n_channels} channels is empty; "
                "give 1 or more"
            )
        self.n_frames, self.n_channels = n_frames, n_channels
        self.params = {
            "w": draw(rng, (n_frames * n_channels, n_frames), sigma=sigma, dtype=dtype),
            "b": np.zeros(n_frames, dtype),
        }
        self.dropout = Dropout(rate, rng=rng)
        self.scores_through: Layer | None = None  # set where training knows of the int8 file

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, 2 C)."""
        seen = self.dropout.forward(x.reshape(len(x), -1), training=training)
        scores, self._dense_cache = fn.dense(seen, self.params["w"], self.params["b"])
        if self.scores_through is not None:
            scores = self.scores_through.forward(scores, training=training)
        y, self._cache = fn.gated_pool(x, scores)
        return y

    def scores(self, x: Float) -> Float:
        """Return what the gate's softmax is taken of, (B, T), without dropout."""
        return fn.dense(x.reshape(len(x), -1), self.params["w"], self.params["b"])[0]

    def backward_params(self, dy: Float) -> None:
        """Fill `grads`."""
        _, dscores = self._pool_backward(dy)
        self.grads["w"], self.grads["b"] = fn.dense_backward_params(dscores, self._dense_cache)

    def backward(self, dy: Float) -> Float:
        """Fill `grads` and return dx: what was pooled, and what the gate saw."""
        dx, dscores = self._pool_backward(dy)
        dseen, self.grads["w"], self.grads["b"] = fn.dense_backward(dscores, self._dense_cache)
        return dx + self.dropout.backward(dseen).reshape(dx.shape)

    def _pool_backward(self, dy: Float) -> tuple[Float, Float]:
        """Return the gradients of what is pooled and of the dense output."""
        dx, dscores = fn.gated_pool_backward(dy, self._cache)
        if self.scores_through is not None:
            dscores = self.scores_through.backward(dscores)
        return dx, dscores

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (2 C,)."""
        if input_shape != (self.n_frames, self.n_channels):
            raise ShapeError(
                f"{self!r} takes ({self.n_frames}, {self.n_channels}), found {input_shape}; "
                "build it for that map"
            )
        return (2 * self.n_channels,)

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return the gate's weights."""
        return self.params["w"].size

    def __repr__(self) -> str:
        rate = self.dropout.rate
        return f"AttentionPool({self.n_frames}x{self.n_channels}, gate's dropout {rate:g})"
