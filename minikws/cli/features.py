"""minikws features: what a model sees of a clip, as pictures and exact numbers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minikws.cli.frontend_options import add_frontend_options, frontend_from, given_settings
from minikws.cli.output import Output
from minikws.cli.tutorial import accept, explain
from minikws.cli.worker_options import add_worker_options, workers_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minikws.cli.feature_files import Wanted
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
    add(
        "--compare",
        metavar="KIND,KIND",
        help="one picture a clip of several frontends side by side",
    )
    add("--csv", action="store_true", help="the numbers as text, one line a frame")
    add(
        "--stages",
        action="store_true",
        help="with --csv: also each stage of the micro frontend, as DIR/STEM.STAGE.csv: "
        "the integers to hold a board against",
    )
    add("--npz", action="store_true", help="the numbers as the array `features` (T, F) float32")
    add("--c-array", metavar="NAME", help="C source and header with the array NAME")
    add("--output-c-file", metavar="FILE", help="the C source of one clip")
    add_frontend_options(parser, clip_help="pad or crop to this; default: as is")
    add_worker_options(parser, things="blocks of clips", default="1; many pictures: one a core")
    accept(parser, WITHOUT_MEANING)


def run(args: argparse.Namespace, out: Output) -> int:
    """Compute, write and describe the features of each clip."""
    from minikws.cli.feature_batches import ClipWork, blocks, do_block, usual_jobs
    from minikws.cli.feature_files import identifier
    from minikws.errors import SettingsError
    from minikws.workers import run_in_order

    explain(args, WITHOUT_MEANING, out)
    clips = find_clips([*args.clips, *([args.input_wav] if args.input_wav else [])])
    if args.output_c_file and len(clips) > 1:
        raise SettingsError(
            f"--output-c-file names one file, found {len(clips)} clips; use --c-array NAME instead"
        )
    frontends = _frontends(args)
    wanted = _wanted(args, frontends)
    work = []
    for path, target in clips:
        name = args.c_array or f"g_{identifier(path.stem)}"
        if len(clips) > 1:
            name += f"_{identifier('_'.join(target.parts))}"
        work.append(ClipWork(path, Path(args.out or ".") / target, name))
    parts = blocks(work, frontends, wanted, crop=args.clip_duration_ms is not None)
    workers = workers_from(args, n_jobs=usual_jobs(wanted, len(clips), args.threads))
    records: list[dict[str, Any]] = []
    with _bar(len(clips), out) as (aside, advance):
        for done in run_in_order(do_block, parts, workers):
            records += done.records
            with aside():
                for message in done.messages:
                    out.say(message)
                for line in done.lines:
                    out.answer(line)
            advance(len(done.lines))
    settings = [frontend.settings.to_json() for frontend in frontends]
    compared = {"frontends": settings} if args.compare else {}
    out.result({"frontend": settings[0], **compared, "clips": records})
    return 0


def find_clips(words: Sequence[str]) -> list[tuple[Path, Path]]:
    """Return each WAV file and where its results go, without an ending: STEM or WORD/STEM.

    A folder means all WAV files in it and below, sorted, each under the name of its own folder.

    Raises
    ------
    UsageError : no clip was named.
    SettingsError : two clips would share their results' name.
    AudioError : a folder without a WAV file.
    """
    from minikws.cli.main import UsageError
    from minikws.errors import AudioError, SettingsError

    if not words:
        raise UsageError("no clip to compute features of; name a WAV file or a folder of them")
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


def _frontends(args: argparse.Namespace) -> list[Frontend]:
    """Return the frontend that the options describe, or those to compare."""
    from minikws.errors import SettingsError
    from minikws.frontend import FRONTENDS, make_frontend

    if not args.compare:
        return [frontend_from(args, args.frontend or "micro")]
    kinds = args.compare.split(",")
    if args.frontend or len(set(kinds)) < max(2, len(kinds)):
        alone = f"--frontend {args.frontend} and " if args.frontend else ""
        raise SettingsError(
            "--compare takes two or more different frontends and no --frontend, found "
            f"{alone}--compare {args.compare}; known are {', '.join(FRONTENDS)}"
        )
    frontends = []
    for kind in kinds:
        make_frontend({"kind": kind})  # or says that there is none
        settings_class = FRONTENDS[kind].settings_class
        known = {field.name for field in fields(settings_class)}
        shared = {name: value for name, value in given_settings(args).items() if name in known}
        if settings_class.feature_count_field:
            shared |= settings_class.feature_count(args.feature_bin_count)
        frontends.append(make_frontend({"kind": kind} | shared))
    return frontends


def _wanted(args: argparse.Namespace, frontends: Sequence[Frontend]) -> Wanted:
    """Return which files to write, or refuse what does not go together."""
    from minikws.cli.feature_files import Wanted
    from minikws.errors import SettingsError

    c_array = bool(args.c_array or args.output_c_file)
    if args.compare and (args.csv or args.stages or args.npz or c_array):
        raise SettingsError(
            "--compare draws pictures, found it together with an option that writes numbers; "
            "write those by a second command with --frontend"
        )
    if args.stages and not args.csv:
        raise SettingsError("--stages writes CSV files and needs --csv; add it")
    if args.stages and not hasattr(frontends[0], "stages"):
        raise SettingsError(
            f"--stages writes the integers of the micro frontend, found "
            f"{frontends[0].settings.kind}; use --frontend micro"
        )
    return Wanted(
        png=bool(args.png or args.compare),
        csv=args.csv,
        stages=args.stages,
        npz=args.npz,
        c_array=c_array,
        c_file=args.output_c_file,
    )


@contextmanager
def _bar(
    n_clips: int, out: Output
) -> Iterator[tuple[Callable[[], AbstractContextManager[None]], Callable[[int], Any]]]:
    """Draw a bar for several clips on a terminal that has tqdm.

    Gives a context in which lines may be printed, and what moves the bar on by some clips.
    """
    if n_clips == 1 or out.quiet or not sys.stderr.isatty() or not find_spec("tqdm"):
        yield nullcontext, lambda n_clips: None
        return
    from tqdm import tqdm

    with tqdm(total=n_clips, unit="clip", desc="features", dynamic_ncols=True) as bar:
        yield tqdm.external_write_mode, bar.update
