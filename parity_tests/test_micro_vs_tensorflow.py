"""Variant "tensorflow" against TensorFlow's AudioMicrofrontend op, and against the C library in it.

The op's shared object exports the library's functions that fill the tables; they are called here
directly, so that tables are compared for any settings, not only features.
"""

from __future__ import annotations

import ctypes
import os
import wave
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.dsp.mel import micro_filterbank
from minikws.dsp.micro_stages import gain_table
from minikws.dsp.windows import micro_window
from minikws.frontend import Micro
from minikws.settings import MicroSettings

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")
DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
N_CLIPS = 300 if DEEP else 60


@lru_cache
def micro_op() -> object:
    from tensorflow.lite.experimental.microfrontend.python.ops import audio_microfrontend_op

    return audio_microfrontend_op


def oracle(clip: np.ndarray, settings: MicroSettings) -> np.ndarray:
    values = micro_op().audio_microfrontend(
        tf.constant(clip),
        sample_rate=settings.sample_rate_hz,
        window_size=int(settings.window_ms),
        window_step=int(settings.hop_ms),
        num_channels=settings.n_mels,
        upper_band_limit=settings.upper_hz,
        lower_band_limit=settings.lower_hz,
        smoothing_bits=settings.smoothing_bits,
        even_smoothing=settings.even_smoothing,
        odd_smoothing=settings.odd_smoothing,
        min_signal_remaining=settings.min_signal_remaining,
        enable_pcan=settings.enable_pcan,
        pcan_strength=settings.pcan_strength,
        pcan_offset=settings.pcan_offset,
        gain_bits=settings.gain_bits,
        enable_log=settings.enable_log,
        scale_shift=settings.scale_shift,
    )
    return np.asarray(values)


def read(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)


def artificial(n: int = 6000) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    t = np.arange(n)
    impulse, late = np.zeros(n), np.zeros(n)
    impulse[700] = 32767
    late[n - 500] = -32768
    square = np.where(np.sin(2 * np.pi * 440 * t / 16000) >= 0, 32767, -32768)
    signals = {
        "silence": np.zeros(n),
        "impulse": impulse,
        "late impulse": late,
        "square": square,
        "slow square": np.where(t // 900 % 2, 32767, -32768),
        "constant": np.full(n, -32768),
        "full noise": rng.integers(-32768, 32768, n),
        "two values": rng.choice([-32768, 32767], n),
        "clipped noise": np.clip(rng.normal(0, 40000, n), -32768, 32767),
        "quiet noise": rng.normal(0, 2, n),
        "steps in loudness": rng.normal(0, 1, n) * 4.0 ** (t // 1000),
    }
    return {name: signal.astype(np.int16) for name, signal in signals.items()}


SETTINGS = [
    MicroSettings(),
    MicroSettings(hop_ms=10),
    MicroSettings(enable_pcan=False),
    MicroSettings(enable_log=False),
    MicroSettings(enable_pcan=False, enable_log=False),
    MicroSettings(n_mels=32, window_ms=25, hop_ms=10, enable_pcan=False),
    MicroSettings(n_mels=32, window_ms=25, hop_ms=10, enable_pcan=False, enable_log=False),
    MicroSettings(window_ms=64, hop_ms=32, n_mels=64),
    MicroSettings(sample_rate_hz=8000, window_ms=16, hop_ms=8, n_mels=26, upper_hz=3800),
    MicroSettings(sample_rate_hz=44100, window_ms=23, hop_ms=11, upper_hz=12000, lower_hz=60),
    MicroSettings(sample_rate_hz=48000, window_ms=30, hop_ms=20, upper_hz=20000),
    MicroSettings(window_ms=2, hop_ms=1, n_mels=20),  # an FFT of 32: a negative correction
    MicroSettings(window_ms=10, hop_ms=10, n_mels=120),  # more channels than bins
    MicroSettings(smoothing_bits=14, even_smoothing=0.3, odd_smoothing=0.99),
    MicroSettings(min_signal_remaining=0.5, pcan_strength=0.4, pcan_offset=0.0),
    MicroSettings(gain_bits=24, scale_shift=9),
    MicroSettings(lower_hz=0.0, upper_hz=7900.0, n_mels=1),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=[str(i) for i in range(len(SETTINGS))])
def test_artificial_sound_for_many_settings(settings: MicroSettings) -> None:
    micro = Micro(settings)
    for name, clip in artificial().items():
        np.testing.assert_array_equal(micro.extract_raw(clip), oracle(clip, settings), err_msg=name)


def test_float_features(tflm: Path) -> None:
    clip = read(tflm / "yes_1000ms.wav")
    features = micro_op().audio_microfrontend(
        tf.constant(clip), window_size=30, window_step=20, num_channels=40, out_type=tf.float32
    )
    np.testing.assert_array_equal(Micro().extract(clip), np.asarray(features) * (10 / 256))


@pytest.mark.parametrize("name", ["yes", "no", "noise", "silence"])
def test_the_published_clips(tflm: Path, name: str) -> None:
    clip = read(tflm / f"{name}_1000ms.wav")
    found = Micro().extract_raw(clip)
    np.testing.assert_array_equal(found, oracle(clip, MicroSettings()))
    stored = np.loadtxt(tflm / f"{name}_microfrontend_uint16_49x40.csv", delimiter=",")
    np.testing.assert_array_equal(found, stored)


def test_recorded_clips(shared_data: Path) -> None:
    files = sorted((shared_data / "speech_commands").rglob("*.wav"))
    chosen = np.random.default_rng(1).choice(len(files), N_CLIPS, replace=False)
    for k, index in enumerate(chosen.tolist()):
        settings = SETTINGS[k % 6]
        clip = read(files[index])[:16000]
        np.testing.assert_array_equal(
            Micro(settings).extract_raw(clip), oracle(clip, settings), err_msg=str(files[index])
        )


@given(
    seed=st.integers(0, 2**32 - 1),
    loudness=st.floats(0, 5),
    n=st.integers(480, 2400),
    which=st.integers(0, len(SETTINGS) - 1),
)
def test_random_sound(seed: int, loudness: float, n: int, which: int) -> None:
    settings = SETTINGS[which]
    n = max(n, settings.window_samples)
    noise = np.random.default_rng(seed).normal(0, 10**loudness, n)
    clip = np.clip(noise, -32768, 32767).astype(np.int16)
    np.testing.assert_array_equal(Micro(settings).extract_raw(clip), oracle(clip, settings))


# ---------------------------------------------------------------- the C library's own tables


class FilterbankConfig(ctypes.Structure):
    _fields_ = (
        ("num_channels", ctypes.c_int),
        ("upper_band_limit", ctypes.c_float),
        ("lower_band_limit", ctypes.c_float),
        ("output_scale_shift", ctypes.c_int),
    )


class FilterbankState(ctypes.Structure):
    _fields_ = (
        ("num_channels", ctypes.c_int),
        ("start_index", ctypes.c_int),
        ("end_index", ctypes.c_int),
        ("channel_frequency_starts", ctypes.POINTER(ctypes.c_int16)),
        ("channel_weight_starts", ctypes.POINTER(ctypes.c_int16)),
        ("channel_widths", ctypes.POINTER(ctypes.c_int16)),
        ("weights", ctypes.POINTER(ctypes.c_int16)),
        ("unweights", ctypes.POINTER(ctypes.c_int16)),
        ("work", ctypes.c_void_p),
    )


class WindowConfig(ctypes.Structure):
    _fields_ = (("size_ms", ctypes.c_size_t), ("step_size_ms", ctypes.c_size_t))


class WindowState(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_size_t),
        ("coefficients", ctypes.POINTER(ctypes.c_int16)),
        ("step", ctypes.c_size_t),
        ("input", ctypes.c_void_p),
        ("input_used", ctypes.c_size_t),
        ("output", ctypes.c_void_p),
        ("max_abs_output_value", ctypes.c_int16),
    )


class PcanConfig(ctypes.Structure):
    _fields_ = (
        ("enable_pcan", ctypes.c_int),
        ("strength", ctypes.c_float),
        ("offset", ctypes.c_float),
        ("gain_bits", ctypes.c_int),
    )


class PcanState(ctypes.Structure):
    _fields_ = (
        ("enable_pcan", ctypes.c_int),
        ("noise_estimate", ctypes.c_void_p),
        ("num_channels", ctypes.c_int),
        ("gain_lut", ctypes.POINTER(ctypes.c_int16)),
        ("snr_shift", ctypes.c_int32),
    )


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    path = Path(micro_op().__file__).with_name("_audio_microfrontend_op.so")
    return ctypes.CDLL(str(path))


N_TABLES = 400 if DEEP else 60


def test_windows_of_many_lengths(library: ctypes.CDLL) -> None:
    for n in np.unique(np.geomspace(2, 20000, N_TABLES).astype(int)).tolist():
        state = WindowState()
        config = WindowConfig(n, 1)  # at 1000 Hz a millisecond is a sample
        assert library.WindowPopulateState(ctypes.byref(config), ctypes.byref(state), 1000)
        np.testing.assert_array_equal(micro_window(n), state.coefficients[:n], err_msg=str(n))


def test_filterbanks_of_many_settings(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(3)
    for _ in range(N_TABLES):
        rate = int(rng.choice([8000, 11025, 16000, 22050, 44100, 48000]))
        n_bins = 2 ** int(rng.integers(4, 11)) + 1
        n_mels = int(rng.integers(1, 90))
        low = float(np.float32(rng.uniform(0, rate / 8)))
        high = float(np.float32(rng.uniform(rate / 6, rate / 2 * 0.94)))
        config, state = FilterbankConfig(n_mels, high, low, 7), FilterbankState()
        assert library.FilterbankPopulateState(
            ctypes.byref(config), ctypes.byref(state), rate, n_bins
        )
        bank = micro_filterbank(
            sample_rate_hz=rate,
            fft_size=2 * (n_bins - 1),
            n_mels=n_mels,
            lower_hz=low,
            upper_hz=high,
        )
        assert bank.first_bin == state.start_index
        weights = np.zeros((n_mels + 1, n_bins + 4), np.int64)
        unweights = np.zeros_like(weights)
        for band in range(n_mels + 1):
            first, start = state.channel_frequency_starts[band], state.channel_weight_starts[band]
            for j in range(state.channel_widths[band]):
                if first + j < n_bins + 4:
                    weights[band, first + j] = state.weights[start + j]
                    unweights[band, first + j] = state.unweights[start + j]
        bins = np.arange(bank.first_bin, bank.first_bin + len(bank.bands))
        expected, expected_un = np.zeros_like(weights), np.zeros_like(weights)
        expected[bank.bands, bins] = bank.weights
        expected_un[bank.bands, bins] = bank.unweights
        np.testing.assert_array_equal(expected, weights)
        np.testing.assert_array_equal(expected_un, unweights)
        if len(bins):
            assert state.end_index == bins[-1] + 1


def test_gain_tables_of_many_settings(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(4)
    for _ in range(N_TABLES):
        correction, smoothing = int(rng.integers(-1, 6)), int(rng.integers(6, 20))
        strength = float(np.float32(rng.uniform(0, 2)))
        offset = float(np.float32(rng.choice([0, 1, 80, rng.uniform(0, 500)])))
        gain_bits = int(rng.integers(17, 30))
        config, state = PcanConfig(1, strength, offset, gain_bits), PcanState()
        assert library.PcanGainControlPopulateState(
            ctypes.byref(config), ctypes.byref(state), None, 1, smoothing, correction
        )
        table = gain_table(
            strength=strength,
            offset=offset,
            gain_bits=gain_bits,
            smoothing_bits=smoothing,
            correction_bits=correction,
        )
        line = np.array(state.gain_lut[:125])
        np.testing.assert_array_equal(table[0, :2], line[:2])
        for row in range(3):
            np.testing.assert_array_equal(table[row, 2:], line[2 + row :: 4])
        assert state.snr_shift == gain_bits - correction - 12
