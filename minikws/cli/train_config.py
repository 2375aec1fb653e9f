"""The configuration of a run: what `train`'s options, a resumed run and a recipe say together.

What was given comes first, then the resumed run's own, then the architecture's recipe.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minikws.cli.corpus_options import corpus_overrides, need_data_dir
from minikws.cli.frontend_options import frontend_from
from minikws.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from minikws.checkpoint import RunConfig
    from minikws.models import Architecture
    from minikws.settings import AugmentSettings, ClipSettings, PseudoSettings, TeacherSettings

DEFAULT_MODEL = "tiny_conv"

# SpecAugment as BC-ResNet trains with it: two masks each, up to 200 ms and 5 of 40 channels.
N_MASKS = 2
MASK_MS = 200.0
MASK_BINS = 5


def run_config(args: argparse.Namespace, base: RunConfig | None) -> RunConfig:
    """Put the configuration together: what was given, else the resumed run's, else defaults.

    Raises
    ------
    SettingsError : something that cannot work, or an option without what it belongs to.
    """
    from minikws.checkpoint import RunConfig
    from minikws.models.own import is_own
    from minikws.runs import OWN_MODEL, find_architecture
    from minikws.settings import CorpusSettings, TrainSettings

    model = args.model or (base.model if base else DEFAULT_MODEL)
    if is_own(model):
        model = _absolute(model)
    copy = Path(args.run_dir) / OWN_MODEL if base and is_own(model) else None
    if copy and args.model:
        _need_unchanged(model, copy)
    entry = find_architecture(model, source=copy)
    recipe = entry.recipe
    kind = args.frontend or (base.frontend if base else recipe.frontend)["kind"]
    stored = base.frontend if base else (None if args.frontend else recipe.frontend)
    frontend = frontend_from(args, kind, stored if stored and stored["kind"] == kind else None)
    corpus = corpus_overrides(args)
    if base is None and "wanted_words" not in corpus:
        raise SettingsError("no --wanted-words; name the folders to be told apart, such as yes,no")
    train = _train_given(args)
    if base is None:
        names = {field.name for field in fields(TrainSettings)}
        own = {name: value for name, value in asdict(recipe).items() if name in names}
        train = {**own, **_phases(args, own), **train, "seed": args.seed}
    data_dir = args.data_dir or (base.data_dir if base else None)
    options = _model_options(args, entry)
    start = str(Path(args.start_checkpoint).resolve()) if args.start_checkpoint else None
    return RunConfig(
        model=model,
        frontend=frontend.settings.to_json(),
        labels=(),
        data_dir=str(Path(need_data_dir(data_dir)).resolve()),
        corpus_digest="",
        corpus=replace(base.corpus, **corpus) if base else CorpusSettings(**corpus),
        augment=_augment(args, base, frontend.settings),
        train=replace(base.train, **train) if base else TrainSettings(**train),
        model_options={**(base.model_options if base else {}), **options},
        start_checkpoint=start or (base.start_checkpoint if base else None),
        teacher=_teacher(args, base),
        pseudo=_pseudo(args, base),
    )


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that were given on the command line."""
    return {name: value for name, value in options.items() if value is not None}


def _absolute(model: str) -> str:
    """Return FILE.py:FUNCTION with the file's whole path, as the run will remember it."""
    from minikws.models.own import split_name

    file, function = split_name(model)
    return f"{file.resolve()}:{function}"


def _need_unchanged(model: str, copy: Path) -> None:
    """Raise SettingsError where one's own file is no longer what the run began with."""
    from minikws.models.own import split_name

    file, _ = split_name(model)
    if copy.is_file() and file.is_file() and copy.read_bytes() != file.read_bytes():
        raise SettingsError(
            f"{file} has changed since the run began (its copy is {copy}); resume without "
            "--model, or train the new one in another --run-dir"
        )


def _model_options(args: argparse.Namespace, entry: Architecture) -> dict[str, Any]:
    options = entry.parse_options(args.model_options)
    direct = _given(rank=args.rank, num_units=args.num_units)
    entry.check_options(list(direct))
    return {**options, **direct}


def _train_given(args: argparse.Namespace) -> dict[str, Any]:
    return _given(
        steps=args.steps,
        learning_rates=args.learning_rate,
        schedule=args.schedule,
        warmup_steps=args.warmup_steps,
        patience=args.patience,
        optimizer=args.optimizer,
        batch_size=args.batch_size,
        dropout_rate=args.dropout_rate,
        label_smoothing=args.label_smoothing,
        class_weights=args.class_weights,
        l2=args.l2,
        quantize=args.quantize,
        eval_interval=args.eval_step_interval,
        save_interval=args.save_step_interval,
    )


def _phases(args: argparse.Namespace, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return steps, rates and schedule of a recipe, cut to what was given of them.

    Steps alone take the recipe's first rates; one rate alone holds for all its steps. Where the
    rate follows a curve there is one phase.
    """
    steps, rates = recipe["steps"], recipe["learning_rates"]
    schedule = args.schedule or recipe["schedule"]
    if args.schedule is None and max(len(args.steps or ()), len(args.learning_rate or ())) > 1:
        schedule = "phases"
    if schedule != "phases" or (args.learning_rate and len(args.learning_rate) == 1):
        steps = (sum(steps),)
    if schedule != "phases":
        rates = rates[:1]
    return {
        "schedule": schedule,
        "steps": steps,
        "learning_rates": rates[: len(args.steps)] if args.steps else rates,
    }


def _augment(
    args: argparse.Namespace, base: RunConfig | None, frontend: ClipSettings
) -> AugmentSettings:
    from minikws.data.batches import lead_in_samples
    from minikws.settings import AugmentSettings

    given = _given(
        background_volume=args.background_volume,
        background_frequency=args.background_frequency,
        time_shift_ms=args.time_shift_ms,
        lead_in_ms=args.lead_in_ms,
        lead_in_share=args.lead_in_share,
        time_masks=args.time_masks,
        time_mask_frames=args.time_mask_frames,
        frequency_masks=args.frequency_masks,
        frequency_mask_bins=args.frequency_mask_bins,
    )
    widest = {
        "time_mask_frames": min(round(MASK_MS / frontend.hop_ms), frontend.n_frames),
        "frequency_mask_bins": min(MASK_BINS, frontend.n_features),
    }
    masks: dict[str, int] = {}
    if args.augment:
        # The features of a raw slice are its samples: they have no bands.
        masks["time_masks"] = N_MASKS
        masks["frequency_masks"] = 0 if frontend.kind == "raw" else N_MASKS
    if base is not None:
        return replace(base.augment, **masks, **given)
    settings = AugmentSettings(**{**widest, **masks, **given})
    for name, length in (
        ("time_mask_frames", frontend.n_frames),
        ("frequency_mask_bins", frontend.n_features),
    ):
        if getattr(settings, name) > length:
            raise SettingsError(
                f"--{name.replace('_', '-')} {getattr(settings, name)} is more than the "
                f"features have, {length}; give 0 to {length}"
            )
    lead_in_samples(settings, frontend)
    return settings


def _teacher(args: argparse.Namespace, base: RunConfig | None) -> TeacherSettings | None:
    from minikws.settings import TeacherSettings

    given = _given(temperature=args.temperature, share=args.teacher_share)
    stored = base.teacher if base else None
    if args.teacher:
        return TeacherSettings(model=str(Path(args.teacher).resolve()), **given)
    if given and stored is None:
        raise SettingsError(
            "--temperature and --teacher-share belong to a teacher; name it with --teacher MODEL"
        )
    return replace(stored, **given) if stored else None


def _pseudo(args: argparse.Namespace, base: RunConfig | None) -> PseudoSettings | None:
    from minikws.settings import PseudoSettings

    names = [name.strip() for name in (args.pseudo_models or "").split(",") if name.strip()]
    given = _given(
        models=tuple(str(Path(name).resolve()) for name in names) or None,
        threshold=args.threshold,
        share=args.pseudo_share,
    )
    stored = base.pseudo if base else None
    if args.pseudo_labels:
        return PseudoSettings(folder=str(Path(args.pseudo_labels).resolve()), **given)
    if given and stored is None:
        raise SettingsError(
            "--pseudo-models, --threshold and --pseudo-share belong to recordings without labels; "
            "name their folder with --pseudo-labels DIR"
        )
    return replace(stored, **given) if stored else None
