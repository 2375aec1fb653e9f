"""Optimisers: move every weight a little against its gradient, in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from minikws._typing import Array, Float
from minikws.errors import ShapeError
from minikws.nn.layers import Layer

MOMENTUM = 0.9  # train.py, get_optimizer


class Optimizer:
    """What every optimiser offers: `step(rate)`, `state()` and `load_state()`.

    Parameters
    ----------
    layers : the network's (name, layer) pairs, whose `params` are moved and `grads` read.
    """

    def __init__(self, layers: Sequence[tuple[str, Layer]]) -> None:
        self.layers = list(layers)

    def _pairs(self) -> Iterator[tuple[str, Float, Float]]:
        """Yield (name, weight, gradient) of every parameter."""
        for layer_name, layer in self.layers:
            for name, weight in layer.params.items():
                yield f"{layer_name}.{name}", weight, layer.grads[name]

    def step(self, rate: float) -> None:
        """Update every parameter with the gradients of the last backward pass."""
        raise NotImplementedError

    def state(self) -> dict[str, Array]:
        """Return what the optimiser remembers between steps, copies by name."""
        return {}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Take back what `state` gave.

        Raises
        ------
        ShapeError : names or shapes are not those of this optimiser.
        """
        mine = self.state()
        if sorted(mine) != sorted(state):
            raise ShapeError(
                f"the optimiser's state holds {sorted(mine) or 'nothing'}, the stored one "
                f"{sorted(state) or 'nothing'}; resume with the same optimiser and architecture"
            )
        for name, array in mine.items():
            if array.shape != state[name].shape:
                raise ShapeError(
                    f"optimiser state {name} is {state[name].shape}, expected {array.shape}; "
                    "resume with the same architecture"
                )


class SGD(Optimizer):
    """Plain gradient descent: w = w - rate * g. Source: ApplyGradientDescent."""

    def step(self, rate: float) -> None:
        """Update every parameter with the gradients of the last backward pass."""
        for _, w, g in self._pairs():
            w -= w.dtype.type(rate) * g


class Momentum(Optimizer):
    """Nesterov momentum: a = 0.9 a + g; w = w - (rate g + rate 0.9 a).

    Source: ApplyMomentum with use_nesterov (training_ops.cc), its products in its order.
    """

    def __init__(self, layers: Sequence[tuple[str, Layer]]) -> None:
        super().__init__(layers)
        self.velocity: dict[str, Float] = {
            f"{layer_name}.{name}": np.zeros_like(weight)
            for layer_name, layer in self.layers
            for name, weight in layer.params.items()
        }

    def step(self, rate: float) -> None:
        """Update every parameter with the gradients of the last backward pass."""
        for name, w, g in self._pairs():
            momentum, lr = w.dtype.type(MOMENTUM), w.dtype.type(rate)
            a = self.velocity[name]
            a *= momentum
            a += g
            w -= g * lr + a * momentum * lr

    def state(self) -> dict[str, Array]:
        """Return the velocities, copies by parameter name."""
        return {name: a.copy() for name, a in self.velocity.items()}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Take back what `state` gave."""
        super().load_state(state)
        for name, a in self.velocity.items():
            a[...] = state[name]


OPTIMIZERS: dict[str, type[Optimizer]] = {"gradient_descent": SGD, "momentum": Momentum}
