"""Find where a training goes wrong: the first value that is not finite, and in which layer.

A network is watched by standing between its layers: what goes in and out of each, forward and
backward, is looked at, single layers inside composites included. It costs time: layers that
`nn.stages` would compute together are computed one by one, and every tensor is read again. The
last bits may differ from an unwatched run, where a stage sums in another order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from minikws._typing import Float
from minikws.errors import RunError
from minikws.nn.layers import Layer
from minikws.nn.network import Network


class NanWatch:
    """Stops a training at the first value that is not finite.

    Parameters
    ----------
    network : its layers report to this watch from now on.

    `step` and `learning_rate` are set by the training loop before each step, for the sentence.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.step = 0
        self.learning_rate = 0.0
        self._ranges: dict[tuple[str, str], tuple[int, str]] = {}
        network.run_layer_by_layer()
        for name, layer in network.layers:
            self._watch(name, layer)

    def _watch(self, name: str, layer: Layer) -> None:
        """Put a check around a layer's methods; its own parts come first, they know better."""
        for child_name, child in layer.children():
            self._watch(f"{name}.{child_name}", child)
        for method, direction in (
            ("forward", "forward"),
            ("backward", "backward"),
            ("backward_params", "backward"),
        ):
            setattr(layer, method, self._checked(name, layer, getattr(layer, method), direction))

    def _checked(
        self, name: str, layer: Layer, method: Callable[..., Any], direction: str
    ) -> Callable[..., Any]:
        what = "output" if direction == "forward" else "gradient of its input"

        def check(x: Float, **options: Any) -> Any:
            into = _range(x)
            with np.errstate(over="ignore", invalid="ignore"):  # `_look` says it better
                result = method(x, **options)
            if result is not None:
                self._look(name, direction, what, result, into)
            if direction == "backward":
                for param, gradient in layer.grads.items():
                    self._look(name, direction, f"gradient of {param}", gradient, into)
            return result

        return check

    def forward(self, features: Float) -> Float:
        """Return the logits (B, L) of a training batch (B, T, F), as `Network.forward` does.

        Raises
        ------
        RunError : a feature or the output of a layer is not finite.
        """
        self._look("features", "forward", "values", features, "sound")
        outputs = self.network.activations(features, training=True)  # never layers together
        return deque(outputs, maxlen=1)[0]

    def backward(self, dlogits: Float) -> None:
        """Fill every layer's `grads`, as `Network.backward` does.

        Raises
        ------
        RunError : a gradient is not finite.
        """
        layers = [layer for _, layer in self.network.layers]
        first = next((i for i, layer in enumerate(layers) if layer.params), len(layers))
        dy = dlogits
        for layer in reversed(layers[first + 1 :]):
            dy = layer.backward(dy)
        for layer in layers[first : first + 1]:
            layer.backward_params(dy)

    def weights(self) -> None:
        """Look at the weights after the optimiser has moved them.

        Raises
        ------
        RunError : a weight is not finite.
        """
        for name, layer in self.network.layers:
            for param, weight in layer.params.items():
                gradient = _range(layer.grads[param])
                self._look(name, "update", f"weight {param}", weight, f"its gradient {gradient}")

    def _look(self, name: str, direction: str, what: str, values: Float, into: str) -> None:
        key = (name, f"{direction} {what}")
        n_bad = int(values.size - np.count_nonzero(np.isfinite(values)))
        if n_bad == 0:
            self._ranges[key] = self.step, _range(values)
            return
        before = self._ranges.get(key)
        history = f"at step {before[0]} it lay in {before[1]}" if before else "never seen before"
        raise RunError(
            f"step {self.step}, layer {name}, {direction}: {n_bad} of {values.size} values of the "
            f"{what} are not finite ({history}; into the layer went {into}; learning rate "
            f"{self.learning_rate:g}); lower the rate and resume from the last checkpoint"
        )


def _range(values: Float) -> str:
    """Return the finite values' range in words."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return "nothing finite"
    return f"{finite.min():.3g} to {finite.max():.3g}"
