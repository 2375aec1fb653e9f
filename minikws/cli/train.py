"""minikws train: the whole loop on a folder of clips, final test included."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minikws.cli.corpus_options import (
    add_corpus_options,
    comma_list,
    corpus_overrides,
    need_data_dir,
)
from minikws.cli.frontend_options import add_frontend_options, frontend_from
from minikws.cli.interrupt import Interrupt
from minikws.cli.output import Output
from minikws.cli.tables import confusion_table, label_table
from minikws.cli.tutorial import accept, explain

if TYPE_CHECKING:
    from minikws.checkpoint import RunConfig
    from minikws.data.corpus import Corpus
    from minikws.train import Evaluation, Trainer

HELP = "train a model on a folder of clips"
EXAMPLE = "minikws train --data-dir clips --wanted-words yes,no --run-dir runs/yes_no"

WITHOUT_MEANING = {
    "summaries-dir": "curves are written to metrics.csv in the run's folder",
    "verbosity": "messages are --quiet or not",
    "check-nans": "a loss that is not finite always stops the run",
    "start-checkpoint": "go on with --resume --run-dir DIR",
    "quantize": "the training is in float, minikws export quantizes its result to int8",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("--data-dir", metavar="DIR", help="a folder of WAV files a word")
    add("--data-url", default="", metavar="URL", help="not used: train never downloads")
    add("--run-dir", "--train-dir", metavar="DIR", help="default runs/MODEL_WORDS")
    add("--resume", action="store_true", help="go on from the run's newest checkpoint")
    add("--dry-run", action="store_true", help="say what would be trained, and stop")
    group = parser.add_argument_group("the model")
    add = group.add_argument
    add("--model", "--model-architecture", metavar="NAME", help="default tiny_conv")
    add_frontend_options(parser, clip_help="default 1000")
    add_corpus_options(parser)
    group = parser.add_argument_group("augmentation")
    add = group.add_argument
    add("--background-volume", type=float, metavar="V", help="loudest noise, default 0.1")
    add("--background-frequency", type=float, metavar="P", help="share with noise, default 0.8")
    add("--time-shift-ms", type=float, metavar="MS", help="default 100")
    group = parser.add_argument_group("training (defaults belong to the architecture)")
    add = group.add_argument
    add("--steps", "--how-many-training-steps", type=comma_list(int), metavar="N,N")
    add("--learning-rate", type=comma_list(float), metavar="R,R", help="one a phase of steps")
    add("--optimizer", metavar="NAME", help="gradient_descent or momentum")
    add("--batch-size", type=int, metavar="N", help="default 100")
    add("--dropout-rate", type=float, metavar="P", help="default 0.5")
    add("--eval-step-interval", type=int, metavar="N", help="validate every N steps, default 400")
    add("--save-step-interval", type=int, metavar="N", help="checkpoint every N steps, default 400")
    accept(parser, WITHOUT_MEANING)


def run(args: argparse.Namespace, out: Output) -> int:
    """Train, or with --dry-run say what would be trained."""
    from minikws.checkpoint import load
    from minikws.errors import SettingsError
    from minikws.train import Trainer, open_corpus

    explain(args, WITHOUT_MEANING, out)
    if args.data_url:
        out.say("--data-url is not used: train never downloads, minikws data download does")
    if args.resume and not args.run_dir:
        raise SettingsError("--resume needs the run's folder; give --run-dir DIR")
    base = load(args.run_dir).config if args.resume else None
    config = run_config(args, base)
    if not args.model and not args.frontend and base is None:
        out.say("training tiny_conv on micro features (the tutorial's defaults were conv on mfcc)")
    corpus = open_corpus(config, _once(out.say))
    config = replace(config, labels=corpus.labels, corpus_digest=corpus.digest)
    _describe_corpus(config, corpus, out)
    if args.dry_run:
        return _dry_run(config, corpus, out)
    trainer = Trainer(config, corpus, _run_dir(args, config), resume=args.resume)
    if args.resume:
        out.say(f"going on after step {trainer.step}")
    report = _train(trainer, out)
    record = asdict(report)
    out.result(record)
    out.answer(confusion_table(report.confusion_matrix, report.labels))
    out.answer(
        f"Final test accuracy = {100 * report.test_accuracy:.1f}% (N={report.test_count}), "
        f"validation {100 * report.validation_accuracy:.1f}%, "
        f"training {100 * report.train_accuracy:.1f}%"
    )
    out.answer(f"{report.steps} steps in {report.seconds:.0f} s; the run is in {report.run_dir}")
    out.answer(f"next: minikws export {report.run_dir} --out model.tflite")
    return 0


def run_config(args: argparse.Namespace, base: RunConfig | None) -> RunConfig:
    """Put the configuration together: what was given, else the resumed run's, else defaults."""
    from minikws import models
    from minikws.checkpoint import RunConfig
    from minikws.errors import SettingsError
    from minikws.settings import AugmentSettings, CorpusSettings, TrainSettings

    model = args.model or (base.model if base else "tiny_conv")
    recipe = models.architecture(model).recipe
    kind = args.frontend or (base.frontend["kind"] if base else "micro")
    stored = base.frontend if base and base.frontend["kind"] == kind else None
    frontend = frontend_from(args, kind, stored)
    corpus = corpus_overrides(args)
    if base is None and "wanted_words" not in corpus:
        raise SettingsError("no --wanted-words; name the folders to be told apart, such as yes,no")
    augment = _given(
        background_volume=args.background_volume,
        background_frequency=args.background_frequency,
        time_shift_ms=args.time_shift_ms,
    )
    train = _given(
        steps=args.steps,
        learning_rates=args.learning_rate,
        optimizer=args.optimizer,
        batch_size=args.batch_size,
        dropout_rate=args.dropout_rate,
        eval_interval=args.eval_step_interval,
        save_interval=args.save_step_interval,
    )
    data_dir = args.data_dir or (base.data_dir if base else None)
    return RunConfig(
        model=model,
        frontend=frontend.settings.to_json(),
        labels=(),
        data_dir=str(Path(need_data_dir(data_dir)).resolve()),
        corpus_digest="",
        corpus=replace(base.corpus, **corpus) if base else CorpusSettings(**corpus),
        augment=replace(base.augment, **augment) if base else AugmentSettings(**augment),
        train=(
            replace(base.train, **train)
            if base
            else TrainSettings(**{**asdict(recipe), **train, "seed": args.seed})
        ),
    )


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that were given on the command line."""
    return {name: value for name, value in options.items() if value is not None}


def _once(say: Callable[[str], None]) -> Callable[[str], None]:
    """Say the first few of many like messages, then that there are more."""
    count = 0

    def say_few(text: str) -> None:
        nonlocal count
        count += 1
        if count <= 3:
            say(text)
        elif count == 4:
            say("… and more files like these")

    return say_few


def _run_dir(args: argparse.Namespace, config: RunConfig) -> Path:
    if args.run_dir:
        return Path(args.run_dir)
    words = "_".join(config.corpus.wanted_words[:3])
    name = f"{config.model}_{words}"
    number = 1
    while (path := Path("runs") / (name if number == 1 else f"{name}_{number}")).exists():
        number += 1
    return path


def _describe_corpus(config: RunConfig, corpus: Corpus, out: Output) -> None:
    """Say which clips feed which label, and warn of what will hurt."""
    from minikws.data.splits import PARTITIONS

    out.say(label_table(corpus))
    unknown = config.corpus.unknown and config.corpus.unknown_pct > 0
    for index, label in enumerate(corpus.labels):
        clips = [c for part in PARTITIONS for c in corpus.partitions[part] if c.label == index]
        if not clips:
            out.warn(
                f"the label {label} has no clip and can never be learnt; "
                + (
                    f"--no-{label.strip('_')} leaves it out"
                    if label.startswith("_")
                    else "add some"
                )
            )
        elif len(clips) < 10:
            out.warn(f"{label} has only {len(clips)} clips; several hundred are usual")
    if "silence" in config.corpus.wanted_words and config.corpus.silence:
        out.warn(
            "the wanted word 'silence' stands beside minikws' own label _silence_; "
            "rename the folder or leave the label out with --no-silence"
        )
    if unknown and not any(c.word not in corpus.labels for c in corpus.partitions["training"]):
        out.say("there are no other words in the folder to learn _unknown_ from")


def _dry_run(config: RunConfig, corpus: Corpus, out: Output) -> int:
    import numpy as np

    from minikws.train import build

    frontend, network = build(config, np.random.default_rng(0))
    settings = frontend.settings
    shape = (settings.n_frames, settings.n_features)
    unknown = {
        word: n
        for part in corpus.partitions
        for word, n in corpus.counts(part).items()
        if word not in corpus.labels
    }
    record = {
        "labels": list(corpus.labels),
        "counts": {part: dict(corpus.counts(part)) for part in corpus.partitions},
        "unknown_words": sorted(unknown),
        "noise_minutes": corpus.background_minutes,
        "input_shape": list(shape),
        "parameters": network.n_parameters,
        "multiply_adds": network.multiply_adds,
        "config": config.to_json(),
    }
    out.result(record)
    out.answer(f"words that become unknown: {', '.join(sorted(unknown)) or 'none'}")
    out.answer(f"background noise: {corpus.background_minutes:.1f} minutes")
    out.answer(f"input: {shape[0]} frames of {shape[1]} features ({settings.kind})")
    out.answer(
        f"{config.model}: {network.n_parameters:,} parameters, "
        f"{network.multiply_adds:,} multiply-adds"
    )
    train = config.train
    out.answer(f"{train.total_steps} steps {train.steps} at {train.learning_rates}")
    return 0


def _train(trainer: Trainer, out: Output) -> Any:
    """Run to the end with a bar on a terminal and a line an evaluation elsewhere."""
    total = trainer.config.train.total_steps
    began_at, started = trainer.step, time.monotonic()
    n_validation = len(trainer.corpus.partitions["validation"])

    def line(e: Evaluation) -> str:
        done = e.step - began_at
        left = (time.monotonic() - started) / max(1, done) * (total - e.step)
        return (
            f"Step {e.step}: rate {e.learning_rate:g}, training accuracy "
            f"{100 * e.training_accuracy:.1f}%, cross entropy {e.loss:.4f}, Validation accuracy = "
            f"{100 * e.validation_accuracy:.1f}% (N={n_validation}), {left:.0f} s left"
        )

    if out.quiet or not sys.stderr.isatty():
        with Interrupt() as interrupt:
            return trainer.run(
                on_evaluation=lambda e: out.say(line(e)), interrupted=interrupt.requested
            )
    from minikws.errors import import_extra

    tqdm = import_extra("tqdm", extra="train", purpose="the progress bar").tqdm
    with (
        Interrupt() as interrupt,
        tqdm(
            total=total, initial=began_at, unit="step", desc="training", dynamic_ncols=True
        ) as bar,
    ):

        def on_evaluation(e: Evaluation) -> None:
            bar.set_postfix_str(f"validation {100 * e.validation_accuracy:.1f}%")
            bar.write(line(e), file=sys.stderr)

        return trainer.run(
            on_step=lambda step: bar.update(1) and None,
            on_evaluation=on_evaluation,
            interrupted=interrupt.requested,
        )
