"""Every picture: an array comes in, a Matplotlib figure goes out, and a file where a path is given.

Figures are made without pyplot: nothing global changes, no window opens, and a machine without a
screen draws as well. Matplotlib is imported inside, so that only who draws needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minikws._typing import Array, Samples
from minikws.errors import SettingsError, ShapeError, import_extra
from minikws.files import write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 120
MOST_TICKS = 8  # of a feature axis
FORMATS = (".png", ".svg", ".pdf")


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
    figure, axes = _figure(width=7.0, height=2.6)
    times_ms = np.arange(len(samples)) * (1000.0 / sample_rate_hz)
    axes.plot(times_ms, samples, linewidth=0.6)
    axes.set_xlim(0, len(samples) * 1000.0 / sample_rate_hz)
    axes.set(title=title, xlabel="time in ms", ylabel="sample")
    return _finish(figure, path)


@dataclass(frozen=True, eq=False, kw_only=True)
class FeaturePicture:
    """One frontend's features of a clip, to be drawn beside others'.

    features : (T, F)
    hop_ms : distance between frames.
    start_ms : where the first frame's column begins. (window - hop) / 2 puts each column in the
        middle of its window, and one sound of all frontends at one place.
    centers_hz : (F,) the frequency that stands beside a channel; None: channel numbers alone.
    value_label : what the colors mean, beside the color bar.
    """

    features: Array
    hop_ms: float
    start_ms: float = 0.0
    centers_hz: Array | None = None
    title: str = "features"
    value_label: str = "value"


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
    figure, all_axes = _figure(width=7.0 if n == 1 else 5.5 * n, height=4.0, n_columns=n)
    for picture, axes in zip(pictures, np.atleast_1d(all_axes), strict=True):
        _draw_picture(figure, axes, picture)
        axes.set_xlim(0, end_ms)
    if title is not None:
        figure.suptitle(title)
    return _finish(figure, path)


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
    image = axes.imshow(
        np.asarray(picture.features).T,
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


def draw_confusion_matrix(
    matrix: Any,
    labels: Sequence[str],
    *,
    title: str = "confusion matrix",
    path: str | Path | None = None,
) -> Figure:
    """Draw an (L, L) matrix of counts, rows true and columns predicted; color is a row's share.

    Raises
    ------
    ShapeError : not a square of as many rows as labels.
    MissingExtraError, SettingsError, RunError : no Matplotlib; an unknown ending; cannot write.
    """
    counts = np.asarray(matrix)
    n_labels = len(labels)
    if counts.shape != (n_labels, n_labels) or n_labels == 0:
        raise ShapeError(
            f"expected a square matrix for {n_labels} labels, found the shape {counts.shape}; "
            "give rows true, columns predicted"
        )
    size = max(4.0, 1.6 + 0.55 * n_labels)
    figure, axes = _figure(width=size + 0.8, height=size)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    for true, predicted in np.ndindex(*counts.shape):
        color = "white" if shares[true, predicted] > 0.5 else "black"
        text = f"{counts[true, predicted]:g}"
        axes.text(predicted, true, text, ha="center", va="center", color=color)
    axes.set_xticks(np.arange(n_labels), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(np.arange(n_labels), labels)
    axes.set(title=title, xlabel="predicted", ylabel="true")
    figure.colorbar(image, ax=axes, label="share of the row")
    return _finish(figure, path)


def _figure(*, width: float, height: float, n_columns: int = 1) -> tuple[Figure, Any]:
    """Return a figure of so many inches, and its axes (an array of them for several columns)."""
    module = import_extra("matplotlib.figure", extra="plots", purpose="drawing a picture")
    figure = module.Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    return figure, figure.subplots(ncols=n_columns)


def _finish(figure: Figure, path: str | Path | None) -> Figure:
    """Write the figure where a path is given, and return it."""
    if path is not None:
        ending = Path(path).suffix.lower()
        if ending not in FORMATS:
            raise SettingsError(
                f"a picture's name must end in {', '.join(FORMATS)}, found {str(path)!r}; add .png"
            )
        buffer = BytesIO()
        figure.savefig(buffer, format=ending[1:])
        write_file(path, buffer.getvalue())
    return figure
