from __future__ import annotations

import os
import struct
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.audio import (
    encode_wav,
    from_float,
    read_clip,
    read_wav,
    resample,
    to_float,
    wav_bytes,
    write_wav,
)
from minikws.errors import AudioError, MissingExtraError, RunError, SettingsError, ShapeError

PCM_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name: bytes, body: bytes, *, pad: bool = False) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (pad and len(body) % 2)


def fmt(channels: int = 1, rate: int = 16000, *, bits: int = 16, code: int = 1) -> bytes:
    n_bytes = channels * ((bits + 7) // 8)
    return chunk(
        b"fmt ", struct.pack("<HHIIHH", code, channels, rate, rate * n_bytes, n_bytes, bits)
    )


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def sound(*values: int) -> bytes:
    return chunk(b"data", struct.pack(f"<{len(values)}h", *values))


def samples_of(content: bytes) -> list[list[int]]:
    return read_wav(content).samples.tolist()


@given(st.integers(1, 4), st.integers(0, 50), st.integers(1, 200_000))
def test_writing_and_reading_is_the_identity(channels: int, n: int, rate: int) -> None:
    samples = np.random.default_rng(n).integers(-32768, 32768, (n, channels)).astype(np.int16)
    wav = read_wav(wav_bytes(samples, rate))
    np.testing.assert_array_equal(wav.samples, samples)
    assert (wav.sample_rate_hz, wav.bits, wav.format_name) == (rate, 16, "16-bit PCM")


def test_python_reads_what_we_write(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a" / "b.wav", np.array([[1, -2], [3, -4]], np.int16), 8000)
    with wave.open(str(path)) as w:
        assert (w.getnchannels(), w.getsampwidth(), w.getframerate()) == (2, 2, 8000)
        assert w.readframes(9) == struct.pack("<4h", 1, -2, 3, -4)


@pytest.mark.parametrize(
    ("bits", "stored", "expected"),
    [
        (8, b"\x00\x80\xff\x81", [-32768, 0, 32512, 256]),
        (16, struct.pack("<3h", -32768, 1, 32767), [-32768, 1, 32767]),
        # 24 bits: 0x80 is half of a 16-bit step and goes away from zero.
        (24, b"\x7f\0\0" + b"\x80\0\0" + b"\x80\xff\xff" + b"\0\0\x80", [0, 1, -1, -32768]),
        (24, b"\xff\xff\x7f", [32767]),
        (32, struct.pack("<3i", -(2**31), 3 << 15, 2**31 - 1), [-32768, 2, 32767]),
        (12, struct.pack("<2h", 16, -32768), [16, -32768]),
    ],
)
def test_pcm_of_every_width(bits: int, stored: bytes, expected: list[int]) -> None:
    content = riff(fmt(bits=bits), chunk(b"data", stored))
    assert samples_of(content) == [[value] for value in expected]
    assert read_wav(content).format_name == f"{bits}-bit PCM"


@pytest.mark.parametrize(("bits", "letter"), [(32, "f"), (64, "d")])
def test_float_is_rounded_and_clamped(bits: int, letter: str) -> None:
    values = [-1.0, 0.5 / 32768, 0.25, 1.0, -1.5]
    content = riff(fmt(bits=bits, code=3), chunk(b"data", struct.pack(f"<5{letter}", *values)))
    wav = read_wav(content)
    assert wav.samples[:, 0].tolist() == [-32768, 1, 8192, 32767, -32768]
    assert (wav.n_clipped, wav.format_name) == (1, f"{bits}-bit float")


def test_twenty_four_bits_in_four_bytes() -> None:
    extended = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 48000, 192000, 4, 32, 22, 24, 4, 1)
    content = riff(
        chunk(b"fmt ", extended + PCM_TAIL), chunk(b"data", struct.pack("<2i", 5 << 16, -(7 << 16)))
    )
    assert samples_of(content) == [[5], [-7]]


def test_every_order_of_chunks_is_read() -> None:
    extra = [chunk(b"JUNK", b"abc", pad=True), chunk(b"LIST", b"x"), chunk(b"bext", b"1234")]
    for chunks in (
        [*extra, fmt(), sound(1, 2)],
        [fmt(), *extra, sound(1, 2)],
        [sound(1, 2), *extra, fmt()],
        [fmt(), sound(1, 2), *extra, b"end"],
        [fmt(), chunk(b"odd ", b"a", pad=True), chunk(b"odd2", b"b"), sound(1, 2)],
        [fmt(), chunk(b"LIST", b"abc") + b"?", sound(1, 2)],
    ):
        assert samples_of(riff(*chunks)) == [[1], [2]]


@pytest.mark.parametrize("length", [0xFFFF_FFFF, 0x8000_0000, 0x7FFF_0000])
def test_length_of_a_stream_means_to_the_end(length: int) -> None:
    content = riff(fmt(), b"data" + struct.pack("<I", length) + struct.pack("<3h", 1, 2, 3) + b"\0")
    assert samples_of(content) == [[1], [2], [3]]


def test_incomplete_last_frame_is_dropped_and_empty_sound_is_empty() -> None:
    assert samples_of(riff(fmt(2), chunk(b"data", b"\1\0\2\0\3\0"))) == [[1, 2]]
    for bits, code in ((8, 1), (16, 1), (24, 1), (32, 3)):
        empty = read_wav(riff(fmt(2, bits=bits, code=code), chunk(b"data", b"")))
        assert empty.samples.shape == (0, 2)


FLOAT_NAN = chunk(b"data", struct.pack("<2f", float("nan"), 0))
BAD = {
    "empty": (b"", "is empty"),
    "text": (b"hello, this is text\n", "text file that begins with 'hello"),
    "mp3": (b"ID3\4abcdef", "is an MP3 file"),
    "m4a": (b"\0\0\0\x20ftypM4A ", "MP4 or M4A"),
    "flac": (b"fLaC\0\0\0", "a FLAC file"),
    "aiff": (b"FORM\0\0\0\0AIFF", "an AIFF file"),
    "rifx": (b"RIFX\0\0\0\0WAVE", "big-endian"),
    "avi": (b"RIFF\0\0\0\0AVI ", "kind 'AVI', expected WAVE"),
    "noise": (b"\0\1\2\3\4\5", "00 01 02 03"),
    "four bytes": (b"RIFF", "is cut: 4 bytes"),
    "header alone": (b"RIFF\x24\0\0\0WAVE", "without its format"),
    "cut in fmt": (riff(fmt())[:30], "found the first 10 bytes"),
    "short fmt": (riff(chunk(b"fmt ", b"ab"), sound(1)), "found 2 bytes"),
    "no data": (riff(fmt(), chunk(b"LIST", b"ab")), "without its sound"),
    "cut sound": (riff(fmt(), sound(1, 2, 3))[:-3], "promises 6 bytes of sound, and 3 are there"),
    "mp3 in wav": (riff(fmt(code=0x55), sound(1)), "holds MP3 .*format code 85.*ffmpeg"),
    "ima adpcm": (riff(fmt(code=0x11, bits=4), sound(1)), "IMA ADPCM"),
    "ms adpcm": (riff(fmt(code=2, bits=4), sound(1)), "Microsoft ADPCM"),
    "mu-law": (riff(fmt(code=7, bits=8), sound(1)), "mu-law"),
    "a-law": (riff(fmt(code=6, bits=8), sound(1)), "A-law"),
    "unknown codec": (riff(fmt(code=0x1234), sound(1)), "unknown codec .*4660"),
    "no channel": (riff(fmt(0), sound(1)), "0 channels"),
    "no rate": (riff(fmt(1, 0), sound(1)), "0 Hz"),
    "64-bit PCM": (riff(fmt(bits=64), sound(1)), "64-bit PCM in 8 bytes"),
    "16-bit float": (riff(fmt(code=3), sound(1)), "16-bit float in 2 bytes"),
    "not a number": (riff(fmt(code=3, bits=32), FLOAT_NAN), "1 float values that are no finite"),
}


@pytest.mark.parametrize(("content", "words"), BAD.values(), ids=BAD)
def test_bad_file_is_named_and_explained(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=words) as caught:
        read_wav(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path} ")
    assert "; " in sentence and "\n" not in sentence


def test_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"absent\.wav does not exist"):
        read_wav(tmp_path / "absent.wav")
    with pytest.raises(AudioError, match="is a folder, expected a WAV"):
        read_wav(tmp_path)


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="this user may read everything"
)
def test_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.zeros(3, np.int16), 8000)
    path.chmod(0)
    with pytest.raises(AudioError, match="may not be read"):
        read_wav(path)


@given(st.binary(max_size=60), st.integers(0, 59), st.integers(0, 44))
def test_damaged_file_gives_audio_error_and_nothing_else(junk: bytes, at: int, cut: int) -> None:
    content = bytearray(riff(fmt(), sound(1, 2, 3, 4)))
    content[at : at + len(junk)] = junk
    for damaged in (bytes(content), bytes(content[:cut]), b"RIFF1234WAVE" + junk):
        try:
            read_wav(damaged)
        except AudioError as error:
            assert str(error).startswith("the WAV data ")


def test_to_float_and_back_for_every_sample() -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    real = to_float(every)
    assert real.dtype == np.float32
    np.testing.assert_array_equal(real, np.arange(-32768, 32768) / 32768)
    np.testing.assert_array_equal(from_float(real), every)


def test_from_float_rounds_halves_away_and_clamps() -> None:
    values = np.array([0.5, -0.5, 1.5, -1.5, 0.49999997]) / 32768
    assert from_float(values).tolist() == [1, -1, 2, -2, 0]
    assert from_float([np.nan, np.inf, -np.inf, 1.0]).tolist() == [0, 32767, -32768, 32767]
    assert encode_wav([0.5], 8000)[-2:] == b"\0\x40"


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"int16, found \(3,\) float64"):
        wav_bytes(np.zeros(3), 8000)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="0 channels"):
        wav_bytes(np.zeros((3, 0), np.int16), 8000)
    with pytest.raises(SettingsError, match="rate 0 Hz"):
        wav_bytes(np.zeros(3, np.int16), 0)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        write_wav(tmp_path / "file" / "a.wav", np.zeros(3, np.int16), 8000)


def test_read_clip_takes_the_first_channel_and_crops_or_pads(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.array([[1, 9], [2, 9], [3, 9]], np.int16), 16000)
    assert read_clip(path, sample_rate_hz=16000).tolist() == [1, 2, 3]
    assert read_clip(path, sample_rate_hz=16000, n_samples=2).tolist() == [1, 2]
    assert read_clip(path, sample_rate_hz=16000, n_samples=5).tolist() == [1, 2, 3, 0, 0]


def test_read_clip_resamples_and_says_so(tmp_path: Path) -> None:
    pytest.importorskip("soxr")
    tone = np.sin(np.arange(8000) * 2 * np.pi * 440 / 8000) * 0.5
    path = write_wav(tmp_path / "a.wav", from_float(tone), 8000)
    said: list[str] = []
    clip = read_clip(path, sample_rate_hz=16000, n_samples=16000, on_message=said.append)
    assert said == [f"{path} is 8000 Hz, resampled to 16000 Hz"]
    expected = np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000) * 0.5
    np.testing.assert_allclose(to_float(clip)[1000:-1000], expected[1000:-1000], atol=2e-4)
    again = read_clip(path, sample_rate_hz=16000, n_samples=16000)
    np.testing.assert_array_equal(clip, again)


def test_resample_keeps_channels_apart() -> None:
    pytest.importorskip("soxr")
    two = np.random.default_rng(0).integers(-9000, 9000, (1000, 2)).astype(np.int16)
    both = resample(two, 22050, 16000)
    np.testing.assert_array_equal(both[:, 1], resample(two[:, 1].copy(), 22050, 16000))
    assert resample(two, 8000, 8000) is two


def test_clip_without_a_sample(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.zeros(0, np.int16), 16000)
    with pytest.raises(AudioError, match="without a single sample"):
        read_clip(path, sample_rate_hz=16000)


def test_missing_soxr_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_wav(tmp_path / "a.wav", np.zeros(9, np.int16), 8000)
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(MissingExtraError, match=r"8000 Hz to 16000 Hz .*minikws\[train\]"):
        read_clip(path, sample_rate_hz=16000)


def test_audio_needs_numpy_alone() -> None:
    code = "import minikws.audio, sys; print({'soxr', 'scipy', 'numba'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
