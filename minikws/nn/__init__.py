"""A small float framework: layers with explicit forward and backward, no tape, no compiler.

Features (B, T, F) go in, logits (B, L) come out; training goes back the same way. Read in this
order: functional (the formulas), layers (objects that keep what backward needs), network (a list
of layers), losses, optim, init, check (prove your own layer's gradient).
"""

from minikws.nn.check import gradient_errors
from minikws.nn.init import truncated_normal
from minikws.nn.layers import LAYERS, Conv2D, Dense, Dropout, Flatten, Layer, ReLU, Reshape
from minikws.nn.losses import softmax, softmax_cross_entropy
from minikws.nn.network import Network
from minikws.nn.optim import OPTIMIZERS, SGD, Momentum, Optimizer

__all__ = [
    "LAYERS",
    "OPTIMIZERS",
    "SGD",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "Layer",
    "Momentum",
    "Network",
    "Optimizer",
    "ReLU",
    "Reshape",
    "gradient_errors",
    "softmax",
    "softmax_cross_entropy",
    "truncated_normal",
]
