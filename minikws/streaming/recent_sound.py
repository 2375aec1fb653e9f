"""The newest part of a sound that goes on, to be cut from by the stream's own count of samples."""

from __future__ import annotations

import numpy as np

from minikws._typing import Samples


class RecentSound:
    """The last block that was heard, and a clip's length before it.

    >>> sound = RecentSound(clip_samples=4)
    >>> for start in range(0, 12, 3):
    ...     sound.hear(np.arange(start, start + 3, dtype=np.int16))
    >>> sound.between(6, 10).tolist()
    [6, 7, 8, 9]
    """

    def __init__(self, clip_samples: int) -> None:
        self._n_clip = clip_samples
        self._sound: Samples = np.zeros(0, np.int16)
        self._n_passed = 0

    def hear(self, block: Samples) -> None:
        """Take (n,) more samples."""
        before = self._sound[max(0, len(self._sound) - self._n_clip) :]
        self._sound = np.concatenate((before, block))
        self._n_passed += len(block)

    def skip(self, n_samples: int) -> None:
        """Count samples that nobody heard."""
        self._n_passed += n_samples

    def between(self, start: int, end: int) -> Samples:
        """Return the samples of a stretch that ends within the last block."""
        first = self._n_passed - len(self._sound)
        return self._sound[max(0, start - first) : end - first]
