"""SpecAugment: which shapes a mask may have, what it holds, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.data.spec_augment import mask_features
from minikws.errors import SettingsError, ShapeError

FEATURES = np.random.default_rng(0).normal(5, 2, (7, 30, 12)).astype(np.float32)


@given(st.integers(0, 2**32), st.integers(0, 3), st.integers(0, 30), st.integers(0, 12))
def test_one_mask_is_one_stretch_of_the_clips_mean(
    seed: int, n_masks: int, frames: int, bins: int
) -> None:
    before = FEATURES.copy()
    masked = mask_features(
        FEATURES,
        time_masks=n_masks,
        time_mask_frames=frames,
        frequency_masks=1,
        frequency_mask_bins=bins,
        rng=np.random.default_rng(seed),
    )
    np.testing.assert_array_equal(FEATURES, before)
    assert masked.dtype == np.float32
    for clip, original in zip(masked, FEATURES, strict=True):
        hidden = clip != original
        np.testing.assert_allclose(clip[hidden], original.mean(dtype=np.float64), rtol=1e-6)
        whole_frames, whole_bins = hidden.all(1), hidden.all(0)
        np.testing.assert_array_equal(hidden, whole_frames[:, None] | whole_bins[None, :])
        if not whole_frames.all():
            assert whole_frames.sum() <= n_masks * frames
            assert _n_stretches(whole_frames) <= n_masks
        if not whole_bins.all():
            assert whole_bins.sum() <= bins
            assert _n_stretches(whole_bins) <= 1


def _n_stretches(hidden: np.ndarray) -> int:
    return int(hidden[0]) + int(np.count_nonzero(np.diff(hidden.astype(np.int8)) == 1))


def test_widths_and_places_are_uniform() -> None:
    features = np.random.default_rng(1).normal(0, 1, (20_000, 5, 1)).astype(np.float32)
    rng = np.random.default_rng(3)
    masked = mask_features(
        features,
        time_masks=1,
        time_mask_frames=3,
        frequency_masks=0,
        frequency_mask_bins=0,
        rng=rng,
    )
    hidden = (masked != features)[..., 0]
    # By hand: widths 0, 1, 2, 3 are equally likely and have 6, 5, 4, 3 places. Of these, so many
    # hide a frame at the edge: 0, 1, 1, 1; its neighbour: 0, 1, 2, 2; the middle: 0, 1, 2, 3.
    edge = (1 / 5 + 1 / 4 + 1 / 3) / 4
    neighbour = (1 / 5 + 2 / 4 + 2 / 3) / 4
    middle = (1 / 5 + 2 / 4 + 3 / 3) / 4
    # 20,000 draws: a standard error of at most 0.0035.
    np.testing.assert_allclose(
        hidden.mean(0), [edge, neighbour, middle, neighbour, edge], atol=0.0175
    )
    np.testing.assert_allclose(np.bincount(hidden.sum(1)) / 20_000, 1 / 4, atol=0.0175)


def test_the_seed_decides_and_the_features_do_not() -> None:
    def hidden(features: np.ndarray, seed: int) -> np.ndarray:
        return mask_features(features, rng=np.random.default_rng(seed), **WIDE) != features

    other = np.random.default_rng(9).normal(0, 1, FEATURES.shape).astype(np.float32)
    np.testing.assert_array_equal(hidden(FEATURES, 1), hidden(other, 1))
    assert np.any(hidden(FEATURES, 1) != hidden(FEATURES, 2))


WIDE = {"time_masks": 2, "time_mask_frames": 10, "frequency_masks": 2, "frequency_mask_bins": 4}


def test_no_mask_changes_nothing() -> None:
    masked = mask_features(
        FEATURES, **{**WIDE, "time_masks": 0, "frequency_masks": 0}, rng=np.random.default_rng(0)
    )
    np.testing.assert_array_equal(masked, FEATURES)
    assert masked is not FEATURES
    rng = np.random.default_rng(0)
    masked = mask_features(
        FEATURES, **{**WIDE, "frequency_masks": 0, "frequency_mask_bins": 99}, rng=rng
    )
    assert np.any(masked != FEATURES)  # no band is asked for: none can be too wide


def test_what_cannot_be_drawn() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(SettingsError, match=r"time_mask_frames=31 .* have 30 there; give 0 to 30"):
        mask_features(FEATURES, **{**WIDE, "time_mask_frames": 31}, rng=rng)
    with pytest.raises(SettingsError, match="frequency_mask_bins=-1 does not fit"):
        mask_features(FEATURES, **{**WIDE, "frequency_mask_bins": -1}, rng=rng)
    with pytest.raises(SettingsError, match="-1 masks beside time_mask_frames"):
        mask_features(FEATURES, **{**WIDE, "time_masks": -1}, rng=rng)
    with pytest.raises(ShapeError, match=r"expected features \(B, T, F\), found \(30, 12\)"):
        mask_features(FEATURES[0], **WIDE, rng=rng)
