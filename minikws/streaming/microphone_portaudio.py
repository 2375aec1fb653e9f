"""Microphones by the package sounddevice: PortAudio, on any system."""

from __future__ import annotations

from contextlib import suppress
from types import ModuleType
from typing import Any

import numpy as np

from minikws.errors import AudioError, MissingExtraError, import_extra
from minikws.streaming.inbox import BLOCK_MS, Device, Inbox, Recorder

RATES_HZ = (8000, 16_000, 22_050, 32_000, 44_100, 48_000)


def open_sounddevice(device: str | None, sample_rate_hz: int, inbox: Inbox) -> Recorder:
    """Open a microphone: by its number, a part of its name, or None for the default one.

    Raises
    ------
    MissingExtraError : sounddevice, or the PortAudio it needs, is not installed.
    AudioError : there is no such microphone, or it cannot be opened.
    """
    sd = _sounddevice()
    try:
        # PortAudio looks for devices when it begins, and a lost one has come back since.
        sd._terminate()
        sd._initialize()
        found = sd.query_devices(int(device) if device and device.isdigit() else device, "input")
    except (ValueError, sd.PortAudioError) as error:
        raise no_microphone(device, str(error)) from error
    rates = dict.fromkeys((sample_rate_hz, int(found["default_samplerate"]), 48_000, 44_100))
    for rate in rates:
        for n_channels in (1, 2):  # some devices have no mono
            if n_channels <= found["max_input_channels"] and _takes(sd, found, rate, n_channels):
                return _start(sd, found, rate, n_channels, inbox)
    raise AudioError(
        f"{found['name']} gives no 16-bit sound at {', '.join(map(str, rates))} Hz, or is in use; "
        "close other programs, or name another with --input, as listen --list shows them"
    )


def list_sounddevice() -> list[Device]:
    """Return the microphones that PortAudio knows.

    Raises
    ------
    MissingExtraError : sounddevice, or the PortAudio it needs, is not installed.
    """
    sd = _sounddevice()
    return [
        Device(
            str(number),
            str(device["name"]),
            tuple(rate for rate in RATES_HZ if _takes(sd, {**device, "index": number}, rate, 1)),
        )
        for number, device in enumerate(sd.query_devices())
        if device["max_input_channels"] > 0
    ]


def no_microphone(device: str | None, reason: str) -> AudioError:
    """Return the sentence for a microphone that is not there, or not free."""
    what = (
        f"the microphone {device!r} cannot be opened" if device else "no microphone can be opened"
    )
    return AudioError(
        f"{what} ({reason.strip()}); plug it in and close other programs that use it, or name "
        "another with --input: minikws listen --list shows them, and what arecord -l calls card 1, "
        "device 0 is plughw:1,0"
    )


def _sounddevice() -> ModuleType:
    try:
        return import_extra("sounddevice", extra="mic", purpose="a microphone")
    except OSError as error:
        raise MissingExtraError(
            f"sounddevice is installed and its PortAudio is not ({error}); install it with: "
            "apt install libportaudio2"
        ) from error


def _takes(sd: ModuleType, device: Any, rate: int, n_channels: int) -> bool:
    try:
        sd.check_input_settings(
            device=device["index"], channels=n_channels, dtype="int16", samplerate=rate
        )
    except (ValueError, sd.PortAudioError):
        return False
    return True


def _start(sd: ModuleType, device: Any, rate: int, n_channels: int, inbox: Inbox) -> Recorder:
    def take(data: Any, n_frames: int, when: Any, status: Any) -> None:
        if status.input_overflow:
            inbox.overrun()
        inbox.put(np.frombuffer(data, np.int16).reshape(-1, n_channels)[:, 0].copy())

    try:
        stream = sd.RawInputStream(
            samplerate=rate,
            blocksize=rate * BLOCK_MS // 1000,
            device=device["index"],
            channels=n_channels,
            dtype="int16",
            callback=take,
            finished_callback=lambda: inbox.end("its stream ended"),
        )
        stream.start()
    except sd.PortAudioError as error:
        raise AudioError(
            f"{device['name']} cannot be opened ({error}); close other programs that use it"
        ) from error

    still_open = [stream]

    def close() -> None:
        while still_open:  # once: what PortAudio has forgotten since must not be closed
            with suppress(sd.PortAudioError):  # a device that is gone may refuse
                still_open.pop().close()

    return Recorder(rate, close)
