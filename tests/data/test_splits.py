"""The hash rule, on the names that micro_speech.md's sister page lists."""

from __future__ import annotations

import pytest

from minikws.data.splits import speaker_of, split_of

# speech_commands.md 2.4: file name, partition at 10/10.
PUBLISHED = {
    "a5d485dc_nohash_0.wav": "training",
    "ab00c4b2_nohash_0.wav": "validation",
    "f2e59fea_nohash_1.wav": "testing",
    "f9643d42_nohash_4.wav": "testing",
    "0c40e715_nohash_0.wav": "testing",
    "pete_nohash_0.wav": "training",
    "pete_nohash_1.wav": "training",
    "bobby_nohash_0.wav": "training",
    "foo.wav": "training",
    "audio_2.wav": "validation",
    "x_nohash_0_nohash_1.wav": "validation",
}


@pytest.mark.parametrize(("name", "partition"), PUBLISHED.items())
def test_published_assignments(name: str, partition: str) -> None:
    assert split_of(name) == partition
    assert split_of(f"any/folder/{name}") == partition


def test_every_take_of_a_speaker_is_in_one_partition() -> None:
    for speaker in ("0a0b0c0d", "pete", "x"):
        assert len({split_of(f"{speaker}_nohash_{take}.wav") for take in range(20)}) == 1


def test_speaker_is_the_name_before_the_mark() -> None:
    assert speaker_of("yes/x_nohash_0_nohash_1.wav") == "x"
    assert speaker_of("foo.wav") == "foo.wav"


def test_percentages_move_the_borders() -> None:
    # Position 3.408466 and 11.769190 percent (speech_commands.md 2.4).
    assert split_of("ab00c4b2_nohash_0.wav", validation_pct=3, testing_pct=1) == "testing"
    assert split_of("ab00c4b2_nohash_0.wav", validation_pct=0, testing_pct=0) == "training"
    assert split_of("f2e59fea_nohash_1.wav", validation_pct=12, testing_pct=0) == "validation"
