"""Each stage against its formula, a value at a time in Python integers."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minikws.dsp import micro_stages as stages
from minikws.dsp.micro_stages import NoiseSettings
from minikws.settings import MicroSettings

UINT32 = 2**32
uint32 = st.integers(0, UINT32 - 1)
EDGES = [0, 1, 2, 3, 4, 127, 128, 1023, 1024, 2**16 - 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1]
int16s = arrays(np.int16, st.tuples(st.integers(1, 3), st.integers(1, 9)))
extreme = st.sampled_from([-32768, -32767, -2, -1, 0, 1, 2, 32767])


@given(uint32)
def test_bit_length(value: int) -> None:
    assert stages.bit_length(np.array([value])) == value.bit_length()


@given(
    arrays(np.int16, (2, 7), elements=extreme), arrays(np.int16, 7, elements=st.integers(0, 4096))
)
def test_window(frames: np.ndarray, window: np.ndarray) -> None:
    expected = [[int(x) * int(c) >> 12 for x, c in zip(row, window, strict=True)] for row in frames]
    np.testing.assert_array_equal(stages.apply_window(frames, window), expected)


def literal_peak(samples: list[int]) -> int:
    top = 0
    for v in samples:
        for candidate in (v, (-v + 32768) % 65536 - 32768):
            top = max(top, candidate)
    return top


def literal_preprocessor_peak(samples: list[int]) -> int:
    top = 0
    for v in samples:
        if v > top:
            top = v
        elif -v > top:
            top = (-v + 32768) % 65536 - 32768
    return top


@given(int16s | arrays(np.int16, (3, 6), elements=extreme))
@example(np.array([[-32768, -1], [-32768, -3]], np.int16))
@example(np.array([[-32768, -5, -3, -2], [-32768, -5, -3, -7]], np.int16))
def test_peaks(frames: np.ndarray) -> None:
    rows = frames.tolist()
    assert stages.peak(frames).tolist() == [literal_peak(row) for row in rows]
    found = stages.peak_of_preprocessor(frames)
    assert found.tolist() == [literal_preprocessor_peak(row) for row in rows]


@given(st.integers(-32768, 32767))
def test_headroom(peak: int) -> None:
    found = stages.headroom(np.array([peak], np.int16), silence=7)
    assert found == (15 - peak.bit_length() if peak > 0 else 7)


def test_shift_up_wraps_and_pads() -> None:
    frames = np.array([[3, -32768], [1, -5]], np.int16)
    shifted = stages.shift_up(frames, np.array([15, 2]), 4)
    assert shifted.tolist() == [[-32768, 0, 0, 0], [4, -20, 0, 0]]


@given(st.integers(0, 2**44))
def test_square_root(value: int) -> None:
    root = math.isqrt(value)
    limit = 65535 if value < UINT32 else UINT32 - 1
    expected = root + (value - root * root > root and root != limit)
    assert stages.square_root(np.array([float(value)])) == expected


def test_square_root_at_the_halves_and_at_16_bits() -> None:
    roots = np.arange(1, 2**21, 37, dtype=np.int64)
    values = np.concatenate([roots * roots + roots + d for d in (0, 1)]).astype(np.float64)
    expected = np.concatenate([roots, roots + 1])
    expected[(values < UINT32) & (expected == 65536)] = 65535
    np.testing.assert_array_equal(stages.square_root(values), expected)
    near = np.array([65535**2 + 65535, 65535**2 + 65536, UINT32 - 1, UINT32], np.float64)
    assert stages.square_root(near).tolist() == [65535, 65535, 65535, 65536]


NOISE = NoiseSettings(10, 409, 983, 819)


@given(arrays(np.uint32, (2, 4, 3), elements=uint32), arrays(np.uint32, (2, 3), elements=uint32))
def test_noise_reduction(levels: np.ndarray, estimate: np.ndarray) -> None:
    found, estimates, last = stages.reduce_noise(levels, estimate, NOISE)
    for b in range(2):
        for f in range(3):
            est, share = int(estimate[b, f]), 983 if f % 2 else 409
            for t in range(4):
                signal = int(levels[b, t, f])
                up = (signal << 10) % UINT32
                est = ((up * share + est * (16384 - share)) >> 14) % UINT32
                out = max((up - min(est, up)) >> 10, (signal * 819) >> 14)
                assert (found[b, t, f], estimates[b, t, f]) == (out, est)
            assert last[b, f] == est
    assert last.dtype == np.uint32


def published_gains() -> np.ndarray:
    return stages.gain_table(
        strength=0.95, offset=80.0, gain_bits=21, smoothing_bits=10, correction_bits=3
    )


def test_the_published_gain_table() -> None:
    table = published_gains()
    line = np.zeros(125, "<i2")  # as the library stores it
    line[:2] = table[0, :2]
    for row in range(3):
        line[2 + row :: 4] = table[row, 2:]
    assert line[:8].tolist() == [32636, 32633, 32630, -6, 0, 0, 32624, -12]
    assert int(line.sum(dtype=np.int64)) == 455121
    assert zlib.crc32(line.tobytes()) == 0x46452314


@given(uint32 | st.sampled_from(EDGES))
def test_gain(x: int) -> None:
    table = published_gains()
    v = x.bit_length()
    if x < 2:
        expected = int(table[0, x])
    else:
        start, slope, curvature = (int(row[v]) for row in table)
        within = (x << (11 - v) if v < 11 else x >> (v - 11)) & 1023
        r = ((curvature * within) >> 5) + (slope << 5)
        expected = ((r * within + 16384) >> 15) + start
    assert stages.gain_of(np.array([x], np.int64), table) == expected


def test_the_gain_follows_its_power_law() -> None:
    noise = np.arange(0, 2**20, 997)
    exact = 2**21 * (noise / 128 + 80) ** -0.95
    found = stages.gain_of(noise, published_gains())
    # A parabola an octave: within 1 % of the largest gain.
    assert np.abs(found - exact).max() < 330


@given(uint32 | st.sampled_from([8191, 8192]))
def test_shrink(ratio: int) -> None:
    expected = (ratio * ratio) >> 20 if ratio < 8192 else (ratio >> 6) - 64
    assert stages.shrink(np.array([ratio], np.int64)) == expected


def test_log_table() -> None:
    table = stages.log_table()
    assert table[:5].tolist() == [0, 224, 442, 654, 861]
    assert (len(table), table[127], table[128]) == (129, 142, 0)


@given(uint32 | st.sampled_from(EDGES), st.sampled_from([0, 6, 15]))
def test_logarithm(value: int, scale_shift: int) -> None:
    expected = 0
    if value > 1:
        table = stages.log_table()
        power = value.bit_length() - 1
        rest = value - 2**power
        fraction = rest << (16 - power) if power < 16 else rest >> (power - 16)
        segment = fraction >> 9
        low, high = int(table[segment]), int(table[segment + 1])
        log2 = (power << 16) + fraction + low + (((high - low) * (fraction - 512 * segment)) >> 16)
        natural = (45426 * log2 + 32768) >> 16
        expected = (((natural << scale_shift) + 32768) % UINT32) >> 16
    assert stages.logarithm(np.array([value], np.int64), scale_shift=scale_shift) == expected


def test_logarithm_is_one() -> None:
    values = np.unique(np.geomspace(2, 2**32 - 1, 3000).astype(np.int64))
    found = stages.logarithm(values, scale_shift=6)
    assert np.abs(found - 64 * np.log(values)).max() < 1


TWIN_SETTINGS = [
    MicroSettings(),
    MicroSettings(variant="preprocessor", window_ms=25, hop_ms=7),
    MicroSettings(sample_rate_hz=8000, upper_hz=3500, n_mels=70, smoothing_bits=12),
    MicroSettings(sample_rate_hz=11025, upper_hz=5000, window_ms=33, hop_ms=9.1, n_mels=7),
    MicroSettings(window_ms=64, hop_ms=70, n_mels=13, enable_log=False),
    MicroSettings(window_ms=2, hop_ms=1, n_mels=3, enable_pcan=False, scale_shift=15),
    MicroSettings(sample_rate_hz=1000, window_ms=3, hop_ms=2, n_mels=2, upper_hz=400),
]


@pytest.mark.slow
@pytest.mark.parametrize("settings", TWIN_SETTINGS, ids=range(len(TWIN_SETTINGS)))
def test_the_twins_equal_the_stages_for_any_settings(settings: MicroSettings) -> None:
    pytest.importorskip("numba")
    from minikws.frontend import Micro

    micro = Micro(settings)
    rng = np.random.default_rng(5)
    shape = (3, 3 * settings.window_samples + 5 * settings.hop_samples + 1)
    for clips in (
        rng.integers(-32768, 32768, shape),
        rng.choice([-32768, 32767], shape),
        rng.integers(-9, 9, shape) * (rng.uniform(0, 1, shape) > 0.5),
        np.where(rng.uniform(0, 1, shape) > 0.97, -32768, 3),
    ):
        clips = clips.astype(np.int16)
        level = stages.levels.reference(clips, micro._levels)
        np.testing.assert_array_equal(stages.levels.compiled()(clips, micro._levels), level)
        estimate = rng.integers(0, 2**22, (3, settings.n_mels)).astype(np.uint32)
        expected = stages.compress.reference(level, estimate, micro._compress)
        found = stages.compress.compiled()(level, estimate, micro._compress)
        for one, other in zip(expected, found, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(other, one)
