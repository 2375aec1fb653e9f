"""16-bit samples to the bytes of a WAV file: one plain header of 44 bytes, then the sound."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from minikws._typing import Samples
from minikws.audio.pcm import PCM
from minikws.audio.values import from_float
from minikws.errors import AudioError, SettingsError, ShapeError
from minikws.files import write_file


def wav_bytes(samples: Samples, sample_rate_hz: int) -> bytes:
    """Return 16-bit samples (N,) or (N, C) as a WAV file with the plain 44-byte header.

    Raises
    ------
    ShapeError : not (N,) or (N, C) int16 with C from 1 to 65535.
    SettingsError : a rate that a header cannot hold.
    AudioError : more than the 4 GB that a WAV file can hold.
    """
    if samples.dtype != np.int16 or samples.ndim not in (1, 2):
        raise ShapeError(
            f"expected samples (N,) or (N, C) int16, found {samples.shape} {samples.dtype}; "
            "real values go through encode_wav"
        )
    n_channels = 1 if samples.ndim == 1 else samples.shape[1]
    n_bytes = 2 * n_channels  # of one frame: a sample of every channel
    if not 1 <= n_channels <= 0xFFFF // 2:
        raise ShapeError(f"{n_channels} channels do not fit into a WAV file; 1 to 32767 do")
    if not 1 <= sample_rate_hz <= 0xFFFF_FFFF // n_bytes:
        raise SettingsError(
            f"a WAV file of {n_channels} channel(s) cannot have the rate {sample_rate_hz} Hz; "
            "16000 is usual"
        )
    data = samples.astype("<i2", copy=False).tobytes()
    if len(data) > 0xFFFF_FFFF - 36:
        raise AudioError(f"{len(data)} bytes of sound do not fit into a WAV file; cut it in parts")
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + len(data), b"WAVE"),
        *(b"fmt ", 16, PCM, n_channels, sample_rate_hz, sample_rate_hz * n_bytes, n_bytes, 16),
        *(b"data", len(data)),
    )
    return header + data


def encode_wav(values: ArrayLike, sample_rate_hz: int) -> bytes:
    """Return real values (N,) or (N, C) as the bytes of a 16-bit WAV file.

    Source: EncodeWav, tensorflow/core/lib/wav/wav_io.cc, byte for byte; float32 as there.
    """
    return wav_bytes(from_float(np.asarray(values, np.float32)), sample_rate_hz)


def write_wav(path: str | Path, samples: Samples, sample_rate_hz: int) -> Path:
    """Write 16-bit samples (N,) or (N, C) as a WAV file, whole or not at all.

    Raises
    ------
    RunError : the file cannot be written.
    ShapeError, SettingsError, AudioError : as `wav_bytes`.
    """
    return write_file(path, wav_bytes(samples, sample_rate_hz))
