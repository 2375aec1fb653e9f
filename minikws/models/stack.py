"""A network while it is written down: each layer is added to the shape that the last one left."""

from __future__ import annotations

import numpy as np

from minikws.errors import SettingsError, ShapeError
from minikws.nn import Layer, Network
from minikws.nn.layers import Shape


class Stack:
    """Layers as they are added, each checked against what comes out of the one before.

    shape : of one clip, as it stands behind the last layer.
    """

    def __init__(self, input_shape: Shape) -> None:
        self.input_shape = self.shape = tuple(input_shape)
        self.layers: list[tuple[str, Layer]] = []

    def add(self, name: str, layer: Layer) -> None:
        """Put a layer on top.

        Raises
        ------
        ShapeError : it cannot take what is below it.
        """
        try:
            self.shape = layer.output_shape(self.shape)
        except ShapeError as error:
            raise ShapeError(f"layer {name}: {error}") from error
        self.layers.append((name, layer))

    @property
    def channels(self) -> int:
        """The last axis of `shape`."""
        return self.shape[-1]

    @property
    def size(self) -> int:
        """Numbers of one clip."""
        return int(np.prod(self.shape, dtype=np.int64))

    def network(self) -> Network:
        """Return what has been written down."""
        return Network(self.layers, input_shape=self.input_shape)


def at_least_one(**options: int) -> None:
    """Raise SettingsError where a number that counts something is not a whole one above 0."""
    for name, value in options.items():
        if not isinstance(value, int) or value < 1:
            raise SettingsError(f"{name}={value} is not a whole number above 0; give 1 or more")
