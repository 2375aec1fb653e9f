from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from minikws._typing import Array, Samples
from minikws.data.corpus import Corpus
from minikws.data.wrong import worst_clips
from minikws.settings import CorpusSettings


@pytest.fixture
def corpus(tone_corpus: Path) -> Corpus:
    settings = CorpusSettings(
        wanted_words=("low", "high"), silence_pct=25, unknown_pct=25, testing_pct=40
    )
    return Corpus(tone_corpus, settings, 16_000, 4000)


def says(logits: list[float]) -> Array:
    return np.array([logits])


def test_the_worst_come_first_with_their_loss_by_hand(corpus: Corpus) -> None:
    testing = corpus.partitions["testing"]
    clips = [clip for clip in testing if clip.word == "low"][:3]
    # labels: _silence_, _unknown_, low, high. Shares of 1: e^z over its sum.
    answers = {
        corpus.clean([clips[0]]).tobytes(): np.log([1, 1, 1, 5]),  # low gets 1/8, high 5/8
        corpus.clean([clips[1]]).tobytes(): np.log([1, 1, 6, 2]),  # right
        corpus.clean([clips[2]]).tobytes(): np.log([12, 1, 1, 2]) + 1000,  # low 1/16, silence 12/16
    }

    def classify(samples: Samples) -> Array:
        return np.array([answers[row.tobytes()] for row in samples])

    worst = worst_clips(classify, corpus, clips)
    assert [(w.true, w.predicted) for w in worst] == [("low", "_silence_"), ("low", "high")]
    assert [w.file for w in worst] == [clips[2].path, clips[0].path]
    assert [w.clip for w in worst] == [clips[2], clips[0]]
    assert [w.loss for w in worst] == pytest.approx([math.log(16), math.log(8)])
    assert [w.probability for w in worst] == pytest.approx([0.75, 0.625])
    assert worst_clips(classify, corpus, clips, n_worst=1) == worst[:1]


def test_a_silence_clip_names_its_background_file(corpus: Corpus) -> None:
    silence = [clip for clip in corpus.partitions["testing"] if clip.word == "_silence_"][:1]
    (found,) = worst_clips(lambda samples: says([0, 0, 1, 0]), corpus, silence)
    assert (found.true, found.predicted) == ("_silence_", "low")
    assert found.file == corpus.background_paths[0]


def test_no_clips_have_no_worst(corpus: Corpus) -> None:
    assert worst_clips(lambda samples: says([0, 0, 1, 0]), corpus, []) == []
