"""A run that is repeated, interrupted and resumed ends with the same weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

import minikws.checkpoint
from minikws.checkpoint import RunConfig, checkpoints_in, load
from minikws.data.corpus import Corpus
from minikws.errors import RunError, SettingsError
from minikws.files import write_file
from minikws.settings import AugmentSettings, CorpusSettings, MicroSettings, TrainSettings
from minikws.train import Trainer, TrainReport, load_network, open_corpus, read_calibration


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
    resumed = Trainer(config, corpus, tmp_path / "cut", resume=True)
    assert resumed.step == stop_after
    report = resumed.run()
    assert final_weights(report.run_dir) == final_weights(finished.run_dir)
    assert report.confusion_matrix == finished.confusion_matrix
    rows = (tmp_path / "cut" / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "50", "100", "150"]


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
