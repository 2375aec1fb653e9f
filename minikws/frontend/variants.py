"""Which frontend made these features? For features that are not what the model was trained on.

A board's features differ from the file's most often because another implementation made them:
the micro frontend exists in three variants with a few table values between them, some boards
leave out PCAN, older ones dump uint8. In come a clip, the settings and a dump; out come the
differences of the dump from each of these, the nearest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from minikws._typing import Array, Features, Samples
from minikws.frontend import make_frontend
from minikws.frontend.micro import Micro, to_features
from minikws.settings import ClipSettings, MicroSettings
from minikws.settings.micro import MICRO_VARIANTS


@dataclass(frozen=True)
class Match:
    """How a dump fits one way of making features.

    name : the way, in words.
    differing : how many of its values differ; 0 where that way made the dump.
    """

    name: str
    differing: int


def variant_matches(
    clip: Samples, settings: ClipSettings, found: Array, to_input: Callable[[Features], Array]
) -> list[Match]:
    """Compare found features with every variant of a frontend, the nearest first.

    Parameters
    ----------
    clip : (N,) int16, the sound both were given.
    settings : of the model's frontend.
    found : (T, F), in the units of `to_input`.
    to_input : turns real-valued features into what `found` holds, such as the input's int8.
    """
    matches = []
    for name, made in _variants(clip, settings, to_input):
        if made.size == found.size:
            values = made.reshape(-1)
            wrong = ~np.isclose(values, found.reshape(-1), rtol=1e-5, atol=1e-6)
            matches.append(Match(name, int(wrong.sum())))
    return sorted(matches, key=lambda match: match.differing)


def layout_match(expected: Array, found: Array) -> str | None:
    """Say how found features are the expected ones in another layout; None where they are not.

    Parameters
    ----------
    expected : (T, F).
    found : any shape with as many values.
    """
    values = found.reshape(-1).astype(np.float64)
    whole = expected.astype(np.float64)
    if np.array_equal(values, whole.T.reshape(-1)):
        return f"the same features transposed, ({whole.shape[1]}, {whole.shape[0]})"
    if np.array_equal(values, whole.reshape(-1) + 128):
        return "the same features as uint8, 128 higher"
    rows = values.reshape(whole.shape)
    for late in range(1, min(3, len(whole) // 2) + 1):
        for name, a, b in (
            ("later", rows[late:], whole[:-late]),
            ("earlier", rows[:-late], whole[late:]),
        ):
            if np.array_equal(a, b):
                return f"the same features {late} frame{'s' * (late > 1)} {name}"
    return None


def _variants(
    clip: Samples, settings: ClipSettings, to_input: Callable[[Features], Array]
) -> Iterator[tuple[str, Array]]:
    if not isinstance(settings, MicroSettings):
        yield f"the {settings.kind} frontend", to_input(make_frontend(settings).extract(clip))
        return
    for variant in MICRO_VARIANTS:
        varied = replace(settings, variant=variant)
        yield (
            f"the micro frontend's variant {variant}",
            to_input(make_frontend(varied).extract(clip)),
        )
    pcan = replace(settings, enable_pcan=not settings.enable_pcan)
    word = "without" if settings.enable_pcan else "with"
    yield f"the micro frontend {word} PCAN", to_input(make_frontend(pcan).extract(clip))
    maker = Micro(settings)
    fresh = np.zeros((1, settings.n_mels), np.uint32)
    _, estimate = maker._run(clip[None], fresh)
    values, _ = maker._run(clip[None], estimate)
    yield (
        "the micro frontend, its noise estimate kept from an earlier clip",
        to_input(to_features(values[0])),
    )
