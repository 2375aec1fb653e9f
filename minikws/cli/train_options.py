"""The options of `train`, group by group; `train_config` says what they mean."""

from __future__ import annotations

import argparse
from typing import Any

from minikws.cli.corpus_options import add_corpus_options, comma_list
from minikws.cli.frontend_options import add_frontend_options
from minikws.cli.main import boolean


def add_train_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    _add_run_options(parser)
    _add_model_options(parser)
    add_frontend_options(parser, clip_help="default 1000")
    add_corpus_options(parser)
    _add_augment_options(parser)
    _add_training_options(parser)
    _add_helper_options(parser)


def _switch(add: Any, name: str, text: str) -> None:
    """Add an option that is on when named, and that understands =0 and =false."""
    add(name, nargs="?", const=True, type=boolean, metavar="0|1", help=text)


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data-dir", metavar="DIR", help="a folder of WAV files a word")
    add("--data-url", default="", metavar="URL", help="not used: train never downloads")
    add("--run-dir", "--train-dir", metavar="DIR", help="default runs/MODEL_WORDS")
    add("--resume", action="store_true", help="go on from the run's newest checkpoint")
    add("--dry-run", action="store_true", help="say what would be trained, and stop")
    add("--summaries-dir", metavar="DIR", help="also write event files for TensorBoard")
    add("--no-report", action="store_true", help="no report.html at the end")
    _switch(add, "--check-nans", "name the layer where a value is first not finite; slower")


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("the model").add_argument
    add(
        "--model",
        "--model-architecture",
        metavar="NAME",
        help="default tiny_conv; or your own, FILE.py:FUNCTION",
    )
    add("--model-options", default="", metavar="A=X,B=Y", help="what the architecture offers")
    add("--rank", type=int, metavar="N", help="of an SVDF model")
    add("--num-units", type=int, metavar="N", help="of an SVDF model")
    add(
        "--start-checkpoint",
        metavar="RUN_OR_CHECKPOINT",
        help="begin with its weights, where name and shape agree",
    )


def _add_augment_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("augmentation").add_argument
    add("--background-volume", type=float, metavar="V", help="loudest noise, default 0.1")
    add("--background-frequency", type=float, metavar="P", help="share with noise, default 0.8")
    add("--time-shift-ms", type=float, metavar="MS", help="default 100")
    add(
        "--lead-in-ms",
        type=float,
        metavar="MS",
        help="noise before the clips, for models that will listen to a stream, default 0",
    )
    add("--lead-in-share", type=float, metavar="P", help="of the clips that get it, default 0.8")
    _switch(add, "--augment", "also hide 2 stretches of time and 2 bands (SpecAugment)")
    add("--time-masks", type=int, metavar="N", help="stretches of time to hide, default 0")
    add("--time-mask-frames", type=int, metavar="N", help="the longest, default 200 ms")
    add("--frequency-masks", type=int, metavar="N", help="bands to hide, default 0")
    add("--frequency-mask-bins", type=int, metavar="N", help="the widest, default 5")


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("training (defaults belong to the architecture)")
    add = group.add_argument
    add("--steps", "--how-many-training-steps", type=comma_list(int), metavar="N,N")
    add("--learning-rate", type=comma_list(float), metavar="R,R", help="one a phase of steps")
    add("--schedule", metavar="NAME", help="phases, cosine or plateau")
    add("--warmup-steps", type=int, metavar="N", help="the rate rises over N steps, default 0")
    add(
        "--patience",
        type=int,
        metavar="N",
        help="plateau: halve after N evaluations without a better one, default 4",
    )
    add("--optimizer", metavar="NAME", help="gradient_descent, momentum, rmsprop or adam")
    add("--batch-size", type=int, metavar="N", help="default 100")
    add("--dropout-rate", type=float, metavar="P", help="default 0.5")
    add("--label-smoothing", type=float, metavar="P", help="share spread over all labels")
    add(
        "--class-weights",
        type=_class_weights,
        metavar="balanced|W,W",
        help="how much a clip of each label counts",
    )
    add("--l2", type=float, metavar="S", help="strength of the penalty on large weights")
    _switch(add, "--quantize", "train through the rounding of the int8 export")
    add("--eval-step-interval", type=int, metavar="N", help="validate every N steps, default 400")
    add("--save-step-interval", type=int, metavar="N", help="checkpoint every N steps, default 400")


def _add_helper_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("other models that help").add_argument
    add("--teacher", metavar="MODEL", help="a run, checkpoint or .tflite to learn from as well")
    add("--temperature", type=float, metavar="T", help="softens both answers, default 4")
    add("--teacher-share", type=float, metavar="P", help="of the loss, default 0.5")
    add("--pseudo-labels", metavar="DIR", help="recordings without labels, or in word folders")
    add("--pseudo-models", metavar="A,B", help="label them: all must agree")
    add("--threshold", type=float, metavar="P", help="their least mean probability, default 0.6")
    add("--pseudo-share", type=float, metavar="P", help="of each batch, default 0.6")


def _class_weights(text: str) -> str | tuple[float, ...]:
    return comma_list(float)(text) if text[:1].isdigit() or text[:1] in ".-" else text
