"""minikws export: a trained run as a .tflite file for microcontrollers, C source beside it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minikws.cli.export_report import (
    NO_ACCURACIES,
    accuracies_on,
    features_of_tests,
    keep_in_run,
    run_corpus,
    say_accuracies,
    say_calibration,
    say_tensors,
    tensors_of,
)
from minikws.cli.firmware.export import (
    add_firmware_options,
    check_run_options,
    export_file,
    firmware_of_run,
    say_written,
)
from minikws.cli.output import Output
from minikws.cli.tutorial import accept, explain

if TYPE_CHECKING:
    from minikws._typing import Features
    from minikws.checkpoint import Checkpoint
    from minikws.frontend import Frontend
    from minikws.graph import Graph
    from minikws.nn import Network

HELP = "write a trained run as an int8 .tflite file"
EXAMPLE = "minikws export runs/yes_no --out yes_no.tflite --c-array g_model"

CALIBRATIONS = ("auto", "minmax", "percentile", "mse")  # quant.CHOICES, known before NumPy is

# What freeze.py had to be told again, because its checkpoints do not hold it.
WITHOUT_MEANING = dict.fromkeys(
    (
        *("sample-rate", "clip-duration-ms", "clip-stride-ms", "window-size-ms"),
        *("window-stride-ms", "feature-bin-count", "dct-coefficient-count", "model-architecture"),
        *("wanted-words", "preprocess"),
    ),
    "it comes from the run",
) | {
    "quantize": "the file is int8 unless --float or --uint8 asks otherwise",
    "save-format": "the file is a .tflite",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add(
        "run",
        nargs="?",
        metavar="RUN_OR_CHECKPOINT",
        help="what minikws train wrote; or a .tflite file, for its C source",
    )
    add(
        "--start-checkpoint",
        metavar="RUN_OR_CHECKPOINT",
        help="the same, as the tutorial spells it",
    )
    add("--out", "--output-file", metavar="FILE", help="default model.tflite in the run's folder")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--float", action="store_true", help="float32 instead of int8")
    kinds.add_argument(
        "--uint8",
        action="store_true",
        help="uint8 as in 2018, one scale for all weights of a layer, instead of int8",
    )
    add(
        "--calibration",
        choices=CALIBRATIONS,
        default="auto",
        help="how ranges are found: whole, without outliers, by least error, or for each tensor "
        "what the answer likes best (default auto)",
    )
    add("--c-array", metavar="NAME", help="also write C source and header with this array")
    add("--data-dir", metavar="DIR", help="corpus for the accuracies; default: the run's own")
    add_firmware_options(parser)
    accept(parser, WITHOUT_MEANING)


def run(args: argparse.Namespace, out: Output) -> int:
    """Convert, write, and say what quantisation changed."""
    from minikws.classifiers import is_model_file
    from minikws.cli.main import UsageError
    from minikws.files import write_file
    from minikws.quant import is_quantization_aware, to_float_graph
    from minikws.runs import load_network, run_folder
    from minikws.tflite.c_source import c_source
    from minikws.tflite.metadata import attach
    from minikws.tflite.writer import write_model

    explain(args, WITHOUT_MEANING, out)
    source = args.run or args.start_checkpoint
    if not source:
        raise UsageError("nothing to export; name a run's folder or a checkpoint file")
    if is_model_file(Path(source)):
        return export_file(source, args, out)
    check_run_options(args)
    found, frontend, network = load_network(source)
    path = Path(args.out) if args.out else run_folder(source) / "model.tflite"
    if args.command == "freeze":
        out.say("a .tflite file is written: there is no graph to freeze")
    about: dict[str, Any] = {}
    features = None
    if args.float:
        graph = to_float_graph(network)
    else:
        graph, about["calibration"], features = _quantized(args, source, network, frontend, out)
    accuracies = dict(NO_ACCURACIES)
    corpus = run_corpus(found, args.data_dir, out)
    if corpus:
        blob = write_model(graph)
        accuracies = accuracies_on(corpus, found.config.labels, frontend, network, blob)
        features, seen_on = features_of_tests(corpus, frontend), "on test clips"
    else:
        seen_on = "on the calibration's clips"
    if not args.float and features is not None:
        about["tensors"] = tensors_of(graph, network, features)
        say_tensors(about["tensors"], seen_on, out)
    blob = write_model(attach(graph, _info(found, frontend, accuracies)))
    write_file(path, blob)
    written = [str(path)]
    if args.c_array:
        for ending, text in c_source(args.c_array, blob, made_from=path.name).items():
            written.append(str(write_file(path.with_suffix(ending), text)))
    firmware = firmware_of_run(args, path, corpus, out)
    record = {"file": str(path), "bytes": len(blob), **accuracies, **about}
    keep_in_run(run_folder(source), {**record, "step": found.step}, out)
    out.result({**record, "written": [*written, *firmware]})
    out.answer(f"wrote {', '.join(written)}: {len(blob)} bytes of flash")
    if firmware:
        say_written(args.firmware, firmware, out)
    say_accuracies(accuracies, args, out, is_trained_for_8_bits=is_quantization_aware(network))
    return 0


def _quantized(
    args: argparse.Namespace, source: str, network: Network, frontend: Frontend, out: Output
) -> tuple[Graph, dict[str, Any] | None, Features | None]:
    """Return the graph, how its ranges were chosen, and the features that were looked at."""
    from minikws.quant import calibrate, convert, is_quantization_aware
    from minikws.runs import read_calibration

    calibration = features = about = None
    if is_quantization_aware(network):
        out.say("no calibration needed: the run learnt its ranges in training (--quantize)")
    else:
        features = read_calibration(source)
        calibration = calibrate(
            network, features, args.calibration, input_quantization=frontend.quantization
        )
        say_calibration(calibration, args.calibration, len(features), out)
        about = {
            "choice": args.calibration,
            "clips": len(features),
            "sqnr_db": calibration.sqnr_db,
            "minmax_sqnr_db": calibration.minmax_sqnr_db,
            "methods": dict(calibration.methods),
        }
    dtype = "uint8" if args.uint8 else "int8"
    graph = convert(network, calibration, input_quantization=frontend.quantization, dtype=dtype)
    return graph, about, features


def _info(found: Checkpoint, frontend: Frontend, accuracies: dict[str, Any]) -> dict[str, Any]:
    """Return the `minikws` metadata of the file."""
    from minikws import __version__

    config = found.config
    settings = frontend.settings
    return {
        "labels": list(config.labels),
        "frontend": settings.to_json(),
        "sample_rate_hz": settings.sample_rate_hz,
        "clip_ms": settings.clip_ms,
        "training": {
            "minikws": __version__,
            "model": config.model,
            "seed": config.train.seed,
            "steps": found.step,
            "corpus_digest": config.corpus_digest,
            "silence_pct": config.corpus.silence_pct,
            "unknown_pct": config.corpus.unknown_pct,
            "validation_pct": config.corpus.validation_pct,
            "testing_pct": config.corpus.testing_pct,
            "accuracy": accuracies["int8_accuracy"],
        },
    }
