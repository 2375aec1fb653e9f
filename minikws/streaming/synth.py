r"""A long recording with known words, made of a corpus: background all along, words with gaps.

First everything is drawn (which clip, where, how loud: a `Mix` each), then the sound is made
block by block from that plan, so that its length is bounded by the disk alone::

    background  /======\             1.5 s pieces, one a second, with ramps of 250 ms:
                      /======\       each begins while the one before it still sounds
    words           [yes]      [no]  a clip somewhere in every 3 s (clip and gap)

Source: tensorflow/examples/speech_commands/generate_streaming_test_wav.py.
Differs: a seeded generator draws; unknown words come from all clips of the partition, not from a
tenth as many as there are wanted ones.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from minikws._typing import Float32, Samples
from minikws.audio import from_float, to_float, wav_bytes
from minikws.data.corpus import Clip, Corpus
from minikws.data.splits import Partition
from minikws.errors import CorpusError, SettingsError
from minikws.files import write_file
from minikws.labels import SILENCE, UNKNOWN
from minikws.streaming.evaluate import Spoken

RAMP_MS = 250  # of the background's pieces
OVERLAP_MS = 500  # of one piece with the next
WORD_RAMP_SAMPLES = 500
BLOCK_SECONDS = 30
MAX_WAV_SAMPLES = (0xFFFF_FFFF - 36) // 2  # 37 hours at 16 kHz


@dataclass(frozen=True)
class Mix:
    """A piece of sound in the track: `at` its first sample, `length` at most, `volume` 0 to 1.

    source : a background recording's number, or a clip.
    start : first sample taken from it.
    ramp : samples of the linear rise at its beginning and fall at its end.
    """

    at: int
    source: int | Clip
    start: int
    length: int
    volume: float
    ramp: int


@dataclass(frozen=True)
class Plan:
    """A recording before it is made: its pieces in order of time, and the words in it."""

    n_samples: int
    background: tuple[Mix, ...]
    words: tuple[Mix, ...]
    truth: tuple[Spoken, ...]


def plan_stream(
    corpus: Corpus,
    *,
    seconds: float,
    seed: int,
    word_gap_ms: float = 2000.0,
    unknown_pct: float = 30.0,
    background_volume: float = 0.1,
    partition: Partition = "testing",
) -> Plan:
    """Draw what a recording will hold.

    Parameters
    ----------
    corpus : its clips of one partition are the words, its background recordings the noise.
    word_gap_ms : mean pause between two clips.
    unknown_pct : share of the words that are unknown ones; 0 where the corpus has no such label.
    background_volume : the pieces' volumes are drawn from 0 to this.

    Raises
    ------
    SettingsError : a number that cannot work.
    CorpusError : no clip of a label in the partition.
    """
    for name, value, low, high in (
        ("seconds", seconds, 1, MAX_WAV_SAMPLES / corpus.sample_rate_hz),
        ("word_gap_ms", word_gap_ms, 1, 1e7),
        ("unknown_pct", unknown_pct, 0, 100),
        ("background_volume", background_volume, 0, 1),
    ):
        if not low <= value <= high:
            raise SettingsError(f"{name}={value:g} is not between {low:g} and {high:g}; change it")
    rate, n_clip = corpus.sample_rate_hz, corpus.clip_samples
    n_samples = int(rate * seconds)
    rng = np.random.default_rng(seed)
    background = tuple(_draw_background(corpus, n_samples, background_volume, rng))
    by_label = _clips_by_label(corpus, partition, with_unknown=unknown_pct > 0)
    unknown = by_label.pop(UNKNOWN, ())
    wanted = list(by_label)
    gap = int(word_gap_ms * rate / 1000)
    words, truth = [], []
    for i in range(n_samples // (n_clip + gap)):
        at = i * (n_clip + gap) + int(rng.integers(gap))
        is_unknown = bool(unknown) and int(rng.integers(100)) < unknown_pct
        label = UNKNOWN if is_unknown else wanted[int(rng.integers(len(wanted)))]
        clips = unknown if is_unknown else by_label[label]
        clip = clips[int(rng.integers(len(clips)))]
        words.append(Mix(at, clip, 0, n_clip, 1.0, WORD_RAMP_SAMPLES))
        truth.append(Spoken(at * 1000 / rate, label))
    return Plan(n_samples, background, tuple(words), tuple(truth))


def write_stream(
    plan: Plan,
    corpus: Corpus,
    path: str | Path,
) -> Path:
    """Make the sound of a plan and write it as a 16-bit WAV file, whole or not at all.

    Raises
    ------
    RunError : the file cannot be written.
    AudioError, CorpusError : a clip cannot be read.
    """

    def write(file: BinaryIO) -> None:
        header = bytearray(wav_bytes(np.zeros(0, np.int16), corpus.sample_rate_hz))
        struct.pack_into("<I", header, 4, 36 + 2 * plan.n_samples)
        struct.pack_into("<I", header, 40, 2 * plan.n_samples)
        file.write(header)
        for block in make_blocks(plan, corpus):
            file.write(block.astype("<i2").tobytes())

    return write_file(path, write)


def make_blocks(plan: Plan, corpus: Corpus) -> Iterator[Samples]:
    """Yield the sound of a plan, block by block, (n,) int16; only the sum is clamped."""
    size = BLOCK_SECONDS * corpus.sample_rate_hz
    mixes = deque(sorted((*plan.background, *plan.words), key=lambda mix: mix.at))
    for start in range(0, plan.n_samples, size):
        block = np.zeros(min(size, plan.n_samples - start), np.float32)
        while mixes and mixes[0].at + mixes[0].length <= start:
            mixes.popleft()
        for each in mixes:
            if each.at >= start + len(block):
                break
            mix(
                block,
                each.at - start,
                _sound(each, corpus),
                start=0,
                length=each.length,
                volume=each.volume,
                ramp_in=each.ramp,
                ramp_out=each.ramp,
            )
        yield from_float(block)


def mix(
    track: Float32,
    at: int,
    sample: Float32,
    *,
    start: int,
    length: int,
    volume: float,
    ramp_in: int,
    ramp_out: int,
) -> None:
    """Add a piece of sound to a track, in place.

    Parameters
    ----------
    track : (N,); what falls outside is left out.
    at : where the piece begins in the track; below 0: before it.
    sample : (M,); the piece is sample[start : start + length], or what there is of it.

    The volume rises over the first `ramp_in` samples as i / ramp_in and falls over the last
    `ramp_out` of `length` as (length - i) / ramp_out.
    """
    first = max(0, -at)
    last = min(length, len(track) - at, len(sample) - start)
    if last <= first:
        return
    i = np.arange(first, last)
    scale = np.ones(last - first, np.float64)
    falling = i > length - ramp_out
    scale[falling] = (length - i[falling]) / ramp_out
    rising = i < ramp_in
    scale[rising] = i[rising] / ramp_in
    piece = sample[start + first : start + last]
    track[at + first : at + last] += piece * (scale * volume).astype(np.float32)


def _draw_background(
    corpus: Corpus, n_samples: int, volume: float, rng: np.random.Generator
) -> Iterator[Mix]:
    """Yield the background's pieces: one a clip's length, each half a second longer."""
    n_clip, rate = corpus.clip_samples, corpus.sample_rate_hz
    length, ramp = n_clip + rate * OVERLAP_MS // 1000, rate * RAMP_MS // 1000
    if not corpus.background:
        return
    for at in range(0, n_samples, n_clip):
        which = int(rng.integers(len(corpus.background)))
        start = int(rng.integers(0, len(corpus.background[which]) - n_clip))
        yield Mix(at, which, start, length, float(rng.uniform(0, volume)), ramp)


def _clips_by_label(
    corpus: Corpus, partition: Partition, *, with_unknown: bool
) -> dict[str, Sequence[Clip]]:
    """Return the clips of each label but silence, or say which has none."""
    labels = [
        label for label in corpus.labels if label != SILENCE and (with_unknown or label != UNKNOWN)
    ]
    clips = corpus.partitions[partition]
    by_label: dict[str, Sequence[Clip]] = {
        label: [clip for clip in clips if clip.label == corpus.labels.index(label)]
        for label in labels
    }
    for label, found in by_label.items():
        if not found:
            remedy = "record more speakers, raise its percentage, or take another --partition"
            if label == UNKNOWN:
                remedy = "add folders of other words, or give --unknown-percentage 0"
            raise CorpusError(
                f"no clip of {label!r} in {corpus.folder} falls into the {partition} partition; "
                f"{remedy}"
            )
    return by_label


def _sound(each: Mix, corpus: Corpus) -> Float32:
    """Return the samples that a piece takes from its source."""
    if isinstance(each.source, int):
        whole = corpus.background[each.source]
    elif each.source.path is not None:
        whole = corpus.samples(each.source.path)
    else:
        raise CorpusError("a clip without a recording cannot be mixed; plan recordings alone")
    return to_float(whole[each.start : each.start + each.length])
