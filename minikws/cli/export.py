"""minikws export: a trained run as a .tflite file for microcontrollers, C source beside it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minikws.cli.output import Output
from minikws.cli.tutorial import accept, explain

if TYPE_CHECKING:
    from minikws.checkpoint import Checkpoint
    from minikws.frontend import Frontend
    from minikws.nn import Network

HELP = "write a trained run as an int8 .tflite file"
EXAMPLE = "minikws export runs/yes_no --out yes_no.tflite --c-array g_model"

# What freeze.py had to be told again, because its checkpoints do not hold it.
WITHOUT_MEANING = dict.fromkeys(
    (
        *("sample-rate", "clip-duration-ms", "clip-stride-ms", "window-size-ms"),
        *("window-stride-ms", "feature-bin-count", "dct-coefficient-count", "model-architecture"),
        *("wanted-words", "preprocess"),
    ),
    "it comes from the run",
) | {
    "quantize": "the file is int8 unless --float asks otherwise",
    "save-format": "the file is a .tflite",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("run", nargs="?", metavar="RUN_OR_CHECKPOINT", help="what minikws train wrote")
    add(
        "--start-checkpoint",
        metavar="RUN_OR_CHECKPOINT",
        help="the same, as the tutorial spells it",
    )
    add("--out", "--output-file", metavar="FILE", help="default model.tflite in the run's folder")
    add("--float", action="store_true", help="float32 instead of int8")
    add("--c-array", metavar="NAME", help="also write C source and header with this array")
    add("--data-dir", metavar="DIR", help="corpus for the accuracies; default: the run's own")
    accept(parser, WITHOUT_MEANING)


def run(args: argparse.Namespace, out: Output) -> int:
    """Convert, write, and say what quantisation changed."""
    from minikws.errors import SettingsError
    from minikws.files import write_file
    from minikws.quant import convert, is_quantization_aware, to_float_graph
    from minikws.runs import load_network, read_calibration, run_folder
    from minikws.tflite.c_source import c_source
    from minikws.tflite.metadata import attach
    from minikws.tflite.writer import write_model

    explain(args, WITHOUT_MEANING, out)
    source = args.run or args.start_checkpoint
    if not source:
        raise SettingsError("nothing to export; name a run's folder or a checkpoint file")
    found, frontend, network = load_network(source)
    path = Path(args.out) if args.out else run_folder(source) / "model.tflite"
    if args.command == "freeze":
        out.say("a .tflite file is written: there is no graph to freeze")
    if args.float:
        graph = to_float_graph(network)
    else:
        calibration = None
        if is_quantization_aware(network):
            out.say("no calibration needed: the run learnt its ranges in training (--quantize)")
        else:
            calibration = read_calibration(source)
        graph = convert(network, calibration, input_quantization=frontend.quantization)
    accuracies = _test_accuracies(found, frontend, network, write_model(graph), args, out)
    blob = write_model(attach(graph, _info(found, frontend, accuracies)))
    write_file(path, blob)
    written = [str(path)]
    if args.c_array:
        for ending, text in c_source(args.c_array, blob, made_from=path.name).items():
            written.append(str(write_file(path.with_suffix(ending), text)))
    out.result({"file": str(path), "bytes": len(blob), **accuracies, "written": written})
    out.answer(f"wrote {', '.join(written)}: {len(blob)} bytes of flash")
    if accuracies["count"]:
        kind = "float32" if args.float else "int8"
        out.answer(
            f"test accuracy: float {100 * accuracies['float_accuracy']:.1f}%, {kind} file "
            f"{100 * accuracies['int8_accuracy']:.1f}%; {accuracies['changed']} of "
            f"{accuracies['count']} clips change their label"
        )
        if accuracies["float_accuracy"] - accuracies["int8_accuracy"] > 0.01:
            out.warn("int8 costs more than 1 point; train longer or on more varied clips")
    return 0


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


def _test_accuracies(
    found: Checkpoint,
    frontend: Frontend,
    network: Network,
    blob: bytes,
    args: argparse.Namespace,
    out: Output,
) -> dict[str, Any]:
    """Run network and file on the run's test partition; nulls where the corpus is absent."""
    from minikws.data.evaluate import predict_labels
    from minikws.errors import CorpusError
    from minikws.pipeline import Model
    from minikws.runs import open_corpus
    from minikws.runtime import Interpreter

    config = found.config
    try:
        corpus = open_corpus(replace(config, data_dir=args.data_dir or config.data_dir))
    except CorpusError as error:
        if args.data_dir:
            raise
        out.say(f"no accuracies, the run's corpus is not there: {error}")
        return {"float_accuracy": None, "int8_accuracy": None, "changed": None, "count": 0}
    if corpus.digest != config.corpus_digest:
        out.warn(f"{corpus.folder} has changed since the training; the accuracies are of today's")
    clips = corpus.partitions["testing"]
    model = Model(Interpreter(blob), frontend, config.labels)
    true, by_float = predict_labels(
        lambda samples: network.predict(frontend.extract(samples)), corpus, clips
    )
    _, by_file = predict_labels(model.outputs, corpus, clips)
    n_clips = max(1, len(true))
    return {
        "float_accuracy": float((by_float == true).sum()) / n_clips,
        "int8_accuracy": float((by_file == true).sum()) / n_clips,
        "changed": int((by_float != by_file).sum()),
        "count": len(true),
    }
