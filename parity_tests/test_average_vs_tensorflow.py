"""The averaged spectrogram against AudioSpectrogram and average pooling: equal bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikws.audio import read_wav
from minikws.frontend import Average
from minikws.settings import AverageSettings

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")

N_CLIPS = 300 if settings().max_examples > 100 else 60


def op(samples: np.ndarray, made: AverageSettings) -> np.ndarray:
    spectrogram = tf.raw_ops.AudioSpectrogram(
        input=(samples / 32768).astype(np.float32)[:, None],
        window_size=made.window_samples,
        stride=made.hop_samples,
        magnitude_squared=True,
    )
    width = [1, made.bucket_bins]
    pooled = tf.nn.pool(spectrogram[..., None], width, "AVG", width, "SAME")
    return np.asarray(pooled.numpy()[0, :, :, 0])


def test_recorded_words(shared_data: Path) -> None:
    files = sorted(p for p in shared_data.glob("speech_commands/*/*.wav") if "_" not in p.parts[-2])
    words = [read_wav(p).samples.reshape(-1) for p in files[:: len(files) // N_CLIPS][:N_CLIPS]]
    frontend = Average()
    for samples in words:
        np.testing.assert_array_equal(frontend.extract(samples), op(samples, frontend.settings))
    whole = np.stack([w for w in words if len(w) == 16000])
    expected = np.stack([op(samples, frontend.settings) for samples in whole])
    np.testing.assert_array_equal(frontend.extract(whole), expected)


@given(
    rate=st.sampled_from([8000, 16000, 22050]),
    window_ms=st.floats(1, 90),
    hop_ms=st.floats(1, 90),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_attributes(
    rate: int, window_ms: float, hop_ms: float, share: float, seed: int
) -> None:
    bins = AverageSettings(
        sample_rate_hz=rate, window_ms=window_ms, hop_ms=hop_ms, feature_bin_count=1
    ).n_bins
    made = AverageSettings(
        sample_rate_hz=rate,
        clip_ms=200,
        window_ms=window_ms,
        hop_ms=hop_ms,
        feature_bin_count=1 + int(share * (bins - 1)),
    )
    samples = np.random.default_rng(seed).integers(-32768, 32768, made.clip_samples)
    samples = samples.astype(np.int16)
    np.testing.assert_array_equal(Average(made).extract(samples), op(samples, made))
