"""Settings derive samples as TensorFlow does, and refuse what cannot work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minikws.errors import SettingsError
from minikws.settings import (
    AugmentSettings,
    CorpusSettings,
    MicroSettings,
    PseudoSettings,
    TeacherSettings,
    TrainSettings,
)


@pytest.mark.parametrize(
    ("settings", "expected"),
    # speech_commands.md 3.1: clip, window, hop in samples, and T.
    [
        (MicroSettings(), (16_000, 480, 320, 49)),
        (MicroSettings(hop_ms=10), (16_000, 480, 160, 98)),
        (MicroSettings(window_ms=10), (16_000, 160, 320, 50)),
        (MicroSettings(sample_rate_hz=22_050, clip_ms=5000, hop_ms=10), (110_250, 661, 220, 499)),
    ],
)
def test_samples_and_frames(settings: MicroSettings, expected: tuple[int, ...]) -> None:
    found = (
        settings.clip_samples,
        settings.window_samples,
        settings.hop_samples,
        settings.n_frames,
    )
    assert found == expected


def test_json_and_back() -> None:
    settings = MicroSettings(hop_ms=10, enable_pcan=False, variant="pymicro")
    assert MicroSettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"hop_ms": 0.03}, r"hop_ms=0\.03 is shorter than one sample at 16000 Hz"),
        ({"window_ms": 2000.0}, r"window of 2000 ms is longer than the clip of 1000 ms"),
        ({"upper_hz": 9000.0}, r"125 to 9000 Hz does not fit into 0 to 8000 Hz"),
        ({"variant": "tensorflw"}, r"did you mean tensorflow\?"),
        ({"n_mel": 40}, r"no setting 'n_mel'; did you mean n_mels\?"),
        ({"sample_rate_hz": 16}, r"sample_rate_hz=16 "),
        ({"window_ms": "thirty"}, r"window_ms=.thirty. is not a number; write it as 0\.1"),
    ],
)
def test_what_cannot_work_is_said(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        MicroSettings.from_json(given)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"steps": (1, 2), "learning_rates": (0.1,)}, r"2 phases and learning_rate 1"),
        ({"steps": (0,), "learning_rates": (0.1,)}, r"holds no step"),
        ({"steps": (1,), "learning_rates": (-0.1,)}, r"not between 0 and 1e6"),
        ({"steps": (1,), "learning_rates": (0.1,), "batch_size": 0}, r"batch_size=0"),
        ({"steps": (1,), "learning_rates": (0.1,), "dropout_rate": 1.0}, r"dropout_rate=1"),
    ],
)
def test_training_that_cannot_work(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        TrainSettings(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: CorpusSettings(wanted_words="yes,no"), "wanted_words='yes,no' is not a list of w"),
        (
            lambda: CorpusSettings(wanted_words=("a",), silence_pct="10"),
            "silence_pct='10' is not a",
        ),
        (
            lambda: TrainSettings(steps=100, learning_rates=0.1),
            "steps=100 is not a list of whole n",
        ),
        (lambda: TrainSettings(steps=(1.5,), learning_rates=(0.1,)), "steps=.1.5,. is not a list"),
        (lambda: AugmentSettings(time_masks=1.5), "time_masks=1.5 is not a whole number"),
        (lambda: AugmentSettings(time_masks=True), "time_masks=True is not a whole number"),
        (lambda: MicroSettings(enable_log=1), "enable_log=1 is not a yes or no"),
        (lambda: MicroSettings(clip_ms=float("inf")), "clip_ms=inf is not below 1e.07"),
        (lambda: PseudoSettings(folder=None), "folder=None is not a text"),
    ],
)
def test_values_of_another_type(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        make()


def test_lists_arrays_and_paths_become_what_is_stored() -> None:
    given = TrainSettings(steps=[100], learning_rates=np.array([0.5]), batch_size=np.int64(20))
    stored = TrainSettings(steps=(100,), learning_rates=(0.5,), batch_size=20)
    assert given == stored
    assert type(given.batch_size) is int
    assert TeacherSettings(model=Path("runs/a")).model == "runs/a"


def test_percentages_and_shares() -> None:
    with pytest.raises(SettingsError, match="nothing to train on"):
        CorpusSettings(wanted_words=("a",), validation_pct=50, testing_pct=50)
    with pytest.raises(SettingsError, match="no wanted word"):
        CorpusSettings(wanted_words=())
    with pytest.raises(SettingsError, match=r"background_volume=3 is not between 0 and 1"):
        AugmentSettings(background_volume=3)
    with pytest.raises(SettingsError, match=r"lead_in_share=1.5 is not between 0 and 1"):
        AugmentSettings(lead_in_share=1.5)
    for odd in (-1, 60_001, float("nan")):
        with pytest.raises(SettingsError, match=f"lead_in_ms={odd} is not between 0 and 60000"):
            AugmentSettings(lead_in_ms=odd)
