"""Counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from minikws.metrics import (
    accuracy,
    confusion_matrix,
    fold_scores,
    precision_recall,
    wilson_interval,
)


def test_rows_are_the_truth() -> None:
    matrix = confusion_matrix(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert accuracy(matrix) == 0.5


def test_precision_and_recall_of_an_absent_label_are_not_numbers() -> None:
    precision, recall = precision_recall(np.array([[2, 1, 0], [0, 3, 0], [0, 0, 0]]))
    np.testing.assert_allclose(precision[:2], [1.0, 0.75])
    np.testing.assert_allclose(recall[:2], [2 / 3, 1.0])
    assert np.isnan(precision[2])
    assert np.isnan(recall[2])


def test_no_clips() -> None:
    assert accuracy(np.zeros((2, 2), np.int64)) == 0.0
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    # Newcombe (1998), table I, method 3 (Wilson's score without continuity correction).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)],
)
def test_wilson_interval_of_published_cases(
    right: int, total: int, low: float, high: float
) -> None:
    found = wilson_interval(right, total)
    np.testing.assert_allclose(found, (low, high), atol=5e-5)


def test_folded_scores_are_sums_before_the_largest_is_taken() -> None:
    scores = np.array([[0.4, 0.3, 0.3], [0.6, 0.25, 0.15]], np.float32)
    folded = fold_scores(scores, (1, 0, 0))
    np.testing.assert_allclose(folded, [[0.6, 0.4], [0.4, 0.6]], rtol=1e-6)
    # The first clip's largest label alone is the other one.
    assert scores.argmax(1).tolist() == [0, 0]
    assert folded.argmax(1).tolist() == [0, 1]
