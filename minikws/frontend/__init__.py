"""Frontends: each turns sound into features, whole clips or a stream, with the same numbers.

A frontend is a small class with settings; `FRONTENDS` names them, `make_frontend` builds one from
its settings or from the JSON form that a model file stores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from minikws._typing import Features, Samples
from minikws.errors import SettingsError, nearest
from minikws.frontend.average import Average
from minikws.frontend.mfcc import Mfcc
from minikws.frontend.micro import Micro
from minikws.frontend.raw import Raw
from minikws.frontend.spectrogram import Spectrogram
from minikws.settings import ClipSettings

__all__ = [
    "FRONTENDS",
    "Average",
    "FeatureStream",
    "Frontend",
    "Mfcc",
    "Micro",
    "Raw",
    "Spectrogram",
    "make_frontend",
]


class FeatureStream(Protocol):
    """A running clip: samples are pushed in pieces of any length, features come when ready."""

    def push(self, samples: Samples) -> Features:
        """Take (n,) int16 samples, return the (t, F) float32 frames that they complete."""
        ...

    def reset(self) -> None:
        """Forget everything heard: the next sample is the first."""
        ...


class Frontend(Protocol):
    """Sound to features."""

    @property
    def settings(self) -> ClipSettings:
        """Every number the features depend on."""
        ...

    @property
    def quantization(self) -> tuple[float, int] | None:
        """The fixed scale and zero point of the int8 form, None where they are calibrated."""
        ...

    def extract(self, clips: Samples) -> Features:
        """Turn (B, N) int16 into (B, T, F) float32, or (N,) into (T, F), in real units."""
        ...

    def stream(self) -> FeatureStream:
        """Start a stream, with nothing heard so far."""
        ...


FRONTENDS: dict[str, type[Average | Mfcc | Micro | Raw | Spectrogram]] = {
    frontend.settings_class.kind: frontend for frontend in (Spectrogram, Mfcc, Average, Micro, Raw)
}


def make_frontend(settings: str | Mapping[str, Any] | ClipSettings) -> Frontend:
    """Build the frontend that `settings` describe.

    Parameters
    ----------
    settings : a settings record, or its JSON form, {"kind": "micro", …}; what the form leaves out
        takes its default, of a kind alone, "micro", all.

    Raises
    ------
    SettingsError : no kind, an unknown one, or a setting that cannot work.
    """
    if isinstance(settings, str):
        settings = {"kind": settings}
    stored = settings.to_json() if isinstance(settings, ClipSettings) else settings
    kind = stored.get("kind")
    if not isinstance(kind, str) or kind not in FRONTENDS:
        raise SettingsError(f"unknown frontend {kind!r}; {nearest(str(kind), FRONTENDS)}")
    frontend: Any = FRONTENDS[kind]
    made: Frontend = frontend(frontend.settings_class.from_json(stored))
    return made
