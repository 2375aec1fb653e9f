"""Layers made of layers: a chain, and a chain with a way around it.

Their `params` and `buffers` hold the children's own arrays as "child.param", so that optimisers and
checkpoints see through them; `children` lists the parts, `base.leaves` walks all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from minikws._typing import Float
from minikws.errors import SettingsError, ShapeError
from minikws.nn import functional as fn
from minikws.nn.layers.base import Layer, Shape


class _Composite(Layer):
    """What chains and branches share: the names of their parts' arrays."""

    def __init__(self, parts: Sequence[tuple[str, Layer]]) -> None:
        super().__init__()
        self._parts = list(parts)
        self.params = {
            f"{name}.{key}": array
            for name, part in self._parts
            for key, array in part.params.items()
        }
        self.buffers = {
            f"{name}.{key}": array
            for name, part in self._parts
            for key, array in part.buffers.items()
        }

    def children(self) -> list[tuple[str, Layer]]:
        """Return the (name, layer) pairs."""
        return list(self._parts)

    def _collect(self) -> None:
        """Fill `grads` with what the parts have just computed."""
        self.grads = {
            f"{name}.{key}": array
            for name, part in self._parts
            for key, array in part.grads.items()
        }


class Sequential(_Composite):
    """Layers one after the other, as one layer.

    layers : (name, layer) pairs, names unique; none at all hands its input on.
    """

    def __init__(self, layers: Sequence[tuple[str, Layer]]) -> None:
        super().__init__(layers)
        names = [name for name, _ in layers]
        for name in names:
            if names.count(name) > 1:
                raise SettingsError(f"two layers are named {name!r}; give each its own name")

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return the last layer's output."""
        for _, layer in self._parts:
            x = layer.forward(x, training=training)
        return x

    def backward(self, dy: Float) -> Float:
        """Fill `grads` and return dx."""
        for _, layer in reversed(self._parts):
            dy = layer.backward(dy)
        self._collect()
        return dy

    def backward_params(self, dy: Float) -> None:
        """Fill `grads`; the way back ends at the first layer that has parameters."""
        layers = [layer for _, layer in self._parts]
        first = next((i for i, layer in enumerate(layers) if layer.params), len(layers))
        for layer in reversed(layers[first + 1 :]):
            dy = layer.backward(dy)
        for layer in layers[first : first + 1]:
            layer.backward_params(dy)
        self._collect()

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the last layer's output shape."""
        return self._shapes(input_shape)[-1]

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return the sum over the layers."""
        shapes = self._shapes(input_shape)
        pairs = zip(self._parts, shapes[:-1], strict=True)
        return sum(layer.multiply_adds(shape) for (_, layer), shape in pairs)

    def _shapes(self, input_shape: Shape) -> list[Shape]:
        """Return the shape into each layer, and out of the last."""
        shapes = [input_shape]
        for name, layer in self._parts:
            try:
                shapes.append(layer.output_shape(shapes[-1]))
            except ShapeError as error:
                raise ShapeError(f"layer {name}: {error}") from error
        return shapes

    def __repr__(self) -> str:
        return f"Sequential({', '.join(f'{name}: {layer!r}' for name, layer in self._parts)})"


class Residual(_Composite):
    """Add what went around to what went through: y = main(x) + shortcut(x).

    main : a layer, often a `Sequential`.
    shortcut : a layer with the same output shape; None hands x on as it is.
    """

    def __init__(self, main: Layer, shortcut: Layer | None = None) -> None:
        parts = [("main", main)]
        if shortcut is not None:
            parts.append(("shortcut", shortcut))
        super().__init__(parts)
        self.main, self.shortcut = main, shortcut

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Return main(x) + shortcut(x)."""
        y = self.main.forward(x, training=training)
        around = x if self.shortcut is None else self.shortcut.forward(x, training=training)
        return fn.add(y, around)

    def backward(self, dy: Float) -> Float:
        """Fill `grads` and return dx: the gradient goes back both ways."""
        dx = self.main.backward(dy)
        around = dy if self.shortcut is None else self.shortcut.backward(dy)
        self._collect()
        return fn.add(dx, around)

    def backward_params(self, dy: Float) -> None:
        """Fill `grads`."""
        for _, part in self._parts:
            part.backward_params(dy)
        self._collect()

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape that both ways give."""
        through, around = self.main.output_shape(input_shape), input_shape
        if self.shortcut is not None:
            around = self.shortcut.output_shape(input_shape)
        if through != around:
            raise ShapeError(
                f"a residual's main way gives {through}, its shortcut {around}, they cannot be "
                "added; let a convolution in the shortcut change channels and stride alike"
            )
        return through

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return the sum over both ways."""
        return sum(part.multiply_adds(input_shape) for _, part in self._parts)

    def __repr__(self) -> str:
        around = "x" if self.shortcut is None else repr(self.shortcut)
        return f"Residual({self.main!r} + {around})"
