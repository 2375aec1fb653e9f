"""The spectrogram against TensorFlow's AudioSpectrogram: equal bits, whatever the sound.

`ordered_fft` adds in the order of the op's own FFT, so nothing is allowed for: tones, constants and
impulses are held to the same bits as recorded words, in the plain form and in the compiled one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikws.audio import read_wav
from minikws.frontend import Spectrogram
from minikws.settings import SpectrogramSettings

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")

DEEP = settings().max_examples > 100
N_CLIPS = 300 if DEEP else 60


def recorded(folder: Path, n: int) -> list[np.ndarray]:
    """Return n words, spread over the corpus."""
    files = sorted(p for p in folder.glob("speech_commands/*/*.wav") if p.parent.name[0] != "_")
    return [read_wav(path).samples.reshape(-1) for path in files[:: max(1, len(files) // n)][:n]]


def artificial(kind: str, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    loud = 2.0 ** rng.uniform(0, 15)
    sound: Any = {
        "noise": rng.normal(0, loud, n),
        "tone": loud * np.sin(t * rng.uniform(0, np.pi)),
        "square": loud * np.sign(np.sin(t * rng.uniform(0, np.pi))),
        "constant": np.full(n, loud),
        "impulse": loud * (t % 997 == rng.integers(997)),
        "full scale": np.where(rng.integers(0, 2, n) > 0, 32767, -32768),
        "quiet": rng.integers(-1, 2, n),
        "silence": np.zeros(n),
    }[kind]
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


KINDS = ["noise", "tone", "square", "constant", "impulse", "full scale", "quiet", "silence"]


def op(samples: np.ndarray, made: SpectrogramSettings) -> np.ndarray:
    spectrogram = tf.raw_ops.AudioSpectrogram(
        input=(samples / 32768).astype(np.float32)[:, None],
        window_size=made.window_samples,
        stride=made.hop_samples,
        magnitude_squared=made.magnitude_squared,
    )
    return np.asarray(spectrogram.numpy()[0])


@pytest.mark.parametrize("squared", [True, False])
def test_recorded_words(shared_data: Path, squared: bool) -> None:
    frontend = Spectrogram(SpectrogramSettings(magnitude_squared=squared))
    for samples in recorded(shared_data, N_CLIPS):
        np.testing.assert_array_equal(frontend.extract(samples), op(samples, frontend.settings))


@given(
    kind=st.sampled_from(KINDS),
    rate=st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000]),
    clip_ms=st.integers(100, 400),
    window_ms=st.floats(1, 90),
    hop_ms=st.floats(1, 120),
    squared=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_artificial_sound_and_any_attributes(
    kind: str, rate: int, clip_ms: int, window_ms: float, hop_ms: float, squared: bool, seed: int
) -> None:
    made = SpectrogramSettings(
        sample_rate_hz=rate,
        clip_ms=clip_ms,
        window_ms=window_ms,
        hop_ms=hop_ms,
        magnitude_squared=squared,
    )
    samples = artificial(kind, made.clip_samples, seed)
    np.testing.assert_array_equal(Spectrogram(made).extract(samples), op(samples, made))


@pytest.mark.parametrize("kind", KINDS)
def test_the_compiled_form_has_the_same_bits(kind: str) -> None:
    clips = np.stack([artificial(kind, 16000, seed) for seed in range(12)])  # enough to compile
    frontend = Spectrogram()
    expected = np.stack([op(clip, frontend.settings) for clip in clips])
    np.testing.assert_array_equal(frontend.extract(clips), expected)
