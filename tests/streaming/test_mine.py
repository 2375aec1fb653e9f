"""False alarms as clips: the sound that was heard, where the next training finds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minikws.audio import read_wav
from minikws.data.splits import split_of
from minikws.streaming.evaluate import Heard, Spoken
from minikws.streaming.mine import Mine, training_speaker


def heard(end_ms: float, state: str = "False Positive", label: str = "yes") -> Heard:
    return Heard(end_ms - 1000, label, end_ms, state, None)


@pytest.mark.parametrize("chunk", [300, 1600, 100_000])
def test_the_clip_is_what_was_heard(chunk: int, tmp_path: Path) -> None:
    sound = np.random.default_rng(0).integers(-3000, 3000, 20_000).astype(np.int16)
    truth = [Spoken(0, "_unknown_"), Spoken(15_000, "no")]
    mine = Mine(tmp_path, "kitchen", truth, sample_rate_hz=1000, clip_samples=1000)
    paths = []
    for start in range(0, len(sound), chunk):
        piece = sound[start : start + chunk]
        mine.hear(piece)
        paths += [
            mine.keep(heard(end)) for end in (1200, 7300) if start < end <= start + len(piece)
        ]
    assert [path.name for path in paths if path] == [
        "kitchen_nohash_1200.wav",
        "kitchen_nohash_7300.wav",
    ]
    for path, end in zip(paths, (1200, 7300), strict=True):
        assert path is not None
        assert path.parent == tmp_path / "_unknown_"
        wav = read_wav(path)
        assert wav.sample_rate_hz == 1000
        np.testing.assert_array_equal(wav.samples[:, 0], sound[end - 1000 : end])
    assert mine.report() == f"2 false alarms kept as clips in {tmp_path / '_unknown_'}"


def test_what_is_not_kept(tmp_path: Path) -> None:
    mine = Mine(tmp_path, "a", [Spoken(3000, "no")], sample_rate_hz=1000, clip_samples=1000)
    mine.hear(np.zeros(6000, np.int16))
    assert mine.keep(heard(2000, "Correct")) is None
    assert mine.keep(heard(2000, label="_unknown_")) is None
    assert mine.n_left_out == 0
    # The word sounds from 3000 to 4000: clips that end by 3000 or begin from 4000 are free of it.
    for end, kept in ((3000, True), (3001, False), (4999, False), (5000, True)):
        assert (mine.keep(heard(end)) is not None) == kept
    assert mine.report().endswith("2 reach into a wanted word and were left out")


def test_the_clips_go_to_training() -> None:
    names = [f"recording {i}" for i in range(200)]
    assert {split_of(f"{name}_nohash_0.wav") for name in names} > {"testing"}
    for name in names:
        speaker = training_speaker(name)
        assert speaker.startswith(name)
        assert split_of(f"{speaker}_nohash_1234.wav") == "training"
    assert "_nohash_" not in training_speaker("a_nohash_1")
