"""A grid of trainings in TOML: what all have in common, and what is tried in every combination.

    [train]
    data-dir = "speech_commands"
    wanted-words = "yes,no"
    steps = "3000,1000"

    [grid]
    model = ["tiny_conv", "ds_cnn"]
    learning-rate = ["0.001,0.0001", "0.0005,0.0001"]
    seed = [1, 2, 3]

The keys are the options of `minikws train`, with `-` or `_`.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from minikws.errors import SettingsError, nearest

# Options that the sweep itself decides.
RESERVED = (
    "run-dir",
    "train-dir",
    "resume",
    "json",
    "quiet",
    "dry-run",
    "threads",
    "help",
    "debug",
)
MOST_CELLS = 10_000


class Cell(NamedTuple):
    """One training of a grid: its name, what is special about it, and all its options."""

    name: str
    values: dict[str, str]
    options: tuple[str, ...]


def read_grid(path: str | Path, known: Collection[str]) -> list[Cell]:
    """Read a grid; every combination of its values is a cell, the last key changing fastest.

    Parameters
    ----------
    known : the options of `train`, as "--wanted-words".

    Raises
    ------
    SettingsError : not there, no TOML, an unknown section or key, a value that is none, or an
        empty grid.
    """
    try:
        with open(path, "rb") as file:
            table = tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}); check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no TOML: {error}; see minikws sweep --help") from error
    for section in table:
        if section not in ("train", "grid") or not isinstance(table[section], dict):
            raise SettingsError(
                f"{path} has {section!r} at its top, expected the sections [train] and [grid]; "
                "move it into one of them"
            )
    options = {name.removeprefix("--") for name in known} - set(RESERVED)
    common = _checked(path, "train", table.get("train", {}), options)
    grid = _checked(path, "grid", table.get("grid", {}), options)
    for key in common.keys() & grid.keys():
        raise SettingsError(f"{path} has {key!r} in [train] and in [grid]; keep one of them")
    axes = {
        key: [
            _text(path, key, value) for value in (values if isinstance(values, list) else [values])
        ]
        for key, values in grid.items()
    }
    for key, values in axes.items():
        if not values or len(set(values)) < len(values):
            raise SettingsError(
                f"{path} gives {key!r} {'no value' if not values else 'a value twice'}; "
                "list each value once"
            )
    n_cells = 1
    for values in axes.values():
        n_cells *= len(values)
    if not axes or n_cells > MOST_CELLS:
        raise SettingsError(
            f"the section [grid] of {path} makes {n_cells if axes else 0} trainings; "
            f"list what to try, at most {MOST_CELLS}"
        )
    shared = [f"--{key}={_text(path, key, value)}" for key, value in common.items()]
    cells = []
    for number, combination in enumerate(itertools.product(*axes.values()), 1):
        chosen = dict(zip(axes, combination, strict=True))
        own = [f"--{key}={value}" for key, value in chosen.items()]
        cells.append(Cell(_name(number, chosen), chosen, (*shared, *own)))
    return cells


def _checked(
    path: str | Path, section: str, given: Mapping[str, Any], options: Collection[str]
) -> dict[str, Any]:
    found = {}
    for key, value in given.items():
        name = key.replace("_", "-")
        if name in RESERVED:
            raise SettingsError(
                f"{path} sets {key!r} in [{section}], which the sweep decides itself; leave it out"
            )
        if name not in options:
            raise SettingsError(
                f"{path} has the unknown key {key!r} in [{section}]; "
                f"{nearest(name, sorted(options))}"
            )
        found[name] = value
    return found


def _text(path: str | Path, key: str, value: object) -> str:
    """Return a value as it would stand on the command line; a list is joined by commas."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list):
        return ",".join(_text(path, key, part) for part in value)
    raise SettingsError(f"{path} gives {key!r} the value {value!r}; write a number or a text")


def _name(number: int, values: Mapping[str, str]) -> str:
    """Return a folder's name: the number keeps it unique, the values make it readable."""
    words = [re.sub(r"[^A-Za-z0-9.,]+", "_", value).strip("_") for value in values.values()]
    return "-".join([f"{number:03}", *words])[:80]
