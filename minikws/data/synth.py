"""A demo corpus of spoken words, made in seconds: eSpeak NG in many voices, rooms and levels.

In come words; out comes a folder with the naming of Speech Commands (WORD/SPEAKER_nohash_TAKE.wav,
one second, 16 kHz, 16 bits), other words for `_unknown_`, and coloured noise. Everything follows
from the seed. A "speaker" is an accent, a voice, a pitch, a pace, a length of the vocal tract, a
room and a microphone level; the speaker's name is the digest of these, so that the partitions
keep speakers apart as they do with people.

Synthetic voices are more alike than people: a model that is perfect here shows that the path
works, not that it will hear you.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from minikws._typing import Float64, Samples
from minikws.audio import resample, to_float, write_wav
from minikws.data.espeak import Voice
from minikws.data.room import CLIP_SAMPLES, NOISES, SAMPLE_RATE_HZ, Room, background, in_a_room
from minikws.data.splits import SPEAKER_MARK
from minikws.errors import CorpusError, SettingsError
from minikws.files import write_file
from minikws.labels import BACKGROUND_FOLDER
from minikws.settings import DEFAULT_SEED

LONGEST_WORD_SAMPLES = 13_600  # leaves room to move the word about in its clip
MARKER = "synth.json"

ACCENTS = ("en-US", "en", "en-GB-x-rp", "en-GB-scotland", "en-029", "en-US-nyc", "en-GB-x-gbclan")
# eSpeak NG's variants that sound like people: no robots, no whispering. Those with the setting
# `breath` (f2, f3, f5, Alicia, victor …) are left out: their samples differ from run to run.
VOICES = tuple(
    """Alex Andrea Andy Annie Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael
    Mike Nguyen adam anika announcer antonio aunty belinda benjamin boris david ed edward edward2
    f1 f4 grandma grandpa gustave ian iven iven2 iven3 iven4 john kaukovalta klatt klatt2 klatt3
    klatt4 linda m1 m2 m3 m4 m5 m6 m7 m8 marcelo max michel miguel mike2 norbert pablo paul pedro
    quincy rob robert shelby steph steph2 steph3 travis zac""".split()  # noqa: SIM905 (a table)
)
OTHER_WORDS = tuple(  # for `_unknown_`: short, common, of many sounds
    """bed bird cat dog happy house tree wow marvin sheila one two three four five seven zero
    left right up down stop go yes no on off water garden music""".split()  # noqa: SIM905
)
N_OTHER_WORDS = 20
OTHER_WORDS_A_SPEAKER = 8


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """Who speaks, and where.

    vocal_tract : length beside the voice's own; longer lowers every resonance.
    """

    accent: str
    voice: str
    pitch: int
    pitch_range: int
    words_per_minute: int
    vocal_tract: float
    room: Room

    @property
    def name(self) -> str:
        """Eight hex digits, as Speech Commands names its speakers."""
        stored = json.dumps(asdict(self), sort_keys=True).encode()
        return hashlib.sha1(stored, usedforsecurity=False).hexdigest()[:8]


@dataclass(frozen=True)
class SynthReport:
    """What was made: `n_clips` counts wanted and other words, not the noise."""

    folder: Path
    words: tuple[str, ...]
    other_words: tuple[str, ...]
    n_speakers: int
    n_clips: int
    seconds: float


@dataclass(frozen=True)
class _Clip:
    """One recording to make."""

    speaker: Speaker
    word: str
    take: int

    @property
    def path(self) -> str:
        return f"{self.word}/{self.speaker.name}{SPEAKER_MARK}{self.take}.wav"


def synthesize_corpus(
    folder: str | Path,
    words: Sequence[str],
    *,
    n_speakers: int = 100,
    n_takes: int = 4,
    seed: int = DEFAULT_SEED,
    on_progress: Callable[[int, int], None] | None = None,
) -> SynthReport:
    """Fill a folder with `words`, spoken by `n_speakers` voices, `n_takes` times each.

    A folder that an earlier call filled is filled anew: its old clips go, other files stay.

    Parameters
    ----------
    on_progress : is told (clips made, clips in all).

    Raises
    ------
    SettingsError : no word, a word that cannot be a folder or is not spoken within a second.
    CorpusError : the folder holds something that was not made here.
    MissingExtraError : espeakng-loader or soxr is not installed.
    RunError : a file cannot be written, or eSpeak NG fails.
    """
    started = time.perf_counter()
    folder = Path(folder)
    words = _checked_words(words)
    for name, number in (("speakers", n_speakers), ("takes", n_takes)):
        if not 1 <= number <= 10_000:
            raise SettingsError(
                f"{name}={number} is not 1 to 10000; 100 speakers, 4 takes are usual"
            )
    other_words = tuple(word for word in OTHER_WORDS if word not in words)[:N_OTHER_WORDS]
    clips = _plan(words, other_words, make_speakers(n_speakers, seed=seed), n_takes, seed)
    with Voice() as voice:
        for word in words:  # one that cannot be spoken shows before the folder is touched
            _speak(voice, _Clip(clips[0].speaker, word, 0), _generator(seed, word))
        _claim(folder, words, n_speakers, n_takes, seed, [clip.path for clip in clips])
        for done, clip in enumerate(clips, start=1):
            rng = _generator(seed, clip.path)
            speech = _speak(voice, clip, rng)
            write_wav(folder / clip.path, in_a_room(speech, clip.speaker.room, rng), SAMPLE_RATE_HZ)
            if on_progress is not None:
                on_progress(done, len(clips))
    for name, slope in NOISES.items():
        noise = background(name, slope, _generator(seed, name))
        write_wav(folder / BACKGROUND_FOLDER / f"{name}.wav", noise, SAMPLE_RATE_HZ)
    seconds = time.perf_counter() - started
    return SynthReport(folder, words, other_words, n_speakers, len(clips), seconds)


def make_speakers(n_speakers: int, *, seed: int) -> list[Speaker]:
    """Return different speakers; the first `len(VOICES)` of them share no voice."""
    rng = _generator(seed, "speakers")
    voices = [
        VOICES[i] for _ in range(0, n_speakers, len(VOICES)) for i in rng.permutation(len(VOICES))
    ]
    return [
        Speaker(
            accent=str(rng.choice(ACCENTS)),
            voice=voice,
            pitch=int(rng.integers(25, 76)),
            pitch_range=int(rng.integers(20, 81)),
            words_per_minute=int(rng.integers(110, 200)),
            vocal_tract=round(float(rng.uniform(0.88, 1.14)), 3),
            room=Room(
                level_db=round(float(rng.uniform(-22, -2)), 1),
                floor_db=round(float(rng.uniform(-75, -45)), 1),
                floor_slope=round(float(rng.uniform(0, 2)), 2),
                echo_db=round(float(rng.uniform(-30, -8)), 1),
                echo_ms=round(float(rng.uniform(50, 400)), 0),
            ),
        )
        for voice in voices[:n_speakers]
    ]


def _speak(voice: Voice, clip: _Clip, rng: np.random.Generator) -> Float64:
    """Return the word as its speaker says it this time, (N,) at 16 kHz, silence cut off."""
    speaker = clip.speaker
    pace = speaker.words_per_minute * rng.uniform(0.92, 1.08)
    pitch = int(np.clip(speaker.pitch + rng.integers(-4, 5), 0, 99))
    for _ in range(4):
        spoken = voice.say(
            clip.word,
            voice=f"gmw/{speaker.accent}+{speaker.voice}",
            words_per_minute=int(min(pace, 450)),
            pitch=pitch,
            pitch_range=speaker.pitch_range,
        )
        # Played a little slower, the same samples come from a longer vocal tract.
        speech = resample(spoken, round(voice.sample_rate_hz / speaker.vocal_tract), SAMPLE_RATE_HZ)
        speech = _trim(speech)
        if speech.shape[0] == 0:
            raise SettingsError(
                f"eSpeak NG has no sound for the word {clip.word!r}; choose another"
            )
        if speech.shape[0] <= LONGEST_WORD_SAMPLES:
            return to_float(speech).astype(np.float64)
        pace *= 1.1 * speech.shape[0] / LONGEST_WORD_SAMPLES
    raise SettingsError(
        f"{clip.word!r} takes {speech.shape[0] / SAMPLE_RATE_HZ:.1f} s even when spoken fast, and "
        f"a clip is {CLIP_SAMPLES / SAMPLE_RATE_HZ:g} s long; choose a shorter word"
    )


def _trim(samples: Samples) -> Samples:
    """Cut off what lies 40 dB below the peak at both ends, but for 10 ms."""
    size = np.abs(samples.astype(np.int32))
    loud = np.flatnonzero(size > max(1, size.max(initial=0) // 100))
    if loud.shape[0] == 0:
        return samples[:0]
    margin = SAMPLE_RATE_HZ // 100
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]


def _plan(
    words: tuple[str, ...],
    other_words: tuple[str, ...],
    speakers: list[Speaker],
    n_takes: int,
    seed: int,
) -> list[_Clip]:
    """List every clip: each speaker says all wanted words and some of the others, once."""
    clips = []
    for speaker in speakers:
        clips += [_Clip(speaker, word, take) for word in words for take in range(n_takes)]
        rng = _generator(seed, speaker.name)
        some = rng.choice(other_words, min(OTHER_WORDS_A_SPEAKER, len(other_words)), replace=False)
        clips += [_Clip(speaker, str(word), 0) for word in some]
    return clips


def _generator(seed: int, purpose: str) -> np.random.Generator:
    """Return a generator of its own for each purpose, so that they do not disturb each other."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def _checked_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words, each of which can be a folder's name."""
    if isinstance(words, str) or not words:
        raise SettingsError(f"expected a list of words, found {words!r}; name one or more")
    for word in words:
        if not re.fullmatch(r"[^\W_]([\w '-]*[\w'])?", word):
            raise SettingsError(
                f"the word {word!r} cannot be a folder's name; use letters, digits, spaces, hyphens"
            )
        if words.count(word) > 1:
            raise SettingsError(f"the word {word!r} stands twice; name it once")
    return tuple(words)


def _claim(
    folder: Path, words: tuple[str, ...], n_speakers: int, n_takes: int, seed: int, paths: list[str]
) -> None:
    """Mark the folder as ours, and delete the clips that an earlier call made in it."""
    marker = folder / MARKER
    if folder.exists() and not folder.is_dir():
        raise CorpusError(f"{folder} is a file, expected a folder to fill; name another")
    if folder.is_dir() and any(folder.iterdir()):
        for path in _files_of(marker, folder):
            (folder / path).unlink(missing_ok=True)
            if not any((folder / path).parent.iterdir()):
                (folder / path).parent.rmdir()
    stored = {
        "made_by": "minikws data synth",
        "words": words,
        "speakers": n_speakers,
        "takes": n_takes,
        "seed": seed,
        "files": paths,
    }
    write_file(marker, json.dumps(stored, ensure_ascii=False, indent=0))


def _files_of(marker: Path, folder: Path) -> list[str]:
    """Return the clips that an earlier call made, from its marker."""
    try:
        stored = json.loads(marker.read_text(encoding="utf-8"))
        if stored["made_by"] == "minikws data synth":
            name = re.compile(rf"[^/\\.][^/\\]*/[0-9a-f]{{8}}{SPEAKER_MARK}\d+\.wav")
            return [path for path in stored["files"] if name.fullmatch(path)]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise CorpusError(
        f"{folder} is not empty and was not made by minikws data synth; name a new folder"
    )
