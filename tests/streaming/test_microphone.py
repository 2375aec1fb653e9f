"""Microphones that are lost, slow, silent, of another rate; by fakes of both ways to them."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws._typing import Samples
from minikws.errors import AudioError, MissingExtraError
from minikws.streaming.inbox import DeviceLost, Inbox, Recorder
from minikws.streaming.microphone import list_devices, open_device, open_microphone
from minikws.streaming.microphone_alsa import list_arecord, open_arecord
from minikws.streaming.microphone_portaudio import list_sounddevice, open_sounddevice
from minikws.streaming.sources import at_rate

RATE = 16_000


def block(value: int) -> Samples:
    return np.full(800, value, np.int16)


class Fake:
    """A device that gives some blocks each time it is opened; "gone" refuses to be opened."""

    def __init__(self, *openings: Any, rate: int = RATE) -> None:
        self.openings = list(openings)
        self.rate = rate
        self.n_open = self.n_closed = 0

    def __call__(self, device: str | None, rate: int, inbox: Inbox) -> Recorder:
        opening = self.openings.pop(0)
        if opening == "gone":
            raise AudioError("no such device")
        if opening == "no process":
            raise OSError("Cannot allocate memory")
        self.n_open += 1
        rate = self.rate
        for item in opening:
            if item == "silent":
                break
            if item == "other rate":
                rate = 48_000
            elif item == "overrun":
                inbox.overrun()
            else:
                inbox.put(block(item))
        else:
            inbox.end("unplugged")
        return Recorder(rate, self._close)

    def _close(self) -> None:
        self.n_closed += 1


def heard(fake: Fake, n: int) -> tuple[list[int], list[str]]:
    """Return the first n blocks' values, and what was said."""
    said: list[str] = []
    source = open_microphone(
        "usb", sample_rate_hz=RATE, warn=said.append, opener=fake, retry_s=0.001, silent_s=0.2
    )
    assert source.is_live
    found = [int(next(source.blocks)[0]) for _ in range(n)]
    source.close()
    return found, said


def test_a_device_that_is_lost_and_comes_back() -> None:
    fake = Fake([1, 2], "gone", "no process", [3], "gone", [4, 5])
    found, said = heard(fake, 5)
    assert found == [1, 2, 3, 4, 5]
    assert (
        said
        == [
            "the microphone usb is lost (unplugged); trying to open it again every 0.001 s",
            "the microphone usb is back, listening goes on",
        ]
        * 2
    )
    assert (fake.n_open, fake.n_closed) == (3, 3)


def test_time_goes_on_while_a_device_is_gone() -> None:
    now_s = 100.0
    source = open_microphone(
        "usb",
        sample_rate_hz=RATE,
        warn=lambda text: None,
        opener=Fake([1, 2], [3], [4]),
        retry_s=0.001,
        clock=lambda: now_s,
    )
    found = []
    for later_s in (0, 0, 10, 0):
        now_s += later_s
        block = next(source.blocks)
        found.append((int(block[0]), source.missed(), source.missed()))
    source.close()
    assert found == [(1, 0, 0), (2, 0, 0), (3, 10 * RATE - 1600, 0), (4, 0, 0)]
    slower = at_rate(replace(source, missed=lambda: 1000), RATE // 2)
    assert slower.missed() == 500


def test_a_device_that_falls_silent_is_opened_again() -> None:
    found, said = heard(Fake([1, "silent"], [2]), 2)
    assert found == [1, 2]
    assert said[0].startswith("the microphone usb is lost (no sound for 0.2 s)")


def test_a_device_that_comes_back_with_another_rate_is_not_taken() -> None:
    fake = Fake([1], ["other rate", 8], [2])
    assert heard(fake, 2)[0] == [1, 2]
    assert fake.n_closed == fake.n_open == 3


def test_a_device_is_let_go_before_anything_was_heard() -> None:
    fake = Fake([1])
    assert heard(fake, 0) == ([], [])
    assert fake.n_closed == 1


def test_the_first_opening_may_fail() -> None:
    with pytest.raises(AudioError, match="no such device"):
        heard(Fake("gone"), 1)


def test_lost_sound_is_counted_and_said() -> None:
    fake = Fake(["overrun", "overrun", 1, 2], ["overrun", 3])
    found, said = heard(fake, 3)
    assert found == [1, 2, 3]
    lost = [sentence for sentence in said if "blocks were lost" in sentence]
    assert len(lost) == 2  # at once, and at the end; between them once a minute at most
    assert lost[0].startswith("the microphone usb: 2 blocks were lost, the machine does not keep")
    assert lost[1].startswith("the microphone usb: 3 blocks were lost")


def test_an_inbox_drops_what_nobody_takes() -> None:
    inbox = Inbox(3)
    for value in range(5):
        inbox.put(block(value))
    inbox.end("unplugged")
    inbox.end("and again")
    assert inbox.n_lost == 2
    assert [int(inbox.get(1)[0]) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DeviceLost, match="unplugged"):
        inbox.get(1)
    with pytest.raises(DeviceLost, match=r"no sound for 0\.01 s"):
        inbox.get(0.01)


def test_neither_way_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    monkeypatch.setenv("PATH", "")
    for ask in (lambda: open_device(None, RATE, Inbox()), list_devices):
        with pytest.raises(MissingExtraError) as caught:
            ask()
        assert "pip install 'minikws[mic]'" in str(caught.value)
        assert "arecord -f S16_LE -r 16000 -c 1 -t raw | minikws listen MODEL -" in str(
            caught.value
        )


# arecord, by a script in its place


@pytest.fixture
def arecord(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return what puts a shell script in arecord's place; it writes down how it is called."""

    def put(body: str) -> Path:
        script, calls = tmp_path / "arecord", tmp_path / "calls"
        script.write_text(f'#!/bin/sh\necho "$*" >>{calls}\n{body}\n')
        script.chmod(0o755)
        return calls

    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return put


SAMPLES = r"printf '\001\000\002\000%.0s' $(seq 3000)"  # 1 2 1 2 …


@pytest.mark.children
def test_arecord_is_called_and_heard(arecord: Callable[[str], Path]) -> None:
    calls = arecord(f"{SAMPLES}; echo 'overrun!!! (at least 1.0 ms long)' >&2; echo gone >&2")
    inbox = Inbox()
    recorder = open_arecord("plughw:1,0", RATE, inbox)
    assert recorder.sample_rate_hz == RATE
    assert calls.read_text() == "-D plughw:1,0 -f S16_LE -r 16000 -c 1 -t raw\n"
    found = []
    with pytest.raises(DeviceLost, match="gone"):
        while True:
            found.append(inbox.get(10))
    np.testing.assert_array_equal(np.concatenate(found), np.tile([1, 2], 3000))
    assert inbox.n_lost == 1
    recorder.close()


@pytest.mark.children
def test_arecord_of_a_device_with_another_rate_and_two_channels(
    arecord: Callable[[str], Path],
) -> None:
    calls = arecord(
        "case \"$*\" in *'-c 1'*)\n"
        "echo 'arecord: set_params:1349: Channels count non available' >&2; exit 1;; esac\n"
        "echo 'Warning: rate is not accurate (requested = 16000Hz, got = 48000Hz)' >&2\n"
        f"{SAMPLES}; sleep 60"
    )
    inbox = Inbox()
    recorder = open_arecord(None, RATE, inbox)
    assert recorder.sample_rate_hz == 48_000
    np.testing.assert_array_equal(inbox.get(10), np.ones(2400))  # the first channel
    recorder.close()
    assert calls.read_text().splitlines()[1] == "-f S16_LE -r 16000 -c 2 -t raw"


@pytest.mark.children
def test_arecord_without_a_device(arecord: Callable[[str], Path]) -> None:
    arecord("echo 'arecord: main:831: audio open error: No such file or directory' >&2; exit 1")
    with pytest.raises(AudioError) as caught:
        open_arecord("plughw:7,0", RATE, Inbox())
    assert str(caught.value).startswith(
        "the microphone 'plughw:7,0' cannot be opened (audio open error: No such file or directory)"
    )
    assert "what arecord -l calls card 1, device 0 is plughw:1,0" in str(caught.value)


@pytest.mark.children
def test_devices_as_arecord_lists_them(arecord: Callable[[str], Path]) -> None:
    arecord(
        'case "$*" in\n'
        "-l) echo '**** List of CAPTURE Hardware Devices ****'\n"
        "echo 'card 1: Device [USB PnP Sound Device], device 0: USB Audio [USB Audio]'\n"
        "echo '  Subdevices: 1/1';;\n"
        "*--dump*) echo 'HW Params of device \"hw:1,0\":' >&2; echo 'RATE: [44100 48000]' >&2;;\n"
        "esac"
    )
    (device,) = list_arecord()
    assert (device.name, device.description) == ("plughw:1,0", "USB PnP Sound Device, USB Audio")
    assert device.rates_hz == (44_100, 48_000)


@pytest.mark.children
def test_the_real_arecord(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("arecord") is None:
        pytest.skip("arecord absent: apt install alsa-utils")
    sound = np.arange(1600, dtype="<i2")
    (tmp_path / "sound.raw").write_bytes(sound.tobytes())
    (tmp_path / ".asoundrc").write_text(
        "pcm.fake { type file slave.pcm null file /dev/null "
        f"infile {tmp_path}/sound.raw format raw }}"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    inbox = Inbox()
    recorder = open_arecord("fake", RATE, inbox)
    np.testing.assert_array_equal(inbox.get(10), sound[:800])
    np.testing.assert_array_equal(inbox.get(10), sound[800:])
    recorder.close()
    with pytest.raises(AudioError, match="the microphone 'hw:77,0' cannot be opened"):
        open_arecord("hw:77,0", RATE, Inbox())


# sounddevice, by a module in its place


class PortAudio:
    """A sounddevice with one USB microphone: 48 kHz, two channels, nothing else."""

    class PortAudioError(Exception):
        pass

    def __init__(self) -> None:
        self.streams: list[Any] = []

    def module(self) -> types.ModuleType:
        fake = types.ModuleType("sounddevice")
        microphone = {
            "name": "USB: Audio (hw:1,0)",
            "index": 3,
            "max_input_channels": 2,
            "default_samplerate": 48_000.0,
        }

        def query(device: int | str | None = None, kind: str | None = None) -> Any:
            if kind is None:
                return [{"name": "out", "max_input_channels": 0}, microphone]
            if device in (None, 3) or (isinstance(device, str) and device in "USB: Audio (hw:1,0)"):
                return microphone
            raise ValueError(f"No input device matching {device!r}")

        def check(*, device: int, channels: int, dtype: str, samplerate: int) -> None:
            if (channels, samplerate) != (2, 48_000):
                raise self.PortAudioError("Invalid sample rate")

        class Stream:
            def __init__(stream, **options: Any) -> None:
                stream.options, stream.is_closed = options, False
                self.streams.append(stream)

            def start(stream) -> None:
                def play() -> None:
                    for value in range(3):
                        frames = np.tile(np.array([value, -1], np.int16), (2400, 1))
                        status = types.SimpleNamespace(input_overflow=value == 1)
                        stream.options["callback"](frames.tobytes(), 2400, None, status)
                    stream.options["finished_callback"]()

                threading.Thread(target=play).start()

            def close(stream) -> None:
                assert not stream.is_closed
                stream.is_closed = True

        for name, value in {
            "PortAudioError": self.PortAudioError,
            "query_devices": query,
            "check_input_settings": check,
            "RawInputStream": Stream,
            "_terminate": lambda: None,
            "_initialize": lambda: None,
        }.items():
            setattr(fake, name, value)
        return fake


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> PortAudio:
    fake = PortAudio()
    monkeypatch.setitem(sys.modules, "sounddevice", fake.module())
    monkeypatch.setenv("PATH", "")
    return fake


@pytest.mark.parametrize("device", [None, "USB", "3", "hw:1,0"])
def test_sounddevice_is_asked_for_what_the_device_has(
    portaudio: PortAudio, device: str | None
) -> None:
    inbox = Inbox()
    recorder = open_device(device, RATE, inbox)
    assert recorder.sample_rate_hz == 48_000
    found = [inbox.get(10) for _ in range(3)]
    np.testing.assert_array_equal(np.concatenate(found), np.repeat([0, 1, 2], 2400))
    with pytest.raises(DeviceLost, match="its stream ended"):
        inbox.get(10)
    assert inbox.n_lost == 1
    (stream,) = portaudio.streams
    assert stream.options["device"] == 3
    assert (stream.options["channels"], stream.options["samplerate"]) == (2, 48_000)
    recorder.close()
    recorder.close()
    assert stream.is_closed


def test_sounddevice_without_the_device(portaudio: PortAudio) -> None:
    with pytest.raises(
        AudioError, match=r"the microphone 'plughw:9,0' cannot be opened \(No input"
    ):
        open_device("plughw:9,0", RATE, Inbox())
    assert [device.name for device in list_devices()] == ["1"]


def test_sounddevice_without_portaudio(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_it(name: str, *, extra: str, purpose: str) -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr("minikws.streaming.microphone_portaudio.import_extra", import_it)
    with pytest.raises(MissingExtraError, match="apt install libportaudio2"):
        open_sounddevice(None, RATE, Inbox())
    with pytest.raises(MissingExtraError, match="PortAudio library not found"):
        list_sounddevice()


@pytest.mark.children
def test_what_sounddevice_does_not_know_arecord_may(
    portaudio: PortAudio, arecord: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}/usr/bin:/bin")
    calls = arecord(f"{SAMPLES}; sleep 60")
    recorder = open_device("plughw:1,0", RATE, Inbox())
    recorder.close()
    assert calls.read_text().startswith("-D plughw:1,0 ")
