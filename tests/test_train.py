"""A run that is repeated, interrupted and resumed ends with the same weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

import minikws.checkpoint
from minikws import _jit
from minikws.checkpoint import RunConfig, checkpoints_in, load
from minikws.data.corpus import Corpus
from minikws.errors import RunError, SettingsError
from minikws.files import write_file
from minikws.models import build
from minikws.nn import softmax_cross_entropy
from minikws.nn.losses import distillation_loss
from minikws.objective import class_weights
from minikws.progress import TrainReport
from minikws.runs import load_network, open_corpus, read_calibration, start_from
from minikws.settings import (
    AugmentSettings,
    CorpusSettings,
    MicroSettings,
    PseudoSettings,
    TeacherSettings,
    TrainSettings,
)
from minikws.train import Trainer


@pytest.fixture(scope="module")
def config(tone_corpus: Path) -> RunConfig:
    corpus_settings = CorpusSettings(wanted_words=("low", "high"), silence_pct=25, unknown_pct=25)
    config = RunConfig(
        model="tiny_conv",
        frontend=MicroSettings(clip_ms=250, n_mels=16).to_json(),
        labels=("_silence_", "_unknown_", "low", "high"),
        data_dir=str(tone_corpus),
        corpus_digest="",
        corpus=corpus_settings,
        augment=AugmentSettings(time_shift_ms=20),
        train=TrainSettings(
            steps=(120, 30),
            learning_rates=(0.01, 0.001),
            batch_size=20,
            eval_interval=50,
            save_interval=20,
            seed=3,
        ),
    )
    return replace(config, corpus_digest=open_corpus(config).digest)


@pytest.fixture(scope="module")
def corpus(config: RunConfig) -> Corpus:
    return open_corpus(config)


@pytest.fixture(scope="module")
def finished(
    config: RunConfig, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory
) -> TrainReport:
    return Trainer(config, corpus, tmp_path_factory.mktemp("runs") / "whole").run()


def final_weights(run_dir: str | Path) -> dict[str, bytes]:
    return {name: w.tobytes() for name, w in load(run_dir).weights.items()}


def test_it_learns_the_tones(finished: TrainReport) -> None:
    assert finished.steps == 150
    assert finished.train_accuracy > 0.9
    matrix = np.array(finished.confusion_matrix)
    assert matrix.sum() == finished.test_count
    assert finished.test_accuracy == pytest.approx(np.trace(matrix) / matrix.sum())


def test_the_run_folder(finished: TrainReport, config: RunConfig) -> None:
    run_dir = Path(finished.run_dir)
    assert (run_dir / "labels.txt").read_text().split() == list(config.labels)
    stored = json.loads((run_dir / "config.json").read_text())
    assert RunConfig.from_json(stored, source="config.json") == config
    rows = (run_dir / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "50", "100", "150"]
    assert json.loads((run_dir / "report.json").read_text())["steps"] == 150
    assert read_calibration(run_dir).shape[1:] == (12, 16)


def test_newest_three_checkpoints_and_the_best_are_kept(finished: TrainReport) -> None:
    steps = [load(path).step for path in checkpoints_in(Path(finished.run_dir))]
    assert steps[-3:] == [120, 140, 150]
    assert len(steps) <= 4


def test_same_seed_same_weights(
    config: RunConfig, corpus: Corpus, finished: TrainReport, tmp_path: Path
) -> None:
    again = Trainer(config, corpus, tmp_path / "again").run()
    assert final_weights(again.run_dir) == final_weights(finished.run_dir)
    other = replace(config, train=replace(config.train, seed=4))
    different = Trainer(other, corpus, tmp_path / "other").run()
    assert final_weights(different.run_dir) != final_weights(finished.run_dir)


@pytest.mark.parametrize("stop_after", [1, 20, 77, 149])
def test_a_resumed_run_ends_like_an_uninterrupted_one(
    stop_after: int, config: RunConfig, corpus: Corpus, finished: TrainReport, tmp_path: Path
) -> None:
    steps = 0

    def interrupted() -> bool:
        nonlocal steps
        steps += 1
        return steps == stop_after

    with pytest.raises(KeyboardInterrupt):
        Trainer(config, corpus, tmp_path / "cut").run(interrupted=interrupted)
    assert load(tmp_path / "cut").step == stop_after
    (tmp_path / "cut" / "config.json").write_text("{")  # the checkpoint knows it too
    resumed = Trainer(config, corpus, tmp_path / "cut", resume=True)
    assert resumed.step == stop_after
    stored = json.loads((tmp_path / "cut" / "config.json").read_text())
    assert stored == json.loads((Path(finished.run_dir) / "config.json").read_text())
    report = resumed.run()
    assert final_weights(report.run_dir) == final_weights(finished.run_dir)
    assert report.confusion_matrix == finished.confusion_matrix
    rows = (tmp_path / "cut" / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "50", "100", "150"]


SHORT = TrainSettings(
    steps=(12,), learning_rates=(0.01,), batch_size=8, eval_interval=3, save_interval=100, seed=3
)


def short(config: RunConfig, **train: Any) -> RunConfig:
    return replace(config, train=replace(SHORT, **train))


def variants(config: RunConfig, finished: TrainReport) -> dict[str, RunConfig]:
    masks = AugmentSettings(
        time_shift_ms=20, time_masks=2, time_mask_frames=4, frequency_masks=1, frequency_mask_bins=3
    )
    teacher = TeacherSettings(model=finished.run_dir, temperature=2.0, share=0.3)
    pseudo = PseudoSettings(
        folder=str(Path(config.data_dir) / "middle"), models=(finished.run_dir,), threshold=0.3
    )
    cosine = short(
        config,
        schedule="cosine",
        warmup_steps=3,
        optimizer="adam",
        label_smoothing=0.1,
        class_weights="balanced",
        l2=1e-3,
    )
    lead_in = AugmentSettings(time_shift_ms=20, lead_in_ms=200)
    return {
        "cosine and masks": replace(cosine, augment=masks),
        "plateau": short(config, schedule="plateau", patience=1, optimizer="rmsprop"),
        "quantize": short(config, quantize=True),
        "helpers": replace(short(config), teacher=teacher, pseudo=pseudo, augment=lead_in),
        "fine-tuned": replace(short(config), start_checkpoint=finished.run_dir),
    }


def test_features_after_a_lead_in_are_those_of_a_stream(
    config: RunConfig, corpus: Corpus, tmp_path: Path
) -> None:
    lead_in = AugmentSettings(time_shift_ms=20, lead_in_ms=200, lead_in_share=0.8)
    trainer = Trainer(replace(config, augment=lead_in), corpus, tmp_path / "run")
    features = read_calibration(trainer.run_dir)
    samples, _ = trainer.batches.draw(len(features), np.random.default_rng(config.train.seed))
    assert samples.shape == (len(features), 3200 + 4000)
    n_frames = trainer.frontend.settings.n_frames
    for clip, sound in zip(features[:20], samples, strict=False):
        stream = trainer.frontend.stream()
        np.testing.assert_array_equal(stream.push(sound)[-n_frames:], clip)
    fresh = trainer.frontend.extract(samples[:, 3200:])
    assert np.mean(features != fresh) > 0.2


@pytest.mark.parametrize(
    "name", ["cosine and masks", "plateau", "quantize", "helpers", "fine-tuned"]
)
def test_every_option_resumes_to_the_same_bits(
    name: str, config: RunConfig, corpus: Corpus, finished: TrainReport, tmp_path: Path
) -> None:
    variant = variants(config, finished)[name]
    whole = Trainer(variant, corpus, tmp_path / "whole").run()
    assert final_weights(whole.run_dir) != final_weights(finished.run_dir)
    for stop_after in (4, 9):
        cut = tmp_path / f"cut{stop_after}"
        left = iter(range(stop_after - 1, -1, -1))
        with pytest.raises(KeyboardInterrupt):
            Trainer(variant, corpus, cut).run(interrupted=lambda left=left: next(left) == 0)
        assert load(cut).step == stop_after
        Trainer(variant, corpus, cut, resume=True).run()
        assert final_weights(cut) == final_weights(whole.run_dir)
        assert load(cut).optimizer.keys() == load(whole.run_dir).optimizer.keys()
        rates = [
            [e.learning_rate for e in Trainer(variant, corpus, d, resume=True).evaluations]
            for d in (cut, whole.run_dir)
        ]
        assert rates[0] == rates[1]


@pytest.mark.parametrize("batch_size", [1, 7])
def test_any_batch_size_trains(
    batch_size: int, config: RunConfig, corpus: Corpus, tmp_path: Path
) -> None:
    trainer = Trainer(short(config, batch_size=batch_size), corpus, tmp_path / "run")
    assert np.isfinite([trainer.train_step() for _ in range(3)]).all()


def test_the_loss_is_made_of_its_parts(
    config: RunConfig, corpus: Corpus, finished: TrainReport, tmp_path: Path
) -> None:
    """The loss of the first step, from its formulas and the batch it was drawn from."""
    strength, share, temperature = 0.01, 0.25, 3.0
    variant = replace(
        short(config, class_weights=(0.5, 1.0, 2.0, 4.0), label_smoothing=0.2, l2=strength),
        teacher=TeacherSettings(model=finished.run_dir, temperature=temperature, share=share),
    )
    trainer = Trainer(variant, corpus, tmp_path / "run")
    twin = Trainer(variant, corpus, tmp_path / "twin")
    loss = trainer.train_step()
    samples, labels = twin.batches.draw(8, twin.rng)
    logits = twin.network.forward(twin.frontend.extract(samples), training=True)
    hard, _ = softmax_cross_entropy(
        logits,
        labels,
        label_smoothing=0.2,
        class_weights=np.array([0.5, 1.0, 2.0, 4.0], np.float32),
    )
    _, frontend, teacher = load_network(finished.run_dir)
    soft, _ = distillation_loss(
        logits,
        teacher.predict(frontend.extract(samples)),
        labels,
        temperature=temperature,
        share=1.0,
    )
    squares = sum(
        float(np.sum(weight.astype(np.float64) ** 2))
        for name, weight in twin.network.weights().items()
        if name.endswith(".w")
    )
    expected = (1 - share) * hard + share * soft + strength * squares
    assert loss == pytest.approx(expected, rel=1e-5)


def test_balanced_weights_give_every_label_the_same_sum(config: RunConfig, corpus: Corpus) -> None:
    weights = class_weights(short(config, class_weights="balanced"), corpus)
    assert weights is not None
    counts = np.bincount(corpus.label_indices(corpus.partitions["training"]), minlength=4)
    np.testing.assert_allclose(weights * counts, np.full(4, counts.sum() / 4), rtol=1e-6)


def test_class_weights_are_one_a_label(config: RunConfig, corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"class_weights holds 2 numbers, the labels are 4"):
        Trainer(short(config, class_weights=(1.0, 2.0)), corpus, tmp_path / "x")


def test_check_nans_changes_no_weight_and_names_the_layer(
    config: RunConfig, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held against a run without stages, which round a sum of several layers otherwise."""
    monkeypatch.setattr(_jit, "ENABLED", False)
    plain = Trainer(short(config), corpus, tmp_path / "plain")
    watched = Trainer(short(config), corpus, tmp_path / "watched", check_nans=True)
    for trainer in (plain, watched):
        for _ in range(3):
            trainer.train_step()
    before = plain.network.weights()
    for name, weight in watched.network.weights().items():
        np.testing.assert_array_equal(weight, before[name])
    before["first_conv.w"][:] = np.inf
    watched.network.load_weights(before)
    expected = r"step 4, layer first_conv, forward: .*\(at step 3 it lay in .* learning rate 0\.01"
    with pytest.raises(RunError, match=expected):
        watched.train_step()


def test_weights_start_from_another_run_where_they_fit(
    config: RunConfig, corpus: Corpus, finished: TrainReport, tmp_path: Path
) -> None:
    old = load(finished.run_dir).weights
    fewer = build("tiny_conv", input_shape=(12, 16), n_labels=3, rng=np.random.default_rng(9))
    fresh = fewer.weights()
    left = start_from(fewer, finished.run_dir)
    assert [text.partition(" ")[0] for text in left] == ["final_fc.b", "final_fc.w"]
    assert left[0] == "final_fc.b (3,), there (4,)"
    now = fewer.weights()
    np.testing.assert_array_equal(now["first_conv.w"], old["first_conv.w"])
    np.testing.assert_array_equal(now["final_fc.w"], fresh["final_fc.w"])
    said: list[str] = []
    variant = replace(short(config), start_checkpoint=finished.run_dir)
    trainer = Trainer(variant, corpus, tmp_path / "run", on_message=said.append)
    np.testing.assert_array_equal(trainer.network.weights()["final_fc.w"], old["final_fc.w"])
    assert said == [f"weights start from {finished.run_dir}; fresh ones: none"]
    other = build("single_fc", input_shape=(3, 2), n_labels=2, rng=np.random.default_rng(9))
    with pytest.raises(RunError, match=r"no weight of .* has the name and shape"):
        start_from(other, finished.run_dir)


def test_a_run_of_an_older_version_is_read(config: RunConfig) -> None:
    stored = short(config).to_json()
    for name in ("model_options", "start_checkpoint", "teacher", "pseudo"):
        del stored[name]
    for name in ("schedule", "warmup_steps", "patience", "label_smoothing", "class_weights", "l2"):
        del stored["train"][name]
    del stored["train"]["quantize"]
    for name in ("time_masks", "time_mask_frames", "frequency_masks", "frequency_mask_bins"):
        del stored["augment"][name]
    assert RunConfig.from_json(json.loads(json.dumps(stored)), source="x") == short(config)


def test_every_setting_survives_its_json(config: RunConfig, finished: TrainReport) -> None:
    for variant in variants(config, finished).values():
        given = replace(
            variant,
            model_options={"rank": 2},
            train=replace(variant.train, class_weights=(1.0, 2.0, 1.0, 1.0)),
        )
        text = json.dumps(given.to_json())
        assert RunConfig.from_json(json.loads(text), source="x") == given


def test_a_checkpoint_gives_its_network_back(
    finished: TrainReport, corpus: Corpus, config: RunConfig
) -> None:
    found, frontend, network = load_network(finished.checkpoint)
    assert found.config == config
    samples = corpus.clean(corpus.partitions["testing"])
    predicted = network.predict(frontend.extract(samples)).argmax(1)
    truth = corpus.label_indices(corpus.partitions["testing"])
    assert (predicted == truth).mean() == pytest.approx(finished.test_accuracy)


def test_other_settings_are_refused_on_resume(
    config: RunConfig, corpus: Corpus, finished: TrainReport
) -> None:
    other = replace(config, train=replace(config.train, batch_size=30))
    with pytest.raises(RunError, match=r"train\.batch_size was 20, now 30"):
        Trainer(other, corpus, finished.run_dir, resume=True)


def test_a_folder_with_another_run_is_not_overwritten(
    config: RunConfig, corpus: Corpus, finished: TrainReport
) -> None:
    with pytest.raises(RunError, match=r"already holds the checkpoints of a run.*--resume"):
        Trainer(config, corpus, finished.run_dir)


def test_nothing_to_resume(config: RunConfig, corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"there is no run or checkpoint"):
        Trainer(config, corpus, tmp_path / "nowhere", resume=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"holds no checkpoints/checkpoint-STEP\.npz"):
        Trainer(config, corpus, tmp_path / "empty", resume=True)


def test_unknown_optimizer(config: RunConfig, corpus: Corpus, tmp_path: Path) -> None:
    other = replace(config, train=replace(config.train, optimizer="momentun"))
    with pytest.raises(SettingsError, match=r"did you mean momentum"):
        Trainer(other, corpus, tmp_path / "x")


def test_a_loss_that_is_not_finite_stops_the_run(
    config: RunConfig, corpus: Corpus, tmp_path: Path
) -> None:
    trainer = Trainer(config, corpus, tmp_path / "wild")
    trainer.train_step()
    trainer.save()
    weights = trainer.network.weights()
    weights["final_fc.w"][:] = np.nan
    trainer.network.load_weights(weights)
    with pytest.raises(RunError, match=r"the loss is nan at step 2 with learning rate 0\.01"):
        trainer.train_step()
    assert load(tmp_path / "wild").step == 1


def test_disk_full_while_a_checkpoint_is_written(
    config: RunConfig, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(config, corpus, tmp_path / "full")
    for _ in range(2):
        trainer.train_step()
    trainer.save()
    before = final_weights(tmp_path / "full")

    def no_space(file: BinaryIO, **arrays: object) -> None:
        file.write(b"half a checkpoint")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(minikws.checkpoint.np, "savez", no_space)
    trainer.train_step()
    with pytest.raises(RunError, match=r"checkpoint-3\.npz cannot be written \(No space left"):
        trainer.save()
    assert final_weights(tmp_path / "full") == before
    assert len(list((tmp_path / "full" / "checkpoints").iterdir())) == 1


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_checkpoint_is_named(damage: str, finished: TrainReport, tmp_path: Path) -> None:
    whole = Path(finished.checkpoint).read_bytes()
    content = {"cut": whole[: len(whole) // 2], "text": b"hello", "empty": b""}[damage]
    path = write_file(tmp_path / "checkpoint-1.npz", content)
    with pytest.raises(RunError, match=r"checkpoint-1\.npz is not a checkpoint .* or is damaged"):
        load(path)


def test_missing_calibration_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"calibration\.npz is missing or damaged"):
        read_calibration(tmp_path)
