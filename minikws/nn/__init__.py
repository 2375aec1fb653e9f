"""A small float framework: layers with explicit forward and backward, no tape, no compiler.

Features (B, T, F) go in, logits (B, L) come out; training goes back the same way. Read in this
order: functional (the formulas), layers (objects that keep what backward needs), network (a list
of layers), losses, optim, init, check (prove your own layer's gradient).
"""

from minikws.nn.check import gradient_errors
from minikws.nn.init import truncated_normal
from minikws.nn.layers import (
    LAYERS,
    SVDF,
    AttentionPool,
    AveragePool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Dropout,
    FakeQuant,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    HardSwish,
    Layer,
    MaxPool2D,
    ReLU,
    ReLU6,
    Reshape,
    Residual,
    Sequential,
    Sigmoid,
    Softmax,
    SvdfStream,
    Swish,
    Tanh,
    leaves,
)
from minikws.nn.losses import distillation_loss, l2_penalty, softmax, softmax_cross_entropy
from minikws.nn.network import Network
from minikws.nn.optim import OPTIMIZERS, SGD, Adam, Momentum, Optimizer, RMSprop

__all__ = [
    "LAYERS",
    "OPTIMIZERS",
    "SGD",
    "SVDF",
    "Adam",
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
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSwish",
    "Layer",
    "MaxPool2D",
    "Momentum",
    "Network",
    "Optimizer",
    "RMSprop",
    "ReLU",
    "ReLU6",
    "Reshape",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "SvdfStream",
    "Swish",
    "Tanh",
    "distillation_loss",
    "gradient_errors",
    "l2_penalty",
    "leaves",
    "softmax",
    "softmax_cross_entropy",
    "truncated_normal",
]
