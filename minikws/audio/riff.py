"""The header of a WAV file: what it says of the sound, and where the sound lies.

A RIFF file is a chain of chunks: a name of four letters, a length, that many bytes. "fmt "
tells how the samples are written, "data" holds them; all others are passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from minikws._typing import Samples
from minikws.audio.pcm import IEEE_FLOAT, PCM, Format, decode
from minikws.errors import AudioError

EXTENSIBLE = 0xFFFE  # the true format code stands further on
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
HIGHEST_RATE_HZ = 10_000_000  # no sound card comes near; memory is asked for by the rate

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


@dataclass(frozen=True)
class WavHead:
    """Where and how the sound lies in a WAV file: what reading it needs, whole or in pieces.

    start : offset of the sound's first byte.
    n_bytes : length of the sound, None where the header does not know it (written into a pipe).
    format : how a sample is written.
    name : what messages call the file.
    """

    start: int
    n_bytes: int | None
    format: Format
    name: str

    @property
    def sample_rate_hz(self) -> int:
        """The rate that the header names."""
        return self.format.sample_rate_hz

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.format.frame_bytes

    def sound_bytes(self, file_bytes: int) -> int:
        """Return the sound's length in a file of so many bytes.

        Raises
        ------
        AudioError : the header promises more.
        """
        there = file_bytes - self.start
        if self.n_bytes is None:
            return there
        if there < self.n_bytes:
            raise AudioError(
                f"{self.name} is cut: its header promises {self.n_bytes} bytes of sound, and "
                f"{there} are there; copy or record it again"
            )
        return self.n_bytes

    def decode(self, data: bytes) -> Samples:
        """Return a piece of the sound, whole frames, as (N, C) int16."""
        return decode(data, self.format, self.name)[0]


def find_wav_head(beginning: bytes, name: str) -> WavHead | None:
    """Return what the beginning of a WAV file says of its sound; None: it lies further on.

    The first chunk of each kind counts, in any order.

    Raises
    ------
    AudioError : not a WAV file, or a format that cannot be read.
    """
    _check_riff(beginning, name)
    found: Format | None = None
    sound: tuple[int, int | None] | None = None
    for chunk_id, start, n_bytes in chunks(beginning):
        if chunk_id == b"fmt " and found is None:
            found = _parse_format(beginning[start : start + n_bytes], n_bytes, name)
        elif chunk_id == b"data" and sound is None:
            sound = start, n_bytes if n_bytes < STREAMED_BYTES else None
        if found is not None and sound is not None:
            return WavHead(*sound, found, name)
    return None


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


def chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
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


def _parse_format(chunk: bytes, n_promised: int, name: str) -> Format:
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
    if (
        n_channels == 0
        or not 0 < rate <= HIGHEST_RATE_HZ
        or n_bytes * n_channels != n_frame_bytes
        or bits == 0
    ):
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
    return Format(code, n_channels, rate, n_bytes, bits)
