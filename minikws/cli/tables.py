"""Counts and confusions as text that a person can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minikws.data.corpus import Corpus


def columns(rows: Sequence[Sequence[Any]]) -> str:
    """Lay rows out in columns: the first to the left, the rest to the right.

    >>> print(columns([["word", "n"], ["yes", 12]]))
    word   n
    yes   12
    """
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def label_table(corpus: Corpus) -> str:
    """Return how many clips each label has in each partition."""
    from minikws.data.splits import PARTITIONS

    rows: list[list[Any]] = [["label", *PARTITIONS]]
    for index, label in enumerate(corpus.labels):
        counts = [sum(c.label == index for c in corpus.partitions[p]) for p in PARTITIONS]
        rows.append([label, *counts])
    return columns(rows)


def confusion_table(matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> str:
    """Return a confusion matrix with names on both sides, and each row's recall."""
    rows: list[list[Any]] = [["true \\ predicted", *labels, "recall"]]
    for label, row in zip(labels, matrix, strict=True):
        total = sum(row)
        right = row[len(rows) - 1]
        rows.append([label, *row, f"{100 * right / total:.1f}%" if total else "-"])
    return columns(rows)
