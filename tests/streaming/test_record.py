"""Clips of words: the right stretch of sound, names that are free, and full disks."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.audio import read_wav
from minikws.data.splits import split_of
from minikws.streaming.live import Window
from minikws.streaming.record import ClipKeeper, next_free

SOUND = np.arange(20_000, dtype=np.int16)


def window(start: int, length: int = 1000) -> Window:
    return Window(start, start + length, 8000, np.zeros(2))


@given(cuts=st.lists(st.integers(0, 20_000), max_size=20))
def test_the_window_is_what_is_kept(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    keeper = ClipKeeper(tmp_path_factory.mktemp("clips"), "a", clip_samples=1000, warn=pytest.fail)
    end = 0
    for block in np.split(SOUND, sorted(cuts)):
        keeper.hear(block)
        begin, end = end, end + len(block)
        for stop in {begin + 1, end} if end > max(begin, 999) else ():  # first and last window
            if stop >= 1000:
                path = keeper.keep(window(stop - 1000), "yes")
                assert path is not None
                np.testing.assert_array_equal(
                    read_wav(path).samples[:, 0], SOUND[stop - 1000 : stop]
                )


def test_sound_that_was_missed_moves_nothing(tmp_path: Path) -> None:
    keeper = ClipKeeper(tmp_path, "a", clip_samples=1000, warn=pytest.fail)
    keeper.hear(SOUND[:3000])
    keeper.skip(100_000)
    keeper.hear(SOUND[3000:5000])
    path = keeper.keep(window(103_500), "yes")
    assert path is not None
    np.testing.assert_array_equal(read_wav(path).samples[:, 0], SOUND[3500:4500])


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "yes").mkdir()
    (tmp_path / "yes" / "a_nohash_0.wav").write_bytes(b"mine")
    for expected in (["a_nohash_1.wav", "a_nohash_2.wav"], ["a_nohash_3.wav", "a_nohash_4.wav"]):
        keeper = ClipKeeper(tmp_path, "a", clip_samples=1000, warn=pytest.fail)
        keeper.hear(SOUND)
        found = [keeper.keep(window(start), "yes") for start in (19_000, 18_000)]
        assert [path.name for path in found if path] == expected
    assert (tmp_path / "yes" / "a_nohash_0.wav").read_bytes() == b"mine"


def test_a_source_of_its_own(tmp_path: Path) -> None:
    names = {ClipKeeper(tmp_path, clip_samples=1000, warn=pytest.fail).source for _ in range(5)}
    assert len(names) == 5
    assert all(re.fullmatch("[0-9a-f]{8}", name) for name in names)
    keeper = ClipKeeper(tmp_path, "my_nohash_night", clip_samples=1000, warn=pytest.fail)
    assert keeper.source == "my-night"  # else all would be the speaker "my"
    paths = [next_free(tmp_path, keeper.source, n) for n in (0, 7)]
    assert split_of(paths[0]) == split_of(paths[1])


def test_a_label_is_no_path(tmp_path: Path) -> None:
    keeper = ClipKeeper(tmp_path / "clips", "a", clip_samples=1000, warn=pytest.fail)
    keeper.hear(SOUND)
    for label in ("../../up", "/etc", "a/b", ".."):
        path = keeper.keep(window(19_000), label)
        assert path is not None
        assert path.resolve().is_relative_to(tmp_path / "clips")
        assert path.parent.parent == tmp_path / "clips"


def test_a_folder_that_cannot_be_looked_into(tmp_path: Path) -> None:
    said: list[str] = []
    keeper = ClipKeeper(tmp_path, "a", clip_samples=1000, warn=said.append)
    keeper.hear(SOUND)
    assert keeper.keep(window(19_000), "y" * 300) is None  # a name that no disk takes
    assert "File name too long" in said[0]
    assert said[0].endswith("listening goes on")


def test_a_full_disk_is_said_once_and_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    keeper = ClipKeeper(tmp_path, "a", clip_samples=1000, warn=said.append)
    keeper.hear(SOUND)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        assert keeper.keep(window(19_000), "yes") is None
        assert keeper.keep(window(19_000), "yes") is None
    assert list((tmp_path / "yes").iterdir()) == []
    assert len(said) == 1
    assert "a_nohash_0.wav cannot be written (No space left on device)" in said[0]
    assert said[0].endswith("listening goes on")
    assert keeper.keep(window(19_000), "yes") is not None
    assert said[1].startswith("clips can be written again")
    assert (keeper.n_kept, keeper.n_failed) == (1, 2)
