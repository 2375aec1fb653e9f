from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minikws._typing import Samples
from minikws.audio import from_float, to_float, write_wav
from minikws.data.check import CorpusReport, Finding, check_corpus, margin_points
from minikws.data.check_text import SENTENCES, report_record, report_text, sentence
from minikws.data.fingerprint import ALIKE, fingerprint
from minikws.data.splits import split_of
from minikws.errors import CorpusError, SettingsError

# Speakers by partition under the hash rule.
NAMES = [f"{number:08x}" for number in range(400)]
TRAINING = [name for name in NAMES if split_of(f"{name}_nohash_0.wav") == "training"]
TESTING = [name for name in NAMES if split_of(f"{name}_nohash_0.wav") == "testing"]
VALIDATION = [name for name in NAMES if split_of(f"{name}_nohash_0.wav") == "validation"]
SPEAKERS = TRAINING[:14] + TESTING[:3] + VALIDATION[:3]


def chirp(seed: int, *, n: int = 16000, rate: int = 16000, peak: float = 0.3) -> Samples:
    """A sound of its own for each seed: some gliding tones, at random times."""
    rng = np.random.default_rng(seed)
    time = np.arange(n) / rate
    sound = np.zeros(n)
    for _ in range(6):
        low, high = rng.uniform(150, 3500, 2)
        middle, width = rng.uniform(0.2, 0.8) * n / rate, rng.uniform(0.02, 0.12)
        glide = 2 * np.pi * (low * time + (high - low) * time**2 / 2)
        sound += np.sin(glide) * np.exp(-(((time - middle) / width) ** 2))
    return from_float(sound / np.abs(sound).max() * peak)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder without any fault: two words and a third, 20 speakers, a minute of noise."""
    for offset, word in enumerate(("yes", "no", "other")):
        for index, speaker in enumerate(SPEAKERS):
            samples = chirp(1000 * offset + index)
            write_wav(tmp_path / word / f"{speaker}_nohash_0.wav", samples, 16000)
    noise = np.random.default_rng(0).integers(-900, 900, 16000 * 61).astype(np.int16)
    write_wav(tmp_path / "_background_noise_" / "room.wav", noise, 16000)
    return tmp_path


def kinds(report: CorpusReport) -> set[str]:
    return {finding.kind for finding in report.findings}


def found(report: CorpusReport, kind: str) -> Finding:
    (finding,) = [finding for finding in report.findings if finding.kind == kind]
    return finding


def test_sound_corpus_has_no_finding(corpus: Path) -> None:
    report = check_corpus(corpus, wanted_words=["yes", "no"])
    assert report.findings == ()
    assert (report.n_found, report.n_used, report.n_speakers) == (60, 60, 20)
    assert (report.n_background, report.background_minutes) == (1, pytest.approx(61 / 60))
    words = {word.word: word for word in report.words}
    assert words["yes"].n_in == {"training": 14, "validation": 3, "testing": 3}
    assert words["yes"].n_speakers == 20
    assert report.n_test == 6
    assert "0 faults, 0 notes" in report_text(report)


def test_uncertainty_follows_from_the_number_of_test_clips() -> None:
    assert round(margin_points(10)) == 25
    assert margin_points(1000) == pytest.approx(2.479, abs=1e-3)
    assert margin_points(0) == 50


def test_all_unreadable_files_at_once_each_with_its_reason(corpus: Path) -> None:
    (corpus / "yes" / "a_nohash_0.wav").write_bytes(b"hello, text")
    (corpus / "no" / "b_nohash_0.wav").write_bytes(b"")
    mp3 = b"fmt " + struct.pack("<IHHIIHH", 16, 0x55, 1, 16000, 32000, 2, 16)
    (corpus / "no" / "c_nohash_0.wav").write_bytes(b"RIFF\0\0\0\0WAVE" + mp3)
    (corpus / "_background_noise_" / "d.wav").write_bytes(b"OggS")
    report = check_corpus(corpus)
    finding = found(report, "unreadable")
    assert finding.is_fault and len(finding.files) == 4
    assert (report.n_found, report.n_used, report.skipped) == (63, 60, {"unreadable": 3})
    text = report_text(report)
    assert "yes/a_nohash_0.wav is a text file" in text
    assert "no/b_nohash_0.wav is empty" in text
    assert "no/c_nohash_0.wav holds MP3" in text
    assert "_background_noise_/d.wav is an Ogg file" in text
    assert "skipped 3 that cannot be read" in text


def test_files_in_the_wrong_place_or_format(corpus: Path) -> None:
    write_wav(corpus / "loose.wav", chirp(1), 16000)
    write_wav(corpus / "yes" / "more" / "deep.wav", chirp(2), 16000)
    (corpus / "yes" / "x.mp3").write_bytes(b"ID3")
    (corpus / "yes" / "notes.txt").write_text("not a sound")
    report = check_corpus(corpus)
    assert report.skipped == {"not_in_a_folder": 1, "other_format": 1, "too_deep": 1}
    assert found(report, "too_deep").files == ("yes/more/deep.wav",)
    assert report.faults == ()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: None, "no .wav file in the sub-folders"),
        (
            lambda folder: write_wav(folder / "a.wav", chirp(1), 16000),
            "1 beside the words' folders",
        ),
        (
            lambda folder: (folder / "a").mkdir(),
            "the layout is corpus/WORD/SPEAKER_nohash_TAKE.wav",
        ),
    ],
)
def test_nothing_usable_shows_the_layout(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    make(folder)
    with pytest.raises(CorpusError, match=words):
        check_corpus(folder)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no folder .*nowhere; .*data synth"):
        check_corpus(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sample_rate_hz": -1}, "sample_rate_hz=-1 is not"),
        ({"clip_ms": float("nan")}, "clip_ms=nan is not below"),
        ({"validation_pct": 60, "testing_pct": 60}, "leave nothing to train on"),
    ],
)
def test_what_no_training_takes(tmp_path: Path, options: dict[str, float], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        check_corpus(tmp_path, **options)


def test_a_rate_that_no_sound_card_has(tmp_path: Path) -> None:
    """The rate decides how much memory a clip's length takes."""
    file = tmp_path / "yes" / "a_nohash_0.wav"
    write_wav(file, chirp(1), 16_000)
    content = bytearray(file.read_bytes())
    content[24:28] = struct.pack("<I", 4_000_000_000)
    file.write_bytes(content)
    with pytest.raises(CorpusError, match="damaged header: 1 channels, 4000000000 Hz"):
        check_corpus(tmp_path)


def test_other_rates_are_noted_and_a_word_of_its_own_rate_is_a_fault(corpus: Path) -> None:
    write_wav(corpus / "yes" / f"{TRAINING[20]}_nohash_0.wav", chirp(9, rate=8000, n=8000), 8000)
    report = check_corpus(corpus)
    assert "1 of 8000 Hz" in sentence(found(report, "other_rate"))
    for path in (corpus / "no").iterdir():
        write_wav(path, chirp(int(path.name[:8], 16), rate=8000, n=8000), 8000)
    finding = found(check_corpus(corpus), "rate_tells_word")
    assert finding.is_fault and finding.words == ("no",)


def test_lengths(corpus: Path) -> None:
    write_wav(corpus / "yes" / f"{TRAINING[20]}_nohash_0.wav", chirp(9, n=7000), 16000)
    write_wav(corpus / "no" / f"{TRAINING[21]}_nohash_0.wav", chirp(8, n=40000), 16000)
    report = check_corpus(corpus)
    assert "down to 438" in sentence(found(report, "short"))
    assert "up to 2500" in sentence(found(report, "long"))
    assert found(report, "long").is_fault
    assert "long" not in kinds(check_corpus(corpus, clip_ms=2500))


def test_clipping_and_silence(corpus: Path) -> None:
    loud = from_float(np.clip(to_float(chirp(7)) * 20, -1, 1))
    write_wav(corpus / "yes" / f"{TRAINING[20]}_nohash_0.wav", loud, 16000)
    write_wav(corpus / "yes" / f"{TRAINING[21]}_nohash_0.wav", np.zeros(16000, np.int16), 16000)
    soft = from_float(to_float(chirp(6)) * 0.01)
    write_wav(corpus / "yes" / f"{TRAINING[22]}_nohash_0.wav", soft, 16000)
    report = check_corpus(corpus)
    assert found(report, "clipped").files == (f"yes/{TRAINING[20]}_nohash_0.wav",)
    assert found(report, "no_sound").is_fault
    assert found(report, "quiet").files == (f"yes/{TRAINING[22]}_nohash_0.wav",)


def test_exact_copies(corpus: Path) -> None:
    original = chirp(0)  # yes, SPEAKERS[0], training
    write_wav(corpus / "yes" / f"{TESTING[9]}_nohash_0.wav", original, 16000)
    finding = found(check_corpus(corpus), "copy_across_partitions")
    assert finding.is_fault
    assert finding.facts["groups"] == [
        sorted([f"yes/{SPEAKERS[0]}_nohash_0.wav", f"yes/{TESTING[9]}_nohash_0.wav"])
    ]
    write_wav(corpus / "no" / f"{TRAINING[30]}_nohash_0.wav", chirp(3), 16000)
    assert found(check_corpus(corpus), "copy_in_two_words").words == ("no", "yes")
    write_wav(corpus / "no" / f"{TRAINING[31]}_nohash_0.wav", chirp(1005), 16000)
    assert not found(check_corpus(corpus), "copy").is_fault


def test_near_copies_across_partitions(corpus: Path) -> None:
    rng = np.random.default_rng(0)
    for index, speaker in enumerate((TESTING + VALIDATION)[6:16]):
        moved = np.roll(to_float(chirp(index)), 480) * 0.5 + 1e-3 * rng.standard_normal(16000)
        write_wav(corpus / "yes" / f"{speaker}_nohash_0.wav", from_float(moved), 16000)
    report = check_corpus(corpus)
    finding = found(report, "alike")
    assert finding.is_fault and len(finding.facts["groups"]) >= 10
    assert "do not trust validation and test" in sentence(finding)


def test_likeness_survives_gain_shift_and_noise_but_not_another_sound() -> None:
    rng = np.random.default_rng(3)
    for seed in range(10):
        sound = to_float(chirp(seed))
        changed = np.roll(sound, 300) * 0.3 + 3e-4 * rng.standard_normal(16000)
        one, two, other = (
            fingerprint(samples, 16000, 16000)
            for samples in (chirp(seed), from_float(changed), chirp(seed + 100))
        )
        assert np.sum(one * two) > ALIKE > np.sum(one * other)
        assert np.sum(one * one) == pytest.approx(1)
    assert not fingerprint(np.zeros(0, np.int16), 16000, 16000).any()
    assert not fingerprint(np.zeros(16000, np.int16), 16000, 16000).any()


def test_names_without_a_speaker(corpus: Path) -> None:
    write_wav(corpus / "yes" / "my recording.wav", chirp(50), 16000)
    finding = found(check_corpus(corpus), "no_speaker")
    assert finding.files == ("yes/my recording.wav",)
    assert "SPEAKER_nohash_TAKE.wav" in sentence(finding)


def test_one_voice_for_a_whole_word(corpus: Path) -> None:
    for take in range(12):
        write_wav(corpus / "hey" / f"{TRAINING[0]}_nohash_{take}.wav", chirp(60 + take), 16000)
    assert found(check_corpus(corpus), "few_speakers").words == ("hey",)


def test_a_word_that_loudness_alone_tells(corpus: Path) -> None:
    for index, path in enumerate(sorted((corpus / "no").iterdir())):
        write_wav(path, chirp(1000 + index, peak=0.05), 16000)
    finding = found(check_corpus(corpus), "level")
    assert finding.is_fault and finding.words == ("no",)
    assert "+16 dB" in sentence(finding) or "+15 dB" in sentence(finding)


def test_folders_that_mean_something_else(corpus: Path) -> None:
    write_wav(corpus / "silence" / f"{TRAINING[0]}_nohash_0.wav", chirp(70), 16000)
    write_wav(corpus / "background_noise" / f"{TRAINING[0]}_nohash_0.wav", chirp(71), 16000)
    report = check_corpus(corpus)
    assert "--no-silence" in sentence(found(report, "silence_folder"))
    assert found(report, "noise_folder").words == ("background_noise",)
    assert "silence_folder" not in kinds(check_corpus(corpus, wanted_words=["yes", "no"]))


def test_background_noise(corpus: Path) -> None:
    noise = corpus / "_background_noise_"
    write_wav(noise / "short.wav", chirp(1, n=16000), 16000)
    write_wav(noise / "slow.wav", chirp(1, n=80000), 8000)
    report = check_corpus(corpus)
    assert found(report, "short_background").files == ("_background_noise_/short.wav",)
    assert found(report, "background_rate").files == ("_background_noise_/slow.wav",)
    (noise / "room.wav").unlink()
    assert "11 s of background" in sentence(found(check_corpus(corpus), "little_background"))
    for path in noise.iterdir():
        path.unlink()
    finding = found(check_corpus(corpus), "no_background")
    assert finding.is_fault and "--no-silence" in sentence(finding)


def test_classes_missing_few_or_without_a_partition(corpus: Path) -> None:
    for index in range(4):
        write_wav(corpus / "go" / f"{TESTING[index]}_nohash_0.wav", chirp(80 + index), 16000)
    report = check_corpus(corpus, wanted_words=["yes", "go", "yess"])
    assert found(report, "missing_word").words == ("yess",)
    assert "did you mean yes?" in sentence(found(report, "missing_word"))
    assert found(report, "few_clips").facts["counts"] == {"go": 4}
    assert "go 4" in sentence(found(report, "few_clips"))
    assert found(report, "no_training").is_fault
    assert found(report, "not_measured").words == ("go",)
    assert not found(check_corpus(corpus), "no_training").is_fault


def test_balance_and_words_for_unknown(corpus: Path) -> None:
    for index, speaker in enumerate(TRAINING[20:70]):
        write_wav(corpus / "yes" / f"{speaker}_nohash_0.wav", chirp(200 + index), 16000)
    finding = found(check_corpus(corpus, wanted_words=["yes", "no"]), "unbalanced")
    assert "yes has 64 training clips and no has 14" in sentence(finding)
    finding = found(check_corpus(corpus, wanted_words=["yes", "no", "other"]), "no_other_words")
    assert finding.is_fault and "--no-unknown" in sentence(finding)


def test_record_and_text_hold_every_finding(corpus: Path) -> None:
    (corpus / "yes" / "a.wav").write_bytes(b"")
    write_wav(corpus / "no" / "b.wav", chirp(9, n=4000), 16000)
    report = check_corpus(corpus, wanted_words=["yes", "no"])
    record = report_record(report)
    assert {finding["kind"] for finding in record["findings"]} == kinds(report)
    assert all(finding["message"] in report_text(report) for finding in record["findings"])
    assert (record["faults"], record["test_count"]) == (1, 6)
    assert "(1 other word)" in report_text(report)


def test_every_kind_has_a_sentence_that_says_what_to_do() -> None:
    for what, todo in SENTENCES.values():
        assert what and todo


@pytest.mark.slow
def test_recorded_corpus_is_sound(shared_data: Path) -> None:
    report = check_corpus(shared_data / "speech_commands", wanted_words=["yes", "no"])
    assert report.faults == ()
    assert (report.n_used, report.n_speakers) == (3299, 1236)  # as data/DATA.md counts them
    words = {word.word: word for word in report.words}
    assert words["yes"].n_in == {"training": 415, "validation": 53, "testing": 132}
    assert words["yes"].n_speakers == 575
