"""A frontend's settings as one word on a command line: "average,hop_ms=20"."""

from __future__ import annotations

from typing import Any

from minikws.errors import SettingsError


def settings_from_text(text: str) -> dict[str, Any]:
    """Return settings in their JSON form: a kind, and settings after it by their names.

    Numbers become numbers; whether kind, names and values are known is for `make_frontend`.

    Raises
    ------
    SettingsError : a part that is no NAME=VALUE, or a name that stands twice.

    >>> settings_from_text("average,hop_ms=20")
    {'kind': 'average', 'hop_ms': 20}
    """
    kind, *parts = (part.strip() for part in text.split(","))
    settings: dict[str, Any] = {"kind": kind}
    for part in parts:
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not (name and sign and value) or name in settings:
            raise SettingsError(
                f"{part!r} in the frontend {text!r} is no setting of its own; write a kind and "
                "each setting once, as average,hop_ms=20"
            )
        settings[name] = _value(value)
    return settings


def _value(text: str) -> int | float | str:
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
