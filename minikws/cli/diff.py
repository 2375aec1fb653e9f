"""minikws diff: a model against another runtime, file or dump, tensor by tensor."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from minikws.cli.output import Output

if TYPE_CHECKING:
    from minikws.cli.diff_answer import Answer
    from minikws.frontend import Frontend
    from minikws.runtime import Interpreter
    from minikws.runtime.references import Reference

HELP = "find the first tensor in which a model differs from another runtime, file or dump"
EXAMPLE = "minikws diff yes_no.tflite board.npz --input yes.wav"

DESCRIPTION = """
MODEL is run by minikws, which gives TFLite Micro's integers: these are the expected values.
OTHER gives the found ones. It is one of

  tflm               TFLite Micro              (package tflite-micro)
  litert             LiteRT with XNNPACK       (package ai-edge-litert)
  litert-reference   LiteRT's reference kernels
  tensorflow         TensorFlow Lite with XNNPACK
  FILE.tflite        another model: operators, options, scales, weights, labels and results
  FILE.npz           arrays by tensor name, as a board dumped them; some will do. The input may be
                     called features, as `minikws features --npz` writes it.

Exit code 0: equal; 3: different.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = f"{HELP}\n{DESCRIPTION}"
    add = parser.add_argument
    add("model", metavar="MODEL", help="a .tflite file")
    add("other", metavar="OTHER", help="what to hold it against, see above")
    add(
        "--input",
        metavar="CLIP|FILE.npz|random",
        help="what both are fed with: a WAV, an NPZ with the input (or features), or chance, the "
        "default where OTHER holds no input",
    )
    add("--count", type=int, default=20, metavar="N", help="random inputs (default 20)")
    add("--frontend", "--preprocess", metavar="KIND", help="for a model that names none")
    add("--micro-variant", metavar="NAME", help="tensorflow, preprocessor, pymicro")
    add(
        "--tolerance",
        type=float,
        metavar="X",
        help="distance of floats that counts as equal (default 1e-5 of the tensor's largest value "
        "and 1e-6; integers must be equal)",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Compare and say what was found."""
    from minikws.cli.diff_answer import show
    from minikws.cli.model_inputs import frontend_of
    from minikws.errors import SettingsError
    from minikws.runtime import Interpreter
    from minikws.runtime.references import REFERENCES, Reference

    if args.count < 1:
        raise SettingsError(f"--count {args.count} is below 1; give 1 or more")
    if args.tolerance is not None and not args.tolerance >= 0:
        raise SettingsError(f"--tolerance {args.tolerance} is below 0; give 0 or more")
    interpreter = Interpreter(args.model)
    frontend = frontend_of(interpreter.graph, args.frontend, args.micro_variant)
    path = Path(args.other)
    name = args.other.lower().replace("_", "-")
    if name in REFERENCES and not path.exists():
        with Reference(name) as reference:
            answer = with_reference(interpreter, reference, frontend, args, out)
    elif not path.is_file():
        raise SettingsError(
            f"{args.other} is neither a file nor a runtime; give a .tflite or .npz file, or one "
            f"of {', '.join(REFERENCES)}"
        )
    elif path.suffix == ".npz":
        from minikws.cli.diff_dump import with_dump

        answer = with_dump(interpreter, frontend, args, out)
    else:
        from minikws.cli.diff_files import with_file

        answer = with_file(interpreter, frontend, args, out)
    answer.input_shape = interpreter.inputs[0].shape if len(interpreter.inputs) == 1 else ()
    answer.n_features = frontend.settings.n_features if frontend else 0
    show(answer, args, out)
    return 0 if answer.equal else 3


def with_reference(
    interpreter: Interpreter,
    reference: Reference,
    frontend: Frontend | None,
    args: argparse.Namespace,
    out: Output,
) -> Answer:
    """Hold every tensor against another runtime's, from the same inputs."""
    from minikws.cli.diff_answer import Answer, fill
    from minikws.cli.diff_causes import runtime_causes
    from minikws.cli.model_inputs import given_inputs
    from minikws.runtime.compare import (
        compare_runs,
        computed_tensors,
        only_written,
        record,
        unwritten,
    )
    from minikws.runtime.judge import judge_operators
    from minikws.runtime.references import arena_for

    graph = interpreter.graph
    given = given_inputs(graph, frontend, args, out)
    data = Path(args.model).read_bytes()
    reference.load(
        data,
        n_outputs=len(graph.main.outputs),
        arena_bytes=arena_for(graph, len(data)),
        keep_tensors=True,
    )
    expected = record(interpreter, given.rounds)
    wanted = list(computed_tensors(graph))
    found = [kept for _, kept in reference.run(given.rounds, tensors=wanted)]
    found = only_written(graph, expected, found)
    answer = Answer(f"{reference.title} ({reference.version})", given.what)
    differences = compare_runs(graph, expected, found, tolerance=args.tolerance)
    fill(answer, graph, differences)
    if unwritten(graph):
        answer.notes.append("not compared: bins of SignalEnergy outside its range, never written")
    lacking = len(wanted) - len(differences)
    if lacking:
        answer.notes.append(f"{reference.title} does not show {lacking} of {len(wanted)} tensors")
    if answer.first is not None:
        judged = judge_operators(graph, expected, found, tolerance=args.tolerance)
        answer.causes = runtime_causes(graph, differences, judged, reference.name)
    return answer
