"""What a stage is: several layers of a network, computed in one go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np

from minikws.nn.layers import Layer, Shape


class Stage(Layer):
    """A run of layers with one forward and one backward for all of them.

    It has a layer's `forward`, `backward` and `backward_params`, and fills the `grads` of its own
    layers; their caches stay empty. `takes` says which layers it stands for, in order; one that
    takes a run of any length has a `length` of its own.
    """

    takes: ClassVar[tuple[type[Layer], ...]] = ()

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.layers = tuple(layers)

    @classmethod
    def length(cls, layers: Sequence[Layer]) -> int:
        """Count how many of these layers, from the first on, it stands for; 0 for none."""
        run = layers[: len(cls.takes)]
        return len(run) if tuple(map(type, run)) == cls.takes else 0

    @classmethod
    def fits(cls, layers: Sequence[Layer], shape: Shape) -> bool:
        """Whether it pays for exactly these layers; `shape` is one clip's into the first."""
        return True

    @property
    def n_parameters(self) -> int:
        """Count the trainable numbers of all its layers."""
        return sum(layer.n_parameters for layer in self.layers)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"


def fuse(
    layers: Sequence[Layer], shapes: Sequence[Shape], stages: Iterable[type[Stage]]
) -> list[Layer]:
    """Replace runs of layers by the first of `stages` that takes them; the others stay.

    Types are compared exactly: a subclass may do something else. All parameters must be float32.

    Parameters
    ----------
    layers : in order; shapes : of one clip into each layer (more of them do no harm).
    """
    runs: list[Layer] = []
    at = 0
    while at < len(layers):
        run = _stage(layers[at:], shapes[at], stages) or layers[at]
        runs.append(run)
        at += len(run.layers) if isinstance(run, Stage) else 1
    return runs


def _stage(layers: Sequence[Layer], shape: Shape, stages: Iterable[type[Stage]]) -> Stage | None:
    for stage in stages:
        run = layers[: stage.length(layers)]
        is_float32 = all(p.dtype == np.float32 for layer in run for p in layer.params.values())
        if run and is_float32 and stage.fits(run, shape):
            return stage(run)
    return None
