"""Pictures of sound: samples over time, and features as frontends see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minikws._typing import Array, Samples
from minikws.errors import ShapeError
from minikws.plots.figure import finish, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_TICKS = 8  # of a feature axis
LEAST_SHARE = 1e-6  # of the largest value that a logarithmic picture tells from nothing


def draw_waveform(
    samples: Samples,
    *,
    sample_rate_hz: int,
    title: str = "waveform",
    path: str | Path | None = None,
) -> Figure:
    """Draw (N,) samples over time in ms.

    Raises
    ------
    ShapeError : not one row of samples.
    MissingExtraError, SettingsError, RunError : no Matplotlib; an unknown ending; cannot write.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1 or samples.size == 0:
        raise ShapeError(
            f"expected one row of samples (N,), found the shape {samples.shape}; "
            "draw one clip at a time"
        )
    figure, axes = new_figure(width=7.0, height=2.6)
    times_ms = np.arange(len(samples)) * (1000.0 / sample_rate_hz)
    axes.plot(times_ms, samples, linewidth=0.6)
    axes.set_xlim(0, len(samples) * 1000.0 / sample_rate_hz)
    axes.set(title=title, xlabel="time in ms", ylabel="sample")
    return finish(figure, path)


@dataclass(frozen=True, eq=False, kw_only=True)
class FeaturePicture:
    """One frontend's features of a clip, to be drawn beside others'.

    features : (T, F)
    hop_ms : distance between frames.
    start_ms : where the first frame's column begins. (window - hop) / 2 puts each column in the
        middle of its window, and one sound of all frontends at one place.
    centers_hz : (F,) the frequency that stands beside a channel; None: channel numbers alone.
    value_label : what the colors mean, beside the color bar.
    logarithmic : the colors follow the logarithm, down to 1e-6 of the largest value: for powers,
        of which a linear scale shows the loudest alone.
    """

    features: Array
    hop_ms: float
    start_ms: float = 0.0
    centers_hz: Array | None = None
    title: str = "features"
    value_label: str = "value"
    logarithmic: bool = False


def draw_features(
    features: Array,
    *,
    hop_ms: float,
    centers_hz: Array | None = None,
    title: str = "features",
    value_label: str = "value",
    path: str | Path | None = None,
) -> Figure:
    """Draw (T, F) features as a picture: time from left to right, low channels at the bottom.

    `FeaturePicture` describes the parameters.

    Raises
    ------
    ShapeError : not (T, F), or another number of frequencies than channels.
    MissingExtraError, SettingsError, RunError : no Matplotlib; an unknown ending; cannot write.
    """
    picture = FeaturePicture(
        features=features,
        hop_ms=hop_ms,
        centers_hz=centers_hz,
        title=title,
        value_label=value_label,
    )
    return draw_side_by_side([picture], path=path)


def draw_side_by_side(
    pictures: Sequence[FeaturePicture],
    *,
    clip_ms: float | None = None,
    title: str | None = None,
    path: str | Path | None = None,
) -> Figure:
    """Draw what several frontends made of one clip, over the same time.

    Parameters
    ----------
    clip_ms : where time ends; None: with the last frame.
    title : above all of them.

    Raises
    ------
    As `draw_features`; and ShapeError without any picture.
    """
    for picture in pictures:
        _check_picture(picture)
    if not pictures:
        raise ShapeError("no features to draw; give one picture or more")
    end_ms = clip_ms or max(p.start_ms + p.hop_ms * len(p.features) for p in pictures)
    n = len(pictures)
    figure, all_axes = new_figure(width=7.0 if n == 1 else 5.5 * n, height=4.0, n_columns=n)
    for picture, axes in zip(pictures, np.atleast_1d(all_axes), strict=True):
        _draw_picture(figure, axes, picture)
        axes.set_xlim(0, end_ms)
    if title is not None:
        figure.suptitle(title)
    return finish(figure, path)


def _check_picture(picture: FeaturePicture) -> None:
    features, centers_hz = np.asarray(picture.features), picture.centers_hz
    if features.ndim != 2 or 0 in features.shape:
        raise ShapeError(
            f"expected features (T, F), found the shape {features.shape}; draw one clip at a time"
        )
    if centers_hz is not None and len(centers_hz) != features.shape[1]:
        raise ShapeError(
            f"expected a frequency for each of {features.shape[1]} channels, found "
            f"{len(centers_hz)}; take both from one frontend"
        )


def _draw_picture(figure: Figure, axes: Any, picture: FeaturePicture) -> None:
    n_frames, n_features = np.shape(picture.features)
    start_ms, end_ms = picture.start_ms, picture.start_ms + n_frames * picture.hop_ms
    features, norm = np.asarray(picture.features), None
    if picture.logarithmic and features.max() > 0:
        features = np.maximum(features, LEAST_SHARE * features.max())
        norm = "log"
    image = axes.imshow(
        features.T,
        norm=norm,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(start_ms, end_ms, -0.5, n_features - 0.5),
    )
    ticks = np.arange(0, n_features, -(-n_features // MOST_TICKS))
    names = [f"{k}" for k in ticks.tolist()]
    if picture.centers_hz is not None:
        names = [f"{k}  ({picture.centers_hz[k]:.0f} Hz)" for k in ticks.tolist()]
    axes.set_yticks(ticks, names)
    axes.set(title=picture.title, xlabel="time in ms", ylabel="channel")
    figure.colorbar(image, ax=axes, label=picture.value_label)
