"""Microphones by the program arecord: ALSA, on any Linux, nothing to install for Python."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import threading
from collections import deque
from contextlib import suppress

import numpy as np

from minikws.streaming.inbox import BLOCK_MS, Device, Inbox, Recorder
from minikws.streaming.microphone_portaudio import no_microphone

START_S = 5.0  # for the first sound
STOP_S = 2.0  # for arecord's end
CARD = re.compile(r"card (\d+): (\S+) \[(.*?)\], device (\d+): (.*?) \[")
RATE = re.compile(r"^RATE: *[\[(]?(\d+)(?: (\d+))?", re.MULTILINE)
OTHER_RATE = re.compile(r"got = (\d+)Hz")
ENGLISH = {"LC_ALL": "C"}  # what arecord says is read


def open_arecord(device: str | None, sample_rate_hz: int, inbox: Inbox) -> Recorder:
    """Open a microphone by its ALSA name, as ``plughw:1,0``, or None for the default one.

    Raises
    ------
    AudioError : there is no such microphone, or it cannot be opened.
    """
    child = _Arecord(device, sample_rate_hz, 1, inbox)
    if not child.starts() and "Channels count" in child.last_words():  # it has no mono
        child.close()
        child = _Arecord(device, sample_rate_hz, 2, inbox)
    if not child.starts():
        reason = child.last_words()
        child.close()
        raise no_microphone(device, reason)
    return Recorder(child.sample_rate_hz, child.close)


def list_arecord() -> list[Device]:
    """Return the microphones that ``arecord -l`` lists, by the names that convert the rate."""
    listed = subprocess.run(
        ["arecord", "-l"], capture_output=True, text=True, env={**os.environ, **ENGLISH}
    )
    return [
        Device(f"plughw:{card},{number}", f"{name}, {what}", _rates(f"hw:{card},{number}"))
        for card, _, name, number, what in CARD.findall(listed.stdout)
    ]


def _rates(name: str) -> tuple[int, ...]:
    """Return the lowest and the highest rate of a device, where it says so."""
    argv = ["arecord", "-D", name, "--dump-hw-params", "-s", "1", "-t", "raw", os.devnull]
    try:
        said = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=START_S,
            env={**os.environ, **ENGLISH},
        ).stderr
    except subprocess.TimeoutExpired:
        return ()
    match = RATE.search(said)
    return tuple(int(rate) for rate in match.groups() if rate) if match else ()


class _Arecord:
    """A running arecord, and the thread that reads its sound and its words.

    sample_rate_hz : the one asked for until arecord says that the device has another.
    """

    def __init__(self, device: str | None, rate: int, n_channels: int, inbox: Inbox) -> None:
        name = ["-D", device] if device else []
        self.sample_rate_hz, self._n_channels, self._inbox = rate, n_channels, inbox
        # In a session of its own: Ctrl-C is for the listener, which then ends arecord.
        self._process = subprocess.Popen(
            ["arecord", *name, "-f", "S16_LE", "-r", f"{rate}", "-c", f"{n_channels}", "-t", "raw"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            env={**os.environ, **ENGLISH},
        )
        self._said: deque[str] = deque(maxlen=20)
        self._has_started, self._is_over = threading.Event(), False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def starts(self) -> bool:
        """Wait for the first sound; whether it came."""
        return self._has_started.wait(START_S) and not self._is_over

    def last_words(self) -> str:
        """Return what arecord said last, without where in its source."""
        words = [line for line in self._said if not line.startswith("Recording raw data")]
        if not words:
            return "arecord says nothing"
        return re.sub(r"^arecord: \w+:\d+: ", "", words[-1])

    def close(self) -> None:
        """End arecord, and whatever it may have started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        self._thread.join(STOP_S)

    def _read(self) -> None:
        sound, words = self._process.stdout, self._process.stderr
        assert sound is not None
        assert words is not None
        rest = bytearray()
        with sound, words, selectors.DefaultSelector() as ready:
            ready.register(sound, selectors.EVENT_READ)
            ready.register(words, selectors.EVENT_READ)
            while ready.get_map():
                open_now = {key.fileobj for key, _ in ready.select()}
                # Words first: the rate is said before the first sound comes.
                if words in open_now and not self._hear_words(os.read(words.fileno(), 4096)):
                    ready.unregister(words)
                if sound in open_now:
                    piece = os.read(sound.fileno(), 65_536)
                    rest += piece
                    self._hand_over(rest, last=not piece)
                    if not piece:
                        ready.unregister(sound)
        if self._has_started.is_set():
            self._inbox.end(self.last_words())
        else:
            self._is_over = True
            self._has_started.set()

    def _hear_words(self, said: bytes) -> bool:
        text = said.decode("utf-8", "replace")
        self._said += [line for line in text.splitlines() if line.strip()]
        for _ in range(text.count("overrun!!!")):
            self._inbox.overrun()
        other = OTHER_RATE.search(text)
        if other and not self._has_started.is_set():
            self.sample_rate_hz = int(other[1])
        return bool(said)

    def _hand_over(self, rest: bytearray, *, last: bool) -> None:
        """Hand over whole blocks; at the end what is there."""
        frame_bytes = 2 * self._n_channels
        size = self.sample_rate_hz * BLOCK_MS // 1000 * frame_bytes
        while len(rest) >= size or (last and len(rest) >= frame_bytes):
            n = min(size, len(rest)) // frame_bytes * frame_bytes
            block = np.frombuffer(bytes(rest[:n]), "<i2").reshape(-1, self._n_channels)[:, 0]
            del rest[:n]
            self._inbox.put(block.astype(np.int16))
            self._has_started.set()
