"""Long recordings to clips: where they begin, what they are called, what is clipped."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from minikws.audio import read_wav, write_wav
from minikws.cli.main import main
from minikws.data.slice import amplify, loudest_starts, slice_recordings, source_of
from minikws.data.splits import split_of
from minikws.errors import AudioError, CorpusError, SettingsError

RATE = 8000


def recording(path: Path, seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Write noise whose first third is quiet."""
    samples = np.random.default_rng(seed).integers(-9000, 9000, round(seconds * rate))
    samples[: len(samples) // 3] //= 100
    write_wav(path, samples.astype(np.int16), rate)
    return samples.astype(np.int16)


def test_clips_follow_each_other_and_keep_their_samples(tmp_path: Path) -> None:
    samples = recording(tmp_path / "night.wav", 3.25)
    (sliced,) = slice_recordings([tmp_path / "night.wav"], tmp_path / "crying")
    assert [file.name for file in sliced.files] == [f"night_nohash_{n}.wav" for n in range(3)]
    assert sliced.starts_s == (0.0, 1.0, 2.0)
    assert sliced.left_over_s == 0.25
    whole = np.concatenate([read_wav(file).samples[:, 0] for file in sliced.files])
    np.testing.assert_array_equal(whole, samples[: 3 * RATE])
    assert read_wav(sliced.files[0]).sample_rate_hz == RATE


def test_clips_may_overlap(tmp_path: Path) -> None:
    samples = recording(tmp_path / "night.wav", 3.25)
    (sliced,) = slice_recordings(
        [tmp_path / "night.wav"], tmp_path / "crying", clip_ms=1000, hop_ms=500
    )
    assert sliced.starts_s == (0.0, 0.5, 1.0, 1.5, 2.0)
    assert sliced.left_over_s == 0.25
    third = read_wav(sliced.files[3]).samples[:, 0]
    np.testing.assert_array_equal(third, samples[12_000:20_000])


def test_the_loudest_stretches_do_not_overlap(tmp_path: Path) -> None:
    samples = np.zeros(9 * RATE, np.int16)
    samples[10_000:18_000] = 5000
    samples[40_000:48_000] = 9000
    write_wav(tmp_path / "night.wav", samples, RATE)
    (sliced,) = slice_recordings([tmp_path / "night.wav"], tmp_path / "out", n_loudest=2)
    assert sliced.starts_s == (10_000 / RATE, 40_000 / RATE)
    assert sliced.left_over_s == 7.0


def test_there_are_not_more_loudest_stretches_than_fit() -> None:
    starts = loudest_starts(np.ones(35, np.int16), 10, 99)
    assert len(starts) >= 2
    assert all(b - a >= 10 for a, b in pairwise(starts))
    assert loudest_starts(np.array([-32768, 0, 0, 0], np.int16), 1, 1) == [0]


def test_slices_of_one_recording_share_a_partition_and_never_a_name(tmp_path: Path) -> None:
    for number in range(12):
        recording(tmp_path / "long" / f"baby{number}.wav", 2.0, number)
    recording(tmp_path / "other" / "baby3.wav", 1.0)
    recordings = [*sorted((tmp_path / "long").iterdir()), tmp_path / "other" / "baby3.wav"]
    sliced = slice_recordings(recordings, tmp_path / "crying", clip_ms=500)
    files = [file for one in sliced for file in one.files]
    assert len(files) == len(set(files)) == len(list((tmp_path / "crying").iterdir())) == 50
    for one in sliced:
        assert len({split_of(file) for file in one.files}) == 1
        assert {source_of(file) for file in one.files} == {one.recording.stem}


def test_gain_is_applied_and_clipping_counted(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.array([1000] * 7999 + [20_000], np.int16), RATE)
    (sliced,) = slice_recordings([tmp_path / "a.wav"], tmp_path / "out", gain_db=20.0)
    clip = read_wav(sliced.files[0]).samples[:, 0]
    assert clip[0] == 10_000
    assert clip[-1] == 32767
    assert sliced.n_clipped == 1
    quieter, n_clipped = amplify(np.array([-32768, 32767], np.int16), -20.0)
    assert quieter.tolist() == [-3277, 3277]
    assert n_clipped == 0


def test_another_rate(tmp_path: Path) -> None:
    pytest.importorskip("soxr", reason="resampling needs soxr")
    recording(tmp_path / "a.wav", 2.0)
    (sliced,) = slice_recordings([tmp_path / "a.wav"], tmp_path / "out", sample_rate_hz=22_050)
    wav = read_wav(sliced.files[1])
    assert wav.sample_rate_hz == 22_050
    assert len(wav.samples) == 22_050


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"clip_ms": 5.0}, "clips of 5 ms every 5 ms cannot be cut"),
        ({"hop_ms": 0.0}, "every 0 ms cannot be cut"),
        ({"clip_ms": float("nan")}, "cannot be cut"),
        ({"clip_ms": float("inf")}, "cannot be cut"),
        ({"n_loudest": 0}, "0 loudest stretches leave no clip"),
        ({"gain_db": 200.0}, "a gain of 200 dB is not between"),
        ({"sample_rate_hz": 4}, "the rate 4 is not"),
    ],
)
def test_bad_settings(tmp_path: Path, options: dict, sentence: str) -> None:
    recording(tmp_path / "a.wav", 1.0)
    with pytest.raises(SettingsError, match=sentence):
        slice_recordings([tmp_path / "a.wav"], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_where_one_recording_cannot_be_cut(tmp_path: Path) -> None:
    recording(tmp_path / "a.wav", 0.5)
    recording(tmp_path / "b.wav", 1.0)
    with pytest.raises(AudioError, match=r"a\.wav lasts 500 ms, a clip 1000 ms"):
        slice_recordings([tmp_path / "b.wav", tmp_path / "a.wav"], tmp_path / "out")
    with pytest.raises(SettingsError, match=r"the recording .*b\.wav is named twice"):
        slice_recordings([tmp_path / "b.wav"] * 2, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    recording(tmp_path / "a.wav", 1.0)
    (sliced,) = slice_recordings([tmp_path / "a.wav"], tmp_path / "out")
    before = sliced.files[0].read_bytes()
    recording(tmp_path / "a.wav", 2.0, seed=1)
    with pytest.raises(CorpusError, match="holds clips of a already"):
        slice_recordings([tmp_path / "a.wav"], tmp_path / "out")
    assert sliced.files[0].read_bytes() == before


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording(tmp_path / "long" / "a.wav", 6.5)
    recording(tmp_path / "long" / "._a.wav", 6.5)  # what macOS leaves behind
    words = ["data", "slice", str(tmp_path / "long"), "--out", str(tmp_path / "crying")]
    assert main([*words, "--clip_duration_ms=2000", "--gain-db", "30", "--json"]) == 0
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert record["count"] == 3
    assert sum(record["partitions"].values()) == 3
    (one,) = record["recordings"]
    assert one["clips"] == ["a_nohash_0.wav", "a_nohash_1.wav", "a_nohash_2.wav"]
    assert one["left_over_s"] == 0.5
    assert record["clipped_samples"] == one["clipped_samples"] > 0
    assert "30 dB push" in printed.err
    assert "a partition has no clip" in printed.err
    assert main([*words]) == 1
    assert "already" in capsys.readouterr().err


def test_cry_recordings(shared_data: Path, tmp_path: Path) -> None:
    recordings = sorted((shared_data / "cry" / "crying").glob("*.wav"))
    sliced = slice_recordings(recordings, tmp_path / "crying", clip_ms=5000)
    assert len(sliced) == 40
    assert sum(len(one.files) for one in sliced) == 40  # 6.5 to 7.1 s hold one clip of 5 s
    assert all(1.5 <= one.left_over_s <= 2.1 for one in sliced)
