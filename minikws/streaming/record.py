"""The sound of each word that was heard, kept as a clip for the next training.

Clips go into ``DIR/LABEL/SOURCE_nohash_N.wav``, the layout of Speech Commands, N counted on from
what is there. Listen to them before training: a false alarm belongs into another folder.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from minikws._typing import Samples
from minikws.audio import write_wav
from minikws.data.splits import SPEAKER_MARK
from minikws.errors import RunError
from minikws.streaming.follower import Follower
from minikws.streaming.live import Step, Window
from minikws.streaming.recent_sound import RecentSound
from minikws.streaming.sources import Warn


class ClipKeeper(Follower):
    """Keeps the newest sound, and writes the window of each word.

    Parameters
    ----------
    folder : gets a folder a label.
    source : what the clips are called after; clips of one source stay in one partition. None:
        8 random hex digits, as the corpus names its speakers.
    clip_samples : length of a window.
    warn : is told when a clip cannot be written, and when it works again.
    """

    def __init__(
        self, folder: str | Path, source: str | None = None, *, clip_samples: int, warn: Warn
    ) -> None:
        self.folder = Path(folder)
        self.source = new_source() if source is None else source.replace(SPEAKER_MARK, "-")
        self.n_kept = self.n_failed = 0
        self._warn, self._sound = warn, RecentSound(clip_samples)
        self._fails = False
        self._next: dict[str, int] = {}  # number of each label's next clip

    def hear(self, block: Samples) -> None:
        """Remember more sound; the clip before it is kept too."""
        self._sound.hear(block)

    def skip(self, n_samples: int) -> None:
        """Count samples that nobody heard."""
        self._sound.skip(n_samples)

    def follow(self, step: Step, time_s: float) -> None:
        """Write the window if the step has a word."""
        if step.command is not None:
            self.keep(step.window, step.command.label)

    def keep(self, window: Window, label: str) -> Path | None:
        """Write a window that was just heard, whole or not at all; None where that fails."""
        clip = self._sound.between(window.start, window.end)
        # A label that came with a model's file is no path.
        folder = self.folder / label.replace("/", "-").replace("..", "-")
        try:
            path = next_free(folder, self.source, self._next.get(label, 0))
            write_wav(path, clip, window.sample_rate_hz)
        except (RunError, OSError) as error:  # OSError: the folder may not even be looked into
            self.n_failed += 1
            if not self._fails:
                self._warn(f"{error}; listening goes on")
            self._fails = True
            return None
        if self._fails:
            self._warn(f"clips can be written again, as {path}")
        self._fails = False
        self.n_kept += 1
        self._next[label] = number_of(path) + 1
        return path


def new_source() -> str:
    """Return 8 random hex digits, which nobody can guess a person from."""
    return secrets.token_hex(4)


def next_free(folder: Path, source: str, n: int = 0) -> Path:
    """Return the first name of a source, from number n on, that no file in the folder has.

    >>> next_free(Path("nowhere"), "a5d485dc").name
    'a5d485dc_nohash_0.wav'
    """
    while (path := folder / f"{source}{SPEAKER_MARK}{n}.wav").exists():
        n += 1
    return path


def number_of(path: Path) -> int:
    """Return the number of a clip of one source.

    >>> number_of(Path("yes/a5d485dc_nohash_7.wav"))
    7
    """
    return int(path.stem.rpartition(SPEAKER_MARK)[2])
