"""listen with a diary, programs, clips, a meter and a microphone; and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws.audio import read_wav, write_wav
from minikws.cli.ending import Ending
from minikws.cli.main import main
from minikws.streaming.log_table import read_log
from minikws.streaming.record import number_of
from minikws.streaming.sources import Source
from tests.listening import EAGER, LABELS, noise, write_listening


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_listening(tmp_path_factory.mktemp("listen_live"))


@pytest.fixture
def argv(folder: Path) -> list[str]:
    return ["listen", str(folder / "model.tflite"), str(folder / "sound.wav"), *EAGER]


def words(capsys: pytest.CaptureFixture[str], argv: list[str]) -> list[Any]:
    capsys.readouterr()
    assert main([*argv, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("name", ["night.sqlite", "night.csv"])
def test_a_diary_of_a_file_counts_the_time_of_its_sound(
    argv: list[str], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = time.time()
    assert main([*argv, "--log", str(tmp_path / name), "--every", "1"]) == 0
    assert "times count from now on, at the pace of" in capsys.readouterr().err
    table = read_log(tmp_path / name)
    assert list(table.labels) == LABELS
    assert 10 <= len(table.start_s) <= 11
    assert abs(table.start_s[0] - before) < 60
    np.testing.assert_array_equal(np.diff(table.start_s), 1)
    np.testing.assert_allclose(table.mean.sum(axis=1), 1, atol=0.05)


def test_a_diary_of_a_pipe_is_written_now(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    sound = noise().astype("<i2").tobytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sound)))
    log = tmp_path / "night.sqlite"
    before = int(time.time())
    assert (
        main(["listen", str(folder / "model.tflite"), "-", "--log", str(log), "--every", "1"]) == 0
    )
    table = read_log(log)
    assert before <= table.start_s.min()
    assert table.start_s.max() <= time.time()


def test_diaries_that_cannot_be(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*argv, "--log", str(tmp_path / "none" / "night.sqlite")]) == 1
    assert "cannot be used as a log" in capsys.readouterr().err
    assert main([*argv, "--log", str(tmp_path / "night.sqlite"), "--every", "0"]) == 1
    assert "a row every 0 s is not between 0 and 86400" in capsys.readouterr().err


@pytest.mark.children
def test_a_program_for_each_word(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "note it.sh"
    script.write_text(
        '#!/bin/sh\necho "$1 $MINIKWS_TIME_MS $MINIKWS_LABEL $MINIKWS_SCORE" >>"$2"\n'
    )
    script.chmod(0o755)
    notes = tmp_path / "notes"
    found = words(capsys, [*argv, "--run", f"'{script}' '$HOME;' '{notes}'"])
    expected = [f"$HOME; {w['time_ms']} {w['label']} {w['score']:.6f}" for w in found]
    assert sorted(notes.read_text().splitlines()) == sorted(expected)


def test_a_command_that_is_none(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*argv, "--run", "'beep"]) == 1
    assert "cannot be split into words (No closing quotation); close its quotes" in (
        capsys.readouterr().err
    )
    assert main([*argv, "--run", " "]) == 1
    assert "--run needs a command" in capsys.readouterr().err


def test_the_sound_of_each_word_is_kept(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = words(capsys, [*argv, "--record", str(tmp_path)])
    clips = {path: read_wav(path) for path in tmp_path.rglob("*.wav")}
    assert len(clips) == len(found) > 3
    sound = noise()
    numbers = dict.fromkeys(LABELS, 0)
    for word in found:
        label = word["label"]
        path = tmp_path / label / f"sound_nohash_{numbers[label]}.wav"
        numbers[label] += 1
        start = word["time_ms"] * 16
        np.testing.assert_array_equal(clips[path].samples[:, 0], sound[start : start + 4000])
    words(capsys, [*argv, "--record", str(tmp_path)])
    assert len(list(tmp_path.rglob("*.wav"))) == 2 * len(found)  # nothing is written over


@pytest.mark.children
def test_a_full_disk_behind_stdout_does_not_end_the_listening(
    argv: list[str], tmp_path: Path
) -> None:
    log = tmp_path / "night.csv"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "minikws", *argv, "--log", str(log), "--every", "1"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    said = done.stderr.splitlines()
    assert done.returncode == 1
    assert sum("warning: standard output cannot be written (No space left" in s for s in said) == 1
    assert " words in 0:00:10.0" in said[-2]
    assert said[-1].startswith("minikws: error: standard output cannot be written")
    assert len(read_log(log).start_s) >= 10


@pytest.mark.children
def test_a_full_disk_behind_stderr_is_nobodys_to_know(argv: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "minikws", *argv, "--show"], stdout=subprocess.PIPE, stderr=full
        )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 3


@pytest.mark.children
def test_a_reader_that_has_enough_ends_it_quietly(argv: list[str]) -> None:
    command = [sys.executable, "-m", "minikws", *argv, "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


def test_the_meter_needs_a_terminal(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*argv, "--show"]) == 0
    assert "--show draws on a terminal, and stderr is none; it is left out" in (
        capsys.readouterr().err
    )


def test_a_model_has_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["listen"]) == 2
    assert "listen needs a model; name a .tflite file" in capsys.readouterr().err


def test_neither_microphone_nor_sound(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    monkeypatch.setenv("PATH", "")
    for argv in ([str(folder / "model.tflite")], ["--list"]):
        assert main(["listen", *argv]) == 1
        assert "needs the package sounddevice with its PortAudio, or the program arecord" in (
            capsys.readouterr().err
        )


# A microphone: arecord is a script that plays the sound, breaks off, and is gone for a while.
ARECORD = """#!/bin/sh
case "$*" in
-l) echo 'card 1: Device [USB PnP Sound Device], device 0: USB Audio [USB Audio]'; exit;;
*--dump*) echo 'RATE: [44100 48000]' >&2; exit;;
esac
echo x >>{folder}/openings
case $(wc -l <{folder}/openings) in
1) {rate}tail -c +45 {sound}; echo 'arecord: pcm_read:2221: read error: No such device' >&2;;
2) echo 'arecord: main:831: audio open error: No such file or directory' >&2; exit 1;;
*) tail -c +45 {sound}; exec sleep 60;;
esac
"""


@pytest.fixture
def microphone(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    script = bin_folder / "arecord"
    script.write_text(ARECORD.format(folder=tmp_path, sound=folder / "sound.wav", rate=""))
    script.chmod(0o755)
    (bin_folder / "sounddevice.py").write_text("raise ImportError('absent')\n")
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    return {**os.environ, "PATH": path, "PYTHONPATH": str(bin_folder), "MINIKWS_JIT": "0"}


@pytest.mark.children
def test_microphones_are_listed(
    microphone: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["listen", "--list"]) == 0
    assert capsys.readouterr().out == (
        "--input plughw:1,0   USB PnP Sound Device, USB Audio: 44100, 48000 Hz\n"
    )
    assert main(["listen", "--list", "--json"]) == 0
    (device,) = json.loads(capsys.readouterr().out)["devices"]
    assert device["input"] == "plughw:1,0"


LISTEN = """
import sys
from minikws.streaming.microphone import open_microphone
open_microphone.__kwdefaults__["retry_s"] = 0.05
from minikws.cli.ending import Ending
from minikws.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.children
@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_microphone_that_is_lost_and_back_until_a_signal_comes(
    folder: Path,
    microphone: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    code: int,
) -> None:
    log = tmp_path / "night.sqlite"
    expected = words(
        capsys, ["listen", str(folder / "model.tflite"), str(folder / "sound.wav"), *EAGER]
    )
    argv = ["listen", str(folder / "model.tflite"), "--input", "plughw:1,0", *EAGER, "--json"]
    with subprocess.Popen(
        [sys.executable, "-c", LISTEN, *argv, "--log", str(log)],
        env=microphone,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        found = [json.loads(process.stdout.readline()) for _ in range(2 * len(expected) - 3)]
        process.send_signal(number)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == code, said
    assert found[: len(expected)] == expected
    assert found[-1]["time_ms"] > 10_000  # of the second opening
    assert "plughw:1,0 is lost (read error: No such device); trying to open it again" in said
    assert "plughw:1,0 is back, listening goes on" in said
    assert " words in 0:00:" in said.splitlines()[-1]
    assert len(read_log(log).start_s) >= 1  # the minute that was running
    assert (tmp_path / "openings").read_text() == "x\nx\nx\n"


def test_an_hour_without_the_microphone_is_in_the_times(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    once, hour = words(capsys, argv), 3600 * 16_000
    missed = iter([0, hour])
    blocks = iter([noise(), noise()])
    source = Source("a microphone", 16_000, blocks, is_live=True, missed=missed.__next__)
    monkeypatch.setattr("minikws.cli.inputs.open_input", lambda *args, **options: source)
    assert main([*argv, "--record", str(tmp_path), "--json"]) == 0
    shown = capsys.readouterr()
    found = [json.loads(line) for line in shown.out.splitlines()]
    assert found[: len(once)] == once
    last = found[-1]
    start_ms = last["time_ms"] - 3_600_000 - 10_000
    assert start_ms > 5000
    newest = max(tmp_path.rglob(f"{last['label']}/*.wav"), key=number_of)
    np.testing.assert_array_equal(read_wav(newest).samples[:, 0], noise()[start_ms * 16 :][:4000])
    assert " words in 1:00:20.0" in shown.err


@pytest.mark.children
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 0),
        (signal.SIGINT, 130),
        pytest.param(
            signal.SIGHUP,
            0,
            marks=pytest.mark.skipif(
                signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, reason="nohup keeps it away"
            ),
        ),
    ],
)
def test_a_pipe_in_which_nothing_comes_any_more_can_be_left(
    folder: Path, number: signal.Signals, code: int
) -> None:
    argv = [sys.executable, "-m", "minikws", "listen", str(folder / "model.tflite"), "-", *EAGER]
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "MINIKWS_JIT": "0"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(noise().astype("<i2").tobytes())
        process.stdin.flush()
        process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(number)
        assert process.wait(30) == code
        assert process.stderr is not None
        assert b" words in 0:00:" in process.stderr.read()


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Ending() as ending:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not ending.requested()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_microphone_of_another_rate_is_resampled(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    times = np.arange(2 * 48_000) / 48_000
    tone = (9000 * np.sin(2 * np.pi * 700 * times) * np.sin(2 * np.pi * 3 * times)).astype(np.int16)
    wav = write_wav(tmp_path / "tone.wav", tone, 48_000)
    assert main(["listen", str(folder / "model.tflite"), str(wav), *EAGER]) == 0
    said = capsys.readouterr().err
    assert "is 48000 Hz, resampled as it comes" in said
    assert "words in 0:00:02.0" in said
