"""Layers: objects that hold parameters and keep, in plain sight, what backward needs.

Each owns no mathematics (that is `nn.functional`): `forward` stores a cache, `backward` uses it,
puts the gradients of its parameters into `grads` and returns the gradient of its input. A new
layer is put into `LAYERS`, and the contract tests find it.
"""

from typing import Any

from minikws.nn.layers.activation import HardSwish, ReLU, ReLU6, Sigmoid, Softmax, Swish, Tanh
from minikws.nn.layers.attention import AttentionPool
from minikws.nn.layers.base import Layer, Shape, leaves
from minikws.nn.layers.block import Residual, Sequential
from minikws.nn.layers.conv import Conv2D
from minikws.nn.layers.conv1d import Conv1D, DepthwiseConv1D
from minikws.nn.layers.dense import Dense
from minikws.nn.layers.depthwise import DepthwiseConv2D
from minikws.nn.layers.dropout import Dropout
from minikws.nn.layers.fake_quant import FakeQuant
from minikws.nn.layers.frames import Frames
from minikws.nn.layers.norm import BatchNorm
from minikws.nn.layers.pool import AveragePool2D, GlobalAveragePool, GlobalMaxPool, MaxPool2D
from minikws.nn.layers.shape import Flatten, Reshape
from minikws.nn.layers.svdf import SVDF, SvdfStream

LAYERS: dict[str, type[Any]] = {
    "conv2d": Conv2D,
    "depthwise_conv2d": DepthwiseConv2D,
    "conv1d": Conv1D,
    "depthwise_conv1d": DepthwiseConv1D,
    "max_pool2d": MaxPool2D,
    "average_pool2d": AveragePool2D,
    "global_average_pool": GlobalAveragePool,
    "global_max_pool": GlobalMaxPool,
    "dense": Dense,
    "relu": ReLU,
    "relu6": ReLU6,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "swish": Swish,
    "hard_swish": HardSwish,
    "softmax": Softmax,
    "batch_norm": BatchNorm,
    "attention_pool": AttentionPool,
    "sequential": Sequential,
    "residual": Residual,
    "dropout": Dropout,
    "reshape": Reshape,
    "flatten": Flatten,
    "frames": Frames,
    "svdf": SVDF,
    "fake_quant": FakeQuant,
}

__all__ = [
    "LAYERS",
    "SVDF",
    "AttentionPool",
    "AveragePool2D",
    "BatchNorm",
    "Conv1D",
    "Conv2D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dropout",
    "FakeQuant",
    "Flatten",
    "Frames",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSwish",
    "Layer",
    "MaxPool2D",
    "ReLU",
    "ReLU6",
    "Reshape",
    "Residual",
    "Sequential",
    "Shape",
    "Sigmoid",
    "Softmax",
    "SvdfStream",
    "Swish",
    "Tanh",
    "leaves",
]
