"""Long recordings: mixed as published, drawn from one partition, the same for one seed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from minikws.audio import read_wav, to_float
from minikws.data.corpus import Corpus
from minikws.errors import CorpusError, SettingsError
from minikws.settings import CorpusSettings
from minikws.streaming import synth
from minikws.streaming.synth import make_blocks, mix, plan_stream, write_stream


@pytest.fixture(scope="module")
def corpus(tone_corpus: Path) -> Corpus:
    settings = CorpusSettings(wanted_words=("low", "high"), silence=False, unknown_pct=10_000)
    return Corpus(tone_corpus, settings, 16_000, 4000)


def test_the_specifications_check_of_the_mixer() -> None:
    track = np.zeros(10_000, np.float32)
    ones = np.ones(1000, np.float32)
    mix(track, 2000, ones, start=0, length=1000, volume=1.0, ramp_in=100, ramp_out=100)
    assert (track[2500], track[3500]) == (1, 0)


def published_mix(
    track: list[float], at: int, sample: list[float], start: int, length: int, volume: float,
    ramp_in: int, ramp_out: int,
) -> None:  # fmt: skip
    """mix() of speech_commands.md 7.4, one sample at a time."""
    end = min(at + length, len(track), at + len(sample) - start)
    for i in range(end - at):
        scale = 1.0
        if i < ramp_in:
            scale = i / ramp_in
        elif i > length - ramp_out:
            scale = (length - i) / ramp_out
        track[at + i] += sample[start + i] * scale * volume


def test_the_mixer_is_the_published_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, length = int(rng.integers(1, 300)), int(rng.integers(1, 120))
        sample = rng.normal(0, 1, int(rng.integers(1, 200)))
        start = int(rng.integers(len(sample)))
        at, ramp_in, ramp_out = int(rng.integers(n)), *map(int, rng.integers(1, 150, 2))
        expected = [0.0] * n
        published_mix(expected, at, sample.tolist(), start, length, 0.7, ramp_in, ramp_out)
        track = np.zeros(n, np.float32)
        mix(track, at, sample.astype(np.float32), start=start, length=length, volume=0.7,
            ramp_in=ramp_in, ramp_out=ramp_out)  # fmt: skip
        np.testing.assert_allclose(track, expected, atol=1e-6)


def test_what_is_planned(corpus: Corpus) -> None:
    plan = plan_stream(corpus, seconds=300, seed=1, word_gap_ms=500)
    assert plan.n_samples == 300 * 16_000
    # A word in every 750 ms, somewhere in it so that it ends before the next begins.
    assert len(plan.words) == len(plan.truth) == 400
    for i, (word, spoken) in enumerate(zip(plan.words, plan.truth, strict=True)):
        assert 0 <= word.at - 12_000 * i < 8000
        assert spoken.time_ms == word.at / 16
    assert (word.length, word.volume, word.ramp) == (4000, 1.0, 500)
    # A piece of noise for every 250 ms, each half a second longer, from 0 to 0.1 loud.
    assert [piece.at for piece in plan.background] == list(range(0, plan.n_samples, 4000))
    assert {(piece.length, piece.ramp) for piece in plan.background} == {(12_000, 4000)}
    volumes = [piece.volume for piece in plan.background]
    assert 0 <= min(volumes) < 0.01
    assert 0.09 < max(volumes) <= 0.1


def test_only_the_partitions_clips_are_said(corpus: Corpus) -> None:
    for partition in ("testing", "training"):
        plan = plan_stream(corpus, seconds=300, seed=1, word_gap_ms=500, partition=partition)  # type: ignore[arg-type]
        said = {word.source for word in plan.words}
        assert said <= set(corpus.partitions[partition])  # type: ignore[index]
        for word, spoken in zip(plan.words, plan.truth, strict=True):
            assert not isinstance(word.source, int)
            assert corpus.labels[word.source.label] == spoken.label
        counts = Counter(spoken.label for spoken in plan.truth)
        assert counts["_unknown_"] == pytest.approx(120, abs=30)  # 30 %
        assert counts["low"] == pytest.approx(140, abs=35)


def test_the_sound_is_the_sum_of_its_pieces(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_stream(corpus, seconds=5.3, seed=2, word_gap_ms=300, background_volume=1.0)
    track = np.zeros(plan.n_samples, np.float32)
    for each in (*plan.background, *plan.words):
        source = each.source
        sound = (
            corpus.background[source] if isinstance(source, int) else corpus.samples(source.path)  # type: ignore[arg-type]
        )
        mix(track, each.at, to_float(sound), start=each.start, length=each.length,
            volume=each.volume, ramp_in=each.ramp, ramp_out=each.ramp)  # fmt: skip
    expected = np.clip(np.rint(track.astype(np.float64) * 32768), -32768, 32767)
    for seconds in (30, 1):  # in one block, or cut into several
        monkeypatch.setattr(synth, "BLOCK_SECONDS", seconds)
        found = np.concatenate(list(make_blocks(plan, corpus)))
        np.testing.assert_allclose(found, expected, atol=1)
    path = write_stream(plan, corpus, tmp_path / "stream.wav")
    wav = read_wav(path)
    assert wav.sample_rate_hz == 16_000
    np.testing.assert_array_equal(wav.samples[:, 0], found)


def test_a_seed_makes_the_same_recording(corpus: Corpus) -> None:
    plans = [plan_stream(corpus, seconds=20, seed=seed) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


def test_no_unknown_words(corpus: Corpus, tone_corpus: Path) -> None:
    plan = plan_stream(corpus, seconds=60, seed=1, unknown_pct=0)
    assert {spoken.label for spoken in plan.truth} == {"low", "high"}
    settings = CorpusSettings(wanted_words=("low",), silence=False, unknown=False)
    plan = plan_stream(Corpus(tone_corpus, settings, 16_000, 4000), seconds=60, seed=1)
    assert {spoken.label for spoken in plan.truth} == {"low"}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"seconds": 0}, "seconds=0 is not between 1 and"),
        ({"seconds": 1e6}, r"seconds=1e\+06 is not between 1 and 134218"),
        ({"word_gap_ms": 0}, "word_gap_ms=0"),
        ({"unknown_pct": 101}, "unknown_pct=101"),
        ({"background_volume": 2}, "background_volume=2"),
    ],
)
def test_numbers_that_cannot_work(corpus: Corpus, wrong: dict[str, float], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        plan_stream(corpus, seed=1, **{"seconds": 60, **wrong})  # type: ignore[arg-type]


def test_a_partition_without_a_word(tone_corpus: Path) -> None:
    settings = CorpusSettings(wanted_words=("low",), silence=False, testing_pct=0)
    with pytest.raises(CorpusError, match=r"no clip of .* falls into the testing partition"):
        plan_stream(Corpus(tone_corpus, settings, 16_000, 4000), seconds=60, seed=1)


def test_no_other_words(tone_corpus: Path) -> None:
    settings = CorpusSettings(wanted_words=("low", "high", "middle"), silence=False)
    corpus = Corpus(tone_corpus, settings, 16_000, 4000)
    with pytest.raises(CorpusError, match=r"no clip of '_unknown_' .*--unknown-percentage 0$"):
        plan_stream(corpus, seconds=60, seed=1)
