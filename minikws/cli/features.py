"""minikws features: what a model sees of a clip, as pictures and exact numbers."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minikws.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minikws._typing import Features
    from minikws.frontend import Frontend

HELP = "draw and write the features of clips"
EXAMPLE = "minikws features yes.wav --frontend micro --png --csv --out features"

# Options of the tutorial's wav_to_features.py without a meaning here, accepted with a line.
WITHOUT_MEANING = {
    "quantize": "the C array holds the device's int8 wherever the frontend has one",
    "verbosity": "messages are --quiet or not",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("clips", nargs="*", metavar="CLIP_OR_FOLDER", help="WAV files, folders of WAV files")
    add("--input-wav", metavar="CLIP", help="the clip, as the tutorial spells it")
    add("--out", metavar="DIR", help="where files go (default: here)")
    group = parser.add_argument_group("what is written")
    add = group.add_argument
    add("--png", action="store_true", help="a picture a clip")
    add("--csv", action="store_true", help="the numbers as text, one line a frame")
    add("--npz", action="store_true", help="the numbers as the array `features` (T, F) float32")
    add("--c-array", metavar="NAME", help="C source and header with the array NAME")
    add("--output-c-file", metavar="FILE", help="the C source of one clip")
    group = parser.add_argument_group("the frontend")
    add = group.add_argument
    add("--frontend", "--preprocess", default="micro", metavar="KIND", help="default micro")
    add("--micro-variant", metavar="NAME", help="tensorflow (default), preprocessor, pymicro")
    add("--sample-rate", type=int, metavar="HZ", help="default 16000")
    add("--clip-duration-ms", type=float, metavar="MS", help="pad or crop to this; default: as is")
    add("--window-size-ms", "--window-ms", type=float, metavar="MS", help="default 30")
    add("--window-stride-ms", "--hop-ms", type=float, metavar="MS", help="default 20 for micro")
    add(
        "--feature-bin-count",
        "--dct-coefficient-count",
        type=int,
        metavar="N",
        help="features of a frame, default 40",
    )
    add("--lower-hz", type=float, metavar="HZ", help="lowest frequency, default 125")
    add("--upper-hz", type=float, metavar="HZ", help="highest frequency, default 7500")
    for name in WITHOUT_MEANING:
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)


def run(args: argparse.Namespace, out: Output) -> int:
    """Compute, write and describe the features of each clip."""
    from minikws.audio import read_clip
    from minikws.errors import AudioError, SettingsError
    from minikws.frontend import make_frontend

    for name, reason in WITHOUT_MEANING.items():
        if getattr(args, name) is not None:
            out.say(f"--{name} has no meaning here: {reason}")
    clips = find_clips([*args.clips, *([args.input_wav] if args.input_wav else [])])
    if args.output_c_file and len(clips) > 1:
        raise SettingsError(
            f"--output-c-file names one file, found {len(clips)} clips; use --c-array NAME instead"
        )
    frontend = make_frontend(_wanted(args))
    settings = frontend.settings
    n_samples = settings.clip_samples if args.clip_duration_ms is not None else None
    records: list[dict[str, Any]] = []
    for path, target in clips:
        samples = read_clip(
            path,
            sample_rate_hz=settings.sample_rate_hz,
            n_samples=n_samples,
            on_message=out.say,
        )
        if len(samples) < settings.window_samples:
            raise AudioError(
                f"{path} holds {len(samples)} samples, shorter than a window of "
                f"{settings.window_samples}; pad it with --clip-duration-ms 1000"
            )
        features = frontend.extract(samples)
        n_frames, n_features = features.shape
        name = args.c_array or f"g_{identifier(path.stem)}"
        if len(clips) > 1:
            name += f"_{identifier('_'.join(target.parts))}"
        files = _write(features, frontend, Path(args.out or ".") / target, path, name, args)
        written = [str(file) for file in files]
        records.append(
            {
                "file": str(path),
                "shape": [n_frames, n_features],
                "dtype": str(features.dtype),
                "written": written,
            }
        )
        out.answer(
            f"{path}: {n_frames} frames of {n_features}, {features.min():g} to "
            f"{features.max():g}, mean {features.mean():.3f}"
            + (f"; wrote {', '.join(written)}" if written else "")
        )
    out.result({"frontend": settings.to_json(), "clips": records})
    return 0


def find_clips(words: Sequence[str]) -> list[tuple[Path, Path]]:
    """Return each WAV file and where its results go, without an ending: STEM or WORD/STEM.

    A folder means all WAV files in it and below, sorted, each under the name of its own folder.

    Raises
    ------
    SettingsError : no clip was named, or two clips would share their results' name.
    AudioError : a folder without a WAV file.
    """
    from minikws.errors import AudioError, SettingsError

    if not words:
        raise SettingsError("no clip to compute features of; name a WAV file or a folder of them")
    clips: list[tuple[Path, Path]] = []
    for word in words:
        path = Path(word)
        if not path.is_dir():
            clips.append((path, Path(path.stem)))
            continue
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() == ".wav" and p.is_file())
        if not found:
            raise AudioError(f"{path} holds no .wav file; name WAV files or a folder of them")
        clips += [(p, Path(p.resolve().parent.name) / p.stem) for p in found]
    places: dict[Path, Path] = {}
    for clip, target in clips:
        if target in places:
            raise SettingsError(
                f"{places[target]} and {clip} would both be written as {target}; "
                "give one of them to a second command with another --out"
            )
        places[target] = clip
    return clips


def _wanted(args: argparse.Namespace) -> dict[str, Any]:
    """Return the frontend's settings as given on the command line."""
    given = {
        "variant": args.micro_variant,
        "sample_rate_hz": args.sample_rate,
        "clip_ms": args.clip_duration_ms,
        "window_ms": args.window_size_ms,
        "hop_ms": args.window_stride_ms,
        "n_mels": args.feature_bin_count,
        "lower_hz": args.lower_hz,
        "upper_hz": args.upper_hz,
    }
    stored = {name: value for name, value in given.items() if value is not None}
    return {"kind": args.frontend, **stored}


def _write(
    features: Features,
    frontend: Frontend,
    target: Path,
    clip: Path,
    array_name: str,
    args: argparse.Namespace,
) -> list[Path]:
    """Write what was asked for, and return the files."""
    import numpy as np

    from minikws.files import write_file

    written = []
    if args.png:
        from minikws.plots import draw_features

        n_frames, n_features = features.shape
        png = Path(f"{target}.png")
        draw_features(
            features,
            hop_ms=frontend.settings.hop_ms,
            centers_hz=getattr(frontend, "centers_hz", None),
            title=f"{clip.name}: {frontend.settings.kind}, {n_frames} frames of {n_features}",
            value_label="feature",
            path=png,
        )
        written.append(png)
    if args.csv:
        # As doubles: a float32 then has all its decimals, which str() of it would round away.
        lines = (",".join(map(repr, row)) for row in features.astype(np.float64).tolist())
        written.append(write_file(f"{target}.csv", "\n".join(lines) + "\n"))
    if args.npz:
        written.append(write_file(f"{target}.npz", lambda file: np.savez(file, features=features)))
    if args.c_array or args.output_c_file:
        source = Path(args.output_c_file) if args.output_c_file else Path(f"{target}.c")
        texts = c_source(array_name, features, frontend, clip.name, source.with_suffix(".h").name)
        written.append(write_file(source, texts[0]))
        written.append(write_file(source.with_suffix(".h"), texts[1]))
    return written


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
    from minikws.errors import SettingsError
    from minikws.fixedpoint import quantize

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
