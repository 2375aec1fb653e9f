"""Which takes are fit: levels worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from minikws._typing import Samples
from minikws.streaming.take import SoundReader, decibels, judge, rms

RATE = 8000


def spoken(amplitude: int, at: int = 5000, length: int = 2000) -> Samples:
    """Return 1.5 s with a square wave in it."""
    sound = np.zeros(12_000, np.int16)
    sound[at : at + length] = amplitude * np.where(np.arange(length) % 40 < 20, 1, -1)
    return sound


def noise(amplitude: int) -> Samples:
    return np.tile(np.array([amplitude, -amplitude], np.int16), 2000)


def fault(sound: Samples, background: Samples) -> str:
    return judge(sound, background, clip_samples=RATE, sample_rate_hz=RATE).fault


def test_the_loudest_stretch_is_taken() -> None:
    for at in (0, 3000, 10_000):
        take = judge(spoken(9000, at), noise(20), clip_samples=RATE, sample_rate_hz=RATE)
        assert len(take.clip) == RATE
        assert np.count_nonzero(take.clip) == 2000  # the whole word is in it
        assert take.level_db == pytest.approx(20 * np.log10(9000 / 32768))
        assert take.fault == ""


def test_faults() -> None:
    assert fault(spoken(32_767), noise(20)).startswith("too loud: 2000 samples clip")
    assert fault(spoken(-32_768, length=3), noise(20)) == ""  # three are no clipping
    assert fault(spoken(1035), noise(20)).startswith("too quiet: -30 dB at its loudest")
    assert fault(spoken(1037), noise(20)) == ""  # -30 dB are 1036.2
    assert fault(spoken(4000), noise(2010)).startswith("only 6 dB louder than the background")
    assert fault(spoken(4000), noise(1990)) == ""
    assert fault(spoken(0), noise(0)).startswith("too quiet: -96 dB")


def test_measures() -> None:
    assert rms(noise(300)) == 300
    assert rms(np.zeros(0, np.int16)) == 0
    assert decibels(32768) == 0
    assert decibels(3276.8) == pytest.approx(-20)


def test_a_reader_gives_what_is_asked_for() -> None:
    sound = np.arange(100, dtype=np.int16)
    reader = SoundReader(iter(np.split(sound, [3, 3, 50])))
    found = [reader.read(n) for n in (0, 2, 10, 60, 20, 50, 5)]
    assert [len(piece) for piece in found] == [0, 2, 10, 60, 20, 8, 0]
    np.testing.assert_array_equal(np.concatenate(found), sound)
