"""Sound from files and pipes, block by block."""

from __future__ import annotations

import io
import struct
import tracemalloc
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pytest

from minikws._typing import Samples
from minikws.audio import read_wav, wav_bytes, write_wav
from minikws.errors import AudioError
from minikws.streaming import sources
from minikws.streaming.sources import Source, at_rate, open_pipe, open_wav


class Trickle(io.RawIOBase):
    """A pipe that gives a few bytes at a time, as many as it likes."""

    def __init__(self, content: bytes, seed: int = 0) -> None:
        self._rest = content
        self._rng = np.random.default_rng(seed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        n = min(len(buffer), int(self._rng.integers(1, 3000)), len(self._rest))
        buffer[:n], self._rest = self._rest[:n], self._rest[n:]
        return n


def pipe(content: bytes) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(Trickle(content)))


def heard(source: Source) -> Samples:
    blocks = list(source.blocks)
    assert all(block.dtype == np.int16 and block.ndim == 1 for block in blocks)
    return np.concatenate([np.zeros(0, np.int16), *blocks])


def fail(sentence: str) -> None:
    raise AssertionError(sentence)


@pytest.fixture
def sound() -> Samples:
    return np.random.default_rng(0).integers(-32768, 32768, 100_001).astype(np.int16)


def test_a_file_comes_in_blocks(sound: Samples, tmp_path: Path) -> None:
    source = open_wav(write_wav(tmp_path / "long.wav", sound, 8000))
    assert (source.sample_rate_hz, source.n_samples) == (8000, 100_001)
    first = next(source.blocks)
    assert len(first) == sources.BLOCK_BYTES // 2
    np.testing.assert_array_equal(np.concatenate((first, heard(source))), sound)


def test_the_first_channel_of_any_format(sound: Samples, tmp_path: Path) -> None:
    two = np.stack((sound, -(sound // 2)), axis=1)
    np.testing.assert_array_equal(
        heard(open_wav(write_wav(tmp_path / "two.wav", two, 16_000))), sound
    )
    real = (sound / 65536).astype("<f4")
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, 16_000, 64_000, 4, 32)
    listed = b"LIST" + struct.pack("<I", 70_000) + bytes(70_000)  # the head is longer than usual
    for extra in (b"", listed):
        body = fmt + extra + b"data" + struct.pack("<I", real.nbytes) + real.tobytes()
        path = tmp_path / "real.wav"
        path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
        source = open_wav(path)
        assert source.n_samples == len(sound)
        np.testing.assert_array_equal(heard(source), read_wav(path).samples[:, 0])


def test_a_file_whose_header_does_not_know_its_length(sound: Samples, tmp_path: Path) -> None:
    content = bytearray(wav_bytes(sound, 16_000))
    struct.pack_into("<I", content, 40, 0xFFFF_FFFF)
    path = tmp_path / "streamed.wav"
    path.write_bytes(content)
    source = open_wav(path)
    assert source.n_samples == len(sound)
    np.testing.assert_array_equal(heard(source), sound)
    piped = open_pipe(pipe(bytes(content)), sample_rate_hz=1, warn=fail)
    np.testing.assert_array_equal(heard(piped), sound)


def test_what_follows_the_sound_is_not_heard(sound: Samples, tmp_path: Path) -> None:
    path = tmp_path / "tagged.wav"
    path.write_bytes(wav_bytes(sound, 16_000) + b"LIST\4\0\0\0abcd")
    np.testing.assert_array_equal(heard(open_wav(path)), sound)


def test_raw_samples_in_a_pipe(sound: Samples) -> None:
    source = open_pipe(pipe(sound.astype("<i2").tobytes()), sample_rate_hz=16_000, warn=fail)
    assert (source.sample_rate_hz, source.n_samples) == (16_000, None)
    np.testing.assert_array_equal(heard(source), sound)


@pytest.mark.parametrize("n_bytes", [1, 5, 13, 20_001])
def test_an_odd_byte_at_the_end_is_warned_of(sound: Samples, n_bytes: int) -> None:
    said: list[str] = []
    content = sound.astype("<i2").tobytes()[:n_bytes]
    found = heard(open_pipe(pipe(content), sample_rate_hz=16_000, warn=said.append))
    np.testing.assert_array_equal(found, sound[: n_bytes // 2])
    assert len(said) == 1
    assert "standard input ended in the middle of a 16-bit sample" in said[0]


def test_a_wav_file_in_a_pipe_is_recognised(sound: Samples) -> None:
    content = wav_bytes(sound, 22_050)
    head, body = content[:12], content[12:]
    odd = b"LIST" + struct.pack("<I", 5) + b"abcde\0"  # padded to an even length
    for whole in (content, head + odd + body):
        source = open_pipe(pipe(whole), sample_rate_hz=16_000, warn=fail)
        assert source.sample_rate_hz == 22_050
        np.testing.assert_array_equal(heard(source), sound)
    with pytest.raises(AudioError, match="begins as a WAV file, and no sound follows within 36"):
        open_pipe(pipe(content[:36]), sample_rate_hz=16_000, warn=fail)


def test_nothing_in_a_pipe(sound: Samples) -> None:
    assert len(heard(open_pipe(pipe(b""), sample_rate_hz=16_000, warn=fail))) == 0


def test_what_is_wrong_with_a_file(sound: Samples, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="does not exist"):
        open_wav(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="is a folder"):
        open_wav(tmp_path)
    cut = tmp_path / "cut.wav"
    cut.write_bytes(wav_bytes(sound, 16_000)[:5000])
    with pytest.raises(AudioError, match=r"promises 200002 bytes of sound, and 4956 are there"):
        open_wav(cut)
    cut.write_bytes(wav_bytes(sound, 16_000)[:36])
    with pytest.raises(AudioError, match=r"without its sound"):
        open_wav(cut)
    cut.write_bytes(b"OggS" + bytes(100))
    with pytest.raises(AudioError, match="is an Ogg file"):
        open_wav(cut)


def test_another_rate_is_resampled_as_it_comes(tmp_path: Path) -> None:
    soxr = pytest.importorskip("soxr", reason="soxr absent: pip install 'minikws[train]'")
    times = np.arange(48_000 * 3) / 48_000
    tone = (10_000 * np.sin(2 * np.pi * 440 * times)).astype(np.int16)
    source = open_wav(write_wav(tmp_path / "tone.wav", tone, 48_000))
    slow = at_rate(source, 16_000)
    assert (slow.sample_rate_hz, slow.n_samples) == (16_000, 48_000)
    found = heard(slow)
    whole = soxr.resample(tone / 32768, 48_000, 16_000) * 32768
    assert len(found) == 48_000
    np.testing.assert_allclose(found, whole, atol=1.5)
    assert at_rate(slow, 16_000) is slow


def test_memory_does_not_grow_with_the_sound(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    content = bytearray(wav_bytes(np.zeros(0, np.int16), 16_000))
    n_bytes = 64 * 1024 * 1024
    struct.pack_into("<I", content, 40, n_bytes)
    with open(path, "wb") as file:
        file.write(content)
        file.truncate(len(content) + n_bytes)  # half an hour of silence that takes no disk
    tracemalloc.start()
    n = sum(len(block) for block in open_wav(path).blocks)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n == n_bytes // 2
    assert peak < 1024 * 1024
