"""Sound on its way from the thread that records it to the one that listens.

The recording side never waits: where the listening side is too slow for too long, blocks are
dropped and counted. The listening side waits for a while, and is told when the device is gone.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from minikws._typing import Samples

BLOCK_MS = 50  # of sound that a recorder hands over at once
BLOCKS = 200  # that may wait: 10 s


@dataclass(frozen=True)
class Recorder:
    """An open device, which fills an inbox until it is closed."""

    sample_rate_hz: int
    close: Callable[[], None]


@dataclass(frozen=True)
class Device:
    """A microphone as `--list` shows it: what --input takes, what it is, which rates it has."""

    name: str
    description: str
    rates_hz: tuple[int, ...]


class DeviceLost(Exception):
    """No more sound comes; the message is why."""


class Inbox:
    """A bounded queue of blocks (n,) int16.

    Attributes
    ----------
    n_lost : blocks that were dropped here or, as the device says, before.
    """

    def __init__(self, n_blocks: int = BLOCKS) -> None:
        self.n_lost = 0
        self._blocks: queue.Queue[Samples | DeviceLost] = queue.Queue(n_blocks + 1)
        self._n_blocks = n_blocks
        self._lock = threading.Lock()

    def put(self, block: Samples) -> None:
        """Hand over a block; never waits."""
        with self._lock:
            if self._blocks.qsize() < self._n_blocks:
                self._blocks.put_nowait(block)
            else:
                self.n_lost += 1

    def overrun(self) -> None:
        """Count a block that the device lost."""
        with self._lock:
            self.n_lost += 1

    def end(self, reason: str) -> None:
        """Say that nothing more will come; there is always room for the first word of it."""
        with self._lock:
            if not self._blocks.full():
                self._blocks.put_nowait(DeviceLost(reason))

    def get(self, timeout_s: float) -> Samples:
        """Return the next block.

        Raises
        ------
        DeviceLost : the end was said, or nothing came for so long.
        """
        try:
            block = self._blocks.get(timeout=timeout_s)
        except queue.Empty:
            raise DeviceLost(f"no sound for {timeout_s:g} s") from None
        if isinstance(block, DeviceLost):
            raise block
        return block
