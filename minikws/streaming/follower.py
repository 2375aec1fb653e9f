"""What is done with the sound and the words while `listen` goes on."""

from __future__ import annotations

from minikws._typing import Samples
from minikws.streaming.live import Step


class Follower:
    """Is told everything that is heard; its methods do nothing until they are overridden.

    They are called between two blocks of sound, so none may take long or raise.
    """

    def hear(self, block: Samples) -> None:
        """Take (n,) int16 samples; the steps that they complete follow."""

    def skip(self, n_samples: int) -> None:
        """Count samples that nobody heard, before the next block."""

    def follow(self, step: Step, time_s: float) -> None:
        """Take a step, and the moment of its last sample in seconds since 1970."""

    def close(self) -> None:
        """Finish: nothing more is heard."""
