"""The bytes of a sound to 16-bit samples, for every width of sample that is read.

16-bit PCM is taken as it is, equal to TensorFlow's DecodeWav; every other form (8, 24 and
32-bit PCM, float) is read as the real value in [-1, 1) and rounded to 16 bits by the one rule
of `from_float`, which is EncodeWav's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minikws._typing import Array, Float, Float64, Samples
from minikws.audio.values import from_float
from minikws.errors import AudioError

PCM, IEEE_FLOAT = 0x0001, 0x0003  # format codes; Source: mmreg.h


@dataclass(frozen=True)
class Format:
    """The fmt chunk: code 1 is PCM, 3 is float; `n_bytes` of one sample."""

    code: int
    n_channels: int
    sample_rate_hz: int
    n_bytes: int
    bits: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.n_bytes * self.n_channels

    @property
    def words(self) -> str:
        """The format for people: "16-bit PCM", "32-bit float"."""
        return f"{self.bits}-bit {'PCM' if self.code == PCM else 'float'}"


def decode(data: bytes, sound: Format, name: str) -> tuple[Samples, int]:
    """Return the sound as (N, C) int16, and how many float values had to be clamped.

    Raises
    ------
    AudioError : float values that are no finite number; `name` is what the message calls the file.
    """
    shape = (len(data) // sound.frame_bytes, sound.n_channels)
    n_values = shape[0] * shape[1]
    if sound.code == IEEE_FLOAT:
        values: Float = np.frombuffer(data, f"<f{sound.n_bytes}", n_values)
        if not np.isfinite(values).all():
            n_bad = int(np.count_nonzero(~np.isfinite(values)))
            raise AudioError(
                f"{name} holds {n_bad} float values that are no finite number; export it again"
            )
        return from_float(values).reshape(shape), int(np.count_nonzero(np.abs(values) > 1))
    if sound.n_bytes == 2:
        stored: Array = np.frombuffer(data, "<i2", n_values)
        return stored.astype(np.int16).reshape(shape), 0
    if sound.n_bytes == 1:  # unsigned, 128 is zero
        centred = np.frombuffer(data, np.uint8, n_values).astype(np.int16) - np.int16(128)
        return (centred * np.int16(256)).reshape(shape), 0
    return from_float(_wide_pcm(data, sound.n_bytes, n_values)).reshape(shape), 0


def _wide_pcm(data: bytes, n_bytes: int, n_values: int) -> Float64:
    """Return 24 or 32-bit PCM as float64 in [-1, 1), exactly."""
    four = np.zeros((n_values, 4), np.uint8)  # a 24-bit value is the upper bytes of a 32-bit one
    four[:, 4 - n_bytes :] = np.frombuffer(data, np.uint8, n_values * n_bytes).reshape(-1, n_bytes)
    wide: np.ndarray[Any, np.dtype[np.int32]] = four.view("<i4")[:, 0]
    return wide.astype(np.float64) * 2.0**-31
