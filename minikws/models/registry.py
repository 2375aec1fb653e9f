"""The table of architectures: what each is, which options it has, and how it is trained.

A builder is a function that returns a `Network` for features (T, F) and L labels; `architecture`
enters it into the table under its own name. What it takes beyond the five arguments of every
builder are its options, with their defaults.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from minikws.errors import SettingsError, ShapeError, nearest
from minikws.nn import Network


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How an architecture is trained unless told otherwise.

    steps, learning_rates : one of each a phase.
    schedule : how the rate goes through the phases.
    label_smoothing : share of the target that is spread over all labels.
    l2 : weight of the squares of the weights in the loss.
    dropout_rate : share of silenced units, where the architecture has dropout.
    frontend : settings of the features it is meant for, in their JSON form.
    """

    steps: tuple[int, ...]
    learning_rates: tuple[float, ...]
    optimizer: str = "momentum"
    batch_size: int = 100
    schedule: str = "phases"
    label_smoothing: float = 0.0
    l2: float = 0.0
    dropout_rate: float = 0.5
    frontend: Mapping[str, Any] = field(default_factory=lambda: {"kind": "micro"})


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
        **options: Any,
    ) -> Network:
        """Build it with fresh weights."""
        ...


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A name on the command line: what it is, how to build it, how to train it.

    options : what the builder takes beside the arguments that all take, with their defaults.
    """

    name: str
    doc: str
    builder: Builder
    recipe: Recipe
    options: Mapping[str, Any] = field(default_factory=dict)

    def parse_options(self, text: str) -> dict[str, Any]:
        """Return options written as "size=M" or "rank=1,n_units=64", in their own types.

        Raises
        ------
        SettingsError : no such option, or a value of another type than the default's.
        """
        options: dict[str, Any] = {}
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals:
                raise SettingsError(f"model option {part!r} has no value; write it as NAME=VALUE")
            self.check_options([name])
            default = self.options[name]
            try:
                options[name] = _read(value, like=default)
            except (ValueError, KeyError) as error:
                kind = (
                    "0 or 1" if isinstance(default, bool) else f"of type {type(default).__name__}"
                )
                raise SettingsError(
                    f"{self.name}'s option {name} is {value!r}, not {kind}; "
                    f"the default is {default}"
                ) from error
        return options

    def check_options(self, names: list[str]) -> None:
        """Raise SettingsError where a name is not one of `options`."""
        for name in names:
            if name not in self.options:
                known = self.options
                advice = nearest(name, known) if known else "it has none, leave it out"
                raise SettingsError(f"{self.name} has no option {name!r}; {advice}")


def _read(text: str, *, like: Any) -> Any:
    """Return an option's value in the type of its default; a truth value is 0, 1, false or true."""
    if isinstance(like, bool):
        return {"0": False, "false": False, "1": True, "true": True}[text.lower()]
    return type(like)(text)


ARCHITECTURES: dict[str, Architecture] = {}
COMMON = tuple(
    name
    for name in inspect.signature(Builder.__call__).parameters
    if name not in ("self", "options")
)


Build = Callable[..., Network]


def enter(*, doc: str, recipe: Recipe) -> Callable[[Build], Build]:
    """Enter a builder into `ARCHITECTURES` under its own name."""

    def decorate(builder: Build) -> Build:
        name = getattr(builder, "__name__", "")
        parameters = inspect.signature(builder).parameters.items()
        ARCHITECTURES[name] = Architecture(
            name=name,
            doc=doc,
            builder=builder,
            recipe=recipe,
            options={n: p.default for n, p in parameters if n not in COMMON},
        )
        return builder

    return decorate


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
    dropout_rate: float | None = None,
    dtype: DTypeLike = np.float32,
    **options: Any,
) -> Network:
    """Build an architecture with fresh weights.

    Parameters
    ----------
    name : one of `ARCHITECTURES`.
    input_shape : (T, F) of the features.
    n_labels : L, outputs.
    rng : draws the weights now, and the dropout masks in training.
    dropout_rate : share of silenced units in training; None takes the recipe's.
    options : what the architecture offers beside (`Architecture.options`).

    Raises
    ------
    SettingsError : no such architecture or option, or a size below 1.
    ShapeError : features too small for the architecture's windows.

    >>> network = build("tiny_conv", input_shape=(49, 40), n_labels=4, rng=np.random.default_rng())
    >>> network.n_parameters, network.multiply_adds
    (16652, 336000)
    """
    entry = architecture(name)
    entry.check_options(list(options))
    if len(input_shape) != 2 or min(*input_shape, n_labels) < 1:
        raise SettingsError(
            f"{name} for features {tuple(input_shape)} and {n_labels} labels cannot be built; "
            "give (T, F) and labels of 1 or more"
        )
    n_frames, n_features = input_shape
    try:
        return entry.builder(
            input_shape=(n_frames, n_features),
            n_labels=n_labels,
            rng=rng,
            dropout_rate=entry.recipe.dropout_rate if dropout_rate is None else dropout_rate,
            dtype=dtype,
            **options,
        )
    except ShapeError as error:
        raise ShapeError(
            f"{name} cannot take features (T={n_frames}, F={n_features}): {error}"
        ) from error
