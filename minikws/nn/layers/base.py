"""What every layer offers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minikws._typing import Float

Shape = tuple[int, ...]


class Layer:
    """What every layer offers; shapes are those of one clip, without the batch axis.

    params : weights by name, changed in place by the optimiser; grads : their gradients.
    buffers : what training sets without a gradient (moving averages), stored with the weights.
    decays : the names of those weights that an L2 penalty holds small (kernels, not biases).
    """

    decays: tuple[str, ...] = ("w",)

    def __init__(self) -> None:
        self.params: dict[str, Float] = {}
        self.grads: dict[str, Float] = {}
        self.buffers: dict[str, Float] = {}

    def forward(self, x: Float, *, training: bool = False) -> Float:
        """Compute the output for a batch (B, …) and keep what backward needs."""
        raise NotImplementedError

    def backward(self, dy: Float) -> Float:
        """Fill `grads` and return dx, the gradient of forward's input."""
        raise NotImplementedError

    def backward_params(self, dy: Float) -> None:
        """Fill `grads` only: enough for a network's first layer, whose dx nobody asks for."""

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of one clip's output.

        Raises
        ------
        ShapeError : the layer cannot take that input.
        """
        return input_shape

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return the multiplications of one clip, biases and padding not discounted."""
        return 0

    def children(self) -> list[tuple[str, Layer]]:
        """Return the (name, layer) pairs that a composite is made of; none for a single layer."""
        return []

    @property
    def n_parameters(self) -> int:
        """Count the trainable numbers."""
        return sum(p.size for p in self.params.values())

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def leaves(layers: Sequence[tuple[str, Layer]]) -> Iterator[tuple[str, Layer]]:
    """Yield the single layers of (name, layer) pairs in order, those in composites as "a.b"."""
    for name, layer in layers:
        inner = layer.children()
        if inner:
            yield from leaves([(f"{name}.{child_name}", child) for child_name, child in inner])
        else:
            yield name, layer
