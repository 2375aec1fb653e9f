"""minikws bench: time, memory and bytes of a model, beside the other runtimes that are here."""

from __future__ import annotations

import argparse
import math
import os

from minikws.cli.output import Output
from minikws.cli.tutorial import accept, explain

HELP = "measure a model's time, memory and bytes, beside other runtimes"
EXAMPLE = "minikws bench yes_no.tflite yes.wav"

DESCRIPTION = """
Times are of one clip (features and model), of one hop of a stream, and of the model alone, in turn
with TFLite Micro, LiteRT's reference kernels and LiteRT with XNNPACK where they are installed, one
thread each. On a shared machine trust the ratios.

The budgets are those of the Kaggle challenge for a Raspberry Pi 3: 175 ms a clip, 5,000,000 bytes.
Exit code 0: within both; 3: over one.
"""

# TensorFlow's benchmark_model and TFLite's; what they mean is done anyway, or cannot be.
WITHOUT_MEANING = {
    **dict.fromkeys(
        (
            *("input-layer", "input-layer-shape", "input-layer-type", "input-layer-values"),
            *("input-layer-files", "output-layer", "target-layers", "input-layer-value-range"),
        ),
        "the file names its inputs and outputs, with their shapes and types",
    ),
    **dict.fromkeys(("warmup-runs", "warmup-min-secs"), "every turn begins with an untimed run"),
    **dict.fromkeys(
        ("inference-delay", "inter-inference-delay", "run-delay"), "runs follow one another"
    ),
    **dict.fromkeys(
        ("show-sizes", "show-memory", "show-summary", "show-flops", "report-peak-memory-footprint"),
        "it is always shown",
    ),
    **dict.fromkeys(
        ("run-order-limit", "time-limit", "memory-limit", "max-profiling-buffer-entries"),
        "every operator is shown",
    ),
    **dict.fromkeys(
        ("use-xnnpack", "use-gpu", "use-nnapi", "use-hexagon", "use-coreml", "use-caching"),
        "minikws runs on the processor; LiteRT is measured with XNNPACK and without",
    ),
    **dict.fromkeys(
        ("benchmark-name", "output-prefix", "min-secs"),
        "the answer stands on stdout, with --json as an object",
    ),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from minikws.cli.main import boolean

    parser.description = f"{HELP}\n{DESCRIPTION}"
    add = parser.add_argument
    add("model", nargs="?", metavar="MODEL", help="a .tflite file")
    add("clip", nargs="?", metavar="CLIP", help="a WAV file (default: noise)")
    add("--budget-ms", type=float, default=175.0, metavar="MS", help="a clip's (default 175)")
    add("--budget-bytes", type=int, default=5_000_000, metavar="N", help="default 5000000")
    add(
        "--rounds",
        "--num-runs",
        "--max-num-runs",
        type=int,
        default=50,
        metavar="N",
        help="turns of every runtime, of three timed runs each (default 50)",
    )
    add(
        "--max-secs",
        "--max-time",
        type=float,
        default=60.0,
        metavar="S",
        help="start no round after so many seconds (default 60)",
    )
    add("--frontend", "--preprocess", metavar="KIND", help="for a model that names none")
    add(
        "--references",
        metavar="A,B",
        help="which runtimes to measure beside, or none (default: tflm, litert-reference, litert, "
        "as far as they are installed)",
    )
    for name, default, what in (
        ("run-order", True, "operators in the order of the run (default on)"),
        ("time", False, "the slowest first"),
        ("type", False, "summed by kind"),
    ):
        add(
            f"--show-{name}",
            type=boolean,
            nargs="?",
            const=True,
            default=default,
            metavar="0|1",
            help=what,
        )
    add("--graph", metavar="FILE", help="the model, as the tutorial spells it")
    add("--num-threads", "--enable-op-profiling", dest="taken", help=argparse.SUPPRESS)
    accept(parser, WITHOUT_MEANING)


def run(args: argparse.Namespace, out: Output) -> int:
    """Measure, show, and hold against the budgets."""
    from minikws.cli.bench_measure import measure
    from minikws.cli.bench_text import show

    explain(args, WITHOUT_MEANING, out)
    if args.taken is not None:
        out.say("every runtime has one thread, and operators are always timed")
    path = _model_of(args)
    _check(args)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # idle workers would slow the others
    record = measure(path, args, out)
    out.result(record)
    show(record, args, out)
    return 0 if record["budget"]["within"] else 3


def _model_of(args: argparse.Namespace) -> str:
    """Return the model's path, given in place or as the tutorial does.

    Raises
    ------
    UsageError : none is given.
    """
    from minikws.cli.main import UsageError

    if args.graph:
        if args.model:
            args.clip = args.model
        return str(args.graph)
    if not args.model:
        raise UsageError("bench needs a model; see minikws bench --help")
    return str(args.model)


def _check(args: argparse.Namespace) -> None:
    """Raise for numbers that cannot work."""
    from minikws.errors import SettingsError

    if args.rounds < 1:
        raise SettingsError(f"--rounds {args.rounds} is below 1; give 1 or more")
    for option in ("budget_ms", "budget_bytes", "max_secs"):
        if not 0 < getattr(args, option) < math.inf:
            name = option.replace("_", "-")
            raise SettingsError(f"--{name} {getattr(args, option)} is not above 0; give a number")
