"""Framing as a layer, for networks that hear the waveform."""

from __future__ import annotations

from minikws._typing import Float
from minikws.errors import SettingsError, ShapeError
from minikws.nn import functional as fn
from minikws.nn.layers.base import Layer, Shape


class Frames(Layer):
    """Cut a waveform into overlapping frames: (N,) -> (ceil(N / hop), size), zeros at both ends.

    size, hop : samples of a frame, and from one frame's start to the next.
    """

    def __init__(self, size: int, hop: int) -> None:
        super().__init__()
        if min(size, hop) < 1:
            raise SettingsError(
                f"frames of {size} samples, one every {hop}, hold a number below 1; give 1 or more"
            )
        self.size, self.hop = size, hop

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return (B, T, size)."""
        y, self._cache = fn.frames(x, size=self.size, hop=self.hop)
        return y

    def backward(self, dy: Float) -> Float:
        """Return dx."""
        return fn.frames_backward(dy, self._cache)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (T, size)."""
        if len(input_shape) != 1:
            raise ShapeError(f"{self!r} takes (N,) samples, found {input_shape}; flatten its input")
        return fn.window(input_shape[0], self.size, self.hop, "SAME").n_out, self.size

    def __repr__(self) -> str:
        return f"Frames({self.size} samples every {self.hop})"
