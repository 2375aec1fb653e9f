"""Which partition a recording belongs to: decided by the speaker's name alone.

A new recording never moves old ones across the line, and no speaker stands on both sides.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePath
from typing import Literal

Partition = Literal["training", "validation", "testing"]
PARTITIONS: tuple[Partition, ...] = ("training", "validation", "testing")

MAX_WAVS_PER_CLASS = 2**27 - 1
SPEAKER_MARK = "_nohash_"


def speaker_of(path: str | PurePath) -> str:
    """Return the file name up to the first ``_nohash_``: the speaker, in this corpus.

    A name without that mark is its own speaker, with its ending, as in TensorFlow.

    >>> speaker_of("yes/a5d485dc_nohash_0.wav")
    'a5d485dc'
    """
    return PurePath(path).name.partition(SPEAKER_MARK)[0]


def split_of(
    path: str | PurePath, *, validation_pct: float = 10.0, testing_pct: float = 10.0
) -> Partition:
    """Return the partition of a recording.

    Source: input_data.py, which_set: SHA-1 of the speaker's name, modulo 2**27, as a position
    between 0 and 100 percent.

    >>> split_of("ab00c4b2_nohash_0.wav")
    'validation'
    """
    digest = hashlib.sha1(speaker_of(path).encode(), usedforsecurity=False).digest()
    position = int.from_bytes(digest, "big") % (MAX_WAVS_PER_CLASS + 1)
    position_pct = position * (100.0 / MAX_WAVS_PER_CLASS)
    if position_pct < validation_pct:
        return "validation"
    if position_pct < validation_pct + testing_pct:
        return "testing"
    return "training"
