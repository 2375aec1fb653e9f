"""Find the command, give it its options, turn errors into one sentence and an exit code.

Exit codes: 0 done, 1 `minikws: error: …`, 2 usage, 3 the answer is no, 130 interrupted.
Nothing heavy is imported before the command runs: --help is instant, and --threads takes effect
because NumPy is not loaded yet.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, Protocol, cast

from minikws import __version__
from minikws.cli.output import AnswerLost, Output
from minikws.cli.tta_option import with_tta_apart
from minikws.errors import MinikwsError, nearest

COMMANDS = (
    "train",
    "eval",
    "export",
    "label",
    "features",
    "info",
    "diff",
    "bench",
    "listen",
    "plot",
    "stream",
    "sweep",
    "service",
    "data",
    "doctor",
)

# The tutorial's programs, by the name of their scripts.
ALIASES = {
    "benchmark_model": "bench",
    "freeze": "export",
    "label_wav": "label",
    "label_wav_dir": "label",
    "wav_to_features": "features",
    "generate_streaming_test_wav": "stream_synth",
    "test_streaming_accuracy": "stream_eval",
}

BLAS_POOLS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
THREAD_POOLS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", *BLAS_POOLS)


class Command(Protocol):
    """What a module of `minikws.cli` offers."""

    HELP: str
    EXAMPLE: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options."""

    def run(self, args: argparse.Namespace, out: Output) -> int:
        """Do the work; return the exit code."""


class UsageError(Exception):
    """Options that cannot be understood (exit code 2)."""


class Parser(argparse.ArgumentParser):
    """Reads options with `_` or `-`, and offers the nearest name for one it does not know."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing, so that --json can answer too."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def known_options(self) -> list[str]:
        """Return every long option."""
        return [name for name in self._option_string_actions if name.startswith("--")]


def with_dashes(argv: Sequence[str]) -> list[str]:
    """Return the arguments with `_` written `-` in option names, values untouched.

    >>> with_dashes(["label_wav", "--wanted_words=a_b", "x_y"])
    ['label_wav', '--wanted-words=a_b', 'x_y']
    """
    spelt = []
    for word in argv:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            word = name.replace("_", "-") + equals + value
        spelt.append(word)
    return spelt


def boolean(text: str) -> bool:
    """Read a truth value as people mean it: `0`, `false` and nothing are off."""
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("", "0", "false", "no", "off"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false; write 1 or 0")


def whole(least: int) -> Callable[[str], int]:
    """Return an option's type: a whole number that is not below `least`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {least} or more")
        return value

    return read


def load_command(name: str) -> Command:
    """Import a command's module."""
    return cast(Command, importlib.import_module(f"minikws.cli.{ALIASES.get(name, name)}"))


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options that every command has."""
    group = parser.add_argument_group("common options")
    group.add_argument("--json", action="store_true", help="one JSON object on stdout")
    group.add_argument("--quiet", action="store_true", help="no messages on stderr")
    group.add_argument(
        "--seed", type=whole(0), default=59185, metavar="N", help="of all chance (default 59185)"
    )
    group.add_argument("--threads", type=int, metavar="N", help="at most N threads")
    group.add_argument("--debug", action="store_true", help="show the traceback of an error")


def command_parser(name: str) -> Parser:
    """Return the parser of one command."""
    command = load_command(name)
    parser = Parser(
        prog=f"minikws {name}",
        description=command.HELP,
        epilog=f"example:\n  {command.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.configure(parser)
    subparsers = [
        sub
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for sub in action.choices.values()
    ]
    for each in subparsers or [parser]:
        add_common(each)
    return parser


def overview() -> str:
    """Return the help of `minikws` itself."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {load_command(name).HELP}" for name in COMMANDS]
    return "\n".join(
        [
            "usage: minikws COMMAND [options]",
            "",
            "Keyword spotting in pure NumPy: train, quantise, export and run small models.",
            "",
            "commands:",
            *lines,
            "",
            "The tutorial's names work too: " + ", ".join(ALIASES) + ".",
            "Help on one: minikws COMMAND --help",
        ]
    )


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line into the options of its command.

    Raises
    ------
    UsageError : no such command, or options that cannot be understood.
    """
    name, *rest = argv
    if name not in COMMANDS and name not in ALIASES:
        raise UsageError(f"there is no command {name!r}; {nearest(name, [*COMMANDS, *ALIASES])}")
    parser = command_parser(name)
    # Words may stand between options, as in: label MODEL --top 3 CLIP.
    whole = any(action.nargs in (argparse.PARSER, argparse.REMAINDER) for action in parser._actions)
    read = parser.parse_known_args if whole else parser.parse_known_intermixed_args
    args, unknown = read(with_tta_apart(with_dashes(rest)))
    if unknown:
        option = unknown[0].partition("=")[0]
        options = parser.known_options()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                options += [
                    o for sub in action.choices.values() for o in sub._option_string_actions
                ]
        hint = nearest(option, options) if option.startswith("-") else "see --help"
        raise UsageError(f"{parser.prog} does not know {unknown[0]!r}; {hint}")
    args.command = name
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(overview())
        return 0 if argv else 2
    if argv[0] in ("-V", "--version"):
        print(f"minikws {__version__}")
        return 0
    json_wanted = "--json" in argv
    try:
        args = parse(argv)
        if args.threads is not None:
            if args.threads < 1:
                raise UsageError(f"--threads {args.threads} is below 1; give a whole number")
            for pool in THREAD_POOLS:
                os.environ[pool] = str(args.threads)
        # The kernels' own loops are parallel: a second pool of threads, BLAS's, would only fight
        # them for the cores (32 ms a training step instead of 6, docs/decisions.md).
        for pool in BLAS_POOLS:
            os.environ.setdefault(pool, "1")
        out = Output(json_wanted=args.json, quiet=args.quiet)
        return load_command(args.command).run(args, out)
    except UsageError as error:
        return _fail(str(error), "UsageError", 2, json_wanted)
    except MinikwsError as error:
        if "--debug" in argv:
            raise
        if isinstance(error, AnswerLost):
            _let_stdout_go()
        return _fail(str(error), type(error).__name__, error.exit_code, json_wanted)
    except MemoryError as error:
        if "--debug" in argv:
            raise
        sentence = f"there is not enough memory ({error}); ask for less at once, or for fewer jobs"
        return _fail(sentence, "MemoryError", 1, json_wanted)
    except KeyboardInterrupt:
        return _fail("interrupted", "KeyboardInterrupt", 130, json_wanted)
    except BrokenPipeError:
        # The reader of our answer is gone (as in `minikws label … | head -1`).
        _let_stdout_go()
        return 128 + signal.SIGPIPE


def _let_stdout_go() -> None:
    """Lead stdout to nowhere: what it still holds must not fail once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(sentence: str, kind: str, code: int, json_wanted: bool) -> int:
    print(f"minikws: error: {sentence}", file=sys.stderr, flush=True)
    if json_wanted:
        print(json.dumps({"error": sentence, "kind": kind}, ensure_ascii=False), flush=True)
    return code
