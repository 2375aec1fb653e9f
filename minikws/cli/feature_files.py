"""The files of minikws features: one clip's numbers come in, pictures, text and C source go out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minikws._typing import Array, Features, Samples
from minikws.errors import SettingsError
from minikws.files import write_file
from minikws.fixedpoint import quantize
from minikws.frontend import Frontend
from minikws.plots import FeaturePicture, draw_side_by_side


@dataclass(frozen=True)
class Wanted:
    """What is written of each clip.

    stages : a CSV a stage of the frontend, beside the features' one.
    c_file : the name of the C source; None: as the clip is called.
    """

    png: bool = False
    csv: bool = False
    stages: bool = False
    npz: bool = False
    c_array: bool = False
    c_file: str | None = None


@dataclass(frozen=True, eq=False)
class ClipFeatures:
    """What is known of one clip.

    clip, samples : the file, and the (N,) int16 in it.
    target : where its files go, a path without an ending.
    array_name : of its C array.
    frontends, features : several of them share the picture; the numbers are the first's.
    """

    clip: Path
    samples: Samples
    target: Path
    array_name: str
    frontends: Sequence[Frontend]
    features: Sequence[Features]


def write_features(wanted: Wanted, found: ClipFeatures) -> list[Path]:
    """Write the wanted files of one clip, and return them.

    Raises
    ------
    SettingsError : a C array's name that is none.
    MissingExtraError, RunError : no Matplotlib; a file cannot be written.
    """
    written = []
    target, features, frontend = found.target, found.features[0], found.frontends[0]
    if wanted.png:
        written.append(_draw(found))
    if wanted.csv:
        # As doubles: a float32 then has all its decimals, which str() of it would round away.
        written.append(_write_csv(f"{target}.csv", features.astype(np.float64)))
    if wanted.stages:
        for stage, values in frontend.stages(found.samples).items():  # type: ignore[attr-defined]
            written.append(_write_csv(f"{target}.{stage}.csv", values))
    if wanted.npz:
        written.append(write_file(f"{target}.npz", lambda file: np.savez(file, features=features)))
    if wanted.c_array:
        source = Path(wanted.c_file or f"{target}.c")
        header = source.with_suffix(".h")
        texts = c_source(found.array_name, features, frontend, found.clip.name, header.name)
        written += [write_file(source, texts[0]), write_file(header, texts[1])]
    return written


def _draw(found: ClipFeatures) -> Path:
    several = len(found.frontends) > 1
    pictures = []
    for frontend, features in zip(found.frontends, found.features, strict=True):
        settings = frontend.settings
        what = f"{settings.kind}, {features.shape[0]} frames of {features.shape[1]}"
        pictures.append(
            FeaturePicture(
                features=features,
                hop_ms=settings.hop_ms,
                start_ms=(settings.window_ms - settings.hop_ms) / 2,
                centers_hz=getattr(frontend, "centers_hz", None),
                title=what if several else f"{found.clip.name}: {what}",
                value_label="feature",
                logarithmic=settings.kind in ("spectrogram", "average"),
            )
        )
    path = Path(f"{found.target}.png")
    draw_side_by_side(
        pictures,
        clip_ms=1000 * len(found.samples) / found.frontends[0].settings.sample_rate_hz,
        title=found.clip.name if several else None,
        path=path,
    )
    return path


def _write_csv(path: str, values: Array) -> Path:
    """Write (T, n) numbers exactly, one line a frame."""
    lines = (",".join(map(repr, row)) for row in values.tolist())
    return write_file(path, "\n".join(lines) + "\n")


def identifier(text: str) -> str:
    """Return `text` as a part of a C identifier.

    >>> identifier("f9643d42_nohash-4")
    'f9643d42_nohash_4'
    """
    return re.sub(r"[^A-Za-z0-9_]", "_", text)


def c_source(
    name: str, features: Features, frontend: Frontend, made_from: str, header_name: str
) -> tuple[str, str]:
    """Return C source and header of the array `name`, frame after frame.

    The numbers are the device's int8 where the frontend has a fixed int8 form, else floats.

    Raises
    ------
    SettingsError : `name` is not a C identifier.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise SettingsError(
            f"--c-array {name!r} is not a C identifier; use letters, digits and _, such as g_yes"
        )
    n_frames, n_features = features.shape
    if frontend.quantization is not None:
        kind, numbers = (
            "signed char",
            [str(v) for v in quantize(features, *frontend.quantization).flat],
        )
    else:
        kind, numbers = "float", [f"{float(v)!r}f" for v in features.flat]
    declaration = f"const {kind} {name}[{n_frames * n_features}]"
    origin = f"/* Features of {made_from}: {n_frames} frames of {n_features}. */\n"
    rows = (numbers[i : i + 10] for i in range(0, len(numbers), 10))
    body = ",\n".join("  " + ", ".join(row) for row in rows)
    guard = f"{name.upper()}_H_"
    header = (
        f"{origin}#ifndef {guard}\n#define {guard}\n\n"
        f"#define {name.upper()}_FRAMES {n_frames}\n"
        f"#define {name.upper()}_CHANNELS {n_features}\n\n"
        f'#ifdef __cplusplus\nextern "C" {{\n#endif\nextern {declaration};\n'
        "#ifdef __cplusplus\n}\n#endif\n\n#endif\n"
    )
    return f'{origin}#include "{header_name}"\n\n{declaration} = {{\n{body}\n}};\n', header
