"""Normalisation."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from minikws._typing import Float
from minikws.errors import SettingsError, ShapeError
from minikws.nn import functional as fn
from minikws.nn.layers.base import Layer, Shape


class BatchNorm(Layer):
    """Bring each channel (last axis) to mean 0 and variance 1, then to a learned scale and offset.

    Training takes mean and variance of the batch and moves the buffers `mean` and `variance`
    towards them (the biased variance, as Keras does; TensorFlow's fused op takes n / (n - 1) of
    it); inference takes the buffers. It counts no multiplications: `quant.fold` puts it into the
    layer before.

    Parameters
    ----------
    n_channels : C.
    momentum : how much of the buffers a step keeps.
    epsilon : added to the variance, so that a constant channel divides by no zero.
    scale, offset : whether there is a learned scale `gamma` (first 1), offset `beta` (first 0).
    """

    def __init__(
        self,
        n_channels: int,
        *,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        scale: bool = True,
        offset: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        if n_channels < 1:
            raise SettingsError(f"batch normalisation of {n_channels} channels; give 1 or more")
        if not 0 <= momentum <= 1:
            raise SettingsError(
                f"batch normalisation momentum={momentum} is not in 0 to 1; 0.99 is usual"
            )
        if epsilon <= 0:
            raise SettingsError(
                f"batch normalisation epsilon={epsilon} is not above 0; 0.001 is usual"
            )
        self.n_channels, self.momentum, self.epsilon = n_channels, momentum, epsilon
        if scale:
            self.params["gamma"] = np.ones(n_channels, dtype)
        if offset:
            self.params["beta"] = np.zeros(n_channels, dtype)
        self.buffers = {"mean": np.zeros(n_channels, dtype), "variance": np.ones(n_channels, dtype)}

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return the normalised x; in training move the buffers."""
        mean, variance = self.buffers["mean"], self.buffers["variance"]
        y, self._cache = fn.batch_norm(
            x,
            self.params.get("gamma"),
            self.params.get("beta"),
            epsilon=self.epsilon,
            statistics=None if training else (mean, variance),
        )
        if training:
            fn.moving_average(mean, self._cache.mean, momentum=self.momentum)
            fn.moving_average(variance, self._cache.variance, momentum=self.momentum)
        return y

    def backward_params(self, dy: Float) -> None:
        """Fill `grads`."""
        self._keep(*fn.batch_norm_backward_params(dy, self._cache))

    def backward(self, dy: Float) -> Float:
        """Fill `grads` and return dx."""
        dx, dgamma, dbeta = fn.batch_norm_backward(dy, self._cache)
        self._keep(dgamma, dbeta)
        return dx

    def _keep(self, dgamma: Float, dbeta: Float) -> None:
        gradients = {"gamma": dgamma, "beta": dbeta}
        self.grads = {name: gradients[name] for name in self.params}

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        if not input_shape or input_shape[-1] != self.n_channels:
            raise ShapeError(
                f"{self!r} takes (…, {self.n_channels}), found {input_shape}; give it the number "
                "of channels of the layer before"
            )
        return input_shape

    def __repr__(self) -> str:
        missing = [
            f"no {word}"
            for word, name in (("scale", "gamma"), ("offset", "beta"))
            if name not in self.params
        ]
        return f"BatchNorm({', '.join([str(self.n_channels), *missing])})"
