"""The polyphase filter: tones against their formula, noise against soxr, any cut into pieces."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws._typing import Samples
from minikws.errors import SettingsError
from minikws.streaming.resample import Resampler, filter_phases
from minikws.streaming.sources import Source, at_rate

RATES = pytest.mark.parametrize(
    ("from_hz", "to_hz"),
    [(44_100, 16_000), (48_000, 16_000), (22_050, 16_000), (8000, 16_000), (44_100, 22_050)],
)
AMPLITUDE = 20_000


def resampled(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    resampler = Resampler(from_hz, to_hz)
    return np.concatenate((resampler.push(samples), resampler.finish()))


def tone(hertz: float, rate_hz: int) -> np.ndarray:
    return AMPLITUDE * np.sin(2 * np.pi * hertz * np.arange(rate_hz) / rate_hz)


@RATES
@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.89])
def test_a_tone_that_both_rates_hold_stays_as_it_is(from_hz: int, to_hz: int, share: float) -> None:
    hertz = share * min(from_hz, to_hz) / 2
    found = resampled(np.rint(tone(hertz, from_hz)).astype(np.int16), from_hz, to_hz)
    assert len(found) == to_hz
    # 80 dB below the tone are 2 steps; rounding twice adds up to 1. The ends know only silence.
    middle = slice(to_hz // 20, -to_hz // 20)
    np.testing.assert_allclose(found[middle], tone(hertz, to_hz)[middle], rtol=0, atol=3)


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(44_100, 16_000), (48_000, 16_000), (22_050, 16_000)]
)
@pytest.mark.parametrize("share", [1.0, 1.1, 1.3])
def test_a_tone_that_the_lower_rate_cannot_hold_is_gone(
    from_hz: int, to_hz: int, share: float
) -> None:
    found = resampled(np.rint(tone(share * to_hz / 2, from_hz)).astype(np.int16), from_hz, to_hz)
    assert np.abs(found[to_hz // 20 : -to_hz // 20]).max() <= 3  # -80 dB, and rounding


@RATES
def test_constant_sound_keeps_its_level(from_hz: int, to_hz: int) -> None:
    found = resampled(np.full(from_hz, 12_345, np.int16), from_hz, to_hz)
    assert set(found[1000:-1000].tolist()) == {12_345}
    up, down = Resampler(from_hz, to_hz).up, Resampler(from_hz, to_hz).down
    np.testing.assert_allclose(filter_phases(up, down).sum(1), 1, rtol=0, atol=2e-5)


@RATES
@given(cuts=st.lists(st.integers(0, 9000), max_size=12), seed=st.integers(0, 99))
def test_any_cut_gives_the_same(from_hz: int, to_hz: int, cuts: list[int], seed: int) -> None:
    sound = np.random.default_rng(seed).integers(-32768, 32768, 9000).astype(np.int16)
    resampler = Resampler(from_hz, to_hz)
    pieces = [resampler.push(piece) for piece in np.split(sound, sorted(cuts))]
    found = np.concatenate((*pieces, resampler.finish()))
    np.testing.assert_array_equal(found, resampled(sound, from_hz, to_hz))
    assert len(found) == round(9000 * to_hz / from_hz)
    again = np.concatenate((resampler.push(sound), resampler.finish()))  # finish forgets
    np.testing.assert_array_equal(found, again)


@RATES
def test_it_agrees_with_soxr(from_hz: int, to_hz: int) -> None:
    soxr = pytest.importorskip("soxr", reason="soxr absent: pip install 'minikws[train]'")
    rng = np.random.default_rng(0)
    spectrum = np.zeros(from_hz // 2 + 1, np.complex128)
    n = int(0.85 * min(from_hz, to_hz) / 2)  # noise below 85 % of the lower Nyquist frequency
    spectrum[20:n] = np.exp(2j * np.pi * rng.random(n - 20))
    noise = np.fft.irfft(spectrum)
    sound = np.rint(noise / np.abs(noise).max() * AMPLITUDE).astype(np.int16)
    expected = soxr.resample(sound / 32768, from_hz, to_hz, quality="VHQ") * 32768
    found = resampled(sound, from_hz, to_hz)
    middle = slice(to_hz // 20, -to_hz // 20)
    np.testing.assert_allclose(found[middle], expected[middle], rtol=0, atol=3)


def test_at_rate_needs_no_soxr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    sound = np.random.default_rng(0).integers(-9000, 9000, 44_100).astype(np.int16)
    source = Source("a microphone", 44_100, iter(np.split(sound, [100, 7000])))
    slow = at_rate(source, 16_000)
    assert slow.sample_rate_hz == 16_000
    found = np.concatenate(list(slow.blocks))
    np.testing.assert_array_equal(found, resampled(sound, 44_100, 16_000))


def test_rates_that_cannot_work() -> None:
    with pytest.raises(SettingsError, match="a rate is 1 or more"):
        Resampler(0, 16_000)
    with pytest.raises(SettingsError, match="44101/16000 of the other has no filter"):
        Resampler(44_101, 16_000)
