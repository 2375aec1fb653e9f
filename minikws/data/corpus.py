"""A folder of recordings as an index: which clip belongs to which partition and label.

A folder a word (``yes/SPEAKER_nohash_TAKE.wav``), noise in ``_background_noise_``. The index
depends on the folder's content alone, never on a run's seed: files are sorted, and the unknown
clips and silence segments of every partition come from one fixed generator. So `eval` repeats
the final test of `train` to the clip. Samples are read when they are first needed.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from minikws._typing import Int16, Int64
from minikws.audio import folder_wavs, read_clip
from minikws.data.splits import PARTITIONS, Partition, split_of
from minikws.errors import CorpusError, nearest
from minikws.labels import BACKGROUND_FOLDER, SILENCE, UNKNOWN, check_words, label_order
from minikws.settings import DEFAULT_SEED, CorpusSettings

# Decoded clips kept in memory; beyond it clips are read again from disk.
CACHE_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class Segment:
    """A stretch of background noise: which file, from which sample, how loud (0 to 1)."""

    background: int
    start: int
    volume: float


@dataclass(frozen=True)
class Clip:
    """One entry of a partition: a recording, or for `_silence_` a segment of noise."""

    label: int
    word: str
    path: Path | None
    segment: Segment | None = None


@dataclass
class Corpus:
    """The index of a data folder, and its samples on request.

    Parameters
    ----------
    folder : the data folder.
    settings : which words, how much silence and unknown, how the partitions are cut.
    sample_rate_hz, clip_samples : what every clip becomes (resampled, padded, cropped).
    on_message : is told what was done to the sound, such as resampling.

    Raises
    ------
    SettingsError : a wanted word twice, or one of minikws' own labels.
    CorpusError : no such folder, no clip in it, a wanted word without a clip, background noise
        missing or too short.

    Source: input_data.py, AudioProcessor. Differs: the files are sorted, and the draws come from
    a NumPy Generator, so that the index is the same on every machine.
    """

    folder: Path
    settings: CorpusSettings
    sample_rate_hz: int
    clip_samples: int
    on_message: Callable[[str], None] | None = None
    labels: tuple[str, ...] = field(init=False)
    partitions: dict[Partition, tuple[Clip, ...]] = field(init=False)
    unused_words: Counter[str] = field(init=False)
    background_paths: tuple[Path, ...] = field(init=False)
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        self.folder = Path(self.folder)
        self._samples: dict[Path, Int16] = {}
        self._cached_bytes = 0
        wanted = self.settings.wanted_words
        check_words(wanted)
        self.labels = label_order(
            wanted, silence=self.settings.silence, unknown=self.settings.unknown
        )
        files = _scan(self.folder)
        counts = Counter(word for word, _ in files)
        for word in wanted:
            if word not in counts:
                raise CorpusError(
                    f"the wanted word {word!r} has no clip in {self.folder}; "
                    f"{nearest(word, sorted(counts))}"
                )
        self.digest = _digest(self.folder, [path for _, path in files])
        background = self.folder / BACKGROUND_FOLDER
        self.background_paths = tuple(folder_wavs(background) if background.is_dir() else ())
        self._background: tuple[Int16, ...] | None = None
        self._index(files)

    def _index(self, files: Sequence[tuple[str, Path]]) -> None:
        """Sort the files into partitions, then add silence and unknown clips to each."""
        rng = np.random.default_rng(DEFAULT_SEED)
        settings = self.settings
        wanted: dict[Partition, list[Clip]] = {name: [] for name in PARTITIONS}
        others: dict[Partition, list[Clip]] = {name: [] for name in PARTITIONS}
        for word, path in files:
            partition = split_of(
                path, validation_pct=settings.validation_pct, testing_pct=settings.testing_pct
            )
            if word in settings.wanted_words:
                wanted[partition].append(Clip(self.labels.index(word), word, path))
            elif settings.unknown:
                others[partition].append(Clip(self.labels.index(UNKNOWN), word, path))
        self.partitions = {}
        self.unused_words = Counter()
        for partition in ("validation", "testing", "training"):
            n_wanted = len(wanted[partition])
            has_silence = settings.silence and self.background_paths
            n_silence = math.ceil(n_wanted * settings.silence_pct / 100) if has_silence else 0
            n_unknown = math.ceil(n_wanted * settings.unknown_pct / 100)
            order = rng.permutation(len(others[partition]))
            chosen = [others[partition][i] for i in np.sort(order[:n_unknown])]
            silence = [self._silence_clip(rng) for _ in range(n_silence)]
            self.partitions[partition] = (*silence, *chosen, *wanted[partition])
            self.unused_words.update(others[partition][i].word for i in order[n_unknown:])
        if not self.partitions["training"]:
            raise CorpusError(
                f"no clip of {self.folder} falls into the training partition (the speaker's name "
                "decides); record more speakers, or lower the validation and testing percentages"
            )

    def _silence_clip(self, rng: np.random.Generator) -> Clip:
        which = int(rng.integers(len(self.background)))
        start = int(rng.integers(0, len(self.background[which]) - self.clip_samples))
        segment = Segment(which, start, float(rng.uniform(0, 1)))
        return Clip(self.labels.index(SILENCE), SILENCE, None, segment)

    @property
    def background(self) -> tuple[Int16, ...]:
        """The background recordings, whole: one (N,) array a file."""
        if self._background is None:
            self._background = tuple(self._read_background())
        return self._background

    def _read_background(self) -> Iterator[Int16]:
        for path in self.background_paths:
            samples = read_clip(
                path, sample_rate_hz=self.sample_rate_hz, on_message=self.on_message
            )
            if len(samples) <= self.clip_samples:
                raise CorpusError(
                    f"{path} holds {len(samples)} samples at {self.sample_rate_hz} Hz and a clip "
                    f"needs more than {self.clip_samples}; lengthen the recording or remove it"
                )
            yield samples

    def samples(self, path: Path) -> Int16:
        """Return a recording as (clip_samples,) int16, from memory where it was read before."""
        found = self._samples.get(path)
        if found is None:
            found = read_clip(
                path,
                sample_rate_hz=self.sample_rate_hz,
                n_samples=self.clip_samples,
                on_message=self.on_message,
            )
            if self._cached_bytes + found.nbytes <= CACHE_BYTES:
                self._samples[path] = found
                self._cached_bytes += found.nbytes
        return found

    def clean(self, clips: Sequence[Clip]) -> Int16:
        """Return clips as they are, without augmentation: (B, clip_samples) int16.

        Silence is its own segment of noise at its own volume.
        """
        out = np.zeros((len(clips), self.clip_samples), np.int16)
        for row, clip in zip(out, clips, strict=True):
            if clip.path is not None:
                row[:] = self.samples(clip.path)
            elif clip.segment is not None:
                noise = self.background[clip.segment.background]
                stretch = noise[clip.segment.start : clip.segment.start + self.clip_samples]
                row[:] = stretch * np.float32(clip.segment.volume)  # truncates, as the mixer does
        return out

    def label_indices(self, clips: Sequence[Clip]) -> Int64:
        """Return the labels of clips, (B,) int64."""
        return np.array([clip.label for clip in clips], np.int64)

    def counts(self, partition: Partition) -> Counter[str]:
        """Count the clips of a partition by folder word (unknown words by their own)."""
        return Counter(clip.word for clip in self.partitions[partition])

    @property
    def background_minutes(self) -> float:
        """Length of all background recordings."""
        return sum(map(len, self.background)) / self.sample_rate_hz / 60


def _scan(folder: Path) -> list[tuple[str, Path]]:
    """Return (word, file) of every recording one level below `folder`, sorted."""
    if not folder.is_dir():
        raise CorpusError(
            f"there is no folder {folder}; give a folder with one sub-folder of WAV files a word, "
            "or make one with: minikws data synth --words yes,no --out DIR"
        )
    files = [
        (child.name.lower(), path)
        for child in sorted(folder.iterdir())
        if child.is_dir() and child.name != BACKGROUND_FOLDER and not child.name.startswith(".")
        for path in folder_wavs(child)
    ]
    if not files:
        raise CorpusError(
            f"no .wav file in the sub-folders of {folder}; the layout is "
            f"{folder.name}/WORD/SPEAKER_nohash_TAKE.wav, one folder a word"
        )
    return files


def _digest(folder: Path, paths: Sequence[Path]) -> str:
    """Return a digest of the names and sizes of all recordings: which corpus a model saw."""
    digest = hashlib.sha256()
    for path in paths:
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{path.stat().st_size}\n".encode())
    return digest.hexdigest()[:16]
