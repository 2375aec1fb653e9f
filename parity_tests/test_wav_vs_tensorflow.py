"""WAV reading and writing against TensorFlow's DecodeWav and EncodeWav: equal bits.

Where TensorFlow refuses a file that minikws reads, `test_accepts_more_than_tensorflow` says so.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.audio import encode_wav, from_float, read_clip, read_wav, to_float, wav_bytes
from minikws.errors import AudioError

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")

CHUNKS_BEFORE = [b"JUNK", b"bext", b"iXML", b"qlty", b"mext", b"levl", b"link", b"axml"]


def decode(content: bytes) -> tuple[np.ndarray, int]:
    samples, rate = tf.audio.decode_wav(content)
    return samples.numpy(), int(rate)


def assert_same_as_tensorflow(content: bytes) -> None:
    expected, rate = decode(content)
    wav = read_wav(content)
    assert wav.sample_rate_hz == rate
    assert wav.samples.shape == expected.shape
    np.testing.assert_array_equal(to_float(wav.samples), expected)
    assert to_float(wav.samples).dtype == np.float32


def chunk(name: bytes, body: bytes, *, pad: bool = False) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (pad and len(body) % 2)


def fmt(channels: int, rate: int, *, size: int = 16, bits: int = 16, code: int = 1) -> bytes:
    n_bytes = channels * bits // 8
    body = struct.pack("<HHIIHH", code, channels, rate, rate * n_bytes, n_bytes, bits)
    return chunk(b"fmt ", body.ljust(size, b"\0"))


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.slow
def test_every_recorded_clip(shared_data: Path) -> None:
    files = sorted(shared_data.glob("**/*.wav"))
    assert len(files) > 3000
    for path in files:
        assert_same_as_tensorflow(path.read_bytes())


def test_clips_cropped_and_padded(shared_data: Path) -> None:
    for path in sorted((shared_data / "speech_commands" / "yes").glob("*.wav"))[:60]:
        for n_samples in (8000, 16000, 20000):
            expected, _ = tf.audio.decode_wav(
                path.read_bytes(), desired_channels=1, desired_samples=n_samples
            )
            clip = read_clip(path, sample_rate_hz=16000, n_samples=n_samples)
            np.testing.assert_array_equal(to_float(clip), expected.numpy()[:, 0])


@st.composite
def accepted_files(draw: st.DrawFn) -> bytes:
    """Files that DecodeWav takes: chunks before fmt from its list, any after, odd ones unpadded."""
    body = st.binary(max_size=9)
    before = [
        chunk(draw(st.sampled_from(CHUNKS_BEFORE)), draw(body))
        for _ in range(draw(st.integers(0, 2)))
    ]
    names = st.sampled_from([b"LIST", b"fact", b"cue ", b"PEAK", b"JUNK"])
    between = [chunk(draw(names), draw(body)) for _ in range(draw(st.integers(0, 2)))]
    after = [chunk(draw(names), draw(body)) for _ in range(draw(st.integers(0, 2)))]
    channels = draw(st.integers(1, 5))
    rate = draw(st.sampled_from([1, 8000, 11025, 16000, 44100, 192000]))
    # Whole frames: after an incomplete one, TensorFlow seeks the next chunk inside the data.
    n_bytes = 2 * channels * draw(st.integers(0, 12))
    data = draw(st.binary(min_size=n_bytes, max_size=n_bytes))
    return riff(
        *before,
        fmt(channels, rate, size=draw(st.sampled_from([16, 18]))),
        *between,
        chunk(b"data", data),
        *after,
    )


@given(accepted_files())
def test_generated_files(content: bytes) -> None:
    assert_same_as_tensorflow(content)


def test_all_samples_there_are() -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    assert_same_as_tensorflow(wav_bytes(every, 16000))
    expected = tf.audio.encode_wav(to_float(every)[:, None], 16000).numpy()
    assert encode_wav(to_float(every), 16000) == expected == wav_bytes(every, 16000)


def test_encode_random_and_awkward_values() -> None:
    rng = np.random.default_rng(1)
    halves = (np.arange(-32770, 32770) + 0.5) / 32768
    below = np.nextafter(np.float32(0.5), np.float32(0)) / 32768  # rounds up twice in float32
    awkward = [0.0, -0.0, 1.0, -1.0, 1e-30, 3e38, -3e38, np.nan, np.inf, -np.inf, below, -below]
    values = np.concatenate([rng.uniform(-1.2, 1.2, 200_000), halves, awkward]).astype(np.float32)
    expected = tf.audio.encode_wav(values[:, None], 16000).numpy()
    assert encode_wav(values, 16000) == expected
    np.testing.assert_array_equal(from_float(values), np.frombuffer(expected[44:], "<i2"))


@given(st.integers(1, 6), st.integers(0, 9), st.integers(1, 200_000))
def test_encode_shapes_and_rates(channels: int, n: int, rate: int) -> None:
    values = np.random.default_rng(n).uniform(-1, 1, (n, channels)).astype(np.float32)
    assert encode_wav(values, rate) == tf.audio.encode_wav(values, rate).numpy()


SOUND = chunk(b"data", b"\1\0\2\0")
EXTENSIBLE = chunk(
    b"fmt ",
    struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 16000, 32000, 2, 16, 22, 16, 4, 1)
    + bytes.fromhex("000000001000800000aa00389b71"),
)
MORE = {
    "LIST before fmt": riff(chunk(b"LIST", b"ab"), fmt(1, 16000), SOUND),
    "data before fmt": riff(SOUND, fmt(1, 16000)),
    "padding after an odd chunk": riff(fmt(1, 16000), chunk(b"LIST", b"abc", pad=True), SOUND),
    "extensible header": riff(EXTENSIBLE, SOUND),
    "fmt of 20 bytes": riff(fmt(1, 16000, size=20), SOUND),
    "length of a stream": riff(fmt(1, 16000), b"data\xff\xff\xff\xff\1\0\2\0"),
    "bytes after the last chunk": riff(fmt(1, 16000), SOUND, b"abc"),
    "an incomplete last frame": riff(fmt(1, 16000), chunk(b"data", b"\1\0\2\0\3")),
    "two data chunks, the first holds": riff(fmt(1, 16000), SOUND, SOUND),
}


@pytest.mark.parametrize("content", MORE.values(), ids=MORE)
def test_accepts_more_than_tensorflow(content: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(content)
    assert read_wav(content).samples.tolist() == [[1], [2]]


def test_differs_a_rate_of_zero_is_refused() -> None:
    content = riff(fmt(1, 0), SOUND)
    assert decode(content)[1] == 0
    with pytest.raises(AudioError, match="0 Hz"):
        read_wav(content)
