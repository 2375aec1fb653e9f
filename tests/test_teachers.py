"""Trained models that help: they must fit, and clips without labels are drawn for their share."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minikws.checkpoint import RunConfig
from minikws.classifiers import open_classifier, open_classifiers
from minikws.cli.main import main
from minikws.data.batches import TrainingBatches
from minikws.data.corpus import Clip, Corpus
from minikws.errors import CorpusError, RunError, SettingsError
from minikws.runs import open_corpus
from minikws.settings import (
    AugmentSettings,
    CorpusSettings,
    MicroSettings,
    PseudoSettings,
    TeacherSettings,
    TrainSettings,
)
from minikws.train import Trainer
from minikws.unlabelled import label_folder, read_labelled


@pytest.fixture(scope="module")
def config(tone_corpus: Path) -> RunConfig:
    return RunConfig(
        model="tiny_conv",
        frontend=MicroSettings(clip_ms=250, n_mels=8).to_json(),
        labels=("_silence_", "_unknown_", "low", "high"),
        data_dir=str(tone_corpus),
        corpus_digest="",
        corpus=CorpusSettings(wanted_words=("low", "high"), silence_pct=25, unknown_pct=25),
        augment=AugmentSettings(time_shift_ms=20),
        train=TrainSettings(steps=(80,), learning_rates=(0.01,), batch_size=20),
    )


@pytest.fixture(scope="module")
def corpus(config: RunConfig) -> Corpus:
    return open_corpus(config)


@pytest.fixture(scope="module")
def run_dir(config: RunConfig, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(Trainer(config, corpus, tmp_path_factory.mktemp("teachers") / "run").run().run_dir)


def test_a_run_and_its_export_teach_the_same(run_dir: Path, corpus: Corpus, tmp_path: Path) -> None:
    """An int8 score is a multiple of 1/256, rounded from logits that are in steps as well."""
    file = tmp_path / "tones.tflite"
    assert main(["export", str(run_dir), "--out", str(file)]) == 0
    samples = corpus.clean(corpus.partitions["testing"])
    whole, exported = (open_classifier(path) for path in (run_dir, file))
    assert whole.labels == exported.labels == corpus.labels
    logits = exported.logits(samples)
    assert logits.min() >= np.log(np.float32(1 / 512))
    by_run, by_file = (t.probabilities(samples) for t in (whole, exported))
    assert np.abs(by_run - by_file).max() < 0.1
    assert (by_run.argmax(1) == by_file.argmax(1)).mean() > 0.9


def test_a_teacher_must_know_the_same_labels_and_hear_the_same(
    run_dir: Path, config: RunConfig, corpus: Corpus, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=r"has the labels _silence_.*, this training has a,b"):
        open_classifiers([run_dir], ("a", "b"), sample_rate_hz=16_000, clip_samples=4000)
    with pytest.raises(SettingsError, match=r"takes 4000 samples at 16000 Hz, .* has 16000 at"):
        open_classifiers([run_dir], corpus.labels, sample_rate_hz=16_000, clip_samples=16_000)
    gone = replace(config, teacher=TeacherSettings(model=str(tmp_path / "gone")))
    with pytest.raises(RunError, match=r"there is no run or checkpoint .*gone"):
        Trainer(gone, corpus, tmp_path / "x")


@pytest.mark.parametrize(
    ("temperature", "share", "sentence"),
    [(0.0, 0.5, r"temperature=0 is not above 0"), (1.0, 1.5, r"teacher_share=1\.5 is not")],
)
def test_teachings_that_cannot_work(temperature: float, share: float, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        TeacherSettings(model="x", temperature=temperature, share=share)


@pytest.mark.parametrize("given", [{"threshold": 1.2}, {"share": -0.1}])
def test_pseudo_shares_that_cannot_work(given: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=r"the pseudo labels' \w+=.* is not between 0 and 1"):
        PseudoSettings(folder="x", **given)


def test_models_label_a_folder_of_any_depth(run_dir: Path, corpus: Corpus, tmp_path: Path) -> None:
    folder = tmp_path / "wild"
    (folder / "a" / "b").mkdir(parents=True)
    for word in ("low", "high"):
        for path in sorted((corpus.folder / word).iterdir())[:4]:
            shutil.copy(path, folder / "a" / "b" / f"{word}_{path.name}")
    settings = PseudoSettings(folder=str(folder), models=(str(run_dir), str(run_dir)))
    said: list[str] = []
    clips = label_folder(settings, corpus, tmp_path / "run", said.append)
    assert len(clips) >= 4
    assert all(clip.path is not None and clip.path.name.startswith(clip.word) for clip in clips)
    assert f"{len(clips)} of 8 recordings" in said[0]
    assert read_labelled(tmp_path / "run", corpus) == clips
    with (tmp_path / "run" / "pseudo_labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(float(row["probability"]) >= 0.6 for row in rows)
    assert rows[0]["models"] == f"{run_dir};{run_dir}"


def test_clips_of_validation_and_test_are_never_drawn(
    run_dir: Path, corpus: Corpus, tmp_path: Path
) -> None:
    settings = PseudoSettings(folder=str(corpus.folder), models=(str(run_dir),), threshold=0.0)
    paths = {clip.path for clip in label_folder(settings, corpus, tmp_path)}
    held_out = {clip.path for part in ("validation", "testing") for clip in corpus.partitions[part]}
    assert paths and not paths & held_out


def test_word_folders_are_labels(corpus: Corpus, tmp_path: Path) -> None:
    folder = tmp_path / "more"
    for word in ("low", "middle"):
        path = sorted((corpus.folder / word).iterdir())[0]
        (folder / word).mkdir(parents=True)
        shutil.copy(path, folder / word / "one.wav")
    clips = label_folder(PseudoSettings(folder=str(folder)), corpus, tmp_path / "run")
    assert sorted(clip.word for clip in clips) == ["_unknown_", "low"]
    shutil.rmtree(folder / "low")
    with pytest.raises(SettingsError, match=r"no folder .* is named after a label .*found middle"):
        label_folder(PseudoSettings(folder=str(folder)), corpus, tmp_path / "run")


def test_nothing_clear_enough(config: RunConfig, corpus: Corpus, tmp_path: Path) -> None:
    """A model after a single step is sure of nothing."""
    first_step = replace(config, train=replace(config.train, steps=(1,), learning_rates=(1e-6,)))
    unsure = Trainer(first_step, corpus, tmp_path / "unsure").run().run_dir
    folder = tmp_path / "hard"
    folder.mkdir()
    shutil.copy(sorted((corpus.folder / "middle").iterdir())[0], folder / "x.wav")
    settings = PseudoSettings(folder=str(folder), models=(unsure,), threshold=0.9)
    with pytest.raises(CorpusError, match=r"none of the 1 recordings .* the threshold 0\.9;"):
        label_folder(settings, corpus, tmp_path / "run")
    with pytest.raises(RunError, match=r"pseudo_labels\.csv is missing or damaged"):
        read_labelled(tmp_path / "nowhere", corpus)


@pytest.mark.parametrize(("share", "n_extra"), [(0.0, 0), (0.6, 6), (1.0, 10)])
def test_extra_clips_fill_their_share_of_a_batch(
    share: float, n_extra: int, corpus: Corpus
) -> None:
    path = next(c.path for c in corpus.partitions["testing"] if c.path is not None)
    extra = [Clip(3, "high", path)] * 5
    own = sum(clip.label != 3 for clip in corpus.partitions["training"])
    batches = TrainingBatches(corpus, AugmentSettings(), extra=extra, extra_share=share)
    assert own > 0
    chosen = batches._choose(10, np.random.default_rng(0))
    assert (chosen >= len(corpus.partitions["training"])).sum() == n_extra
    samples, labels = batches.draw(10, np.random.default_rng(0))
    assert samples.shape == (10, 4000)
    assert (labels[10 - n_extra :] == 3).all()
