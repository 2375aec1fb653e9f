"""An architecture from a file of one's own: `--model my_net.py:my_net`, no change to minikws.

The function is called as every builder in this folder is, with keyword arguments input_shape,
n_labels, rng, dropout_rate, dtype and its own options, and returns a `Network`. A run keeps a
copy of the file, so that it can be resumed and exported when the file has changed or gone.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from minikws.errors import MinikwsError, SettingsError, ShapeError, nearest
from minikws.models.registry import COMMON, Architecture, Recipe
from minikws.models.speech_commands import MICRO_SPEECH
from minikws.nn import Network

RECIPE = Recipe(**MICRO_SPEECH)  # tiny_conv's


def is_own(model: str) -> bool:
    """Whether a model's name means a file rather than an entry of the table.

    >>> is_own("nets/mine.py:tiny"), is_own("tiny_conv")
    (True, False)
    """
    return re.search(r"\.py(:|$)", model) is not None


def split_name(model: str) -> tuple[Path, str]:
    """Return the file and the function that "FILE.py:FUNCTION" names.

    Raises
    ------
    SettingsError : no function is named.
    """
    file, colon, function = model.rpartition(":")
    if not colon or not file.endswith(".py"):
        raise SettingsError(
            f"{model} names no function; write FILE.py:FUNCTION, such as my_net.py:my_net"
        )
    return Path(file), function


def own_architecture(model: str, *, source: Path | None = None) -> Architecture:
    """Load the function that "FILE.py:FUNCTION" names.

    Parameters
    ----------
    source : read this file in its place: the copy in a run's folder.

    Raises
    ------
    SettingsError : no such file or function, a file that raises, a function that does not take
        what a builder is given.
    """
    file, function = split_name(model)
    module = _execute(source or file)
    builder = getattr(module, function, None)
    if not callable(builder):
        own = [n for n, v in vars(module).items() if inspect.isfunction(v) and n[0] != "_"]
        found = "is not a function" if hasattr(module, function) else "does not exist"
        raise SettingsError(
            f"{function} {found} in {file}; {nearest(function, own) if own else 'define it there'}"
        )
    parameters = inspect.signature(builder).parameters
    any_keyword = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    missing = [name for name in COMMON if name not in parameters and not any_keyword]
    if missing:
        raise SettingsError(
            f"{model} does not take {', '.join(missing)}; a builder is called with the keyword "
            f"arguments {', '.join(COMMON)}"
        )
    options = {
        name: p.default
        for name, p in parameters.items()
        if name not in COMMON and p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
    }
    for name, default in options.items():
        if default is inspect.Parameter.empty:
            raise SettingsError(
                f"{model} has an option {name} without a default; write {name}=VALUE in its "
                "signature"
            )
    doc = inspect.getdoc(builder) or f"from {file.name}"
    return Architecture(
        name=model, doc=doc.partition("\n")[0], builder=builder, recipe=RECIPE, options=options
    )


def build_own(
    entry: Architecture,
    *,
    input_shape: tuple[int, int],
    n_labels: int,
    rng: np.random.Generator,
    dropout_rate: float,
    options: Mapping[str, Any],
) -> Network:
    """Call one's own function and look at what it returns.

    Raises
    ------
    SettingsError : an unknown option, or the function raises or returns no `Network`.
    ShapeError : its layers do not fit each other, the features or the labels.
    """
    entry.check_options(list(options))
    try:
        network: object = entry.builder(
            input_shape=input_shape,
            n_labels=n_labels,
            rng=rng,
            dropout_rate=dropout_rate,
            dtype=np.float32,
            **options,
        )
    except MinikwsError as error:
        raise type(error)(f"{entry.name} for features {input_shape}: {error}") from error
    except Exception as error:  # somebody else's code may raise anything
        raise SettingsError(
            f"{entry.name} raises {_told(error)} for features {input_shape} and {n_labels} "
            "labels; --debug shows where"
        ) from error
    if not isinstance(network, Network):
        raise SettingsError(
            f"{entry.name} returns {type(network).__name__}, a Network is expected; end it with "
            "return Network(layers, input_shape=input_shape)"
        )
    if network.input_shape != input_shape or network.output_shape != (n_labels,):
        raise ShapeError(
            f"{entry.name} makes {network.output_shape} of {network.input_shape}, the labels and "
            f"features here need {(n_labels,)} of {input_shape}; use n_labels and input_shape as "
            "they are handed in"
        )
    return network


def _execute(path: Path) -> ModuleType:
    """Run a file as a module. Nothing is cached: a file edited a moment ago counts."""
    try:
        code = compile(path.read_bytes(), str(path), "exec")
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read ({error.strerror}); give the file of your own model as "
            "FILE.py:FUNCTION"
        ) from error
    except (SyntaxError, ValueError) as error:
        raise SettingsError(f"{path} is not valid Python ({error}); correct it") from error
    module = ModuleType(f"minikws_own_{hashlib.sha1(str(path).encode()).hexdigest()[:8]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(code, module.__dict__)
    except Exception as error:  # somebody else's code may raise anything
        raise SettingsError(
            f"{path} raises {_told(error)} when it is read; correct it, --debug shows where"
        ) from error
    return module


def _told(error: Exception) -> str:
    return f"{type(error).__name__} ({error})" if str(error) else type(error).__name__
