"""Hide stretches of time and bands of frequency from the model while it trains: SpecAugment.

In: a batch of features and the run's generator. Out: a copy with some stretches and bands of each
clip flattened, so that no single moment or band can decide alone.

Source: Park et al. 2019, "SpecAugment", arXiv 1904.08779, section 2, without its time warping
(its own ablation gains least from that). BC-ResNet trains with two time masks of up to 20 frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minikws._typing import Features
from minikws.errors import SettingsError, ShapeError


def mask_features(
    features: Features,
    *,
    time_masks: int,
    time_mask_frames: int,
    frequency_masks: int,
    frequency_mask_bins: int,
    rng: np.random.Generator,
) -> Features:
    """Return features with random stretches of time and bands of frequency flattened.

    Parameters
    ----------
    features : (B, T, F) float32; left as they are.
    time_masks, frequency_masks : how many of each a clip gets; they may overlap.
    time_mask_frames, frequency_mask_bins : the widest mask, at most T and F. Widths are uniform
        over 0 to this, both included; then the place is uniform over all where the mask fits.
    rng : the same generator state gives the same masks, whatever the features hold.

    Returns
    -------
    (B, T, F) float32, a new array. What is hidden holds the clip's own mean. The paper writes
    zero into features of zero mean, which says the same; these features have no such mean (a
    zero is silence to `micro`, and loud to a logarithm), so zero would be a sound of its own.

    Raises
    ------
    ShapeError : not three axes.
    SettingsError : a negative number, or a mask wider than the features.
    """
    if features.ndim != 3:
        raise ShapeError(
            f"expected features (B, T, F), found {features.shape}; mask them before the model's "
            "own reshape"
        )
    n_clips, n_frames, n_bins = features.shape
    hidden = (
        _hidden(n_clips, n_frames, time_masks, time_mask_frames, "time_mask_frames", rng)[
            :, :, None
        ]
        | _hidden(
            n_clips, n_bins, frequency_masks, frequency_mask_bins, "frequency_mask_bins", rng
        )[:, None, :]
    )
    mean = features.mean((1, 2), keepdims=True, dtype=features.dtype)
    out = features.copy()
    np.copyto(out, mean, where=hidden)  # half the time of np.where: it copies the runs alone
    return out


def _hidden(
    n_clips: int, length: int, n_masks: int, widest: int, name: str, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Return which places of an axis any of a clip's masks hides, (B, length) bool."""
    if n_masks < 0:
        raise SettingsError(f"{n_masks} masks beside {name} cannot be drawn; give 0 or more")
    if n_masks == 0:  # then any width will do: the raw waveform has one bin
        return np.zeros((n_clips, length), np.bool_)
    if not 0 <= widest <= length:
        raise SettingsError(
            f"{name}={widest} does not fit the features, which have {length} there; "
            f"give 0 to {length}"
        )
    widths = rng.integers(0, widest, size=(n_clips, n_masks), endpoint=True)
    starts = rng.integers(0, length - widths, endpoint=True)[:, :, None]  # (B, masks, 1)
    places = np.arange(length)
    inside = (starts <= places) & (places < starts + widths[:, :, None])
    hidden: NDArray[np.bool_] = np.any(inside, axis=1)
    return hidden
