"""What `minikws export` measures and says: accuracies, and what 8 bits leave of each tensor."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minikws.cli.output import Output

if TYPE_CHECKING:
    from minikws._typing import Features
    from minikws.checkpoint import Checkpoint
    from minikws.data.corpus import Corpus
    from minikws.frontend import Frontend
    from minikws.graph import Graph
    from minikws.nn import Network
    from minikws.quant import Calibration

NO_ACCURACIES: dict[str, Any] = {
    "float_accuracy": None,
    "int8_accuracy": None,
    "changed": None,
    "count": 0,
}
TENSOR_RUNS = 1000  # of the graph, at most, for the table of tensors; a stream has many a clip
TENSOR_CLIPS = 100
LOSS_WARNED_OF = 0.01 + 1e-9  # a point itself is not more than a point


def run_corpus(found: Checkpoint, data_dir: str | None, out: Output) -> Corpus | None:
    """Open the run's corpus, or the given one; None where the run's own is gone.

    Raises
    ------
    CorpusError : the given one is not there.
    """
    from minikws.errors import CorpusError
    from minikws.runs import open_corpus

    config = found.config
    try:
        corpus = open_corpus(replace(config, data_dir=data_dir or config.data_dir))
    except CorpusError as error:
        if data_dir:
            raise
        out.say(f"no accuracies, the run's corpus is not there: {error}")
        return None
    if corpus.digest != config.corpus_digest:
        out.warn(f"{corpus.folder} has changed since the training; the accuracies are of today's")
    return corpus


def accuracies_on(
    corpus: Corpus, labels: tuple[str, ...], frontend: Frontend, network: Network, blob: bytes
) -> dict[str, Any]:
    """Run network and file on the test partition: accuracies, and the clips they disagree on."""
    from minikws.data.evaluate import predict_labels
    from minikws.pipeline import Model
    from minikws.runtime import Interpreter

    clips = corpus.partitions["testing"]
    model = Model(Interpreter(blob), frontend, labels)
    true, by_float = predict_labels(
        lambda samples: network.predict(frontend.extract(samples)), corpus, clips
    )
    _, by_file = predict_labels(model.outputs, corpus, clips)
    n_clips = max(1, len(true))
    differing = (by_float != by_file).nonzero()[0].tolist()
    return {
        "float_accuracy": float((by_float == true).sum()) / n_clips,
        "int8_accuracy": float((by_file == true).sum()) / n_clips,
        "changed": len(differing),
        "count": len(true),
        "changed_clips": [
            {
                "file": str(path) if (path := clips[i].path) else None,
                "label": labels[true[i]],
                "float": labels[by_float[i]],
                "int8": labels[by_file[i]],
            }
            for i in differing
        ],
    }


def tensors_of(graph: Graph, network: Network, features: Features) -> list[dict[str, Any]]:
    """Hold every tensor of an integer file against float, on some of the features (n, T, F)."""
    from minikws.quant import layer_noise, to_float_graph

    main = graph.main
    runs_a_clip = features[0].size // math.prod(main.tensors[main.inputs[0]].shape)
    n_clips = min(len(features), TENSOR_CLIPS, math.ceil(TENSOR_RUNS / runs_a_clip))
    some = features[:: len(features) // n_clips][:n_clips]
    return [asdict(row) for row in layer_noise(graph, to_float_graph(network), some)]


def features_of_tests(corpus: Corpus, frontend: Frontend) -> Features:
    """Return features of some test clips, spread over all labels."""
    clips = corpus.partitions["testing"]
    some = clips[:: max(1, len(clips) // TENSOR_CLIPS)][:TENSOR_CLIPS]
    return frontend.extract(corpus.clean(some))


def say_calibration(calibration: Calibration, choice: str, n_clips: int, out: Output) -> None:
    """Say in a line what was chosen and what it brings."""
    kinds = [method.split()[0] for method in calibration.methods.values()]
    counted = ", ".join(f"{kinds.count(kind)} by {kind}" for kind in sorted(set(kinds)))
    out.say(
        f"calibration {choice} on {n_clips} clips: the logits keep {_db(calibration.sqnr_db)} of "
        f"signal to noise, {_db(calibration.minmax_sqnr_db)} with whole ranges; ranges: "
        f"{counted or 'none'}"
    )


def say_tensors(tensors: list[dict[str, Any]], source: str, out: Output) -> None:
    """Print the table of tensors."""
    from minikws.cli.tables import columns

    rows = [["tensor", "made by", "signal to noise", "clipped"]]
    for row in tensors:
        clipped = "-" if row["clipped"] is None else f"{100 * row['clipped']:.2f}%"
        rows.append([row["name"], row["op"] or "-", _db(row["sqnr_db"]), clipped])
    out.say(f"what 8 bits leave of each tensor, {source}:\n{columns(rows)}\n")


def say_accuracies(
    record: dict[str, Any], args: argparse.Namespace, out: Output, *, is_trained_for_8_bits: bool
) -> None:
    """Print the accuracies, and warn where 8 bits cost more than a point, with what helps."""
    if not record["count"]:
        return
    kind = "float32" if args.float else "uint8" if args.uint8 else "int8"
    out.answer(
        f"test accuracy: float {100 * record['float_accuracy']:.1f}%, {kind} file "
        f"{100 * record['int8_accuracy']:.1f}%; {record['changed']} of "
        f"{record['count']} clips change their label"
    )
    loss = record["float_accuracy"] - record["int8_accuracy"]
    if loss <= LOSS_WARNED_OF:
        return
    if args.uint8:
        remedy = "export int8, which gives each channel of a convolution its own scale"
    elif is_trained_for_8_bits:
        remedy = "train longer, so that the network settles in the ranges it has learnt"
    elif args.calibration != "auto":
        remedy = "leave --calibration out, so that each range is chosen by what the answer likes"
    else:
        remedy = "train with --quantize, so that the network adapts to 8 bits"
    out.warn(f"{kind} costs {100 * loss:.1f} points of accuracy; {remedy}")


def keep_in_run(folder: Path, record: dict[str, Any], out: Output) -> None:
    """Enter the export into the run's report.json, where it has one."""
    from minikws.errors import MinikwsError
    from minikws.files import write_file

    path = folder / "report.json"
    if not path.is_file():
        return
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        write_file(path, json.dumps({**report, "export": record}, indent=2) + "\n")
    except (MinikwsError, ValueError, TypeError, OSError) as error:
        out.say(f"{path} does not hold this export: {error}")


def _db(value: float | None) -> str:
    return "all" if value is None else f"{value:.1f} dB"
