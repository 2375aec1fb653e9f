"""Read every recording of a data folder once, and keep what matters about each.

In comes a folder; out comes a `Survey`: which files there are, which cannot be read and why,
and of each clip its speaker, partition, rate, length, level, digest and picture.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from minikws._typing import Float32
from minikws.audio import FULL_SCALE, Wav, read_wav
from minikws.data.fingerprint import fingerprint
from minikws.data.splits import Partition, speaker_of, split_of
from minikws.errors import AudioError, CorpusError
from minikws.labels import BACKGROUND_FOLDER

QUIET_PEAK, QUIET_RMS = 300, 20  # of 32768
OTHER_SOUND = (".mp3", ".m4a", ".aac", ".ogg", ".opus", ".flac", ".aif", ".aiff", ".wma", ".webm")


@dataclass(frozen=True)
class ClipFacts:
    """One recording; `file` is relative to the data folder. Levels are of what training sees."""

    file: str
    word: str
    speaker: str
    partition: Partition
    sample_rate_hz: int
    n_samples: int
    peak: int
    rms: float
    n_full_scale: int
    digest: bytes

    @property
    def ms(self) -> float:
        """Length in milliseconds."""
        return 1000 * self.n_samples / self.sample_rate_hz

    @property
    def is_quiet(self) -> bool:
        """Whether there is next to nothing to hear."""
        return self.peak < QUIET_PEAK or self.rms < QUIET_RMS


@dataclass
class Survey:
    """All that is in a data folder.

    wanted : the words that would be trained; none named means all.
    clips, pictures : what could be read, and the clips' fingerprints by word, in one order.
    unreadable : file -> why; misplaced : reason -> files; background : (file, samples, rate).
    """

    folder: Path
    wanted: tuple[str, ...]
    sample_rate_hz: int
    clip_ms: float
    clips: list[ClipFacts] = field(default_factory=list)
    pictures: dict[str, list[Float32]] = field(default_factory=lambda: defaultdict(list))
    unreadable: dict[str, str] = field(default_factory=dict)  # file -> sentence
    misplaced: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    background: list[tuple[str, int, int]] = field(default_factory=list)  # file, samples, rate

    @property
    def by_word(self) -> dict[str, list[ClipFacts]]:
        """The clips of each word."""
        words: dict[str, list[ClipFacts]] = {}
        for clip in self.clips:
            words.setdefault(clip.word, []).append(clip)
        return words

    @property
    def classes(self) -> dict[str, list[ClipFacts]]:
        """The words that are, or could be, wanted."""
        return {w: c for w, c in self.by_word.items() if not self.wanted or w in self.wanted}


def survey_folder(
    survey: Survey,
    *,
    validation_pct: float,
    testing_pct: float,
    on_progress: Callable[[int, int], None] | None = None,
) -> Survey:
    """Fill a survey from its folder.

    Raises
    ------
    CorpusError : no such folder.
    """
    paths = _scan(survey)
    for done, (word, path) in enumerate(paths, start=1):
        partition = split_of(path, validation_pct=validation_pct, testing_pct=testing_pct)
        _take(survey, word, path, partition)
        if on_progress is not None:
            on_progress(done, len(paths))
    return survey


def _scan(survey: Survey) -> list[tuple[str, Path]]:
    """Return (word, file) of every WAV file one level deep, sorted; note the others' places."""
    if not survey.folder.is_dir():
        raise CorpusError(
            f"there is no folder {survey.folder}; give a folder with one sub-folder of WAV files a "
            "word, or make one with: minikws data synth --words yes,no --out DIR"
        )
    paths = []
    for place, folders, names in os.walk(survey.folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        parts = Path(place).relative_to(survey.folder).parts
        for name in sorted(names):
            suffix = Path(name).suffix.lower()
            if name.startswith(".") or suffix not in (".wav", *OTHER_SOUND):
                continue
            file = "/".join((*parts, name))
            if suffix != ".wav":
                survey.misplaced["other_format"].append(file)
            elif not parts:
                survey.misplaced["not_in_a_folder"].append(file)
            elif len(parts) > 1:
                survey.misplaced["too_deep"].append(file)
            else:
                is_noise = parts[0] == BACKGROUND_FOLDER
                paths.append((parts[0] if is_noise else parts[0].lower(), Path(place) / name))
    return paths


def _take(survey: Survey, word: str, path: Path, partition: Partition) -> None:
    """Read one file and keep what matters about it."""
    file = path.relative_to(survey.folder).as_posix()
    try:
        wav = read_wav(path, name=file)
    except AudioError as error:
        survey.unreadable[file] = str(error)
        return
    if word == BACKGROUND_FOLDER:
        survey.background.append((file, wav.samples.shape[0], wav.sample_rate_hz))
        return
    clip_samples = int(wav.sample_rate_hz * survey.clip_ms / 1000)
    survey.clips.append(_clip_facts(file, word, path, partition, wav, clip_samples))
    heard = wav.samples[:clip_samples, 0]
    survey.pictures[word].append(fingerprint(heard, wav.sample_rate_hz, clip_samples))


def _clip_facts(
    file: str, word: str, path: Path, partition: Partition, wav: Wav, clip_samples: int
) -> ClipFacts:
    sound = np.ascontiguousarray(wav.samples[:, 0])
    heard = sound[:clip_samples].astype(np.int32)
    size = np.abs(heard)
    return ClipFacts(
        file=file,
        word=word,
        speaker=speaker_of(path),
        partition=partition,
        sample_rate_hz=wav.sample_rate_hz,
        n_samples=sound.shape[0],
        peak=int(size.max(initial=0)),
        rms=float(np.sqrt(np.mean(heard.astype(np.float64) ** 2))) if heard.shape[0] else 0.0,
        n_full_scale=int(np.count_nonzero(size >= FULL_SCALE - 1)) + wav.n_clipped,
        digest=hashlib.sha1(sound.tobytes(), usedforsecurity=False).digest(),
    )
