"""What `minikws export` does with `--firmware`: after a run's export, or with a model file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from minikws.cli.output import Output

if TYPE_CHECKING:
    from minikws._typing import Samples
    from minikws.data.corpus import Corpus

_CLIP_WITHOUT_FOLDER = "--firmware-clip is for the test vectors; give --firmware DIR too"


def add_firmware_options(parser: argparse.ArgumentParser) -> None:
    """Add the folder, the clip of its test vectors, and what a file may lack."""
    group = parser.add_argument_group("firmware")
    add = group.add_argument
    add("--firmware", metavar="DIR", help="write C source, settings and test vectors for a board")
    add("--firmware-clip", metavar="CLIP", help="of the test vectors; default: a test clip")
    add("--labels", metavar="FILE_OR_LIST", help="for a .tflite file that holds none")
    add("--frontend", metavar="KIND", help="for a .tflite file that names none")


def export_file(source: str, args: argparse.Namespace, out: Output) -> int:
    """Write C source of a .tflite file, which stays as it is.

    Raises
    ------
    SettingsError : neither --firmware nor --c-array, or options that are for a run.
    """
    from minikws.cli.firmware.folder import write_firmware
    from minikws.errors import SettingsError
    from minikws.files import write_file
    from minikws.labels import read_labels
    from minikws.tflite.c_source import c_source
    from minikws.tflite.reader import read_model

    path = Path(source)
    read_model(path)
    for option in ("out", "float", "uint8"):
        if getattr(args, option):
            raise SettingsError(
                f"--{option} converts a run, {source} is a model file already; leave it out, "
                "or name the run's folder"
            )
    if args.firmware_clip and not args.firmware:
        raise SettingsError(_CLIP_WITHOUT_FOLDER)
    if not (args.firmware or args.c_array):
        raise SettingsError(
            f"{source} is a model file already; give --firmware DIR or --c-array NAME to get "
            "its C source"
        )
    written = []
    if args.c_array:
        for ending, text in c_source(args.c_array, path.read_bytes(), made_from=path.name).items():
            written.append(str(write_file(path.with_suffix(ending), text)))
        out.answer(f"wrote {', '.join(written)}")
    if args.firmware:
        firmware = write_firmware(
            args.firmware,
            path,
            out,
            clip=args.firmware_clip,
            labels=read_labels(args.labels) if args.labels else None,
            frontend=args.frontend,
        )
        written += firmware
        say_written(args.firmware, firmware, out)
    out.result({"file": source, "bytes": path.stat().st_size, "written": written})
    return 0


def check_run_options(args: argparse.Namespace) -> None:
    """Refuse what makes no sense for a run, before the work begins.

    Raises
    ------
    SettingsError : options that are for a model file, or a clip without a folder.
    """
    from minikws.errors import SettingsError

    for option in ("labels", "frontend"):
        if getattr(args, option):
            raise SettingsError(f"--{option} comes from the run; leave it out")
    if args.firmware_clip and not args.firmware:
        raise SettingsError(_CLIP_WITHOUT_FOLDER)


def firmware_of_run(
    args: argparse.Namespace, model_file: Path, corpus: Corpus | None, out: Output
) -> list[str]:
    """Write the folder of a model that was just exported; [] where none is wanted."""
    from minikws.cli.firmware.folder import write_firmware

    if not args.firmware:
        return []
    found = None
    if corpus is not None and not args.firmware_clip:
        found = _test_clip(corpus)
    return write_firmware(args.firmware, model_file, out, clip=args.firmware_clip, found_clip=found)


def _test_clip(corpus: Corpus) -> tuple[str, Samples] | None:
    """Return a test clip of the last label, which is a wanted word: its name, its samples."""
    clips = [clip for clip in corpus.partitions["testing"] if clip.path is not None]
    if not clips:
        return None
    clip = max(clips, key=lambda one: one.label)
    assert clip.path is not None
    return f"{clip.word}/{clip.path.name}", corpus.samples(clip.path)


def say_written(folder: str, written: list[str], out: Output) -> None:
    """Say where the files are."""
    out.answer(
        f"wrote {len(written)} files of firmware to {folder}; README.txt says how to use them"
    )
