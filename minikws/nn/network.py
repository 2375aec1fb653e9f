"""A network: a list of layers with names, run forward for answers and backward for gradients.

Features (B, T, F) go in, logits (B, L) come out. The loss stands apart (`nn.losses`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from minikws._typing import Array, Float
from minikws.errors import SettingsError, ShapeError
from minikws.nn.layers import Layer, Shape
from minikws.nn.stages import fuse


class Network:
    """Layers in the order the data goes through them.

    Parameters
    ----------
    layers : (name, layer) pairs, names unique.
    input_shape : (T, F) of the features.

    Raises
    ------
    ShapeError : two layers do not fit together, with the layer's name.
    SettingsError : a name stands twice.
    """

    def __init__(self, layers: Sequence[tuple[str, Layer]], *, input_shape: Shape) -> None:
        self.layers = list(layers)
        self.input_shape = tuple(input_shape)
        names = [name for name, _ in self.layers]
        for name in names:
            if names.count(name) > 1:
                raise SettingsError(f"two layers are named {name!r}; give each its own name")
        self.shapes: list[Shape] = [self.input_shape]  # into each layer, and out of the last
        for name, layer in self.layers:
            try:
                self.shapes.append(layer.output_shape(self.shapes[-1]))
            except ShapeError as error:
                raise ShapeError(f"layer {name}: {error}") from error
        # what forward and backward go through: layers, or stages, which are several at once
        self.runs = fuse([layer for _, layer in self.layers], self.shapes)

    @property
    def output_shape(self) -> Shape:
        """Shape of one clip's logits, (L,)."""
        return self.shapes[-1]

    @property
    def n_parameters(self) -> int:
        """Count the trainable numbers."""
        return sum(layer.n_parameters for _, layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Count the multiplications of one clip."""
        return sum(
            layer.multiply_adds(shape)
            for (_, layer), shape in zip(self.layers, self.shapes[:-1], strict=True)
        )

    def activations(self, features: Float, *, training: bool = False) -> Iterator[Float]:
        """Yield the output of each layer in turn, never several layers at once.

        Raises
        ------
        ShapeError : the features are not (B, T, F) of this network.
        """
        x = self._checked(features)
        for _, layer in self.layers:
            x = layer.forward(x, training=training)
            yield x

    def forward(self, features: Float, *, training: bool = False) -> Float:
        """Return the logits (B, L) of features (B, T, F); `training` turns dropout on.

        Raises
        ------
        ShapeError : the features are not (B, T, F) of this network.
        """
        x = self._checked(features)
        for run in self.runs:
            x = run.forward(x, training=training)
        return x

    def backward(self, dlogits: Float) -> None:
        """Fill every layer's `grads` from the gradient of the logits.

        The gradient of the features themselves is not computed: nobody asks for it.
        """
        runs = self.runs
        first = next((i for i, run in enumerate(runs) if run.n_parameters), len(runs))
        dy = dlogits
        for run in reversed(runs[first + 1 :]):
            dy = run.backward(dy)
        for run in runs[first : first + 1]:
            run.backward_params(dy)

    def backward_to_input(self, dlogits: Float) -> Float:
        """Fill every layer's `grads` and return the gradient of the features, (B, T, F)."""
        dy = dlogits
        for run in reversed(self.runs):
            dy = run.backward(dy)
        return dy

    def run_layer_by_layer(self) -> None:
        """Use no stages from now on: for whoever stands between the layers and looks."""
        self.runs = [layer for _, layer in self.layers]

    def predict(self, features: Float, *, block: int = 100) -> Float:
        """Return the logits (B, L) of any number of clips, `block` at a time."""
        self._checked(features)
        logits = np.empty((len(features), *self.output_shape), self.dtype)
        for start in range(0, len(features), block):
            logits[start : start + block] = self.forward(features[start : start + block])
        return logits

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """The parameters' dtype, float32 or float64."""
        return next((p.dtype for p in self._arrays().values()), np.dtype(np.float32))

    def weights(self) -> dict[str, Array]:
        """Return copies of all parameters and buffers as {"layer.param": array}."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Set all parameters and buffers from what `weights` gave.

        Raises
        ------
        ShapeError : names or shapes are not those of this network.
        """
        mine = self._arrays()
        missing, extra = sorted(set(mine) - set(weights)), sorted(set(weights) - set(mine))
        if missing or extra:
            raise ShapeError(
                f"the weights lack {missing or 'nothing'} and hold {extra or 'nothing'} too much; "
                "load them into the architecture that they come from"
            )
        for name, param in mine.items():
            if param.shape != weights[name].shape:
                raise ShapeError(
                    f"weight {name} is {weights[name].shape}, the network has {param.shape}; "
                    "build it with the same input size and labels"
                )
        for name, param in mine.items():
            param[...] = weights[name]

    def _arrays(self) -> dict[str, Float]:
        return {
            f"{layer_name}.{name}": array
            for layer_name, layer in self.layers
            for name, array in (layer.params | layer.buffers).items()
        }

    def _checked(self, features: Float) -> Float:
        """Return the features in the network's dtype, or say what is wrong with their shape."""
        found, expected = features.shape, self.input_shape
        if found[1:] != expected or features.ndim < 2:
            names = "TFC" if len(expected) <= 3 else ""
            wanted = ", ".join(f"{n}={size}" for n, size in zip(names, expected, strict=False))
            if found == expected:
                advice = "add the batch axis: features[None]"
            elif found[1:] == expected[::-1] or found == expected[::-1]:
                advice = "they look transposed"
            else:
                advice = "use the frontend and settings that the model was built for"
            shown = found[1:] if features.ndim == len(expected) + 1 else found
            raise ShapeError(f"features are {shown}, the model expects ({wanted}); {advice}")
        return np.asarray(features, self.dtype)

    def __repr__(self) -> str:
        lines = [
            f"{name:16} {layer!r:48} {shape}"
            for (name, layer), shape in zip(self.layers, self.shapes[1:], strict=True)
        ]
        head = f"Network {self.input_shape} -> {self.output_shape}"
        return "\n  ".join(
            [f"{head}, {self.n_parameters} parameters, {self.multiply_adds} multiply-adds", *lines]
        )
