"""What a training makes small: the labels' cross entropy, weighted and smoothed, and a teacher's.

The penalty on large weights is not here: it needs no batch (`nn.losses.l2_penalty`).
"""

from __future__ import annotations

import numpy as np

from minikws._typing import Array, Float, Int64, Samples
from minikws.checkpoint import RunConfig
from minikws.classifiers import open_classifiers
from minikws.data.corpus import Corpus
from minikws.errors import SettingsError
from minikws.nn.losses import distillation_loss, softmax_cross_entropy
from minikws.settings import BALANCED


class Objective:
    """The loss of a batch, as a run's configuration wants it.

    Raises
    ------
    SettingsError : class weights or a teacher that do not fit the corpus's labels.
    """

    def __init__(self, config: RunConfig, corpus: Corpus) -> None:
        self.label_smoothing = config.train.label_smoothing
        self.class_weights = class_weights(config, corpus)
        self.settings = config.teacher
        self.teachers = open_classifiers(
            [config.teacher.model] if config.teacher else [],
            corpus.labels,
            sample_rate_hz=corpus.sample_rate_hz,
            clip_samples=corpus.clip_samples,
        )

    def __call__(self, logits: Float, labels: Int64, samples: Samples) -> tuple[float, Float]:
        """Return the loss and dlogits (B, L) of a batch; the teacher hears its samples (B, N).

        loss = (1 - share) labels' + share teacher's, and the gradients add up likewise.
        """
        loss, dlogits = softmax_cross_entropy(
            logits,
            labels,
            label_smoothing=self.label_smoothing,
            class_weights=self.class_weights,
        )
        if self.settings is None:
            return loss, dlogits
        share = self.settings.share
        soft, dsoft = distillation_loss(
            logits,
            self.teachers[0].logits(samples),
            labels,
            temperature=self.settings.temperature,
            share=1.0,
        )
        part = logits.dtype.type(share)
        return (1 - share) * loss + share * soft, (1 - part) * dlogits + part * dsoft


def class_weights(config: RunConfig, corpus: Corpus) -> Array | None:
    """Return how much a clip of each label counts, (L,) float32; None for all alike.

    Balanced: clips / (labels * clips of the label), so that every label weighs the same in all.

    Raises
    ------
    SettingsError : not one number a label.
    """
    given = config.train.class_weights
    n_labels = len(corpus.labels)
    if given is None:
        return None
    if given == BALANCED:
        labels = corpus.label_indices(corpus.partitions["training"])
        counts = np.bincount(labels, minlength=n_labels)
        return (len(labels) / (n_labels * np.maximum(counts, 1))).astype(np.float32)
    if len(given) != n_labels:
        raise SettingsError(
            f"class_weights holds {len(given)} numbers, the labels are {n_labels} "
            f"({', '.join(corpus.labels)}); give one a label, in this order"
        )
    return np.array(given, np.float32)
