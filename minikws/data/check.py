"""What is in a data folder, and what in it will hurt: found before an evening of training is.

In comes a folder; out comes a `CorpusReport`: each word's clips, speakers and levels, and a list
of findings. A finding holds facts alone (its kind, files, words and numbers); `check_text` puts
them into sentences. A fault makes the result of a training wrong or impossible; a note is
something to know.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minikws.audio import FULL_SCALE
from minikws.data.fingerprint import nearest_across
from minikws.data.splits import PARTITIONS, SPEAKER_MARK, Partition
from minikws.data.survey import ClipFacts, Survey, survey_folder
from minikws.errors import CorpusError
from minikws.labels import BACKGROUND_FOLDER
from minikws.settings import ClipSettings, CorpusSettings

FEW_CLIPS = 10
FEW_SPEAKERS = 3
LEVEL_DB = 10.0  # a word that differs by so much could be told by loudness alone
CLIPPED_SAMPLES = 16  # at full scale, 1 ms at 16 kHz: what the ear hears as distortion
LONG, SHORT = 1.05, 0.5  # shares of the clip length
ALIKE_SHARE = 0.1  # of the validation and test clips
BALANCE = 3.0
LITTLE_NOISE_MINUTES = 1.0


@dataclass(frozen=True)
class WordFacts:
    """A word's folder; levels in dB below full scale, of the median clip."""

    word: str
    n_clips: int
    n_speakers: int
    n_in: dict[Partition, int]
    rms_db: float
    peak_db: float
    n_clipped: int


@dataclass(frozen=True)
class Finding:
    """Something found: `kind` is a key of `check_text.SENTENCES`, `facts` its numbers."""

    kind: str
    is_fault: bool
    files: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CorpusReport:
    """The answer of `check_corpus`.

    n_found : sound files seen anywhere below the folder, background noise left out.
    n_used : those that can be read; skipped: why the others cannot, with counts.
    n_test, margin_points : test clips of the wanted words (of all, where none were named), and
        the 95 % uncertainty of an accuracy of 80 % measured on them, in percentage points.
    """

    folder: Path
    words: tuple[WordFacts, ...]
    wanted_words: tuple[str, ...]
    findings: tuple[Finding, ...]
    n_found: int
    n_used: int
    skipped: dict[str, int]
    n_speakers: int
    n_background: int
    background_minutes: float
    n_test: int
    margin_points: float

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What makes a training wrong or impossible."""
        return tuple(finding for finding in self.findings if finding.is_fault)

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What is good to know."""
        return tuple(finding for finding in self.findings if not finding.is_fault)


def check_corpus(
    folder: str | Path,
    *,
    wanted_words: Sequence[str] = (),
    sample_rate_hz: int = 16_000,
    clip_ms: float = 1000.0,
    validation_pct: float = 10.0,
    testing_pct: float = 10.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> CorpusReport:
    """Read every clip below a folder, and report what is there and what will hurt.

    Parameters
    ----------
    wanted_words : what would be trained; without them every folder counts as a class.
    on_progress : is told (files read, files in all).

    Raises
    ------
    SettingsError : words, a rate, a length or percentages that no training takes.
    CorpusError : no such folder, or not one clip in it that can be used.
    """
    folder = Path(folder)
    ClipSettings(sample_rate_hz=sample_rate_hz, clip_ms=clip_ms)
    CorpusSettings(
        wanted_words=tuple(wanted_words) or ("any",),
        validation_pct=validation_pct,
        testing_pct=testing_pct,
    )
    look = survey_folder(
        Survey(folder, tuple(wanted_words), sample_rate_hz, clip_ms),
        validation_pct=validation_pct,
        testing_pct=testing_pct,
        on_progress=on_progress,
    )
    n_used = len(look.clips)
    skipped = {reason: len(files) for reason, files in look.misplaced.items()}
    n_unreadable = sum(not f.startswith(f"{BACKGROUND_FOLDER}/") for f in look.unreadable)
    if n_unreadable:
        skipped["unreadable"] = n_unreadable
    if n_used == 0:
        raise CorpusError(_nothing_usable(look, skipped))
    n_test = sum(c.partition == "testing" for clips in look.classes.values() for c in clips)
    return CorpusReport(
        folder=folder,
        words=tuple(_word_facts(word, clips) for word, clips in look.by_word.items()),
        wanted_words=look.wanted,
        findings=tuple(finding for find in FINDERS for finding in find(look)),
        n_found=n_used + sum(skipped.values()),
        n_used=n_used,
        skipped=skipped,
        n_speakers=len({clip.speaker for clip in look.clips}),
        n_background=len(look.background),
        background_minutes=sum(n / rate for _, n, rate in look.background) / 60,
        n_test=n_test,
        margin_points=margin_points(n_test),
    )


def margin_points(n_clips: int) -> float:
    """Return half the 95 % interval of an accuracy of 80 %, in points; 50 for no clip.

    >>> round(margin_points(10))
    25
    """
    return min(50.0, 100 * 1.96 * math.sqrt(0.8 * 0.2 / n_clips)) if n_clips else 50.0


def decibels(level: float) -> float:
    """Return a level of 0 to 32768 in dB below full scale; -99 for nothing."""
    return max(-99.0, 20 * math.log10(max(level, 1e-9) / FULL_SCALE))


def _word_facts(word: str, clips: list[ClipFacts]) -> WordFacts:
    counts = Counter(clip.partition for clip in clips)
    return WordFacts(
        word=word,
        n_clips=len(clips),
        n_speakers=len({clip.speaker for clip in clips}),
        n_in={partition: counts[partition] for partition in PARTITIONS},
        rms_db=decibels(float(np.median([clip.rms for clip in clips]))),
        peak_db=decibels(float(np.median([clip.peak for clip in clips]))),
        n_clipped=sum(clip.n_full_scale >= CLIPPED_SAMPLES for clip in clips),
    )


def _nothing_usable(look: Survey, skipped: dict[str, int]) -> str:
    layout = f"the layout is {look.folder.name}/WORD/SPEAKER_nohash_TAKE.wav, one folder a word"
    if look.unreadable:
        return f"no clip of {look.folder} can be used: {next(iter(look.unreadable.values()))}"
    if skipped:
        seen = ", ".join(f"{n} {REASONS[reason]}" for reason, n in skipped.items())
        return f"no clip of {look.folder} can be used, found {seen}; {layout}"
    return f"no .wav file in the sub-folders of {look.folder}; {layout}"


REASONS = {  # why a sound file is not used
    "unreadable": "that cannot be read",
    "not_in_a_folder": "beside the words' folders, not in one",
    "too_deep": "more than one folder deep",
    "other_format": "in another format than WAV",
}


def _files(clips: Sequence[ClipFacts]) -> tuple[str, ...]:
    return tuple(clip.file for clip in clips)


def _words(clips: Sequence[ClipFacts]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(clip.word for clip in clips))


def _find_files(look: Survey) -> Iterator[Finding]:
    """Find files that are not used, or hold nothing."""
    if look.unreadable:
        reasons = {"reasons": look.unreadable}
        yield Finding("unreadable", True, tuple(look.unreadable), facts=reasons)
    for reason, files in look.misplaced.items():
        yield Finding(reason, False, tuple(files))
    silent = [clip for clip in look.clips if clip.peak == 0]
    if silent:
        yield Finding("no_sound", True, _files(silent), _words(silent))
    quiet = [clip for clip in look.clips if clip.peak > 0 and clip.is_quiet]
    if quiet:
        yield Finding("quiet", False, _files(quiet), _words(quiet))


def _find_form(look: Survey) -> Iterator[Finding]:
    """Find rates and lengths other than the model's, and clipping."""
    other = [clip for clip in look.clips if clip.sample_rate_hz != look.sample_rate_hz]
    if other:
        off = {word for word, clips in look.by_word.items() if all(c in other for c in clips)}
        separates = bool(off) and len(off) < len(look.by_word)
        facts = {
            "rates": dict(Counter(clip.sample_rate_hz for clip in other)),
            "wanted_hz": look.sample_rate_hz,
        }
        words = tuple(sorted(off)) if separates else _words(other)
        yield Finding(
            "rate_tells_word" if separates else "other_rate", separates, _files(other), words, facts
        )
    facts = {"clip_ms": look.clip_ms}
    long = [clip for clip in look.clips if clip.ms > LONG * look.clip_ms]
    if long:
        facts["longest_ms"] = max(clip.ms for clip in long)
        yield Finding("long", True, _files(long), _words(long), facts)
    short = [clip for clip in look.clips if 0 < clip.ms < SHORT * look.clip_ms]
    if short:
        shortest = {"clip_ms": look.clip_ms, "shortest_ms": min(clip.ms for clip in short)}
        yield Finding("short", False, _files(short), _words(short), shortest)
    clipped = [clip for clip in look.clips if clip.n_full_scale >= CLIPPED_SAMPLES]
    if clipped:
        yield Finding("clipped", False, _files(clipped), _words(clipped))


def _find_copies(look: Survey) -> Iterator[Finding]:
    """Find the same sound where the partitions or the words should differ."""
    same = defaultdict(list)
    for clip in look.clips:
        if clip.peak > 0:
            same[clip.digest].append(clip)
    groups = [group for group in same.values() if len(group) > 1]
    kinds = defaultdict(list)
    for group in groups:
        if len({clip.word for clip in group}) > 1:
            kinds["copy_in_two_words"].append(group)
        elif len({clip.partition for clip in group}) > 1:
            kinds["copy_across_partitions"].append(group)
        else:
            kinds["copy"].append(group)
    for kind, found in kinds.items():
        files = tuple(clip.file for group in found for clip in group)
        words = _words([clip for group in found for clip in group])
        facts = {"groups": [list(_files(group)) for group in found]}
        yield Finding(kind, kind != "copy", files, words, facts)
    yield from _find_alike(look)


def _find_alike(look: Survey) -> Iterator[Finding]:
    """Find validation and test clips that sound nearly like a clip of another partition."""
    groups: list[list[str]] = []
    words: list[str] = []
    n_all = 0
    for word, clips in look.by_word.items():
        n_held_out = sum(clip.partition != "training" for clip in clips)
        if not 0 < n_held_out < len(clips):
            continue
        partitions = np.array([clip.partition for clip in clips])
        pairs = [
            (clips[i], clips[j])
            for i, j, _ in nearest_across(np.stack(look.pictures[word]), partitions)
            if clips[i].partition != "training"
            and clips[i].digest != clips[j].digest
            and not clips[i].is_quiet
        ]
        n_all += n_held_out
        if pairs:
            groups += [list(_files(pair)) for pair in pairs]
            words.append(word)
    if groups:
        share = len(groups) / n_all
        facts: dict[str, Any] = {"groups": groups, "share": share}
        files = tuple(group[0] for group in groups)
        yield Finding("alike", share >= ALIKE_SHARE, files, tuple(words), facts)


def _find_speakers(look: Survey) -> Iterator[Finding]:
    """Find names without a speaker, and words said by too few."""
    nameless = [clip for clip in look.clips if SPEAKER_MARK not in clip.file]
    if nameless:
        yield Finding("no_speaker", False, _files(nameless), _words(nameless))
    few = [
        word
        for word, clips in look.classes.items()
        if len(clips) >= FEW_CLIPS and len({clip.speaker for clip in clips}) < FEW_SPEAKERS
    ]
    if few:
        yield Finding("few_speakers", False, words=tuple(few))


def _find_levels(look: Survey) -> Iterator[Finding]:
    """Find words whose level alone would tell them from the others."""
    levels = {
        word: decibels(float(np.median([clip.rms for clip in clips])))
        for word, clips in look.by_word.items()
        if len(clips) >= FEW_CLIPS
    }
    for word, level in levels.items():
        others = [other for name, other in levels.items() if name != word]
        if others and abs(level - float(np.median(others))) >= LEVEL_DB:
            facts = {"level_db": level, "others_db": float(np.median(others))}
            yield Finding("level", True, words=(word,), facts=facts)


def _find_folders(look: Survey) -> Iterator[Finding]:
    """Find folders whose name means something else than their owner thinks."""
    if "silence" in look.classes:
        yield Finding("silence_folder", True, words=("silence",))
    noise = [word for word in look.by_word if "noise" in word and word not in look.wanted]
    if noise:
        yield Finding("noise_folder", False, words=tuple(noise))


def _find_background(look: Survey) -> Iterator[Finding]:
    """Look at what silence is cut from and noise is mixed in from."""
    if not look.background:
        yield Finding("no_background", True)
        return
    short = [file for file, n, rate in look.background if 1000 * n / rate <= look.clip_ms]
    if short:
        yield Finding("short_background", True, tuple(short), facts={"clip_ms": look.clip_ms})
    other = [file for file, _, rate in look.background if rate != look.sample_rate_hz]
    if other:
        facts = {"wanted_hz": look.sample_rate_hz}
        yield Finding("background_rate", False, tuple(other), facts=facts)
    minutes = sum(n / rate for _, n, rate in look.background) / 60
    if minutes < LITTLE_NOISE_MINUTES:
        yield Finding("little_background", False, facts={"seconds": 60 * minutes})


def _find_classes(look: Survey) -> Iterator[Finding]:
    """Find words without clips, with few, or with far fewer than others."""
    missing = [word for word in look.wanted if word not in look.by_word]
    if missing:
        facts = {"known": sorted(look.by_word)}
        yield Finding("missing_word", True, words=tuple(missing), facts=facts)
    counts = {
        word: Counter(clip.partition for clip in clips) for word, clips in look.classes.items()
    }
    untrained = [word for word, n in counts.items() if n["training"] == 0]
    if untrained:
        yield Finding("no_training", bool(look.wanted), words=tuple(untrained))
    unmeasured = [word for word, n in counts.items() if not (n["testing"] and n["validation"])]
    if unmeasured:
        yield Finding("not_measured", False, words=tuple(unmeasured))
    few = {word: n.total() for word, n in counts.items() if n.total() < FEW_CLIPS}
    if few:
        yield Finding("few_clips", False, words=tuple(few), facts={"counts": few})
    trained = {word: n["training"] for word, n in counts.items() if n["training"]}
    if trained and max(trained.values()) > BALANCE * min(trained.values()):
        most, least = max(trained, key=trained.__getitem__), min(trained, key=trained.__getitem__)
        sizes = {"n_most": trained[most], "n_least": trained[least]}
        yield Finding("unbalanced", False, words=(most, least), facts=sizes)
    if look.wanted and set(look.by_word) <= set(look.wanted):
        yield Finding("no_other_words", True)


FINDERS: tuple[Callable[[Survey], Iterator[Finding]], ...] = (
    _find_files,
    _find_classes,
    _find_copies,
    _find_speakers,
    _find_levels,
    _find_form,
    _find_folders,
    _find_background,
)
