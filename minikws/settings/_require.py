"""One line for each check of a setting."""

from __future__ import annotations

from minikws.errors import SettingsError


def require(condition: bool, sentence: str) -> None:
    """Raise SettingsError with the sentence where the condition does not hold."""
    if not condition:
        raise SettingsError(sentence)
