"""Count what a classifier gets right: confusion matrix, accuracy, precision, recall."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minikws._typing import Array, Float64, Int64


def confusion_matrix(true: Array, predicted: Array, n_labels: int) -> Int64:
    """Count clips by true and predicted label.

    Parameters
    ----------
    true, predicted : (B,) label indices, 0 to n_labels - 1.

    Returns
    -------
    (L, L) int64; rows are the truth, columns the prediction.

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 0]), 2).tolist()
    [[1, 0], [1, 1]]
    """
    cells = np.asarray(true, np.int64) * n_labels + np.asarray(predicted, np.int64)
    counts = np.bincount(cells, minlength=n_labels * n_labels)
    return counts.reshape(n_labels, n_labels).astype(np.int64)


def accuracy(matrix: Int64) -> float:
    """Return the share of clips on the diagonal; 0.0 for no clips."""
    total = int(matrix.sum())
    return int(np.trace(matrix)) / total if total else 0.0


def precision_recall(matrix: Int64) -> tuple[Float64, Float64]:
    """Return precision and recall of each label, (L,) each; NaN where nothing was counted.

    precision = of the clips called so, the share that are; recall = of the clips that are, the
    share that was called so.
    """
    hits = np.diag(matrix).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return hits / matrix.sum(0), hits / matrix.sum(1)


def wilson_interval(n_right: int, n_total: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share, by Wilson's score.

    Unlike p ± z·sqrt(p(1-p)/n) it stays inside 0 to 1 and is honest for few clips.

    >>> low, high = wilson_interval(9, 10)
    >>> round(low, 2), round(high, 2)
    (0.6, 0.98)
    """
    if n_total == 0:
        return 0.0, 1.0
    share = n_right / n_total
    centre = share + z * z / (2 * n_total)
    spread = z * math.sqrt(share * (1 - share) / n_total + z * z / (4 * n_total * n_total))
    scale = 1 + z * z / n_total
    return (centre - spread) / scale, (centre + spread) / scale


def fold_scores(probabilities: Array, becomes: Sequence[int]) -> Float64:
    """Add up the probabilities of labels that become one, (B, L) to (B, M).

    Parameters
    ----------
    probabilities : (B, L) real numbers, not logits: only shares of one whole can be added.
    becomes : for each of the L labels the index of its folded label, as `labels.fold_labels`.

    >>> fold_scores(np.array([[0.25, 0.5, 0.25]]), [0, 1, 0]).tolist()
    [[0.5, 0.5]]
    """
    folding = np.zeros((len(becomes), max(becomes) + 1), np.float64)
    folding[np.arange(len(becomes)), becomes] = 1
    return probabilities.astype(np.float64) @ folding
