from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from minikws.audio import read_wav
from minikws.data.espeak import Voice
from minikws.data.room import Room, background, in_a_room
from minikws.data.synth import (
    CLIP_SAMPLES,
    LONGEST_WORD_SAMPLES,
    SAMPLE_RATE_HZ,
    VOICES,
    make_speakers,
    synthesize_corpus,
)
from minikws.errors import CorpusError, MissingExtraError, RunError, SettingsError

needs_espeak = pytest.mark.usefixtures("espeak")


@pytest.fixture(scope="module")
def espeak() -> None:
    pytest.importorskip("espeakng_loader", reason="pip install 'minikws[synth]'")
    pytest.importorskip("soxr", reason="pip install 'minikws[train]'")


@pytest.fixture(scope="module")
def demo(espeak: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synth") / "demo"
    synthesize_corpus(folder, ["yes", "no"], n_speakers=5, n_takes=2, seed=7)
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha1(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.wav"))
    }


def test_layout_is_that_of_speech_commands(demo: Path) -> None:
    for word in ("yes", "no"):
        names = [path.name for path in (demo / word).iterdir()]
        assert len(names) == 10
        speakers = {name.partition("_nohash_")[0] for name in names}
        assert len(speakers) == 5
        assert all(len(speaker) == 8 and int(speaker, 16) >= 0 for speaker in speakers)
    others = [p for p in demo.iterdir() if p.is_dir() and p.name not in ("yes", "no")]
    assert len(others) >= 10
    assert len(list((demo / "_background_noise_").glob("*.wav"))) == 4


def test_clips_are_one_second_loud_enough_and_whole(demo: Path) -> None:
    for path in demo.rglob("*_nohash_*.wav"):
        wav = read_wav(path)
        assert (wav.sample_rate_hz, wav.samples.shape) == (16000, (16000, 1))
        size = np.abs(wav.samples[:, 0].astype(np.int64))
        assert 1500 < size.max() < 32767
        loud = np.flatnonzero(size > size.max() // 4)
        assert 400 < loud[0] < loud[-1] < 15600


def test_noise_is_longer_than_a_clip(demo: Path) -> None:
    for path in (demo / "_background_noise_").iterdir():
        samples = read_wav(path).samples[:, 0].astype(np.float64)
        assert samples.shape[0] == 30 * 16000
        assert np.sqrt(np.mean(samples**2)) == pytest.approx(3276.8, rel=0.01)


@pytest.mark.slow
def test_same_seed_same_bytes_and_other_seed_others(demo: Path, tmp_path: Path) -> None:
    synthesize_corpus(tmp_path / "again", ["yes", "no"], n_speakers=5, n_takes=2, seed=7)
    assert digests(tmp_path / "again") == digests(demo)
    synthesize_corpus(tmp_path / "other", ["yes", "no"], n_speakers=2, n_takes=1, seed=8)
    assert not set(digests(tmp_path / "other").values()) & set(digests(demo).values())


@needs_espeak
def test_progress_counts_every_clip(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = synthesize_corpus(
        tmp_path / "a",
        ["on"],
        n_speakers=2,
        n_takes=1,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(i + 1, report.n_clips) for i in range(report.n_clips)]
    assert report.n_clips == 2 * (1 + 8)
    assert "on" not in report.other_words


@needs_espeak
def test_a_folder_made_here_is_filled_anew_and_keeps_other_files(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    synthesize_corpus(folder, ["yes"], n_speakers=1, n_takes=1)
    mine = folder / "yes" / "0123abcd_nohash_0.wav"
    mine.write_bytes(b"a recording of my own")
    synthesize_corpus(folder, ["no"], n_speakers=1, n_takes=1)
    assert [path.name for path in (folder / "yes").iterdir()] == [mine.name]
    assert len(list((folder / "no").iterdir())) == 1


@needs_espeak
@pytest.mark.parametrize("marker", [None, "not json", "[]", '{"made_by": "someone", "files": []}'])
def test_a_folder_not_made_here_is_refused(tmp_path: Path, marker: str | None) -> None:
    (tmp_path / "precious.txt").write_text("keep me")
    if marker is not None:
        (tmp_path / "synth.json").write_text(marker)
    with pytest.raises(CorpusError, match="not empty and was not made by minikws data synth"):
        synthesize_corpus(tmp_path, ["yes"], n_speakers=1, n_takes=1)
    assert (tmp_path / "precious.txt").read_text() == "keep me"
    assert not (tmp_path / "yes").exists()


@needs_espeak
def test_a_marker_cannot_delete_outside_its_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside_nohash_0.wav"
    outside.write_bytes(b"x")
    folder = tmp_path / "a"
    synthesize_corpus(folder, ["yes"], n_speakers=1, n_takes=1)
    stored = json.loads((folder / "synth.json").read_text())
    stored["files"] = ["../outside_nohash_0.wav", "../0123abcd_nohash_0.wav"]
    (folder / "synth.json").write_text(json.dumps(stored))
    synthesize_corpus(folder, ["yes"], n_speakers=1, n_takes=1)
    assert outside.exists()


def test_a_file_in_the_way(tmp_path: Path, espeak: None) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(CorpusError, match="is a file, expected a folder"):
        synthesize_corpus(tmp_path / "a", ["yes"], n_speakers=1, n_takes=1)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "expected a list of words"),
        ("yes", "expected a list of words"),
        (["a/b"], "cannot be a folder's name"),
        ([".."], "cannot be a folder's name"),
        (["_unknown_"], "cannot be a folder's name"),
        (["yes", "yes"], "stands twice"),
    ],
)
def test_words_that_cannot_be(tmp_path: Path, words: list[str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        synthesize_corpus(tmp_path / "a", words)
    assert not (tmp_path / "a").exists()


def test_numbers_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="speakers=0 is not 1 to 10000"):
        synthesize_corpus(tmp_path / "a", ["yes"], n_speakers=0)
    with pytest.raises(SettingsError, match="takes=-1 is not 1 to 10000"):
        synthesize_corpus(tmp_path / "a", ["yes"], n_takes=-1)


@needs_espeak
def test_a_word_longer_than_a_clip_leaves_no_folder(tmp_path: Path) -> None:
    word = "antidisestablishmentarianism and its many friends"
    with pytest.raises(SettingsError, match="even when spoken fast, and a clip is 1 s long"):
        synthesize_corpus(tmp_path / "a", [word], n_speakers=1, n_takes=1)
    assert not (tmp_path / "a").exists()


def test_missing_espeak_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(MissingExtraError, match=r"espeakng_loader.*minikws\[synth\]"):
        synthesize_corpus(tmp_path / "a", ["yes"])
    assert not (tmp_path / "a").exists()


@needs_espeak
def test_absent_voice_dead_child_and_absent_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Voice() as voice:
        with pytest.raises(SettingsError, match="no voice 'gmw/martian'"):
            voice.say("yes", voice="gmw/martian")
        assert voice.say("yes", voice="gmw/en").shape[0] > 2000
    with Voice() as voice:
        voice._child.kill()
        voice._child.wait()
        with pytest.raises(RunError, match="stopped while speaking 'yes'"):
            voice.say("yes", voice="gmw/en")
    import espeakng_loader

    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: str(tmp_path / "absent.so"))
    with pytest.raises(RunError, match="eSpeak NG stopped while starting"):
        Voice()


@needs_espeak
def test_every_voice_of_the_list_speaks() -> None:
    with Voice() as voice:
        for name in VOICES:
            assert voice.say("yes", voice=f"gmw/en-US+{name}").shape[0] > 2000, name


def test_speakers_differ_in_name_and_voice() -> None:
    speakers = make_speakers(len(VOICES), seed=1)
    assert len({speaker.name for speaker in speakers}) == len(VOICES)
    assert {speaker.voice for speaker in speakers} == set(VOICES)
    assert make_speakers(3, seed=1) != make_speakers(3, seed=2)


def test_humming_lives_at_the_mains_frequencies() -> None:
    hum = background("humming", 1.0, np.random.default_rng(0)).astype(np.float64)
    power = np.abs(np.fft.rfft(hum)) ** 2
    n_seconds = hum.shape[0] // SAMPLE_RATE_HZ
    near_mains = sum(
        power[(50 * k - 1) * n_seconds : (50 * k + 1) * n_seconds].sum() for k in range(1, 20)
    )
    assert near_mains / power.sum() > 0.9


def test_a_room_keeps_the_word_whole_and_at_its_level() -> None:
    room = Room(level_db=-6, floor_db=-90, floor_slope=0, echo_db=-60, echo_ms=50)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        speech = np.ones(LONGEST_WORD_SAMPLES)
        clip = in_a_room(speech, room, rng).astype(np.int64)
        assert clip.shape == (CLIP_SAMPLES,)
        assert (clip > 8000).sum() == LONGEST_WORD_SAMPLES
        assert 10 ** (-8.1 / 20) < clip.max() / 32768 < 10 ** (-3.9 / 20)
