"""Make and check folders of recordings."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from minikws.cli import data_noise, data_record, data_slice
from minikws.cli.output import Output

HELP = "make a demo corpus or noise, download Speech Commands, record, cut or check clips"
EXAMPLE = "minikws data check my_words --wanted-words on,off"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands; each names the function that runs it."""
    commands = parser.add_subparsers(dest="data_command", required=True, metavar="COMMAND")
    for name, help_line, example, add_options, run_it in SUBCOMMANDS:
        sub = commands.add_parser(
            name,
            help=help_line,
            description=help_line,
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_options(sub)
        sub.set_defaults(run_data_command=run_it)


def run(args: argparse.Namespace, out: Output) -> int:
    """Run the chosen subcommand."""
    run_it: Callable[[argparse.Namespace, Output], int] = args.run_data_command
    return run_it(args, out)


def _add_synth(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--words", required=True, metavar="A,B", help="what is spoken")
    parser.add_argument("--out", required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--speakers", type=int, default=100, metavar="N", help="default 100")
    parser.add_argument(
        "--takes", type=int, default=4, metavar="N", help="of each word by each speaker (default 4)"
    )


def _synth(args: argparse.Namespace, out: Output) -> int:
    from minikws.data.synth import synthesize_corpus
    from minikws.labels import parse_words

    report = synthesize_corpus(
        args.out,
        parse_words(args.words),
        n_speakers=args.speakers,
        n_takes=args.takes,
        seed=args.seed,
        on_progress=_progress("spoken", out),
    )
    words = ",".join(report.words)
    out.answer(
        f"{report.folder}: {report.n_clips} clips by {report.n_speakers} synthetic speakers, of "
        f"{words} and {len(report.other_words)} other words, made in {report.seconds:.1f} s"
    )
    out.answer(f"train on it with: minikws train --data-dir {report.folder} --wanted-words {words}")
    out.result(
        {
            "out": str(report.folder),
            "words": list(report.words),
            "other_words": list(report.other_words),
            "speakers": report.n_speakers,
            "clips": report.n_clips,
            "seconds": round(report.seconds, 2),
        }
    )
    return 0


def _add_download(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url",
        "--data-url",
        metavar="U",
        help="a .tar.gz with one folder of WAV files a word (default: Speech Commands v0.02)",
    )
    parser.add_argument(
        "--sha256", metavar="HEX", help="the archive's checksum (known for Speech Commands)"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder to fill")
    parser.add_argument("--keep-archive", action="store_true", help="leave the .tar.gz in DIR")


def _download(args: argparse.Namespace, out: Output) -> int:
    from minikws.data.download import DEFAULT_URL, download_corpus

    with _byte_progress("fetched", out) as fetched, _byte_progress("unpacked", out) as unpacked:
        report = download_corpus(
            args.out,
            DEFAULT_URL if args.url is None else args.url,
            sha256=args.sha256,
            keep_archive=args.keep_archive,
            on_progress=fetched,
            on_unpacked=unpacked,
            on_message=out.say,
        )
    if not (report.verified or report.already_complete):
        out.warn(
            f"no checksum of {report.url} is known, nothing proves that it is what was published; "
            f"to ask for this very archive again, give --sha256 {report.sha256}"
        )
    if report.kept:
        some = ", ".join(report.kept[:3]) + (", …" if len(report.kept) > 3 else "")
        out.warn(
            f"{len(report.kept)} files were there with other content and stay as they were: {some}"
        )
    out.answer(f"{report.folder}: {report.n_files} files of {report.url}")
    out.answer(
        f"train on it with: minikws train --data-dir {report.folder} --wanted-words WORD,WORD"
    )
    out.result(
        {
            "url": report.url,
            "out": str(report.folder),
            "bytes": report.n_bytes,
            "sha256": report.sha256,
            "files": report.n_files,
            "seconds": round(report.seconds, 2),
            "verified": report.verified,
            "already_complete": report.already_complete,
            "kept": list(report.kept),
        }
    )
    return 0


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="one folder of WAV files a word")
    parser.add_argument("--wanted-words", metavar="A,B", help="what would be trained (default all)")
    parser.add_argument(
        "--sample-rate", type=int, default=16_000, metavar="HZ", help="the model's (default 16000)"
    )
    parser.add_argument(
        "--clip-duration-ms", type=float, default=1000.0, metavar="MS", help="default 1000"
    )
    parser.add_argument("--validation-percentage", type=float, default=10.0, metavar="PCT")
    parser.add_argument("--testing-percentage", type=float, default=10.0, metavar="PCT")


def _check(args: argparse.Namespace, out: Output) -> int:
    from minikws.data.check import check_corpus
    from minikws.data.check_text import report_record, report_text
    from minikws.errors import CheckFailed
    from minikws.labels import parse_words

    report = check_corpus(
        args.folder,
        wanted_words=parse_words(args.wanted_words) if args.wanted_words else (),
        sample_rate_hz=args.sample_rate,
        clip_ms=args.clip_duration_ms,
        validation_pct=args.validation_percentage,
        testing_pct=args.testing_percentage,
        on_progress=_progress("read", out),
    )
    out.answer(report_text(report))
    out.result(report_record(report))
    return CheckFailed.exit_code if report.faults else 0


def _progress(verb: str, out: Output) -> Callable[[int, int], None] | None:
    """Return what draws "spoken 120 of 1600, 4 s left" on a terminal, and nothing elsewhere."""
    if out.quiet or not sys.stderr.isatty():
        return None
    started = time.monotonic()

    def draw(done: int, total: int) -> None:
        if done % 50 and done != total:
            return
        left = (time.monotonic() - started) / done * (total - done)
        line = f"\r{verb} {done} of {total}, {left:.0f} s left "
        sys.stderr.write(line if done < total else "\r" + " " * len(line) + "\r")
        sys.stderr.flush()

    return draw


@contextmanager
def _byte_progress(verb: str, out: Output) -> Iterator[Callable[[int, int], None] | None]:
    """Give what draws a bar on a terminal that has tqdm, and says a line every 10 % elsewhere."""
    if out.quiet:
        yield None
        return
    if sys.stderr.isatty() and importlib.util.find_spec("tqdm"):
        from tqdm import tqdm

        with ExitStack() as until_the_end:
            bar: Any = None

            def draw(done: int, total: int) -> None:
                nonlocal bar
                if bar is None:  # its clock starts with the first byte
                    bar = tqdm(unit="B", unit_scale=True, desc=verb, dynamic_ncols=True)
                    until_the_end.callback(bar.close)
                bar.total = total or None
                bar.update(done - bar.n)
                if done == total:
                    bar.close()

            yield draw
        return
    said = 0

    def say(done: int, total: int) -> None:
        nonlocal said
        tenths = done * 10 // total if total else done // 100_000_000
        if tenths > said:
            of_all = f"{tenths * 10} % of {total / 1e6:.1f} MB" if total else f"{tenths}00 MB"
            out.say(f"{verb} {of_all}")
        said = tenths

    yield say


SUBCOMMANDS = (  # name, help, example, its options, what runs it
    (
        "synth",
        "make a demo corpus: words spoken by eSpeak NG in many voices, and noise",
        "minikws data synth --words yes,no --out demo",
        _add_synth,
        _synth,
    ),
    (
        "download",
        "fetch Speech Commands, or another corpus: resumed, verified, safely unpacked",
        "minikws data download --out speech_commands",
        _add_download,
        _download,
    ),
    (
        "check",
        "what is in a folder of recordings, and what will hurt (exit code 3 for faults)",
        "minikws data check my_words --wanted-words on,off",
        _add_check,
        _check,
    ),
    ("noise", data_noise.HELP, data_noise.EXAMPLE, data_noise.configure, data_noise.run),
    ("record", data_record.HELP, data_record.EXAMPLE, data_record.configure, data_record.run),
    ("slice", data_slice.HELP, data_slice.EXAMPLE, data_slice.configure, data_slice.run),
)
