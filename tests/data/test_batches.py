"""Training batches: the mixing rule, and that all chance comes from the generator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minikws.data.batches import TrainingBatches, mix
from minikws.data.corpus import Corpus
from minikws.settings import AugmentSettings, CorpusSettings


@pytest.fixture(scope="module")
def corpus(tone_corpus: Path) -> Corpus:
    settings = CorpusSettings(wanted_words=("low", "high"), silence_pct=25, unknown_pct=25)
    return Corpus(tone_corpus, settings, 16_000, 4000)


def mixed(word: list[int], shift: int, noise: list[int], volume: float) -> list[int]:
    out = mix.reference(
        np.array([word], np.int16),
        np.array([shift], np.int64),
        np.array([noise], np.int16),
        np.array([volume], np.float32),
    )
    return [int(v) for v in out[0]]


def test_shift_fills_with_zeros_on_either_side() -> None:
    assert mixed([1, 2, 3, 4], 1, [0] * 4, 0.0) == [0, 1, 2, 3]
    assert mixed([1, 2, 3, 4], -1, [0] * 4, 0.0) == [2, 3, 4, 0]
    assert mixed([1, 2, 3, 4], 0, [0] * 4, 0.0) == [1, 2, 3, 4]
    assert mixed([1, 2, 3, 4], 9, [0] * 4, 0.0) == [0, 0, 0, 0]


def test_noise_is_added_clamped_and_truncated() -> None:
    assert mixed([100, -100, 32767, -32768], 0, [3, 3, 100, -100], 0.5) == [
        101,
        -98,
        32767,
        -32768,
    ]


def test_same_generator_same_batch(corpus: Corpus) -> None:
    batches = TrainingBatches(corpus, AugmentSettings())
    one, two = (batches.draw(20, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    other = batches.draw(20, np.random.default_rng(6))
    assert not np.array_equal(one[0], other[0])


def test_every_label_is_drawn_in_its_share(corpus: Corpus) -> None:
    batches = TrainingBatches(corpus, AugmentSettings())
    _, labels = batches.draw(2000, np.random.default_rng(0))
    expected = np.bincount([c.label for c in corpus.partitions["training"]]) / len(
        corpus.partitions["training"]
    )
    np.testing.assert_allclose(np.bincount(labels) / 2000, expected, atol=0.05)


def test_without_augmentation_a_batch_holds_the_recordings(corpus: Corpus) -> None:
    plain = AugmentSettings(background_volume=0, background_frequency=0, time_shift_ms=0)
    samples, labels = TrainingBatches(corpus, plain).draw(30, np.random.default_rng(0))
    known = {
        corpus.samples(c.path).tobytes(): c.label
        for c in corpus.partitions["training"]
        if c.path is not None
    }
    for row, label in zip(samples, labels, strict=True):
        assert label == 0 or known[row.tobytes()] == label
