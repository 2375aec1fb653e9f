"""The formulas: each layer's forward and backward as functions on arrays.

Activations are (B, T, F, C) by shape: clip, time, frequency, channel. A forward function returns
its output and a cache of what backward needs; backward takes the output's gradient `dy` and the
cache. Where Numba is installed `nn.fast` computes the same numbers, some with the batch as the
last axis in memory (see `memory`).
"""

from minikws.nn.functional.activation import relu, relu_backward
from minikws.nn.functional.conv import (
    ConvCache,
    conv2d,
    conv2d_backward,
    conv2d_backward_input,
    conv2d_backward_params,
)
from minikws.nn.functional.dense import (
    dense,
    dense_backward,
    dense_backward_input,
    dense_backward_params,
)
from minikws.nn.functional.dropout import DropoutMask, dropout, dropout_backward, dropout_mask
from minikws.nn.functional.memory import batch_last
from minikws.nn.functional.window import Padding, Window, window

__all__ = [
    "ConvCache",
    "DropoutMask",
    "Padding",
    "Window",
    "batch_last",
    "conv2d",
    "conv2d_backward",
    "conv2d_backward_input",
    "conv2d_backward_params",
    "dense",
    "dense_backward",
    "dense_backward_input",
    "dense_backward_params",
    "dropout",
    "dropout_backward",
    "dropout_mask",
    "relu",
    "relu_backward",
    "window",
]
