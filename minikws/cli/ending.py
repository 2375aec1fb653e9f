"""Ctrl-C, SIGTERM, or a terminal that closes end an endless stream, at once and cleanly."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

from minikws._typing import Samples
from minikws.cli.interrupt import Interrupt

INTERRUPTED = 130


class Ending(Interrupt):
    """Within the block, a signal ends `each`: while it waits for sound at once, else when it comes.

    So what is done with a block of sound, as writing a row, is always finished. A second signal
    interrupts wherever it comes.
    """

    def __init__(self) -> None:
        super().__init__()
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup leaves it
            self.SIGNALS = (*Interrupt.SIGNALS, signal.SIGHUP)
        self._waits = False
        self._signal: int | None = None

    @property
    def exit_code(self) -> int:
        """0, or 130 after Ctrl-C."""
        return INTERRUPTED if self._signal == signal.SIGINT else 0

    def each(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        """Yield the blocks until there are no more, or a signal came."""
        while True:
            try:
                self._waits = True
                block = None if self.requested() else next(blocks, None)
                self._waits = False
            except KeyboardInterrupt:  # our own, from the line that waits
                self._waits = False
                return
            if block is None:
                return
            yield block

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signal = self._signal or number
        super()._on_signal(number, frame)
        if self._waits:
            raise KeyboardInterrupt
