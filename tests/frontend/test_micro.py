"""The micro frontend: published goldens, laws of streams and batches, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
import wave
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikws.errors import AudioError, SettingsError, ShapeError
from minikws.fixedpoint import quantize
from minikws.frontend import Micro
from minikws.frontend.micro import to_features, to_int8
from minikws.settings import MicroSettings

NAMES = ("yes", "no", "noise", "silence")
# CRC-32 of the uint16 values, little-endian, as the references gave them.
GOLDENS = {
    "tensorflow": ("e9d057bc", "af0decbc", "d545c898", "a1f24915"),
    "preprocessor": ("8b3fd631", "b14e93a5", "ce35bcc9", "a1f24915"),
    "pymicro": ("07bde4e6", "1107d345", "99a4ccad", "b0e351db"),  # hop 10 ms
}
YES_SLICE = """124 105 126 103 125 101 123 100 116 98 115 97 113 90 91 82 104 96 117 97 121 103 126
    101 125 104 126 104 125 101 116 90 81 74 80 71 83 76 82 71"""
NO_SLICE = """126 103 124 102 124 102 123 100 118 97 118 100 118 98 121 100 121 98 117 91 96 74 54
    87 100 87 109 92 91 80 64 55 83 74 74 78 114 95 101 81"""
ESTIMATES = """2563964 1909393 559801 538670 203643 175959 75088 139491 59691 95307 43865 129263
    52517 80058 51330 100731 76674 76262 15497 22598 13778 21460 8946 17806 10023 18810 8002 10842
    7578 9983 6267 10759 8946 18488 9691 39785 9939 17835 9671 18512"""
NO_SLICE_AFTER = """89 68 96 83 111 96 115 87 99 76 105 84 105 86 113 91 108 87 110 78 80 46 22 74
    88 72 103 86 80 68 48 24 68 48 55 36 108 90 90 63"""


def numbers(text: str) -> np.ndarray:
    return np.array(text.split(), np.int64)


def crc(values: np.ndarray) -> str:
    return f"{zlib.crc32(values.astype(values.dtype.newbyteorder('<')).tobytes()):08x}"


@pytest.fixture(scope="module")
def clips(tflm: Path) -> np.ndarray:
    def samples(name: str) -> np.ndarray:
        with wave.open(str(tflm / f"{name}_1000ms.wav")) as file:
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)

    return np.stack([samples(name) for name in NAMES])


@pytest.mark.parametrize("variant", GOLDENS)
def test_published_values(clips: np.ndarray, variant: str) -> None:
    hop_ms = 10.0 if variant == "pymicro" else 20.0
    found = Micro(MicroSettings(variant=variant, hop_ms=hop_ms)).extract_raw(clips)
    assert tuple(crc(values) for values in found) == GOLDENS[variant]


def test_published_int8(clips: np.ndarray) -> None:
    found = Micro().extract_int8(clips[:2])
    assert found.shape == (2, 49, 40)
    assert [crc(values) for values in found] == ["01e70aa6", "d8621224"]


@pytest.mark.parametrize("variant", ["tensorflow", "preprocessor"])
def test_published_windows_of_30_ms(clips: np.ndarray, variant: str) -> None:
    micro = Micro(MicroSettings(variant=variant))
    yes, no = clips[0, 8000:8480], clips[1, 8960:9440]
    assert micro.extract_int8(yes).shape == (1, 40)
    np.testing.assert_array_equal(micro.extract_int8(yes)[0], numbers(YES_SLICE))
    np.testing.assert_array_equal(micro.extract_int8(no)[0], numbers(NO_SLICE))


def test_published_window_after_noise(clips: np.ndarray) -> None:
    no = clips[1, 8960:9440]
    values, _ = Micro()._run(no[None], numbers(ESTIMATES).astype(np.uint32)[None])
    np.testing.assert_array_equal(to_int8(values)[0, 0], numbers(NO_SLICE_AFTER))


def test_the_float_scale_gives_the_devices_int8_for_every_value() -> None:
    values = np.arange(65536).astype(np.uint16)
    scale, zero_point = Micro().quantization
    assert zero_point == -128
    assert scale == 666 / (256 * 25.6)
    device = np.array([min(127, max(-128, (v * 256 + 333) // 666 - 128)) for v in range(65536)])
    np.testing.assert_array_equal(to_int8(values), device)
    np.testing.assert_array_equal(quantize(to_features(values), scale, zero_point), device)


def test_features_are_values_times_10_over_256(clips: np.ndarray) -> None:
    micro = Micro()
    features = micro.extract(clips)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features * 25.6, micro.extract_raw(clips).astype(np.float32))


def noisy(n_clips: int, n_samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    loudness = 10 ** rng.uniform(0, 4.7, (n_clips, 1))
    return np.clip(rng.normal(0, loudness, (n_clips, n_samples)), -32768, 32767).astype(np.int16)


def test_a_batch_is_its_clips() -> None:
    micro, batch = Micro(), noisy(3, 3000)
    whole = micro.extract_raw(batch)
    for one, values in zip(batch, whole, strict=True):
        np.testing.assert_array_equal(micro.extract_raw(one), values)
    np.testing.assert_array_equal(micro.extract_raw(np.asfortranarray(batch)), whole)
    assert micro.extract(batch[:0]).shape == (0, 8, 40)


STREAMS = [
    MicroSettings(),
    MicroSettings(hop_ms=10.0, variant="pymicro"),
    MicroSettings(hop_ms=41.3, variant="preprocessor", n_mels=5),  # hop beyond the window
    MicroSettings(sample_rate_hz=8000, upper_hz=3800, window_ms=20, hop_ms=7, enable_log=False),
]


@given(
    cuts=st.lists(st.integers(0, 2600), max_size=12),
    which=st.sampled_from(range(len(STREAMS))),
    seed=st.integers(0, 3),
)
@settings(max_examples=40)
def test_any_cuts_give_the_whole_clip(cuts: list[int], which: int, seed: int) -> None:
    micro, clip = Micro(STREAMS[which]), noisy(1, 2600, seed)[0]
    stream = micro.stream()
    for _ in range(2):
        pieces = np.split(clip, sorted(cuts))
        found = np.concatenate([stream.push(piece) for piece in pieces])
        np.testing.assert_array_equal(found, micro.extract(clip))
        stream.reset()


def test_a_stream_without_samples_waits() -> None:
    stream = Micro().stream()
    assert stream.push(np.zeros(0, np.int16)).shape == (0, 40)
    assert stream.push(np.zeros(479, np.int16)).shape == (0, 40)
    assert stream.push(np.zeros(1, np.int16)).shape == (1, 40)


@pytest.mark.parametrize(
    ("samples", "error", "words"),
    [
        (np.zeros(900, np.float32), AudioError, "found float32; multiply sound in -1 to 1"),
        (np.full(900, np.nan), AudioError, "found float64 with NaN"),
        (
            np.zeros(900, np.int32),
            AudioError,
            r"found int32; convert them with .astype\(np.int16\)",
        ),
        ([0, 1, 2], AudioError, "expected int16 samples"),
        (np.zeros((2, 900), np.int16), ShapeError, r"one row of samples .*\(2, 900\)"),
        (np.int16(3), ShapeError, "one row of samples"),
    ],
)
def test_a_bad_push_leaves_the_stream_as_it_was(
    samples: np.ndarray, error: type[Exception], words: str
) -> None:
    micro, clip = Micro(), noisy(1, 2000)[0]
    stream = micro.stream()
    first = stream.push(clip[:700])
    with pytest.raises(error, match=words):
        stream.push(samples)
    np.testing.assert_array_equal(
        np.concatenate([first, stream.push(clip[700:])]), micro.extract(clip)
    )


@pytest.mark.parametrize(
    ("clips", "error", "words"),
    [
        (np.zeros(16000), AudioError, "expected int16 samples, found float64"),
        (np.full((2, 16000), np.nan, np.float32), AudioError, "found float32 with NaN"),
        (np.zeros(479, np.int16), ShapeError, r"at least 480 samples.*\(479,\); pad the clip"),
        (np.zeros(0, np.int16), ShapeError, r"found the shape \(0,\)"),
        (np.zeros((2, 2, 900), np.int16), ShapeError, r"found the shape \(2, 2, 900\)"),
        (np.int16(1), ShapeError, r"found the shape \(\)"),
    ],
)
def test_bad_clips_are_refused(clips: np.ndarray, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Micro().extract(clips)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"variant": "tensorflw"}, "did you mean tensorflow"),
        ({"n_mels": 0}, "n_mels=0 is not a whole number from 1 to 1000"),
        ({"upper_hz": 9000.0}, "half the sample rate"),
        ({"upper_hz": 8000.0}, "reaches the last of 257 FFT bins"),
        ({"gain_bits": 14}, "gain_bits=14 is below 15, what PCAN needs"),
        ({"smoothing_bits": 2}, "smoothing_bits=2 is below 3"),
        ({"pcan_offset": -1.0}, "pcan_offset=-1 is not between"),
        ({"enable_log": 1}, "enable_log=1 is not a yes or no"),
        ({"window_ms": 0.15, "hop_ms": 0.1}, "holds 2 samples at 16000 Hz.*needs 3"),
    ],
)
def test_bad_settings_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Micro(MicroSettings(**wrong))


def test_centers_rise_within_the_limits() -> None:
    centers = Micro().centers_hz
    assert centers.shape == (40,)
    assert (np.diff(centers) > 0).all()
    assert 125 < centers[0] < centers[-1] < 7500


def in_a_child(statement: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, numpy as np, zlib; " + statement],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.children
def test_one_clip_does_not_load_numba() -> None:
    in_a_child(
        "from minikws.frontend import Micro; micro = Micro();"
        "micro.extract(np.ones(16000, np.int16)); micro.stream().push(np.ones(900, np.int16));"
        "assert not {'numba', 'scipy', 'matplotlib'} & set(sys.modules)"
    )


@pytest.mark.children
@pytest.mark.slow
def test_the_number_of_threads_changes_nothing() -> None:
    statement = (
        "from minikws.frontend import Micro;"
        "rng = np.random.default_rng(0);"
        "clips = rng.integers(-32768, 32768, (60, 8000)).astype(np.int16);"
        "print(zlib.crc32(Micro().extract_raw(clips).tobytes()))"
    )
    found = {
        in_a_child(statement, **environment)
        for environment in (
            {"MINIKWS_JIT": "0"},
            {"NUMBA_NUM_THREADS": "1"},
            {"NUMBA_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"},
        )
    }
    assert len(found) == 1
