"""The errors minikws raises, and the sentence for a package that is not installed.

MinikwsError                 exit code 1
├─ SettingsError             a number or name that cannot work (also a ValueError)
├─ ShapeError                arrays that do not fit together (also a ValueError)
├─ AudioError                a sound file we cannot use
├─ CorpusError               a data folder that is not as described
├─ RunError                  a run's folder or checkpoint that cannot be read or written
├─ MissingExtraError         an optional package is needed here (also an ImportError)
├─ ModelFileError            a .tflite that is damaged or not one
│  └─ UnsupportedOpError     a valid file, with an op we lack
└─ CheckFailed               the command worked, the answer is no   (exit code 3)

Every message is one sentence: what was expected, what was found, and after a semicolon
what to do.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class MinikwsError(Exception):
    """Anything minikws refuses on purpose; the message is for the user."""

    exit_code = 1


class SettingsError(MinikwsError, ValueError):
    """A number or name that cannot work."""


class ShapeError(MinikwsError, ValueError):
    """Arrays that do not fit together."""


class AudioError(MinikwsError):
    """A sound file we cannot use."""


class CorpusError(MinikwsError):
    """A data folder that is not as described."""


class RunError(MinikwsError):
    """A run's folder or checkpoint that cannot be read or written."""


class MissingExtraError(MinikwsError, ImportError):
    """An optional package is needed here and is not installed."""


class ModelFileError(MinikwsError):
    """A .tflite file that is damaged or not one."""


class UnsupportedOpError(ModelFileError):
    """A valid .tflite file, with an operator that minikws lacks."""


class CheckFailed(MinikwsError):
    """The command worked, and the answer is no."""

    exit_code = 3


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that offers the nearest known names, or lists them all.

    >>> nearest("tiny_con", ["conv", "tiny_conv"])
    'did you mean tiny_conv?'
    >>> nearest("xyz", ["conv", "tiny_conv"])
    'known are conv, tiny_conv'
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=2, cutoff=0.7)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known are {', '.join(names)}"


def import_extra(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional package where it is used, or say which extra brings it.

    Raises
    ------
    MissingExtraError : the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs the package {module.partition('.')[0]}, which is not installed; "
            f"install it with: pip install 'minikws[{extra}]'"
        ) from error
