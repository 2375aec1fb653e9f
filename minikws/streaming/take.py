"""One spoken word out of a sound that goes on: where it is, and whether it is fit for training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from minikws._typing import Samples
from minikws.audio import FULL_SCALE
from minikws.data.slice import loudest_starts

MOST_CLIPPED = 3  # samples at the limit; more sound harsh
QUIETEST_PEAK_DB = -30.0  # below, a word fills less than 10 of the 16 bits
LEAST_ABOVE_DB = 6.0  # of the loudest part of the word above the background
PART_MS = 100.0  # which that is


class SoundReader:
    """Takes as many samples as are wanted out of blocks of any size."""

    def __init__(self, blocks: Iterator[Samples]) -> None:
        self._blocks = blocks
        self._rest: Samples = np.zeros(0, np.int16)

    def read(self, n: int) -> Samples:
        """Return the next n samples, fewer where the sound ends."""
        pieces, n_there = [self._rest], len(self._rest)
        while n_there < n:
            block = next(self._blocks, None)
            if block is None:
                break
            pieces.append(block)
            n_there += len(block)
        sound = np.concatenate(pieces)
        self._rest = sound[n:]
        return sound[:n]


@dataclass(frozen=True, eq=False)
class Take:
    """A word that was spoken.

    clip : (N,) the loudest stretch of what was heard.
    level_db : its highest peak; 0 is the loudest that 16 bits can hold.
    fault : why it should be spoken again; empty where it is fine.
    """

    clip: Samples
    level_db: float
    fault: str


def judge(sound: Samples, background: Samples, *, clip_samples: int, sample_rate_hz: int) -> Take:
    """Return the loudest stretch of a sound (n,), n >= clip_samples, and what is wrong with it.

    Parameters
    ----------
    background : what was heard before, when nobody spoke.
    """
    (start,) = loudest_starts(sound, clip_samples, 1)
    clip = sound[start : start + clip_samples]
    magnitudes = np.abs(clip.astype(np.int32))
    n_clipped = int(np.count_nonzero(magnitudes >= FULL_SCALE - 1))
    level_db = decibels(float(magnitudes.max(initial=0)))
    n_part = min(len(clip), max(1, round(PART_MS * sample_rate_hz / 1000)))
    (at,) = loudest_starts(clip, n_part, 1)
    above_db = decibels(rms(clip[at : at + n_part])) - decibels(rms(background))
    fault = ""
    if n_clipped > MOST_CLIPPED:
        fault = f"too loud: {n_clipped} samples clip; move away or turn the microphone down"
    elif level_db < QUIETEST_PEAK_DB:
        fault = f"too quiet: {level_db:.0f} dB at its loudest; come closer or turn it up"
    elif above_db < LEAST_ABOVE_DB:
        fault = (
            f"only {above_db:.0f} dB louder than the background; speak up, or find a quieter room"
        )
    return Take(clip, level_db, fault)


def rms(samples: Samples) -> float:
    """Return the root mean square; 0 for no samples."""
    values = samples.astype(np.float64)
    return float(np.sqrt(values @ values / max(1, len(values))))


def decibels(amplitude: float) -> float:
    """Return an amplitude in dB of the largest one of 16 bits; silence is -96.

    >>> round(decibels(16384)), decibels(0)
    (-6, -96.0)
    """
    return max(-96.0, 20 * float(np.log10(max(amplitude, 1e-9) / FULL_SCALE)))
