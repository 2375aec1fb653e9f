"""minikws train: the whole loop on a folder of clips, final test included."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from minikws.cli.interrupt import Interrupt
from minikws.cli.output import Output
from minikws.cli.tables import confusion_table, label_table
from minikws.cli.train_config import run_config
from minikws.cli.train_options import add_train_options
from minikws.cli.tutorial import accept, explain
from minikws.labels import SILENCE, UNKNOWN

if TYPE_CHECKING:
    from minikws.checkpoint import RunConfig
    from minikws.data.corpus import Corpus
    from minikws.progress import Evaluation
    from minikws.summaries import SummaryWriter
    from minikws.train import Trainer

HELP = "train a model on a folder of clips"
EXAMPLE = "minikws train --data-dir clips --wanted-words yes,no --run-dir runs/yes_no"

WITHOUT_MEANING = {"verbosity": "messages are --quiet or not"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_train_options(parser)
    accept(parser, WITHOUT_MEANING)


def run(args: argparse.Namespace, out: Output) -> int:
    """Train, or with --dry-run say what would be trained."""
    from minikws.checkpoint import load
    from minikws.errors import SettingsError
    from minikws.runs import open_corpus
    from minikws.train import Trainer

    explain(args, WITHOUT_MEANING, out)
    if args.data_url:
        out.say("--data-url is not used: train never downloads, minikws data download does")
    if args.resume and not args.run_dir:
        raise SettingsError("--resume needs the run's folder; give --run-dir DIR")
    base = load(args.run_dir).config if args.resume else None
    config = run_config(args, base)
    out.say(_first_line(args, config, base))
    corpus = open_corpus(config, _once(out.say))
    config = replace(config, labels=corpus.labels, corpus_digest=corpus.digest)
    _describe_corpus(config, corpus, out)
    if args.dry_run:
        return _dry_run(config, corpus, out)
    trainer = Trainer(
        config,
        corpus,
        _run_dir(args, config),
        resume=args.resume,
        check_nans=bool(args.check_nans),
        on_message=out.say,
    )
    if args.resume:
        out.say(f"going on after step {trainer.step}")
    try:
        report = _train(trainer, args.summaries_dir, out)
    except KeyboardInterrupt:
        out.say(
            f"stopped after step {trainer.step}; go on from the newest checkpoint with: "
            f"minikws train --resume --run-dir {shlex.quote(str(trainer.run_dir))}"
        )
        raise
    page = None if args.no_report else _write_report(trainer, out)
    out.result({**asdict(report), "report": page})
    out.answer(confusion_table(report.confusion_matrix, report.labels))
    out.answer(
        f"Final test accuracy = {100 * report.test_accuracy:.1f}% (N={report.test_count}), "
        f"validation {100 * report.validation_accuracy:.1f}%, "
        f"training {100 * report.train_accuracy:.1f}%"
    )
    out.answer(f"{report.steps} steps in {report.seconds:.0f} s; the run is in {report.run_dir}")
    if page:
        out.answer(f"curves, confusions and the clips it got most wrong: {page}")
    out.answer(f"next: minikws export {report.run_dir} --out model.tflite")
    return 0


def _first_line(args: argparse.Namespace, config: RunConfig, base: RunConfig | None) -> str:
    """Return which model is trained on which features, and who chose them."""
    from minikws.frontend import make_frontend

    frontend = make_frontend(config.frontend).settings
    text = (
        f"training {_short_name(config)} on {frontend.kind} features, {frontend.n_frames} x "
        f"{frontend.n_features}, window {frontend.window_ms:g} ms, hop {frontend.hop_ms:g} ms"
    )
    if base is not None or args.frontend:
        return text
    if args.model:
        return f"{text} (its own default; --frontend takes another)"
    return f"{text} (minikws' default; the tutorial's was conv on mfcc)"


def _short_name(config: RunConfig) -> str:
    """Return the architecture's name, of one's own the function's."""
    return config.model.rpartition(":")[2]


def _write_report(trainer: Trainer, out: Output) -> str | None:
    """Write report.html where Matplotlib is there to draw it."""
    from minikws.errors import MissingExtraError
    from minikws.report import write_report

    try:
        return str(write_report(trainer.run_dir, trainer.corpus, trainer.classify))
    except MissingExtraError as error:
        out.say(f"no report.html: {error}")
        return None


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
    name = f"{_short_name(config)}_{words}"
    number = 1
    while (path := Path("runs") / (name if number == 1 else f"{name}_{number}")).exists():
        number += 1
    return path


WITHOUT_CLIPS = {  # label -> why it may have no clip, and what to do
    SILENCE: (
        ": there is no noise in _background_noise_, or --silence-percentage is 0",
        "make noise with minikws data noise, or leave the label out with --no-silence",
    ),
    UNKNOWN: (
        ": there is no folder of another word, or --unknown-percentage is 0",
        "add some, or leave the label out with --no-unknown",
    ),
}


def _describe_corpus(config: RunConfig, corpus: Corpus, out: Output) -> None:
    """Say which clips feed which label, and warn of what will hurt."""
    from minikws.data.splits import PARTITIONS

    out.say(label_table(corpus))
    for index, label in enumerate(corpus.labels):
        clips = [c for part in PARTITIONS for c in corpus.partitions[part] if c.label == index]
        if not clips:
            why, remedy = WITHOUT_CLIPS.get(label, ("", "add some"))
            out.warn(f"the label {label} has no clip and can never be learnt{why}; {remedy}")
        elif len(clips) < 10:
            out.warn(f"{label} has only {len(clips)} clips; several hundred are usual")
    for part in ("validation", "testing"):
        if not corpus.partitions[part]:
            out.warn(
                f"no clip falls into the {part} partition, and its accuracy means nothing; record "
                f"more speakers, or give a larger --{part}-percentage"
            )
    clip_ms, shift_ms = config.frontend["clip_ms"], config.augment.time_shift_ms
    if 2 * shift_ms > clip_ms:
        out.warn(
            f"words are moved by up to {shift_ms:g} ms in clips of {clip_ms:g} ms, and many leave "
            "them; give a smaller --time-shift-ms"
        )
    if "silence" in config.corpus.wanted_words and config.corpus.silence:
        out.warn(
            "the wanted word 'silence' stands beside minikws' own label _silence_; "
            "rename the folder or leave the label out with --no-silence"
        )


def _dry_run(config: RunConfig, corpus: Corpus, out: Output) -> int:
    from minikws.train import Trainer

    with TemporaryDirectory() as folder:  # all that a training refuses, it refuses here

        def say(text: str) -> None:
            out.say(text.partition(f"; see {folder}")[0])  # it goes with the folder

        trainer = Trainer(config, corpus, folder, on_message=say)
    network, settings = trainer.network, trainer.frontend.settings
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
        f"{_short_name(config)}: {network.n_parameters:,} parameters, "
        f"{network.multiply_adds:,} multiply-adds"
    )
    train = config.train
    out.answer(
        f"{train.total_steps} steps {train.steps} at {train.learning_rates}, {train.schedule}, "
        f"{train.optimizer}"
    )
    return 0


def _train(trainer: Trainer, summaries_dir: str | None, out: Output) -> Any:
    """Run to the end, with event files where a folder for them is named."""
    from minikws.summaries import SummaryWriter

    if not summaries_dir:
        return _train_and_show(trainer, None, out)
    with SummaryWriter(summaries_dir, first_step=trainer.step + 1) as summaries:
        return _train_and_show(trainer, summaries, out)


def _train_and_show(trainer: Trainer, summaries: SummaryWriter | None, out: Output) -> Any:
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
                on_evaluation=lambda e: out.say(line(e)),
                interrupted=interrupt.requested,
                summaries=summaries,
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
            summaries=summaries,
        )
