"""Samples as they are."""

from __future__ import annotations

import numpy as np
import pytest

from minikws.errors import SettingsError
from minikws.frontend import Raw
from minikws.settings import RawSettings


def test_every_sample_is_itself() -> None:
    samples = np.arange(-32768, 32768).astype(np.int16)
    slices = Raw().extract(samples)
    assert slices.shape == (409, 160)  # 96 samples do not fill a slice
    assert slices.dtype == np.float32
    np.testing.assert_array_equal(slices.reshape(-1) * 32768, samples[: 409 * 160])
    assert slices.min() == -1.0
    assert Raw().extract(np.full(160, 32767, np.int16)).max() == np.float32(32767 / 32768) < 1.0


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        (RawSettings(), (100, 160)),
        (RawSettings(hop_ms=20.0), (50, 320)),
        (RawSettings(hop_ms=1000.0), (1, 16000)),
        (RawSettings(sample_rate_hz=22_050, clip_ms=5000.0), (501, 220)),
    ],
)
def test_slices(settings: RawSettings, shape: tuple[int, int]) -> None:
    assert (settings.n_frames, settings.n_features) == shape
    assert Raw(settings).extract(np.zeros(settings.clip_samples, np.int16)).shape == shape
    assert RawSettings.from_json(settings.to_json()) == settings
    assert Raw(settings).quantization is None


def test_slices_lie_end_to_end() -> None:
    with pytest.raises(SettingsError, match=r"window_ms=30 and hop_ms=10; leave window_ms out"):
        RawSettings(window_ms=30.0)
    with pytest.raises(SettingsError, match="no number of features to choose, found 40"):
        RawSettings.feature_count(40)
