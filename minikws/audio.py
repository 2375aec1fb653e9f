"""WAV files to 16-bit samples and back: the only place that knows how sound lies in a file.

In comes a path or the bytes of a RIFF WAVE file; out go int16 samples and the rate that the
header names. 16-bit PCM is taken as it is, equal to TensorFlow's DecodeWav; every other form
(8, 24 and 32-bit PCM, float) is read as the real value in [-1, 1) and rounded to 16 bits by
the one rule of `from_float`, which is EncodeWav's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minikws._typing import Array, Float, Float32, Float64, Samples
from minikws.errors import AudioError, SettingsError, ShapeError, import_extra
from minikws.files import write_file

FULL_SCALE = 32768  # what 1.0 is in 16 bits; every division and multiplication by it is below

PCM, IEEE_FLOAT, EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
CODECS = {  # WAV format codes in words; Source: RFC 2361 and mmreg.h
    0x0002: "Microsoft ADPCM",
    0x0006: "A-law (telephone)",
    0x0007: "mu-law (telephone)",
    0x0011: "IMA ADPCM",
    0x0014: "G.723 ADPCM",
    0x0031: "GSM 6.10",
    0x0040: "G.721 ADPCM",
    0x0045: "G.726 ADPCM",
    0x0050: "MPEG audio",
    0x0055: "MP3",
    0x0092: "Dolby AC-3",
    0x00FF: "AAC",
    0x0161: "Windows Media Audio",
    0x0162: "Windows Media Audio",
    0x0270: "ATRAC3",
    0x1600: "AAC",
    0x674F: "Ogg Vorbis",
    0x704F: "Opus",
    0xF1AC: "FLAC",
}
# The last 14 bytes of a WAVE_FORMAT_EXTENSIBLE subformat that stands for a plain format code.
PLAIN_SUBFORMAT = bytes.fromhex("000000001000800000aa00389b71")

CORE_CHUNKS = (b"fmt ", b"data")

# Writers into a pipe cannot know the length: they name 0xFFFFFFFF, 0x80000000 or 0x7FFF0000.
STREAMED_BYTES = 0x7FFF_0000

OTHER_FILES = (  # (offset, first bytes, in words): what people rename to .wav
    (0, b"RIFX", "a big-endian RIFX file"),
    (0, b"RF64", "an RF64 file (a WAV beyond 4 GB)"),
    (0, b"BW64", "a BW64 file (a WAV beyond 4 GB)"),
    (0, b"ID3", "an MP3 file"),
    (0, b"\xff\xfb", "an MP3 file"),
    (0, b"\xff\xf3", "an MP3 file"),
    (0, b"\xff\xf1", "an AAC file"),
    (0, b"OggS", "an Ogg file (Vorbis or Opus)"),
    (0, b"fLaC", "a FLAC file"),
    (0, b"FORM", "an AIFF file"),
    (0, b"caff", "a CAF file"),
    (0, b".snd", "a Sun .au file"),
    (4, b"ftyp", "an MP4 or M4A file"),
    (0, b"\x1aE\xdf\xa3", "a WebM or Matroska file"),
    (0, b"PK", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
)
CONVERT = "convert it with: ffmpeg -i IN -ac 1 -ar 16000 -c:a pcm_s16le OUT.wav"


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


@dataclass(frozen=True)
class _Format:
    """The fmt chunk: code 1 is PCM, 3 is float; `n_bytes` of one sample."""

    code: int
    n_channels: int
    sample_rate_hz: int
    n_bytes: int
    bits: int

    @property
    def words(self) -> str:
        return f"{self.bits}-bit {'PCM' if self.code == PCM else 'float'}"


def to_float(samples: Samples) -> Float32:
    """Return 16-bit samples as float32 in [-1, 1): exactly value / 32768.

    Source: DecodeWav, tensorflow/core/lib/wav/wav_io.cc, Int16SampleToFloat.

    >>> to_float(np.array([-32768, 16384], np.int16)).tolist()
    [-1.0, 0.5]
    """
    return samples.astype(np.float32) * np.float32(1 / FULL_SCALE)


def from_float(values: ArrayLike) -> Samples:
    """Return real values as 16-bit samples: times 32768, rounded, clamped; NaN becomes 0.

    Halves go away from zero. Computed in float64, because in float32 the largest value below
    0.5 would round up twice.

    Source: EncodeWav, tensorflow/core/lib/wav/wav_io.cc, FloatToInt16Sample.

    >>> from_float([0.5 / 32768, -0.5 / 32768, 1.0, -2.0]).tolist()
    [1, -1, 32767, -32768]
    """
    scaled = np.asarray(values, np.float64) * FULL_SCALE
    rounded = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled)
    clamped = np.clip(rounded, -FULL_SCALE, FULL_SCALE - 1)
    return np.where(np.isnan(clamped), 0.0, clamped).astype(np.int16)


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
    sound_format, data = _find_sound(content, name)
    samples, n_clipped = _decode(data, sound_format, name)
    samples.flags.writeable = False
    return Wav(
        samples, sound_format.sample_rate_hz, sound_format.bits, sound_format.words, n_clipped
    )


@dataclass(frozen=True)
class WavHead:
    """Where and how the sound lies in a WAV file: what reading it piece by piece needs.

    start : offset of the sound's first byte.
    n_bytes : length of the sound, None where the header does not know it (written into a pipe).
    frame_bytes : bytes of one sample of every channel.
    """

    start: int
    n_bytes: int | None
    sample_rate_hz: int
    frame_bytes: int
    _format: _Format
    _name: str

    def decode(self, data: bytes) -> Samples:
        """Return a piece of the sound, whole frames, as (N, C) int16."""
        return _decode(data, self._format, self._name)[0]


def find_wav_head(beginning: bytes, name: str) -> WavHead | None:
    """Return what the beginning of a WAV file says of its sound; None: it lies further on.

    Raises
    ------
    AudioError : not a WAV file, or a format that cannot be read.
    """
    _check_riff(beginning, name)
    found: _Format | None = None
    for chunk_id, start, n_bytes in _chunks(beginning):
        if chunk_id == b"fmt " and found is None:
            found = _parse_format(beginning[start : start + n_bytes], n_bytes, name)
        elif chunk_id == b"data" and found is not None:
            known = n_bytes if n_bytes < STREAMED_BYTES else None
            frame_bytes = found.n_bytes * found.n_channels
            return WavHead(start, known, found.sample_rate_hz, frame_bytes, found, name)
    return None


def folder_wavs(folder: Path) -> list[Path]:
    """Return a folder's WAV files in the order of their names, hidden ones left out.

    macOS and rsync leave "._name.wav" and ".name.wav.x7Ks2" beside the recordings.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == ".wav" and not path.name.startswith(".")
    )


def wav_files(path: str | Path) -> list[Path]:
    """Return a file itself, or a folder's WAV files.

    Raises
    ------
    AudioError : the folder holds none.
    """
    path = Path(path)
    if not path.is_dir():
        return [path]
    found = folder_wavs(path)
    if not found:
        raise AudioError(f"{path} holds no .wav file; name WAV files or a folder of them")
    return found


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


def _find_sound(content: bytes, name: str) -> tuple[_Format, bytes]:
    """Return the format and the sound's bytes, from the first chunk of each kind."""
    _check_riff(content, name)
    sound_format: _Format | None = None
    data: bytes | None = None
    for chunk_id, start, n_bytes in _chunks(content):
        if chunk_id == b"fmt " and sound_format is None:
            sound_format = _parse_format(content[start : start + n_bytes], n_bytes, name)
        elif chunk_id == b"data" and data is None:
            data = content[start : start + n_bytes]
            if len(data) < n_bytes < STREAMED_BYTES:
                raise AudioError(
                    f"{name} is cut: its header promises {n_bytes} bytes of sound, and "
                    f"{len(data)} are there; copy or record it again"
                )
        if sound_format is not None and data is not None:
            return sound_format, data
    missing = "format (fmt chunk)" if sound_format is None else "sound (data chunk)"
    raise AudioError(
        f"{name} is a WAV file without its {missing} in {len(content)} bytes, probably cut; "
        "copy or record it again"
    )


def _check_riff(content: bytes, name: str) -> None:
    """Raise in words where the bytes are not a RIFF WAVE file."""
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
        return
    if not content:
        raise AudioError(f"{name} is empty (0 bytes), expected a WAV file; record or copy it again")
    for offset, magic, words in OTHER_FILES:
        if content[offset : offset + len(magic)] == magic:
            raise AudioError(f"{name} is {words}, expected a WAV file; {CONVERT}")
    if content[:4] == b"RIFF" and len(content) >= 12:
        kind = content[8:12].decode("ascii", "replace").strip()
        raise AudioError(f"{name} is a RIFF file of kind {kind!r}, expected WAVE; {CONVERT}")
    if content[:4] == b"RIFF":
        raise AudioError(
            f"{name} is cut: {len(content)} bytes do not hold a WAV header; copy it again"
        )
    if all(byte in b"\t\n\r\x0c" or byte >= 32 for byte in content[:256]):
        start = content[:24].decode("utf-8", "replace").splitlines()[0]
        raise AudioError(
            f"{name} is a text file that begins with {start!r}, expected a WAV file; "
            "fetch the recording itself"
        )
    raise AudioError(
        f"{name} does not begin with RIFF but with the bytes {content[:4].hex(' ')}, expected a "
        f"WAV file; {CONVERT}"
    )


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield each chunk's id, first byte and promised length; the last may run past the end.

    RIFF pads odd chunks with a zero byte; some writers, and TensorFlow's reader, do not. Both
    are understood: no chunk's name begins with a zero.
    """
    position = 12
    while position + 8 <= len(content):
        chunk_id, n_bytes = struct.unpack_from("<4sI", content, position)
        yield chunk_id, position + 8, n_bytes
        position += 8 + n_bytes
        is_padded = content[position : position + 1] == b"\0"
        if n_bytes % 2 and (is_padded or content[position + 1 : position + 5] in CORE_CHUNKS):
            position += 1


def _parse_format(chunk: bytes, n_promised: int, name: str) -> _Format:
    """Return the checked fmt chunk."""
    if len(chunk) < 16:
        found = f"{n_promised} bytes" if n_promised < 16 else f"the first {len(chunk)} bytes"
        raise AudioError(
            f"{name} is cut or damaged: its header's format needs 16 bytes or more, found {found}; "
            "copy or record it again"
        )
    code, n_channels, rate, _, n_frame_bytes, bits = struct.unpack_from("<HHIIHH", chunk)
    if code == EXTENSIBLE and len(chunk) >= 40 and chunk[26:40] == PLAIN_SUBFORMAT:
        (code,) = struct.unpack_from("<H", chunk, 24)
    if code not in (PCM, IEEE_FLOAT):
        words = CODECS.get(code, "an unknown codec")
        raise AudioError(
            f"{name} holds {words} (WAV format code {code}), expected PCM or float; {CONVERT}"
        )
    # More bytes than the bits need are allowed: 24 bits in 4 bytes, the lowest ones zero.
    n_bytes = n_frame_bytes // max(n_channels, 1)
    widths = (1, 2, 3, 4) if code == PCM else (4, 8)
    if n_channels == 0 or rate == 0 or n_bytes * n_channels != n_frame_bytes or bits == 0:
        raise AudioError(
            f"{name} has a damaged header: {n_channels} channels, {rate} Hz, {bits} bits, "
            f"{n_frame_bytes} bytes for a sample of every channel; record or convert it again"
        )
    if n_bytes not in widths or bits > 8 * n_bytes or (code == IEEE_FLOAT and bits != 8 * n_bytes):
        kind = "PCM" if code == PCM else "float"
        raise AudioError(
            f"{name} is {bits}-bit {kind} in {n_bytes} bytes a sample, expected PCM of 8, 16, 24 "
            f"or 32 bits or float of 32 or 64; {CONVERT}"
        )
    return _Format(code, n_channels, rate, n_bytes, bits)


def _decode(data: bytes, sound: _Format, name: str) -> tuple[Samples, int]:
    """Return the sound as (N, C) int16, and how many float values had to be clamped."""
    shape = (len(data) // (sound.n_bytes * sound.n_channels), sound.n_channels)
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
