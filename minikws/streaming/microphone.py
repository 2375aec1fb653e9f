"""A microphone that is listened to for months: lost, it is opened again; lost sound is counted.

Two ways lead to it, and the first that works is taken: the package `sounddevice` (PortAudio; it
runs everywhere), and the program `arecord` (ALSA; it is on every Raspberry Pi), which also knows
devices that PortAudio does not list, as ``plughw:1,0``. Either hands blocks over from a thread of
its own (`minikws.streaming.inbox`).

A device is asked for the model's rate first, then for the rates that it has; what comes at another
rate goes through `minikws.streaming.sources.at_rate`, like any sound.

While a device is gone time goes on: when it is back, the machine's clock says how many samples
were missed since the first opening, those included that were lost because nobody took them.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator

import numpy as np

from minikws._typing import Samples
from minikws.errors import AudioError, MissingExtraError
from minikws.streaming.inbox import Device, DeviceLost, Inbox, Recorder
from minikws.streaming.microphone_alsa import list_arecord, open_arecord
from minikws.streaming.microphone_portaudio import list_sounddevice, open_sounddevice
from minikws.streaming.sources import Source, Warn

RETRY_S = 3.0  # between two tries to open a device that is gone
SILENT_S = 5.0  # without a block, a device counts as gone
REPORT_S = 60.0  # between two words about lost sound

# Opens a device (None: the default one) at a rate or another one that it has.
OpenDevice = Callable[[str | None, int, Inbox], Recorder]


def open_device(device: str | None, sample_rate_hz: int, inbox: Inbox) -> Recorder:
    """Open a microphone by sounddevice, or by arecord where that does not lead to it.

    Raises
    ------
    MissingExtraError : neither is installed.
    AudioError : there is no such microphone, or it cannot be opened.
    """
    has_arecord = shutil.which("arecord") is not None
    try:
        return open_sounddevice(device, sample_rate_hz, inbox)
    except MissingExtraError as error:
        if not has_arecord:
            raise _neither(sample_rate_hz) from error
    except AudioError:
        if not has_arecord:
            raise
    return open_arecord(device, sample_rate_hz, inbox)


def list_devices() -> list[Device]:
    """Return the microphones that sounddevice and arecord know.

    Raises
    ------
    MissingExtraError : neither is installed.
    """
    has_arecord = shutil.which("arecord") is not None
    try:
        found = list_sounddevice()
    except MissingExtraError as error:
        if not has_arecord:
            raise _neither(16_000) from error
        found = []
    return [*found, *(list_arecord() if has_arecord else ())]


def open_microphone(
    device: str | None,
    *,
    sample_rate_hz: int,
    warn: Warn,
    opener: OpenDevice = open_device,
    retry_s: float = RETRY_S,
    silent_s: float = SILENT_S,
    clock: Callable[[], float] = time.monotonic,
) -> Source:
    """Open a microphone; its blocks never end.

    Parameters
    ----------
    device : as sounddevice or arecord calls it; None is the default one.
    sample_rate_hz : the wanted rate. The source's is the one that the device has.
    warn : is told when the device is lost and back, and when sound was lost.
    clock : seconds that pass, from any beginning.

    Raises
    ------
    MissingExtraError, AudioError : as `open_device`, at the first opening only.
    """
    microphone = _Microphone(device, sample_rate_hz, warn, opener, retry_s, silent_s, clock)
    blocks = microphone.blocks()
    next(blocks)  # it has begun: from now on its end closes the device
    return Source(
        microphone.name,
        microphone.sample_rate_hz,
        blocks,
        is_live=True,
        missed=microphone.missed,
    )


class _Microphone:
    """An open device, opened again whenever it is lost."""

    def __init__(
        self,
        device: str | None,
        sample_rate_hz: int,
        warn: Warn,
        opener: OpenDevice,
        retry_s: float,
        silent_s: float,
        clock: Callable[[], float],
    ) -> None:
        self.name = f"the microphone {device}" if device else "the default microphone"
        self._device, self._warn, self._opener = device, warn, opener
        self._retry_s, self._silent_s, self._clock = retry_s, silent_s, clock
        self._inbox = Inbox()
        self._recorder = opener(device, sample_rate_hz, self._inbox)
        self.sample_rate_hz = self._recorder.sample_rate_hz
        self._opened_s = clock()
        self._n_passed = 0  # samples that were heard or missed
        self._n_missed = 0  # since somebody asked
        self._n_lost = 0  # blocks, of earlier openings
        self._n_said, self._said_at = 0, float("-inf")

    def missed(self) -> int:
        """Return how many samples passed unheard since this was asked last."""
        n_missed, self._n_missed = self._n_missed, 0
        return n_missed

    def blocks(self) -> Iterator[Samples]:
        """Yield an empty block at once, and then what is heard."""
        try:
            yield np.zeros(0, np.int16)
            while True:
                try:
                    block = self._inbox.get(self._silent_s)
                except DeviceLost as lost:
                    self._open_again(lost)
                    continue
                if self._clock() - self._said_at > REPORT_S:
                    self._report()
                self._n_passed += len(block)
                yield block
        finally:
            self._recorder.close()
            self._report()

    def _open_again(self, lost: DeviceLost) -> None:
        self._recorder.close()
        self._n_lost, self._inbox = self._n_lost + self._inbox.n_lost, Inbox()
        self._warn(
            f"{self.name} is lost ({lost}); trying to open it again every {self._retry_s:g} s"
        )
        while not self._opens():
            pass
        n_since = round((self._clock() - self._opened_s) * self.sample_rate_hz)
        n_missed = max(0, n_since - self._n_passed)
        self._n_missed += n_missed
        self._n_passed += n_missed
        self._warn(f"{self.name} is back, listening goes on")

    def _opens(self) -> bool:
        """Wait, and try to open the device at its old rate."""
        time.sleep(self._retry_s)
        inbox = Inbox()
        try:
            recorder = self._opener(self._device, self.sample_rate_hz, inbox)
        except (AudioError, MissingExtraError, OSError):  # OSError: no process can start now
            return False
        if recorder.sample_rate_hz != self.sample_rate_hz:
            recorder.close()
            return False
        self._recorder, self._inbox = recorder, inbox
        return True

    def _report(self) -> None:
        """Say that sound was lost, if more was."""
        n_lost = self._n_lost + self._inbox.n_lost
        if n_lost > self._n_said:
            self._n_said, self._said_at = n_lost, self._clock()
            self._warn(
                f"{self.name}: {n_lost} blocks were lost, the machine does not keep up; see "
                "minikws bench MODEL, or give a longer --stride-ms"
            )


def _neither(sample_rate_hz: int) -> MissingExtraError:
    return MissingExtraError(
        "a microphone needs the package sounddevice with its PortAudio, or the program arecord, "
        "and neither is installed; install one with: pip install 'minikws[mic]', or pipe samples "
        f"in without them, as in: arecord -f S16_LE -r {sample_rate_hz} -c 1 -t raw | minikws "
        "listen MODEL -"
    )
