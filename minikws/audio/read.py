"""A whole WAV file in memory: its samples, and what its header says of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from minikws._typing import Samples
from minikws.audio.pcm import decode
from minikws.audio.riff import chunks, find_wav_head
from minikws.errors import AudioError


@dataclass(frozen=True, eq=False)
class Wav:
    """What a WAV file holds.

    samples : (N, C) int16, read-only.
    sample_rate_hz : as the header says.
    bits : bits a sample in the file.
    format_name : the file's format in words, "16-bit PCM" or "32-bit float".
    n_clipped : values of a float file beyond [-1, 1], which were clamped.
    """

    samples: Samples
    sample_rate_hz: int
    bits: int = 16
    format_name: str = "16-bit PCM"
    n_clipped: int = 0


def read_wav(path_or_bytes: str | Path | bytes, *, name: str | None = None) -> Wav:
    """Read a WAV file: PCM of 8, 16, 24 or 32 bits or float of 32 or 64, any channels, any rate.

    Parameters
    ----------
    path_or_bytes : the file, or what it holds.
    name : what error messages call it; the path where none is given.

    Returns
    -------
    Wav : its samples (N, C) int16. 16-bit PCM is unchanged, 8-bit shifted left, all else
        rounded by `from_float`. A header without sound gives N = 0, as in TensorFlow.

    Raises
    ------
    AudioError : not there, not readable, not a WAV, a codec other than PCM and float, cut.

    Source: DecodeWav, tensorflow/core/lib/wav/wav_io.cc.
    Differs: also takes chunks of any name and order, WAVE_FORMAT_EXTENSIBLE, padding after
    odd chunks, other widths, bytes after the data, and the lengths of streams (0xFFFFFFFF,
    0x80000000, 0x7FFF0000), which mean "to the end of the file". Any other length beyond the
    end is an error: the file was cut. A rate of 0 is an error too.
    """
    if isinstance(path_or_bytes, bytes):
        content, name = path_or_bytes, name or "the WAV data"
    else:
        name = name or str(path_or_bytes)
        content = _read_bytes(Path(path_or_bytes), name)
    head = find_wav_head(content, name)
    if head is None:
        has_format = any(chunk_id == b"fmt " for chunk_id, _, _ in chunks(content))
        missing = "sound (data chunk)" if has_format else "format (fmt chunk)"
        raise AudioError(
            f"{name} is a WAV file without its {missing} in {len(content)} bytes, probably cut; "
            "copy or record it again"
        )
    data = content[head.start : head.start + head.sound_bytes(len(content))]
    samples, n_clipped = decode(data, head.format, name)
    samples.flags.writeable = False
    return Wav(samples, head.sample_rate_hz, head.format.bits, head.format.words, n_clipped)


def _read_bytes(path: Path, name: str) -> bytes:
    """Return what the file holds, or say why not."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise AudioError(f"{name} does not exist; check the path") from error
    except OSError as error:
        if path.is_dir():
            raise AudioError(f"{name} is a folder, expected a WAV file; name one in it") from error
        if isinstance(error, PermissionError):
            raise AudioError(f"{name} may not be read; check its permissions") from error
        raise AudioError(
            f"{name} cannot be read ({error.strerror or error}); check the disk"
        ) from error
