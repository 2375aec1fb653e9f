"""Training batches: the mixing rule, and that all chance comes from the generator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minikws.data.batches import TrainingBatches, lead_in_samples, mix
from minikws.data.corpus import Corpus
from minikws.errors import CorpusError, SettingsError
from minikws.frontend import FRONTENDS
from minikws.settings import AugmentSettings, CorpusSettings, MicroSettings


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
    for too_far in (4, 5, 9, -4, -5, -7, -9):
        assert mixed([1, 2, 3, 4], too_far, [0] * 4, 0.0) == [0, 0, 0, 0]


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


def test_a_lead_in_changes_no_draw_and_saves_the_beginning_of_a_shifted_word(
    corpus: Corpus,
) -> None:
    no_noise = AugmentSettings(background_volume=0, background_frequency=0, lead_in_share=1)
    plain = TrainingBatches(corpus, no_noise).draw(60, np.random.default_rng(2))
    longer = TrainingBatches(corpus, no_noise, lead_in_samples=3200)
    samples, labels = longer.draw(60, np.random.default_rng(2))
    np.testing.assert_array_equal(labels, plain[1])
    words = labels != 0
    np.testing.assert_array_equal(samples[words, 3200:], plain[0][words])
    known = [corpus.samples(c.path).tobytes() for c in corpus.partitions["training"] if c.path]
    n_left = 0
    for row in samples[words]:
        before = row[:3200]
        if before.any():
            n_left += 1
            assert not before[:1600].any()  # shifted by 100 ms at most
            assert any(recording in row.tobytes() for recording in known)
    assert 5 < n_left < words.sum() - 5


def test_the_noise_of_a_lead_in_goes_on_into_the_clip(tone_corpus: Path) -> None:
    settings = CorpusSettings(wanted_words=("low", "high"), silence_pct=100)
    corpus = Corpus(tone_corpus, settings, 16_000, 1000)
    corpus._background = (np.arange(0, 32_000, 8).astype(np.int16),)  # each sample is its place
    batches = TrainingBatches(corpus, AugmentSettings(lead_in_share=1), lead_in_samples=480)
    samples, labels = batches.draw(40, np.random.default_rng(0))
    assert samples.shape == (40, 1480)
    silence = samples[labels == 0]
    assert len(silence) > 5
    for row in silence:
        steps = np.diff(row.astype(np.int64))  # 8 times the volume, cut to whole numbers
        assert steps.max() - steps.min() <= 1


def test_a_share_of_the_clips_has_a_lead_in(corpus: Corpus) -> None:
    always = AugmentSettings(background_volume=1, background_frequency=1)
    for share, spread in ((0, 0.0), (0.25, 0.05), (1, 0.01)):
        settings = replace(always, lead_in_share=share)
        batches = TrainingBatches(corpus, settings, lead_in_samples=1600)
        samples, _ = batches.draw(1000, np.random.default_rng(0))
        assert np.mean(samples[:, :1600].any(1)) == pytest.approx(share, abs=spread)
        assert np.mean(samples[:, 1600:].any(1)) > 0.99  # some silence is too soft to hear


def test_a_lead_in_is_whole_hops_of_a_frontend_that_remembers() -> None:
    micro = MicroSettings()
    assert lead_in_samples(AugmentSettings(), micro) == 0
    assert lead_in_samples(AugmentSettings(lead_in_ms=1000), micro) == 16_000
    assert lead_in_samples(AugmentSettings(lead_in_ms=20), micro) == 320
    for odd, nearest in ((1010, 1000), (30.5, 40), (1, 20)):
        with pytest.raises(SettingsError, match=f"hop of 20 ms; the nearest is {nearest}$"):
            lead_in_samples(AugmentSettings(lead_in_ms=odd), micro)
    for kind, frontend in FRONTENDS.items():
        if kind != "micro":
            with pytest.raises(SettingsError, match=f"changes nothing for {kind} features"):
                lead_in_samples(AugmentSettings(lead_in_ms=1000), frontend.settings_class())


def test_a_lead_in_longer_than_the_noise(corpus: Corpus) -> None:
    """white.wav holds 12,000 samples, a clip 4,000: 8,000 are left, 500 ms."""
    TrainingBatches(corpus, AugmentSettings(), lead_in_samples=8000)
    with pytest.raises(CorpusError, match=r"white.wav lasts 750 ms.* 751.*at most 500 ms"):
        TrainingBatches(corpus, AugmentSettings(), lead_in_samples=8016)
