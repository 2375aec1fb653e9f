"""Where sound comes from: a WAV file of any length, or a pipe, read block by block.

A source is a rate and an iterator of blocks, (n,) int16, as they come; memory does not grow with
its length. Another source (a microphone) needs no more than that. What comes in at another rate
than the model's goes through `at_rate`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np

from minikws._typing import Samples
from minikws.audio import WavHead, find_wav_head, from_float, read_wav, to_float
from minikws.errors import AudioError, import_extra
from minikws.streaming.resample import Resampler

BLOCK_BYTES = 64 * 1024  # of a file at once: two seconds of 16-bit sound at 16 kHz
PIPE_BYTES = 8 * 1024  # of a pipe at most; less is taken as it comes
HEAD_BYTES = 64 * 1024  # of a WAV file, in which its sound should begin
PIPED_HEAD_BYTES = 12  # that tell a WAV file in a pipe from raw samples

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """A sound that is being heard.

    name : what messages call it.
    blocks : yields samples (n,) int16 of the first channel.
    n_samples : how many there will be, None where nobody knows.
    is_live : the sound is being made now; a file is not.
    missed : returns how many samples passed unheard before the newest block, since it was asked
        last: of a device that was gone.
    """

    name: str
    sample_rate_hz: int
    blocks: Iterator[Samples]
    n_samples: int | None = None
    is_live: bool = False
    missed: Callable[[], int] = lambda: 0

    def close(self) -> None:
        """Let the file or the device go; it need not have been heard to its end."""
        if isinstance(self.blocks, Generator):
            self.blocks.close()


def open_wav(path: str | Path) -> Source:
    """Open a WAV file of any length.

    Raises
    ------
    AudioError : not there, no WAV, an unknown codec, or cut.
    """
    path, name = Path(path), str(path)
    try:
        with open(path, "rb") as file:
            beginning = file.read(HEAD_BYTES)
            size = os.fstat(file.fileno()).st_size
    except OSError:
        read_wav(path)  # says what is wrong
        raise
    head = find_wav_head(beginning, name)
    if head is None:  # an unusual order of chunks, or much else before the sound
        wav = read_wav(path)
        return Source(name, wav.sample_rate_hz, iter([wav.samples[:, 0]]), len(wav.samples))
    n_bytes = head.sound_bytes(size)
    blocks = _decoded(_file_pieces(path, head.start, n_bytes), head)
    return Source(name, head.sample_rate_hz, blocks, n_bytes // head.frame_bytes)


def open_pipe(
    file: BinaryIO, *, sample_rate_hz: int, name: str = "standard input", warn: Warn
) -> Source:
    """Open a pipe of raw samples, 16-bit little-endian mono, as ``arecord -t raw`` writes them.

    A pipe that begins as a WAV file is read as one.

    Parameters
    ----------
    sample_rate_hz : of raw samples.
    warn : is told when the sound ends in the middle of a sample.
    """
    beginning = _read_fully(file, PIPED_HEAD_BYTES)
    if beginning[:4] != b"RIFF" or beginning[8:12] != b"WAVE":
        raw = chain([beginning], _pipe_pieces(file))
        return Source(name, sample_rate_hz, _raw(raw, name, warn), is_live=True)
    while len(beginning) < HEAD_BYTES:
        chunk = _read_fully(file, 8)
        beginning += chunk
        if chunk[:4] == b"data" or len(chunk) < 8:
            break
        n_bytes = int.from_bytes(chunk[4:], "little")
        beginning += _read_fully(file, n_bytes + n_bytes % 2)
    head = find_wav_head(beginning, name)
    if head is None:
        raise AudioError(
            f"{name} begins as a WAV file, and no sound follows within {len(beginning)} bytes; "
            "send a whole file, or raw samples as arecord -t raw does"
        )
    rest = _pipe_pieces(file)
    return Source(name, head.sample_rate_hz, _decoded(rest, head), is_live=True)


def at_rate(source: Source, sample_rate_hz: int) -> Source:
    """Return the source at the model's rate, resampled as it comes where it has another.

    By soxr where that is installed, else by `resample.Resampler`.
    """
    if source.sample_rate_hz == sample_rate_hz:
        return source
    n_samples = source.n_samples
    if n_samples is not None:
        n_samples = n_samples * sample_rate_hz // source.sample_rate_hz
    blocks = _resampled(source.blocks, source.sample_rate_hz, sample_rate_hz)

    def missed() -> int:
        return source.missed() * sample_rate_hz // source.sample_rate_hz

    return replace(
        source, blocks=blocks, sample_rate_hz=sample_rate_hz, n_samples=n_samples, missed=missed
    )


def _resampled(blocks: Iterator[Samples], from_hz: int, to_hz: int) -> Iterator[Samples]:
    if importlib.util.find_spec("soxr") is None:
        resampler = Resampler(from_hz, to_hz)
        yield from map(resampler.push, blocks)
        yield resampler.finish()
        return
    soxr = import_extra("soxr", extra="train", purpose="resampling sound")
    stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield from_float(stream.resample_chunk(to_float(block)))
    yield from_float(stream.resample_chunk(np.zeros(0, np.float32), last=True))


def _file_pieces(path: Path, start: int, n_bytes: int) -> Iterator[bytes]:
    with open(path, "rb") as file:
        file.seek(start)
        while n_bytes > 0 and (piece := file.read(min(BLOCK_BYTES, n_bytes))):
            n_bytes -= len(piece)
            yield piece


def _pipe_pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield a pipe's bytes as they come, and close it."""
    read = getattr(file, "read1", file.read)
    with file:
        while piece := read(PIPE_BYTES):
            yield piece


def _whole(pieces: Iterator[bytes], frame_bytes: int, rest: bytearray) -> Iterator[bytes]:
    """Yield the pieces cut into whole frames; what is over at the end stays in `rest`."""
    for piece in pieces:
        rest += piece
        n = len(rest) // frame_bytes * frame_bytes
        if n:
            yield bytes(rest[:n])
            del rest[:n]


def _raw(pieces: Iterator[bytes], name: str, warn: Warn) -> Iterator[Samples]:
    rest = bytearray()
    for piece in _whole(pieces, 2, rest):
        yield np.frombuffer(piece, "<i2").astype(np.int16)
    if rest:
        warn(
            f"{name} ended in the middle of a 16-bit sample, with an odd number of bytes; if the "
            "words were not heard either, send 16-bit samples: arecord -f S16_LE -t raw"
        )


def _decoded(pieces: Iterator[bytes], head: WavHead) -> Iterator[Samples]:
    for piece in _whole(pieces, head.frame_bytes, bytearray()):
        yield head.decode(piece)[:, 0]


def _read_fully(file: BinaryIO, n_bytes: int) -> bytes:
    """Return the first `n_bytes`, fewer only where the file ends before."""
    found = b""
    while len(found) < n_bytes:
        piece = file.read(n_bytes - len(found))
        if not piece:
            break
        found += piece
    return found
