"""False alarms kept as clips: what a model heard and should learn not to hear.

They go into ``DIR/_unknown_``, a folder that every training with `_unknown_` uses where DIR is
its data folder. Their names begin with a speaker that the rule of the partitions sends to
training. A clip that reaches into a wanted word is left out: it would teach the opposite.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

from minikws._typing import Samples
from minikws.audio import write_wav
from minikws.data.splits import SPEAKER_MARK, split_of
from minikws.labels import UNKNOWN
from minikws.streaming.evaluate import NO_WORDS, Heard, Spoken, is_false_alarm
from minikws.streaming.recent_sound import RecentSound


class Mine:
    """Keeps the newest sound, and writes the false alarms in it.

    Parameters
    ----------
    folder : clips go into its sub-folder `_unknown_`.
    name : of the recording; the clips are called after it and their time.
    truth : what is said; wanted words are kept out.
    clip_samples : length of a clip, which is the end of what was heard.
    """

    def __init__(
        self,
        folder: str | Path,
        name: str,
        truth: Sequence[Spoken],
        *,
        sample_rate_hz: int,
        clip_samples: int,
    ) -> None:
        self.folder = Path(folder) / UNKNOWN
        self.n_kept = self.n_left_out = 0
        self._speaker = training_speaker(name)
        self._rate, self._n_clip = sample_rate_hz, clip_samples
        self._wanted_ms = sorted(s.time_ms for s in truth if s.label not in NO_WORDS)
        self._sound = RecentSound(clip_samples)

    def hear(self, block: Samples) -> None:
        """Remember more sound; the clip before it is kept too."""
        self._sound.hear(block)

    def keep(self, heard: Heard) -> Path | None:
        """Write the clip of a command that was just heard, if it is a false alarm.

        Raises
        ------
        RunError : it cannot be written.
        """
        if not is_false_alarm(heard):
            return None
        clip_ms = 1000 * self._n_clip / self._rate
        # The first wanted word that begins after the clip did, less a word's length.
        first = bisect_right(self._wanted_ms, heard.end_ms - 2 * clip_ms)
        if first < len(self._wanted_ms) and self._wanted_ms[first] < heard.end_ms:
            self.n_left_out += 1
            return None
        end = round(heard.end_ms * self._rate / 1000)
        clip = self._sound.between(end - self._n_clip, end)
        self.n_kept += 1
        path = self.folder / f"{self._speaker}{SPEAKER_MARK}{heard.end_ms:.0f}.wav"
        return write_wav(path, clip, self._rate)

    def report(self) -> str:
        """Return what was kept, as a sentence."""
        left_out = ""
        if self.n_left_out:
            left_out = f"; {self.n_left_out} reach into a wanted word and were left out"
        return f"{self.n_kept} false alarms kept as clips in {self.folder}{left_out}"


def training_speaker(name: str) -> str:
    """Return the name, with a number after it where the partitions need one, for training.

    >>> training_speaker("kitchen")
    'kitchen'
    """
    plain = name.replace(SPEAKER_MARK, "-")
    speakers = chain([plain], (f"{plain}-{n}" for n in count(1)))
    return next(s for s in speakers if split_of(f"{s}{SPEAKER_MARK}0.wav") == "training")
