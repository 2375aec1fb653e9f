"""The six networks of TensorFlow's tutorial, from one dense layer to two convolutions.

Weights start as a truncated normal of 0.01 (`single_fc`: 0.001), biases at 0. A network's last
layer is `final_fc` in all of them.

Source: tensorflow/examples/speech_commands/models.py; steps, rates and the plain gradient descent
of train.py and its comments.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minikws.models.registry import Recipe, enter
from minikws.models.stack import Stack, at_least_one
from minikws.nn import Network
from minikws.nn.layers import (
    SVDF,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPool2D,
    ReLU,
    Reshape,
)

TUTORIAL: dict[str, Any] = {"optimizer": "gradient_descent", "frontend": {"kind": "mfcc"}}
MICRO_SPEECH: dict[str, Any] = {"steps": (18000, 4000), "learning_rates": (0.001, 0.0002)}


@enter(
    doc="one dense layer: the least that can be trained",
    recipe=Recipe(steps=(15000, 3000), learning_rates=(0.001, 0.0001), **TUTORIAL),
)
def single_fc(
    *,
    input_shape: tuple[int, int],
    n_labels: int,
    rng: np.random.Generator,
    dropout_rate: float,
    dtype: DTypeLike,
) -> Network:
    """Build the dense layer; it has no dropout. Source: create_single_fc_model."""
    stack = Stack(input_shape)
    stack.add("flatten", Flatten())
    stack.add("final_fc", Dense(stack.size, n_labels, rng=rng, sigma=0.001, dtype=dtype))
    return stack.network()


@enter(
    doc="two large convolutions: the tutorial's own, accurate and heavy",
    recipe=Recipe(steps=(15000, 3000), learning_rates=(0.001, 0.0001), **TUTORIAL),
)
def conv(
    *,
    input_shape: tuple[int, int],
    n_labels: int,
    rng: np.random.Generator,
    dropout_rate: float,
    dtype: DTypeLike,
) -> Network:
    """Build roughly "cnn-trad-fpool3" of Sainath and Parada 2015. Source: create_conv_model."""
    stack = Stack(input_shape)
    stack.add("picture", Reshape((*input_shape, 1)))
    stack.add("first_conv", Conv2D(1, 64, (20, 8), rng=rng, dtype=dtype))
    stack.add("first_relu", ReLU())
    stack.add("first_dropout", Dropout(dropout_rate, rng=rng))
    stack.add("pool", MaxPool2D((2, 2), strides=(2, 2), padding="SAME"))
    stack.add("second_conv", Conv2D(64, 64, (10, 4), rng=rng, dtype=dtype))
    stack.add("second_relu", ReLU())
    stack.add("second_dropout", Dropout(dropout_rate, rng=rng))
    stack.add("flatten", Flatten())
    stack.add("final_fc", Dense(stack.size, n_labels, rng=rng, dtype=dtype))
    return stack.network()


@enter(
    doc="one convolution over all frames at once, then three dense layers",
    recipe=Recipe(steps=(20000, 6000), learning_rates=(0.01, 0.001), **TUTORIAL),
)
def low_latency_conv(
    *,
    input_shape: tuple[int, int],
    n_labels: int,
    rng: np.random.Generator,
    dropout_rate: float,
    dtype: DTypeLike,
) -> Network:
    """Build roughly "cnn-one-fstride4" of Sainath and Parada 2015.

    The dense layers have no activation between them. Source: create_low_latency_conv_model.
    """
    stack = Stack(input_shape)
    stack.add("picture", Reshape((*input_shape, 1)))
    kernel = (input_shape[0], 8)
    stack.add("first_conv", Conv2D(1, 186, kernel, padding="VALID", rng=rng, dtype=dtype))
    stack.add("relu", ReLU())
    stack.add("conv_dropout", Dropout(dropout_rate, rng=rng))
    stack.add("flatten", Flatten())
    _dense_layers(stack, 128, n_labels, dropout_rate=dropout_rate, rng=rng, dtype=dtype)
    return stack.network()


@enter(
    doc="one SVDF layer, a filter in frequency and one in time a unit, then three dense layers",
    recipe=Recipe(steps=(100_000, 35_000), learning_rates=(0.01, 0.005), **TUTORIAL),
)
def low_latency_svdf(
    *,
    input_shape: tuple[int, int],
    n_labels: int,
    rng: np.random.Generator,
    dropout_rate: float,
    dtype: DTypeLike,
    rank: int = 2,
    num_units: int = 1280,
) -> Network:
    """Build the network of Nakkiran et al. 2015, its memory as long as the clip.

    Source: create_low_latency_svdf_model, in the form it is trained in.
    """
    at_least_one(rank=rank, num_units=num_units)
    n_frames, n_features = input_shape
    stack = Stack(input_shape)
    stack.add("svdf", SVDF(n_features, num_units, n_frames, rank=rank, rng=rng, dtype=dtype))
    stack.add("relu", ReLU())
    stack.add("svdf_dropout", Dropout(dropout_rate, rng=rng))
    _dense_layers(stack, 256, n_labels, dropout_rate=dropout_rate, rng=rng, dtype=dtype)
    return stack.network()


def _dense_layers(
    stack: Stack,
    n_units: int,
    n_labels: int,
    *,
    dropout_rate: float,
    rng: np.random.Generator,
    dtype: DTypeLike,
) -> None:
    """Add two dense layers, each with dropout and without an activation, and the last one."""
    for name in ("first", "second"):
        stack.add(f"{name}_fc", Dense(stack.size, n_units, rng=rng, dtype=dtype))
        stack.add(f"{name}_fc_dropout", Dropout(dropout_rate, rng=rng))
    stack.add("final_fc", Dense(n_units, n_labels, rng=rng, dtype=dtype))


@enter(
    doc="one convolution and one dense layer; 20 KB, made for microcontrollers",
    recipe=Recipe(**MICRO_SPEECH),
)
def tiny_conv(
    *,
    input_shape: tuple[int, int],
    n_labels: int,
    rng: np.random.Generator,
    dropout_rate: float,
    dtype: DTypeLike,
) -> Network:
    """Build the microcontroller's network. Source: create_tiny_conv_model."""
    stack = Stack(input_shape)
    stack.add("picture", Reshape((*input_shape, 1)))
    stack.add("first_conv", Conv2D(1, 8, (10, 8), strides=(2, 2), rng=rng, dtype=dtype))
    stack.add("relu", ReLU())
    stack.add("dropout", Dropout(dropout_rate, rng=rng))
    stack.add("flatten", Flatten())
    stack.add("final_fc", Dense(stack.size, n_labels, rng=rng, dtype=dtype))
    return stack.network()


@enter(
    doc="two convolutions and one dense layer; 10 KB, for digital signal processors",
    recipe=Recipe(**MICRO_SPEECH),
)
def tiny_embedding_conv(
    *,
    input_shape: tuple[int, int],
    n_labels: int,
    rng: np.random.Generator,
    dropout_rate: float,
    dtype: DTypeLike,
) -> Network:
    """Build the smallest of the six. Source: create_tiny_embedding_conv_model."""
    stack = Stack(input_shape)
    stack.add("picture", Reshape((*input_shape, 1)))
    stack.add("first_conv", Conv2D(1, 8, (10, 8), strides=(2, 2), rng=rng, dtype=dtype))
    stack.add("first_relu", ReLU())
    stack.add("first_dropout", Dropout(dropout_rate, rng=rng))
    stack.add("second_conv", Conv2D(8, 8, (10, 8), strides=(8, 8), rng=rng, dtype=dtype))
    stack.add("second_relu", ReLU())
    stack.add("second_dropout", Dropout(dropout_rate, rng=rng))
    stack.add("flatten", Flatten())
    stack.add("final_fc", Dense(stack.size, n_labels, rng=rng, dtype=dtype))
    return stack.network()
