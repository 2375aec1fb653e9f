"""Pictures of training: curves, a confusion matrix, many trainings beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minikws.errors import ShapeError
from minikws.plots.figure import finish, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_RATE_CHANGES = 5  # marked in the curves; a rate that glides changes at every step
MOST_MARKERS = 20  # of a curve; more would hide it
MANY_LABELS = 14  # of a confusion matrix; more make its cells smaller


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
    figure, axes = new_figure(width=size + 1.2, height=size)
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
    axes.set_xticks(np.arange(n_labels), labels, **across)
    axes.set_yticks(np.arange(n_labels), rows)
    axes.set(title=title, xlabel="predicted", ylabel="true (clips)")
    figure.colorbar(image, ax=axes, label="share of the row", fraction=0.04)
    return finish(figure, path)


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
    figure, (left, right) = new_figure(width=9.0, height=3.2, n_columns=2)
    for axes, lines in ((left, losses), (right, accuracies)):
        for values, name, color in lines:
            marker = "o" if len(steps) <= MOST_MARKERS else ""
            axes.plot(steps, values, label=name, color=color, marker=marker, markersize=3)
        axes.set_xlabel("step")
        axes.locator_params(axis="x", nbins=6, integer=True)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        for step in changes if len(changes) <= MOST_RATE_CHANGES else ():
            note = "learning rate changes" if axes is left and step == changes[0] else None
            axes.axvline(step, color="gray", linestyle=":", linewidth=1, label=note)
    left.set(title="loss", ylabel="cross entropy")
    left.set_ylim(bottom=0)
    left.legend(loc="upper right")
    right.set(title="accuracy", ylabel="right answers in %")
    right.legend(loc="lower right")
    return finish(figure, path)


def draw_sweep(
    accuracies: Mapping[str, Sequence[float]],
    *,
    title: str = "validation accuracy",
    path: str | Path | None = None,
) -> Figure:
    """Draw each setting's accuracies as points on a line of its own, a point a seed, best on top.

    Parameters
    ----------
    accuracies : of each setting, 0 to 1.

    Raises
    ------
    ShapeError : no setting, or one without an accuracy.
    MissingExtraError, SettingsError, RunError : no Matplotlib; an unknown ending; cannot write.
    """
    if not accuracies or not all(len(values) for values in accuracies.values()):
        raise ShapeError("a setting has no accuracy to draw; give each one or more")
    names = sorted(accuracies, key=lambda name: float(np.mean(accuracies[name])))
    figure, axes = new_figure(width=8.0, height=1.4 + 0.28 * len(names))
    for row, name in enumerate(names):
        percent = 100 * np.asarray(accuracies[name], np.float64)
        axes.plot(percent, np.full(len(percent), row), "o", color="C0", markersize=4, alpha=0.7)
        axes.plot([percent.mean()], [row], "|", color="black", markersize=12)
    axes.set_yticks(range(len(names)), names, fontsize="small")
    axes.grid(axis="x", linewidth=0.4)
    axes.spines[["top", "right"]].set_visible(False)
    several = any(len(values) > 1 for values in accuracies.values())
    seeds = ", a point a seed, a bar their mean" if several else ""
    axes.set(title=f"{title}{seeds}", xlabel="%", ylim=(-0.6, len(names) - 0.4))
    return finish(figure, path)
