"""Optimisers: move every weight a little against its gradient, in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from minikws._typing import Array, Float
from minikws.errors import ShapeError
from minikws.nn.fast import update as fast
from minikws.nn.layers import Layer

MOMENTUM = 0.9  # train.py, get_optimizer
RHO = 0.9  # keras.optimizers.RMSprop
BETAS = (0.9, 0.999)  # keras.optimizers.Adam
EPSILON = 1e-7  # both


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

    def _zeros(self) -> dict[str, Float]:
        """Return a zero for every weight, arrays by parameter name."""
        return {
            f"{layer_name}.{name}": np.zeros_like(weight)
            for layer_name, layer in self.layers
            for name, weight in layer.params.items()
        }

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
            fast.update(fast.descend, (w,), g, rate)


class Momentum(Optimizer):
    """Nesterov momentum: a = 0.9 a + g; w = w - (rate g + rate 0.9 a).

    Source: ApplyMomentum with use_nesterov (training_ops.cc), its products in its order.
    """

    def __init__(self, layers: Sequence[tuple[str, Layer]]) -> None:
        super().__init__(layers)
        self.velocity = self._zeros()

    def step(self, rate: float) -> None:
        """Update every parameter with the gradients of the last backward pass."""
        for name, w, g in self._pairs():
            fast.update(fast.nesterov, (w, self.velocity[name]), g, rate, MOMENTUM)

    def state(self) -> dict[str, Array]:
        """Return the velocities, copies by parameter name."""
        return {name: a.copy() for name, a in self.velocity.items()}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Take back what `state` gave."""
        super().load_state(state)
        for name, a in self.velocity.items():
            a[...] = state[name]


class RMSprop(Optimizer):
    """Divide by the gradient's recent size: v = 0.9 v + 0.1 g^2; w = w - rate g / sqrt(v + 1e-7).

    Source: keras.optimizers.RMSprop with its defaults, its products in its order.
    """

    def __init__(self, layers: Sequence[tuple[str, Layer]]) -> None:
        super().__init__(layers)
        self.square = self._zeros()

    def step(self, rate: float) -> None:
        """Update every parameter with the gradients of the last backward pass."""
        for name, w, g in self._pairs():
            fast.update(fast.rmsprop, (w, self.square[name]), g, rate, RHO, 1 - RHO, EPSILON)

    def state(self) -> dict[str, Array]:
        """Return the mean squares, copies by "square." and parameter name."""
        return {f"square.{name}": a.copy() for name, a in self.square.items()}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Take back what `state` gave."""
        super().load_state(state)
        for name, a in self.square.items():
            a[...] = state[f"square.{name}"]


class Adam(Optimizer):
    """Momentum and RMSprop at once, both made up for their start at 0.

    m = m + 0.1 (g - m); v = v + 0.001 (g^2 - v);
    w = w - alpha m / (sqrt(v) + 1e-7), alpha = rate sqrt(1 - 0.999^t) / (1 - 0.9^t), t from 1.

    Source: Kingma and Ba 2014; keras.optimizers.Adam with its defaults, its products in its order.
    """

    def __init__(self, layers: Sequence[tuple[str, Layer]]) -> None:
        super().__init__(layers)
        self.mean, self.square = self._zeros(), self._zeros()
        self.n_steps = 0

    def step(self, rate: float) -> None:
        """Update every parameter with the gradients of the last backward pass."""
        self.n_steps += 1
        for name, w, g in self._pairs():
            # In the weights' dtype, as Keras: in float32 1 - 0.999 is off in its fifth digit.
            real = w.dtype.type
            left1, left2 = (1 - real(beta) ** real(self.n_steps) for beta in BETAS)
            alpha = real(rate) * np.sqrt(left2) / left1
            arrays = w, self.mean[name], self.square[name]
            fast.update(fast.adam, arrays, g, alpha, 1 - BETAS[0], 1 - BETAS[1], EPSILON)

    def state(self) -> dict[str, Array]:
        """Return the number of steps, and means and mean squares, copies by name."""
        return {
            "n_steps": np.array(self.n_steps, np.int64),
            **{f"mean.{name}": a.copy() for name, a in self.mean.items()},
            **{f"square.{name}": a.copy() for name, a in self.square.items()},
        }

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Take back what `state` gave."""
        super().load_state(state)
        self.n_steps = int(state["n_steps"])
        for name in self.mean:
            self.mean[name][...] = state[f"mean.{name}"]
            self.square[name][...] = state[f"square.{name}"]


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "gradient_descent": SGD,
    "momentum": Momentum,
    "rmsprop": RMSprop,
    "adam": Adam,
}
