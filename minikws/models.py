"""Every architecture, each a list of layers, with the recipe it trains well with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

from minikws.errors import SettingsError, nearest
from minikws.nn import Conv2D, Dense, Dropout, Flatten, Network, ReLU, Reshape


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How an architecture is trained unless told otherwise: phases of steps and their rates."""

    steps: tuple[int, ...]
    learning_rates: tuple[float, ...]
    optimizer: str = "momentum"
    batch_size: int = 100


class Builder(Protocol):
    """Make a network for features (T, F) and `n_labels` labels."""

    def __call__(
        self,
        *,
        input_shape: tuple[int, int],
        n_labels: int,
        rng: np.random.Generator,
        dropout_rate: float,
        dtype: DTypeLike,
    ) -> Network:
        """Build it with fresh weights."""
        ...


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A name on the command line: what it is, how to build it, how to train it."""

    name: str
    doc: str
    builder: Builder
    recipe: Recipe


ARCHITECTURES: dict[str, Architecture] = {}


def _architecture(*, doc: str, recipe: Recipe) -> Callable[[Builder], Builder]:
    """Enter a builder into `ARCHITECTURES` under its own name."""

    def enter(builder: Builder) -> Builder:
        name = getattr(builder, "__name__", "")
        ARCHITECTURES[name] = Architecture(name=name, doc=doc, builder=builder, recipe=recipe)
        return builder

    return enter


def architecture(name: str) -> Architecture:
    """Look an architecture up by its name.

    Raises
    ------
    SettingsError : no such architecture.
    """
    if name not in ARCHITECTURES:
        raise SettingsError(f"unknown architecture {name!r}; {nearest(name, ARCHITECTURES)}")
    return ARCHITECTURES[name]


def build(
    name: str,
    *,
    input_shape: tuple[int, int],
    n_labels: int,
    rng: np.random.Generator,
    dropout_rate: float = 0.5,
    dtype: DTypeLike = np.float32,
) -> Network:
    """Build an architecture with fresh weights.

    Parameters
    ----------
    name : one of `ARCHITECTURES`.
    input_shape : (T, F) of the features.
    n_labels : L, outputs.
    rng : draws the weights now, and the dropout masks in training.

    Raises
    ------
    SettingsError : no such architecture, or a size below 1.

    >>> network = build("tiny_conv", input_shape=(49, 40), n_labels=4, rng=np.random.default_rng())
    >>> network.n_parameters, network.multiply_adds
    (16652, 336000)
    """
    builder = architecture(name).builder
    if len(input_shape) != 2 or min(*input_shape, n_labels) < 1:
        raise SettingsError(
            f"{name} for features {tuple(input_shape)} and {n_labels} labels cannot be built; "
            "give (T, F) and labels of 1 or more"
        )
    return builder(
        input_shape=input_shape, n_labels=n_labels, rng=rng, dropout_rate=dropout_rate, dtype=dtype
    )


@_architecture(
    doc="one convolution and one dense layer; 20 KB, made for microcontrollers",
    recipe=Recipe(steps=(18000, 4000), learning_rates=(0.001, 0.0002)),
)
def tiny_conv(
    *,
    input_shape: tuple[int, int],
    n_labels: int,
    rng: np.random.Generator,
    dropout_rate: float,
    dtype: DTypeLike,
) -> Network:
    """Build the microcontroller's network. Source: models.py, create_tiny_conv_model."""
    n_frames, n_features = input_shape
    conv = Conv2D(1, 8, (10, 8), strides=(2, 2), padding="SAME", rng=rng, dtype=dtype)
    n_flat = int(np.prod(conv.output_shape((n_frames, n_features, 1)), dtype=np.int64))
    return Network(
        [
            ("picture", Reshape((n_frames, n_features, 1))),
            ("first_conv", conv),
            ("relu", ReLU()),
            ("dropout", Dropout(dropout_rate, rng=rng)),
            ("flatten", Flatten()),
            ("final_fc", Dense(n_flat, n_labels, rng=rng, dtype=dtype)),
        ],
        input_shape=input_shape,
    )
