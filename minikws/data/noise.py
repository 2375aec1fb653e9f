"""Noise of any color, made by shaping a spectrum: background to mix under words, and silence.

In: colors, a length, a rate and a seed. Out: WAV files in a data folder's background noise. A
color is how the power falls with frequency, as 1/f**slope: white is level, pink loses 3 dB an
octave (wind, traffic), brown 6 (a far rumble); blue gains 3 and violet 6 (hiss).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minikws._typing import Float64, Samples
from minikws.audio import FULL_SCALE, from_float, write_wav
from minikws.errors import CorpusError, SettingsError, nearest
from minikws.labels import BACKGROUND_FOLDER

COLORS = {"white": 0.0, "pink": 1.0, "brown": 2.0, "blue": -1.0, "violet": -2.0}  # slopes

LOWEST_HZ = 20  # below it the power stays level, else brown noise is all rumble nobody hears
LONGEST_S = 3600


def colored_noise(
    n_samples: int, slope: float, rng: np.random.Generator, *, sample_rate_hz: int
) -> Float64:
    """Return noise (N,) with RMS 1 whose power falls as 1/f**slope: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    bins = np.arange(spectrum.shape[0], dtype=np.float64)
    lowest = max(1.0, LOWEST_HZ * n_samples / sample_rate_hz)
    spectrum *= np.maximum(bins, lowest) ** (-slope / 2)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, n_samples)
    noise /= np.sqrt(np.mean(noise**2))
    return noise


def noise_samples(color: str, *, seconds: float, sample_rate_hz: int, seed: int) -> Samples:
    """Return noise of a color, (N,) int16; the same for the same seed, whatever else is made.

    Its loudest sample is full scale, as in the white and pink noise of Speech Commands: the
    volumes of `train` (--background-volume 0.1) are shares of such a recording.

    Raises
    ------
    SettingsError : an unknown color, or a length, rate or seed that cannot be.
    """
    _check(color, seconds, sample_rate_hz, seed)
    rng = np.random.default_rng([seed, list(COLORS).index(color)])
    n_samples = math.ceil(seconds * sample_rate_hz)
    noise = colored_noise(n_samples, COLORS[color], rng, sample_rate_hz=sample_rate_hz)
    return from_float(noise * ((1 - 1 / FULL_SCALE) / np.abs(noise).max()))


def write_noise(
    folder: str | Path,
    colors: Sequence[str] = tuple(COLORS),
    *,
    seconds: float = 60.0,
    sample_rate_hz: int = 16_000,
    seed: int,
) -> list[Path]:
    """Write COLOR_noise.wav of each color into a data folder's ``_background_noise_``.

    Parameters
    ----------
    folder : the data folder, or its ``_background_noise_`` itself; made where it is missing.

    Raises
    ------
    CorpusError : one of the files is there already; nothing is written then.
    SettingsError : as `noise_samples`, or a color twice.
    RunError : a file cannot be written.
    """
    folder = Path(folder)
    if folder.name != BACKGROUND_FOLDER:
        folder = folder / BACKGROUND_FOLDER
    for color in colors:
        if colors.count(color) > 1:
            raise SettingsError(f"the color {color!r} is named twice; name it once")
        _check(color, seconds, sample_rate_hz, seed)
    files = [folder / f"{color}_noise.wav" for color in colors]
    there = [file for file in files if file.exists()]
    if there:
        raise CorpusError(
            f"{', '.join(map(str, there))} {'is' if len(there) == 1 else 'are'} there already and "
            "would be overwritten; name other --colors or another --out, or delete what is there"
        )
    for color, file in zip(colors, files, strict=True):
        samples = noise_samples(color, seconds=seconds, sample_rate_hz=sample_rate_hz, seed=seed)
        write_wav(file, samples, sample_rate_hz)
    return files


def _check(color: str, seconds: float, sample_rate_hz: int, seed: int) -> None:
    if color not in COLORS:
        raise SettingsError(f"unknown color of noise {color!r}; {nearest(color, COLORS)}")
    if not 1000 <= sample_rate_hz <= 384_000:
        raise SettingsError(
            f"the rate {sample_rate_hz} is not a whole number from 1000 to 384000; give it in Hz"
        )
    if not 1 <= seconds <= LONGEST_S:
        raise SettingsError(
            f"{seconds:g} seconds of noise are not between 1 and {LONGEST_S}; 60 are usual"
        )
    if seed < 0:
        raise SettingsError(f"seed={seed} is negative; give 0 or more")
