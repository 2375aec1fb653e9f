"""Layers: objects that hold parameters and keep, in plain sight, what backward needs.

Each owns no mathematics (that is `nn.functional`): `forward` stores a cache, `backward` uses it,
puts the gradients of its parameters into `grads` and returns the gradient of its input. A new
layer is put into `LAYERS`, and the contract tests find it.
"""

from typing import Any

from minikws.nn.layers.activation import ReLU
from minikws.nn.layers.base import Layer, Shape
from minikws.nn.layers.conv import Conv2D
from minikws.nn.layers.dense import Dense
from minikws.nn.layers.dropout import Dropout
from minikws.nn.layers.shape import Flatten, Reshape

LAYERS: dict[str, type[Any]] = {
    "conv2d": Conv2D,
    "dense": Dense,
    "relu": ReLU,
    "dropout": Dropout,
    "reshape": Reshape,
    "flatten": Flatten,
}

__all__ = ["LAYERS", "Conv2D", "Dense", "Dropout", "Flatten", "Layer", "ReLU", "Reshape", "Shape"]
