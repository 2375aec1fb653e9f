"""minikws: keyword spotting in pure NumPy, small enough to read and exact enough to trust.

>>> import minikws                                              # doctest: +SKIP
>>> model = minikws.load("yes_no.tflite")                       # doctest: +SKIP
>>> model.label("clip.wav")                                     # doctest: +SKIP
[('yes', 0.996), ('_unknown_', 0.004), ...]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from minikws.audio import read_clip, read_wav, write_wav
    from minikws.errors import (
        AudioError,
        CheckFailed,
        CorpusError,
        MinikwsError,
        MissingExtraError,
        ModelFileError,
        RunError,
        SettingsError,
        ShapeError,
        UnsupportedOpError,
    )
    from minikws.frontend import FRONTENDS
    from minikws.models import ARCHITECTURES
    from minikws.pipeline import Model, load
    from minikws.quant.convert import convert
    from minikws.runtime import Interpreter
    from minikws.settings import MicroSettings
    from minikws.streaming.recognize import Recognizer
    from minikws.train import Trainer

# Where each public name lives. Nothing is imported before it is asked for, so that `import
# minikws` costs nothing and a machine without the training extras never meets them.
_HOMES = {
    "ARCHITECTURES": "models",
    "AudioError": "errors",
    "CheckFailed": "errors",
    "CorpusError": "errors",
    "FRONTENDS": "frontend",
    "Interpreter": "runtime",
    "MicroSettings": "settings",
    "MinikwsError": "errors",
    "MissingExtraError": "errors",
    "Model": "pipeline",
    "ModelFileError": "errors",
    "Recognizer": "streaming.recognize",
    "RunError": "errors",
    "SettingsError": "errors",
    "ShapeError": "errors",
    "Trainer": "train",
    "UnsupportedOpError": "errors",
    "convert": "quant.convert",
    "load": "pipeline",
    "read_clip": "audio",
    "read_wav": "audio",
    "write_wav": "audio",
}

__all__ = [
    "ARCHITECTURES",
    "FRONTENDS",
    "AudioError",
    "CheckFailed",
    "CorpusError",
    "Interpreter",
    "MicroSettings",
    "MinikwsError",
    "MissingExtraError",
    "Model",
    "ModelFileError",
    "Recognizer",
    "RunError",
    "SettingsError",
    "ShapeError",
    "Trainer",
    "UnsupportedOpError",
    "__version__",
    "convert",
    "load",
    "read_clip",
    "read_wav",
    "write_wav",
]


def __getattr__(name: str) -> Any:
    """Import a public name's home at its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'minikws' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"minikws.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
