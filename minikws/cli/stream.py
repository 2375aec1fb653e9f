"""minikws stream: a long test recording, a model held against it, and its threshold chosen."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from minikws.cli import stream_eval, stream_roc, stream_synth
from minikws.cli.output import Output

HELP = "measure a model on a stream: make a recording, count false alarms, choose the threshold"
EXAMPLE = "minikws stream eval yes_no.tflite streaming_test.wav"

SUBCOMMANDS = {"synth": stream_synth, "eval": stream_eval, "roc": stream_roc}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands."""
    commands = parser.add_subparsers(dest="stream_command", required=True, metavar="COMMAND")
    for name, module in SUBCOMMANDS.items():
        sub = commands.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(sub)


def run(args: argparse.Namespace, out: Output) -> int:
    """Run the chosen subcommand."""
    run_it: Callable[[argparse.Namespace, Output], int] = SUBCOMMANDS[args.stream_command].run
    return run_it(args, out)
