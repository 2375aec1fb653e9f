"""Cut long recordings into clips of one length, named so that they stay together.

A cough, a cry or a machine is recorded for minutes; a model learns from clips of a second or five.
The clips of one recording are called SOURCE_nohash_0.wav, SOURCE_nohash_1.wav …: what stands before
``_nohash_`` decides the partition (`data.splits`), so no recording is both learned from and tested
on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minikws._typing import Samples
from minikws.audio import read_wav, resample, write_wav
from minikws.data.splits import SPEAKER_MARK, speaker_of
from minikws.errors import AudioError, CorpusError, SettingsError
from minikws.settings.clip import LONGEST_MS


@dataclass(frozen=True)
class SlicedRecording:
    """What became of one recording.

    files : the clips, in the order of their time.
    starts_s : where each begins, seconds.
    left_over_s : sound that no clip holds.
    n_clipped : samples of the clips that the gain pushed beyond 16 bits, and that were clamped.
    """

    recording: Path
    files: tuple[Path, ...]
    starts_s: tuple[float, ...]
    left_over_s: float
    n_clipped: int


def regular_starts(n_samples: int, n_clip: int, n_hop: int) -> list[int]:
    """Return where clips of `n_clip` samples begin, `n_hop` apart, as many as fit.

    >>> regular_starts(100, 30, 30)
    [0, 30, 60]
    """
    return list(range(0, n_samples - n_clip + 1, n_hop))


def loudest_starts(samples: Samples, n_clip: int, n_wanted: int) -> list[int]:
    """Return where the loudest stretches begin that do not overlap, at most `n_wanted`, in order.

    Loudness is the sum of absolute values, as in the corpus's own tool. The loudest is taken
    first, then the loudest of what is left.

    Source: extract_loudest_section, github.com/petewarden/extract_loudest_section.

    >>> loudest_starts(np.array([0, 0, 9, 9, 0, 0, 5, 5, 0], np.int16), 2, 2)
    [2, 6]
    """
    magnitudes = np.abs(samples.astype(np.int64))
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(magnitudes)])
    loudness = sums[n_clip:] - sums[:-n_clip]
    taken: list[int] = []
    while len(taken) < n_wanted and loudness.size and loudness.max() >= 0:
        start = int(np.argmax(loudness))
        taken.append(start)
        loudness[max(0, start - n_clip + 1) : start + n_clip] = -1
    return sorted(taken)


def amplify(samples: Samples, gain_db: float) -> tuple[Samples, int]:
    """Return samples times 10**(gain_db / 20), clamped to 16 bits, and how many were clamped.

    >>> amplify(np.array([100, 20000], np.int16), 20 * np.log10(2))
    (array([  200, 32767], dtype=int16), 1)
    """
    louder = np.rint(samples.astype(np.float64) * 10 ** (gain_db / 20))
    limits = np.iinfo(np.int16)
    n_clipped = int(np.count_nonzero((louder < limits.min) | (louder > limits.max)))
    return np.clip(louder, limits.min, limits.max).astype(np.int16), n_clipped


def slice_recordings(
    recordings: Sequence[str | Path],
    out: str | Path,
    *,
    clip_ms: float = 1000.0,
    hop_ms: float | None = None,
    n_loudest: int | None = None,
    gain_db: float = 0.0,
    sample_rate_hz: int | None = None,
) -> list[SlicedRecording]:
    """Cut recordings into clips and write them into a word's folder.

    Parameters
    ----------
    recordings : WAV files, the first channel of which is taken.
    out : the folder of the word or sound; made where it is missing.
    clip_ms : length of a clip.
    hop_ms : from the beginning of a clip to the next one's; the clip's length where None.
    n_loudest : instead of regular clips, at most so many of the loudest stretches.
    gain_db : amplification.
    sample_rate_hz : of the clips; the recording's own where None.

    Raises
    ------
    SettingsError : a length, distance, number or gain that makes no sense; a recording twice.
    AudioError : a recording cannot be read, or is shorter than a clip; nothing is written then.
    CorpusError : `out` holds clips of one of the recordings already; nothing is written then.
    MissingExtraError : a recording has another rate, and soxr is not installed.
    """
    hop_ms = clip_ms if hop_ms is None else hop_ms
    _check(clip_ms, hop_ms, n_loudest, gain_db, sample_rate_hz)
    out = Path(out)
    _check_recordings([Path(path) for path in recordings], clip_ms)
    _check_free(out, {source_of(path) for path in recordings})
    sliced = []
    taken: dict[str, int] = {}
    for path in map(Path, recordings):
        wav = read_wav(path)
        rate = sample_rate_hz or wav.sample_rate_hz
        samples = resample(np.ascontiguousarray(wav.samples[:, 0]), wav.sample_rate_hz, rate)
        n_clip, n_hop = round(clip_ms * rate / 1000), max(1, round(hop_ms * rate / 1000))
        if n_loudest is None:
            starts = regular_starts(len(samples), n_clip, n_hop)
        else:
            starts = loudest_starts(samples, n_clip, n_loudest)
        files, n_clipped, source = [], 0, source_of(path)
        for start in starts:
            clip, n = amplify(samples[start : start + n_clip], gain_db)
            number = taken.get(source, 0)
            taken[source] = number + 1
            files.append(write_wav(out / f"{source}{SPEAKER_MARK}{number}.wav", clip, rate))
            n_clipped += n
        sliced.append(
            SlicedRecording(
                path,
                tuple(files),
                tuple(start / rate for start in starts),
                (len(samples) - _covered(starts, n_clip)) / rate,
                n_clipped,
            )
        )
    return sliced


def source_of(path: str | Path) -> str:
    """Return what a recording's clips are named after: its speaker, or its name without ending.

    >>> source_of("night/2024-05-01.wav"), source_of("yes/a5d485dc_nohash_0.wav")
    ('2024-05-01', 'a5d485dc')
    """
    return speaker_of(Path(path).with_suffix(""))


def _covered(starts: Iterable[int], n_clip: int) -> int:
    """Count the samples that lie in a clip; clips may overlap."""
    covered, end = 0, 0
    for start in starts:
        covered += start + n_clip - max(start, end)
        end = start + n_clip
    return covered


def _check(
    clip_ms: float, hop_ms: float, n_loudest: int | None, gain_db: float, rate: int | None
) -> None:
    if not (10 <= clip_ms < LONGEST_MS and 0 < hop_ms < LONGEST_MS):
        raise SettingsError(
            f"clips of {clip_ms:g} ms every {hop_ms:g} ms cannot be cut; give 10 ms or more (below "
            f"{LONGEST_MS:g}), and a positive distance"
        )
    if n_loudest is not None and n_loudest < 1:
        raise SettingsError(f"{n_loudest} loudest stretches leave no clip; give 1 or more")
    if not abs(gain_db) <= 60:
        raise SettingsError(f"a gain of {gain_db:g} dB is not between -60 and 60; 6 dB is twice")
    if rate is not None and not 1000 <= rate <= 384_000:
        raise SettingsError(
            f"the rate {rate} is not a whole number from 1000 to 384000; give it in Hz"
        )


def _check_recordings(paths: Sequence[Path], clip_ms: float) -> None:
    """Raise before the first clip is written, so that a second try meets an empty folder."""
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise SettingsError(f"the recording {path} is named twice; name it once")
        seen.add(path.resolve())
        wav = read_wav(path)
        length_ms = 1000 * len(wav.samples) / wav.sample_rate_hz
        if length_ms < clip_ms:
            raise AudioError(
                f"{path} lasts {length_ms:.0f} ms, a clip {clip_ms:g} ms; leave it out, or give a "
                "shorter --clip-duration-ms"
            )


def _check_free(out: Path, sources: set[str]) -> None:
    there = sorted({speaker_of(file) for file in out.glob(f"*{SPEAKER_MARK}*.wav")} & sources)
    if there:
        raise CorpusError(
            f"{out} holds clips of {', '.join(there[:3])} already; delete them, or name another "
            "--out"
        )
