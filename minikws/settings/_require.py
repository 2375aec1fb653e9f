"""The checks that all settings share: each value has its field's type, and a sentence a rule."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import Any

from minikws.errors import SettingsError

EXPECTED = {  # a field's type as its record writes it -> what people are told
    "int": "a whole number; write it as 100",
    "float": "a number; write it as 0.1",
    "bool": "a yes or no; give a bool",
    "str": "a text; put it in quotes",
    "tuple[int, ...]": "a list of whole numbers; write (15000, 3000)",
    "tuple[float, ...]": "a list of numbers; write (0.001, 0.0001)",
    "tuple[str, ...]": "a list of words; write ('yes', 'no')",
}

TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
}


def require(condition: bool, sentence: str) -> None:
    """Raise SettingsError with the sentence where the condition does not hold."""
    if not condition:
        raise SettingsError(sentence)


def settle_types(settings: Any) -> None:
    """Give every field of a frozen record its declared type, or refuse its value.

    Lists become tuples, NumPy's numbers Python's and paths texts, so that what came from JSON, an
    array or a literal compares equal; nothing else is converted. Types that `EXPECTED` lacks
    (names of a few choices) are left to the record.

    Raises
    ------
    SettingsError : a value of another type.
    """
    for field in fields(settings):
        kinds = str(field.type).split(" | ")
        value = _plain(getattr(settings, field.name))
        if kinds[0] in EXPECTED and not any(_is(value, kind) for kind in kinds):
            raise SettingsError(f"{field.name}={value!r} is not {EXPECTED[kinds[0]]}")
        object.__setattr__(settings, field.name, value)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    return tuple(map(_plain, value)) if isinstance(value, (list, tuple)) else value


def _is(value: Any, kind: str) -> bool:
    if kind.startswith("tuple["):
        inner = kind.removeprefix("tuple[").removesuffix(", ...]")
        return isinstance(value, tuple) and all(_is(each, inner) for each in value)
    if kind == "None":
        return value is None
    if kind in ("int", "float") and isinstance(value, bool):
        return False
    return isinstance(value, TYPES[kind])
