"""Which sound a command listens to: a WAV file, a pipe, or a microphone."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from minikws.cli.output import Output

if TYPE_CHECKING:
    from minikws.streaming.sources import Source

FILE_ENDING = re.compile(r"\.[A-Za-z]\w{1,3}$")


def open_input(name: str | None, rate: int, out: Output, *, command: str) -> Source:
    """Return the sound of a name: a file, ``-`` for standard input, a device, None the default one.

    Parameters
    ----------
    rate : of raw samples in a pipe; a microphone is asked for it.
    command : that reads a pipe, for the messages.

    Raises
    ------
    SettingsError : standard input where nothing is piped into it.
    AudioError : a file that cannot be read, or a microphone that is not there.
    MissingExtraError : a microphone, and nothing that could record it.
    """
    from minikws.errors import AudioError, SettingsError
    from minikws.streaming.microphone import open_microphone
    from minikws.streaming.sources import open_pipe, open_wav

    if name == "-":
        if sys.stdin is None or sys.stdin.isatty():  # None: closed, as by <&-
            raise SettingsError(
                "nothing is piped into standard input; send samples, as in: "
                f"arecord -f S16_LE -r {rate} -t raw | {command} -"
            )
        return open_pipe(sys.stdin.buffer, sample_rate_hz=rate, warn=out.warn)
    if name is not None and Path(name).is_fifo():
        return open_pipe(open(name, "rb"), sample_rate_hz=rate, name=name, warn=out.warn)
    if name is not None and Path(name).exists():
        return open_wav(name)
    if name is not None and ("/" in name or FILE_ENDING.search(name)):
        raise AudioError(f"there is no file {name}; name a WAV file, or - for a pipe of samples")
    return open_microphone(name, sample_rate_hz=rate, warn=out.warn)


def list_inputs(out: Output) -> int:
    """Print the microphones that there are."""
    from minikws.streaming.microphone import list_devices

    devices = list_devices()
    for device in devices:
        rates = ", ".join(map(str, device.rates_hz))
        out.answer(
            f"--input {device.name}   {device.description}" + (f": {rates} Hz" * bool(rates))
        )
    if not devices:
        out.answer("no microphone; plug one in (arecord -l should list its card)")
    out.result(
        {
            "devices": [
                {"input": d.name, "description": d.description, "rates_hz": list(d.rates_hz)}
                for d in devices
            ]
        }
    )
    return 0
