"""Hold a classifier against a partition: any function from samples to scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from minikws._typing import Array, Int64, Samples
from minikws.data.corpus import Clip, Corpus
from minikws.metrics import confusion_matrix

BLOCK = 500  # clips a block: bounds the memory of samples and features


def blocks(corpus: Corpus, clips: Sequence[Clip]) -> Iterator[tuple[Samples, Int64]]:
    """Yield samples (B, N) and labels (B,) of clips in order, without augmentation."""
    for start in range(0, len(clips), BLOCK):
        block = clips[start : start + BLOCK]
        yield corpus.clean(block), corpus.label_indices(block)


def predict_labels(
    classify: Callable[[Samples], Array], corpus: Corpus, clips: Sequence[Clip]
) -> tuple[Int64, Int64]:
    """Return the true and the predicted label of each clip, (B,) each.

    classify : from samples (B, N) int16 to scores (B, L), of which the first largest counts.
    """
    true, predicted = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for samples, labels in blocks(corpus, clips):
        true.append(labels)
        predicted.append(classify(samples).argmax(1).astype(np.int64))
    return np.concatenate(true), np.concatenate(predicted)


def evaluate(classify: Callable[[Samples], Array], corpus: Corpus, clips: Sequence[Clip]) -> Int64:
    """Return the confusion matrix (L, L) of a classifier on clips."""
    return confusion_matrix(*predict_labels(classify, corpus, clips), len(corpus.labels))
