"""Colored noise: its slope in dB an octave, its level, and files that are never overwritten."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from minikws.audio import read_wav
from minikws.cli.main import main
from minikws.data.noise import COLORS, colored_noise, noise_samples, write_noise
from minikws.errors import CorpusError, RunError, SettingsError

# Power proportional to 1/f**a: an octave up it changes by -a * 10 * log10(2) = -3.01 a dB.
DB_AN_OCTAVE = {"white": 0.0, "pink": -3.01, "brown": -6.02, "blue": 3.01, "violet": 6.02}


@pytest.mark.parametrize("rate", [8000, 16_000])
@pytest.mark.parametrize("color", DB_AN_OCTAVE)
def test_the_power_falls_by_its_slope(color: str, rate: int) -> None:
    samples = noise_samples(color, seconds=20, sample_rate_hz=rate, seed=5)
    assert samples.dtype == np.int16
    assert samples.shape == (20 * rate,)
    power = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / rate)
    # A level a third of an octave, so that each octave weighs the same in the regression.
    edges = 50 * 2 ** (np.arange(3 * 6 + 1) / 3)
    levels = [
        10 * np.log10(power[(hz >= low) & (hz < high)].mean()) for low, high in pairwise(edges)
    ]
    # The mean of 1/f**a over a third of an octave has the same slope from band to band.
    slope = np.polyfit(np.arange(len(levels)) / 3, levels, 1)[0]
    assert slope == pytest.approx(DB_AN_OCTAVE[color], abs=0.15)


def test_the_loudest_sample_is_full_scale_and_the_mean_is_none() -> None:
    for color in COLORS:
        samples = noise_samples(color, seconds=2, sample_rate_hz=16_000, seed=0).astype(np.int64)
        assert np.abs(samples).max() == 32767
        assert np.count_nonzero(np.abs(samples) == 32767) == 1
        assert abs(samples.mean()) < 1


def test_rms_is_one_and_inaudible_rumble_stays_level() -> None:
    noise = colored_noise(160_000, 2.0, np.random.default_rng(0), sample_rate_hz=16_000)
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1.0)
    power = np.abs(np.fft.rfft(noise)) ** 2  # bins of 0.1 Hz
    assert power[1:100].mean() == pytest.approx(power[100:200].mean(), rel=0.5)


def test_a_color_is_the_same_whatever_else_is_made(tmp_path: Path) -> None:
    alone = write_noise(tmp_path / "a", ["blue"], seconds=1, seed=7)
    among = write_noise(tmp_path / "b", ["pink", "blue"], seconds=1, seed=7)
    other = write_noise(tmp_path / "c", ["blue"], seconds=1, seed=8)
    assert alone[0].read_bytes() == among[1].read_bytes() != other[0].read_bytes()


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["data", "noise", "--out", str(tmp_path / "words"), "--seconds", "1.5"]
    assert main([*command, "--rate", "8000", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    folder = tmp_path / "words" / "_background_noise_"
    names = [f"{color}_noise.wav" for color in ("white", "pink", "brown", "blue", "violet")]
    assert record == {
        "out": str(folder), "files": names, "seconds": 1.5, "sample_rate_hz": 8000
    }  # fmt: skip
    for name in names:
        wav = read_wav(folder / name)
        assert (wav.sample_rate_hz, wav.samples.shape) == (8000, (12_000, 1))
    white = (folder / "white_noise.wav").read_bytes()
    assert main([*command, "--colors", "White"]) == 1
    assert "white_noise.wav is there already" in capsys.readouterr().err
    assert (folder / "white_noise.wav").read_bytes() == white


def test_nothing_is_written_where_one_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "_background_noise_"  # named itself, it is not nested
    (brown,) = write_noise(folder, ["brown"], seconds=1, seed=0)
    assert brown == folder / "brown_noise.wav"
    with pytest.raises(CorpusError, match=r"brown_noise\.wav is there already .*; name other"):
        write_noise(folder, ["white", "brown"], seconds=1, seed=0)
    assert not (folder / "white_noise.wav").exists()


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingsError, match=r"unknown color of noise 'brwn'; did you mean brown\?"):
        write_noise(tmp_path, ["white", "brwn"], seconds=1, seed=0)
    with pytest.raises(SettingsError, match="'white' is named twice"):
        write_noise(tmp_path, ["white", "white"], seconds=1, seed=0)
    for seconds in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(SettingsError, match="not between 1 and 3600; 60 are usual"):
            write_noise(tmp_path, seconds=seconds, seed=0)
    with pytest.raises(SettingsError, match="seed=-1 is negative"):
        write_noise(tmp_path, seed=-1)
    with pytest.raises(SettingsError, match="the rate 16 is not"):
        write_noise(tmp_path, sample_rate_hz=16, seed=0)
    assert list(tmp_path.iterdir()) == []
    assert main(["data", "noise", "--out", str(tmp_path), "--colors", ","]) == 1
    assert "no color in --colors ','; name some of white,pink" in capsys.readouterr().err
    (tmp_path / "_background_noise_").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        write_noise(tmp_path, ["white"], seconds=1, seed=0)
