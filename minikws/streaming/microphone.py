"""A microphone that is listened to for months: lost, it is opened again; lost sound is counted.

Two ways lead to it, and the first that works is taken: the package `sounddevice` (PortAudio; it
runs everywhere), and the program `arecord` (ALSA; it is on every Raspberry Pi), which also knows
devices that PortAudio does not list, as ``plughw:1,0``. Either hands blocks over from a thread of
its own (`minikws.streaming.inbox`).

A device is asked for the model's rate first, then for the rates that it has; what comes at another
rate goes through `minikws.streaming.sources.at_rate`, like any sound.
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
) -> Source:
    """Open a microphone; its blocks never end.

    Parameters
    ----------
    device : as sounddevice or arecord calls it; None is the default one.
    sample_rate_hz : the wanted rate. The source's is the one that the device has.
    warn : is told when the device is lost and back, and when sound was lost.

    Raises
    ------
    MissingExtraError, AudioError : as `open_device`, at the first opening only.
    """
    name = f"the microphone {device}" if device else "the default microphone"
    inbox = Inbox()
    recorder = opener(device, sample_rate_hz, inbox)
    rate = recorder.sample_rate_hz

    def open_again() -> tuple[Recorder, Inbox]:
        while True:
            time.sleep(retry_s)
            inbox = Inbox()
            try:
                recorder = opener(device, rate, inbox)
            except (AudioError, MissingExtraError, OSError):  # OSError: no process can start now
                continue
            if recorder.sample_rate_hz == rate:
                return recorder, inbox
            recorder.close()

    blocks = _heard(name, recorder, inbox, open_again, warn, retry_s, silent_s)
    next(blocks)  # it has begun: from now on its end closes the device
    return Source(name, rate, blocks, is_live=True)


def _heard(
    name: str,
    recorder: Recorder,
    inbox: Inbox,
    open_again: Callable[[], tuple[Recorder, Inbox]],
    warn: Warn,
    retry_s: float,
    silent_s: float,
) -> Iterator[Samples]:
    n_before, n_said, said_at = 0, 0, float("-inf")

    def report(n_lost: int) -> None:
        warn(
            f"{name}: {n_lost} blocks were lost, the machine does not keep up; see minikws bench "
            "MODEL, or give a longer --stride-ms"
        )

    try:
        yield np.zeros(0, np.int16)
        while True:
            try:
                block = inbox.get(silent_s)
            except DeviceLost as lost:
                recorder.close()
                n_before, inbox = n_before + inbox.n_lost, Inbox()
                warn(f"{name} is lost ({lost}); trying to open it again every {retry_s:g} s")
                recorder, inbox = open_again()
                warn(f"{name} is back, listening goes on")
                continue
            n_lost = n_before + inbox.n_lost
            if n_lost > n_said and time.monotonic() - said_at > REPORT_S:
                report(n_lost)
                n_said, said_at = n_lost, time.monotonic()
            yield block
    finally:
        recorder.close()
        if n_before + inbox.n_lost > n_said:
            report(n_before + inbox.n_lost)


def _neither(sample_rate_hz: int) -> MissingExtraError:
    return MissingExtraError(
        "a microphone needs the package sounddevice with its PortAudio, or the program arecord, "
        "and neither is installed; install one with: pip install 'minikws[mic]', or pipe samples "
        f"in without them, as in: arecord -f S16_LE -r {sample_rate_hz} -c 1 -t raw | minikws "
        "listen MODEL -"
    )
