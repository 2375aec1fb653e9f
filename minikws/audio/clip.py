"""One channel of a WAV file at the rate and length that a model wants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from minikws._typing import Samples
from minikws.audio.read import read_wav
from minikws.audio.values import from_float, to_float
from minikws.errors import AudioError, import_extra


def read_clip(
    path: str | Path,
    *,
    sample_rate_hz: int,
    n_samples: int | None = None,
    on_message: Callable[[str], None] | None = None,
) -> Samples:
    """Read the first channel of a WAV file at the rate and length that a model wants.

    Parameters
    ----------
    sample_rate_hz : the wanted rate; a file of another one is resampled (needs soxr).
    n_samples : the wanted length: longer sound is cropped, shorter zero-padded at its end.
    on_message : is told in a sentence when the sound was resampled.

    Returns
    -------
    (n_samples,) int16, or the file's own length where None.

    Raises
    ------
    AudioError : the file cannot be read, or holds no sound.
    MissingExtraError : it has another rate, and soxr is not installed.
    """
    wav = read_wav(path)
    if wav.samples.shape[0] == 0:
        raise AudioError(
            f"{path} is a WAV file without a single sample; record it again, or delete it"
        )
    samples = wav.samples[:, 0]
    if wav.sample_rate_hz != sample_rate_hz:
        samples = resample(samples, wav.sample_rate_hz, sample_rate_hz)
        if on_message is not None:
            on_message(f"{path} is {wav.sample_rate_hz} Hz, resampled to {sample_rate_hz} Hz")
    if n_samples is None:
        return np.ascontiguousarray(samples)
    clip = np.zeros(n_samples, np.int16)
    clip[: samples.shape[0]] = samples[:n_samples]
    return clip


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Return samples (N,) or (N, C) of one rate at another, N * to_hz / from_hz long.

    By soxr in float32 at its high quality, rounded by `from_float` (soxr's own 16-bit form
    would add random dither).

    Raises
    ------
    MissingExtraError : soxr is not installed.
    """
    if from_hz == to_hz:
        return samples
    soxr = import_extra(
        "soxr", extra="train", purpose=f"resampling sound from {from_hz} Hz to {to_hz} Hz"
    )
    return from_float(soxr.resample(to_float(samples), from_hz, to_hz, quality="HQ"))
