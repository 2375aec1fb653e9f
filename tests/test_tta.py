"""Copies of a clip by hand, and the mean of a model's answers about them."""

from __future__ import annotations

import numpy as np
import pytest

from minikws._typing import Array, Samples
from minikws.copies import parse_copies
from minikws.errors import SettingsError
from minikws.tta import averaged, make_copy, shift, stretch

RATE = 16_000


def test_names() -> None:
    assert parse_copies("") == ("left", "louder")
    assert parse_copies(" Shift, gain,stretch") == (
        "left", "right", "louder", "quieter", "slower", "faster"
    )  # fmt: skip
    assert parse_copies("louder,gain,louder") == ("louder", "quieter")
    with pytest.raises(SettingsError, match=r"no copy 'strech' to average; did you mean stretch\?"):
        parse_copies("left,strech")


def test_shift_moves_93_75_ms_and_fills_zeros() -> None:
    samples = np.arange(1, 2 * RATE + 1, dtype=np.int16).reshape(2, RATE)
    left = make_copy(samples, "left", sample_rate_hz=RATE)
    np.testing.assert_array_equal(left[:, :-1500], samples[:, 1500:])
    assert not left[:, -1500:].any()
    right = make_copy(samples, "right", sample_rate_hz=RATE)
    np.testing.assert_array_equal(right[:, 1500:], samples[:, :-1500])
    assert not right[:, :1500].any()
    right = make_copy(samples, "right", sample_rate_hz=8000)
    np.testing.assert_array_equal(right[:, 750:], samples[:, :-750])
    assert shift(samples[:, :3], -5).tolist() == [[0, 0, 0]] * 2
    assert shift(samples[:, :3], 5).tolist() == [[0, 0, 0]] * 2


def test_gain_is_clamped() -> None:
    samples = np.array([[100, -3, 30_000, -30_000]], np.int16)
    louder = make_copy(samples, "louder", sample_rate_hz=RATE)
    assert louder.dtype == np.int16
    assert louder.tolist() == [[120, -4, 32767, -32768]]  # -3.6 rounds
    quieter = make_copy(samples, "quieter", sample_rate_hz=RATE)
    assert quieter.tolist() == [[83, -2, 25_000, -25_000]]  # 83.33, -2.5 to even


def test_no_stretch_is_the_sound_itself() -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, (3, 400)).astype(np.int16)
    np.testing.assert_array_equal(stretch(samples, 1.0), samples)


@pytest.mark.parametrize(("name", "factor"), [("slower", 1.05), ("faster", 1 / 1.05)])
@pytest.mark.parametrize("hertz", [100.0, 1000.0, 4000.0])
def test_a_stretched_tone_is_a_tone_of_another_pitch(
    name: str, factor: float, hertz: float
) -> None:
    time_s = (np.arange(RATE) - (RATE - 1) / 2) / RATE  # 0 in the middle, which stays
    tone = np.round(10_000 * np.cos(2 * np.pi * hertz * time_s + 1)).astype(np.int16)[None]
    expected = 10_000 * np.cos(2 * np.pi * hertz / factor * time_s + 1)
    found = make_copy(tone, name, sample_rate_hz=RATE)[0]
    outside = np.abs(time_s / factor) > 0.5
    assert not found[np.abs(time_s / factor) > 0.5 + 8 / RATE].any()
    assert outside.any() == (name == "faster")
    inside = np.abs(time_s / factor) < 0.5 - 8 / RATE
    # A Hann window's ripple is 44 dB below the tone at most (Oppenheim and Schafer, table 7.2).
    assert np.abs(found - expected)[inside].max() < 10_000 * 10 ** (-44 / 20)
    assert found.dtype == np.int16


def test_a_stretch_is_clamped() -> None:
    square = np.where(np.arange(400) // 20 % 2, 32767, -32768).astype(np.int16)[None]
    stretched = stretch(square, 1.05)  # the sinc overshoots at each edge
    assert stretched.max() == 32767
    assert stretched.min() == -32768
    assert np.sum(np.abs(np.diff(stretched[0].astype(np.int64))) > 50_000) <= 20


def test_the_mean_of_the_clip_and_its_copies() -> None:
    def probabilities(samples: Samples) -> Array:
        loudest = samples.max(1).astype(np.float32)
        return np.stack([loudest, samples[:, 0] * np.float32(2)], 1)

    samples = np.zeros((2, RATE), np.int16)
    samples[0, 1500], samples[1, 0] = 100, 60
    mean = averaged(probabilities, ("left", "louder"), sample_rate_hz=RATE)(samples)
    assert mean.dtype == np.float64
    # Clip 0: loudest 100, 100 moved to the front, 120. Clip 1: 60, moved out, 72.
    np.testing.assert_allclose(
        mean, [[320 / 3, (0 + 200 + 0) / 3], [132 / 3, (120 + 0 + 144) / 3]], rtol=1e-12
    )
    alone = averaged(probabilities, (), sample_rate_hz=RATE)(samples)
    np.testing.assert_array_equal(alone, probabilities(samples))
