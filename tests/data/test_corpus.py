"""Which clips feed which label; and what a folder that cannot work is told."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from minikws.audio import read_clip, write_wav
from minikws.data.corpus import Corpus
from minikws.data.splits import PARTITIONS, speaker_of, split_of
from minikws.errors import CorpusError
from minikws.settings import CorpusSettings

RATE, CLIP = 16_000, 4000


def open_tones(folder: Path, **settings: object) -> Corpus:
    chosen = {"wanted_words": ("low", "high"), "silence_pct": 25, "unknown_pct": 25} | settings
    return Corpus(folder, CorpusSettings(**chosen), RATE, CLIP)  # type: ignore[arg-type]


def test_partitions_follow_the_hash_and_the_percentages(tone_corpus: Path) -> None:
    corpus = open_tones(tone_corpus)
    assert corpus.labels == ("_silence_", "_unknown_", "low", "high")
    for partition in PARTITIONS:
        clips = corpus.partitions[partition]
        wanted = [c for c in clips if c.word in ("low", "high")]
        assert wanted
        assert all(split_of(c.path) == partition for c in clips if c.path)
        others = [p for p in (tone_corpus / "middle").iterdir() if split_of(p) == partition]
        expected = math.ceil(len(wanted) * 0.25)
        assert sum(c.label == 0 for c in clips) == expected
        # Fewer where the partition has not that many other words.
        assert sum(c.label == 1 for c in clips) == min(expected, len(others))
        assert {c.word for c in clips if c.label == 1} <= {"middle"}


def test_no_speaker_stands_on_two_sides(tone_corpus: Path) -> None:
    parts = open_tones(tone_corpus).partitions
    speakers = {p: {speaker_of(c.path) for c in parts[p] if c.path} for p in PARTITIONS}
    assert not speakers["training"] & speakers["testing"]
    assert not speakers["training"] & speakers["validation"]


def test_the_index_depends_on_the_folder_alone(tone_corpus: Path) -> None:
    one, two = open_tones(tone_corpus), open_tones(tone_corpus)
    assert one.partitions == two.partitions
    assert one.digest == two.digest


def test_labels_can_be_left_out(tone_corpus: Path) -> None:
    corpus = open_tones(tone_corpus, silence=False, unknown=False)
    assert corpus.labels == ("low", "high")
    assert {c.label for c in corpus.partitions["training"]} == {0, 1}


def test_clean_clips_are_the_recordings(tone_corpus: Path) -> None:
    corpus = open_tones(tone_corpus)
    clips = corpus.partitions["testing"]
    samples = corpus.clean(clips)
    assert samples.shape == (len(clips), CLIP)
    for clip, row in zip(clips, samples, strict=True):
        if clip.path is not None:
            expected = read_clip(clip.path, sample_rate_hz=RATE, n_samples=CLIP)
            np.testing.assert_array_equal(row, expected)
        else:
            assert clip.segment is not None
            noise = corpus.background[clip.segment.background][clip.segment.start :][:CLIP]
            # Truncated toward zero, like TensorFlow's cast to int16.
            expected = np.trunc(noise * np.float32(clip.segment.volume))
            np.testing.assert_array_equal(row, expected)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no folder .*nowhere.*data synth"):
        open_tones(tmp_path / "nowhere")


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no \.wav file in the sub-folders"):
        open_tones(tmp_path)


def test_word_without_clips(tone_corpus: Path) -> None:
    with pytest.raises(CorpusError, match=r"'hihg' has no clip.*did you mean high"):
        open_tones(tone_corpus, wanted_words=("low", "hihg"))


@pytest.fixture
def own_copy(tone_corpus: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tone_corpus, tmp_path / "tones"))


def test_without_background_silence_has_no_clip(own_copy: Path) -> None:
    shutil.rmtree(own_copy / "_background_noise_")
    corpus = open_tones(own_copy)
    assert corpus.labels[0] == "_silence_"
    assert not any(clip.label == 0 for clips in corpus.partitions.values() for clip in clips)
    assert open_tones(own_copy, silence=False).labels == ("_unknown_", "low", "high")
    assert open_tones(own_copy, silence_pct=0).labels[0] == "_silence_"


def test_background_shorter_than_a_clip(own_copy: Path) -> None:
    write_wav(own_copy / "_background_noise_" / "short.wav", np.zeros(CLIP, np.int16), RATE)
    with pytest.raises(CorpusError, match=r"short\.wav holds 4000 samples .* more than 4000"):
        open_tones(own_copy)


def test_a_bad_recording_is_named(own_copy: Path) -> None:
    bad = sorted((own_copy / "low").iterdir())[0]
    bad.write_bytes(b"hello, this is text")
    corpus = open_tones(own_copy)
    with pytest.raises(Exception, match=bad.name):
        for partition in PARTITIONS:
            corpus.clean(corpus.partitions[partition])


def test_all_in_one_partition_is_an_error(own_copy: Path) -> None:
    for word in ("low", "high"):
        for path in (own_copy / word).iterdir():
            if split_of(path) == "training":
                path.unlink()
    with pytest.raises(CorpusError, match=r"training partition"):
        open_tones(own_copy)


def test_hidden_files_are_left_out(own_copy: Path) -> None:
    (own_copy / "low" / "._x_nohash_0.wav").write_bytes(b"resource fork")
    assert open_tones(own_copy).partitions == open_tones(own_copy).partitions
    assert not any(
        c.path and c.path.name.startswith(".")
        for clips in open_tones(own_copy).partitions.values()
        for c in clips
    )
