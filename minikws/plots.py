"""Every picture: an array comes in, a Matplotlib figure goes out, and a file where a path is given.

Figures are made without pyplot: nothing global changes, no window opens, and a machine without a
screen draws as well. Matplotlib is imported inside, so that only who draws needs it.
"""

from __future__ import annotations

import warnings
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
MOST_RATE_CHANGES = 5  # marked in the curves; a rate that glides changes at every step
MOST_MARKERS = 20  # of a curve; more would hide it
MANY_LABELS = 14  # of a confusion matrix; more make its cells smaller
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

    Beside each row's label stands how many clips it has.

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
    is_large = n_labels > MANY_LABELS
    size = max(4.0, 1.6 + (0.32 if is_large else 0.55) * n_labels)
    figure, axes = _figure(width=size + 1.2, height=size)
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals[:, None], 1)
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    for true, predicted in np.ndindex(*counts.shape):
        color = "white" if shares[true, predicted] > 0.5 else "black"
        count = counts[true, predicted]
        # Zeros step back, so that the eye finds the confusions.
        axes.text(
            predicted,
            true,
            f"{count:g}",
            ha="center",
            va="center",
            color=color if count else "silver",
            fontsize="x-small" if is_large else None,
        )
    rows = [f"{label}  ({total:g})" for label, total in zip(labels, totals, strict=True)]
    across = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    # A label is a folder's name and may hold a $, which is no formula.
    axes.set_xticks(np.arange(n_labels), labels, parse_math=False, **across)
    axes.set_yticks(np.arange(n_labels), rows, parse_math=False)
    axes.set_title(title, parse_math=False)
    axes.set(xlabel="predicted", ylabel="true (clips)")
    figure.colorbar(image, ax=axes, label="share of the row", fraction=0.04)
    return _finish(figure, path)


def draw_curves(
    steps: Sequence[int],
    *,
    loss: Sequence[float],
    training_accuracy: Sequence[float],
    validation_accuracy: Sequence[float],
    learning_rates: Sequence[float],
    validation_loss: Sequence[float] | None = None,
    path: str | Path | None = None,
) -> Figure:
    """Draw how a training went: the loss on the left, the accuracies on the right.

    Parameters
    ----------
    steps, loss, training_accuracy, validation_accuracy, learning_rates : one of each an
        evaluation; accuracies 0 to 1. A dotted line marks the last evaluation before the learning
        rate changed, where it changed in a few steps.
    validation_loss : the same of the validation partition; what is NaN is not drawn.

    Raises
    ------
    ShapeError : no evaluation, or not as many of each.
    MissingExtraError, SettingsError, RunError : no Matplotlib; an unknown ending; cannot write.
    """
    losses = [(loss, "training batches", "tab:orange")]
    accuracies = [
        ([100 * share for share in training_accuracy], "training batches", "tab:orange"),
        ([100 * share for share in validation_accuracy], "validation", "tab:blue"),
    ]
    if validation_loss is not None and not np.all(np.isnan(validation_loss)):
        losses.append((validation_loss, "validation", "tab:blue"))
    curves = [*losses, *accuracies]
    lengths = [len(steps), len(learning_rates), *(len(values) for values, _, _ in curves)]
    if len(set(lengths)) != 1 or lengths[0] == 0:
        raise ShapeError(
            f"expected curves of one length of at least 1, found {lengths}; "
            "give one value of each an evaluation"
        )
    # The rate of an evaluation is that of its own step: the change lies before it.
    changes = [
        steps[i - 1] for i in range(1, len(steps)) if learning_rates[i] != learning_rates[i - 1]
    ]
    figure, (left, right) = _figure(width=9.0, height=3.2, n_columns=2)
    for axes, lines in ((left, losses), (right, accuracies)):
        for values, name, color in lines:
            marker = "o" if len(steps) <= MOST_MARKERS else ""
            axes.plot(steps, values, label=name, color=color, marker=marker, markersize=3)
        axes.set_xlabel("step")
        axes.locator_params(axis="x", nbins=6, integer=True)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        for step in changes if len(changes) <= MOST_RATE_CHANGES else ():
            axes.axvline(step, color="gray", linestyle=":", linewidth=1)
    left.set(title="loss", ylabel="cross entropy")
    left.set_ylim(bottom=0)
    left.legend(loc="upper right")
    right.set(title="accuracy", ylabel="right answers in %")
    right.legend(loc="lower right")
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
        with warnings.catch_warnings():
            # A label in a script that the font lacks is drawn as a box, without a warning.
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
            figure.savefig(buffer, format=ending[1:])
        write_file(path, buffer.getvalue())
    return figure
