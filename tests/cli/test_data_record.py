"""data record from a pipe: time is the sound's, so a sound made beforehand plays the speaker."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minikws._typing import Samples
from minikws.audio import read_wav, wav_bytes
from minikws.cli.main import main

RATE = 16_000


def turn(amplitude: int, hertz: int = 400) -> Samples:
    """Return the sound of one take: 1.8 s of countdown, 1.5 s in which a tone is spoken."""
    sound = np.random.default_rng(0).normal(0, 20, 33 * RATE // 10)
    times = np.arange(RATE // 2) / RATE
    start = 2 * RATE
    sound[start : start + len(times)] += amplitude * np.sin(2 * np.pi * hertz * times)
    return np.clip(sound, -32_768, 32_767).astype(np.int16)


def record(monkeypatch: pytest.MonkeyPatch, sound: bytes, *options: str | Path) -> int:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sound)))
    return main(["data", "record", "--input", "-", *map(str, options)])


def raw(*turns: Samples) -> bytes:
    return np.concatenate(turns).astype("<i2").tobytes()


def test_words_in_turn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = raw(*[turn(9000, hertz) for hertz in (400, 800, 401, 801)])
    words = ["--words", "low,high", "--count", "2", "--out", tmp_path, "--speaker", "me"]
    assert record(monkeypatch, sound, *words, "--json") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {
        "out": str(tmp_path),
        "speaker": "me",
        "words": {"low": 2, "high": 2},
        "repeated": 0,
    }
    assert re.findall(r"(\w+) \((\d) of 4\)", shown.err) == [
        ("low", "1"),
        ("high", "2"),
        ("low", "3"),
        ("high", "4"),
    ]
    for word, hertz in (("low", 400), ("high", 800)):
        for n in range(2):
            wav = read_wav(tmp_path / word / f"me_nohash_{n}.wav")
            assert (wav.sample_rate_hz, wav.samples.shape) == (RATE, (RATE, 1))
            spectrum = np.abs(np.fft.rfft(wav.samples[:, 0].astype(np.float64)))
            assert abs(int(spectrum.argmax()) - hertz) <= 2
    assert record(monkeypatch, sound, *words, "--quiet") == 0  # another day
    assert len(list(tmp_path.rglob("me_nohash_*.wav"))) == 8  # and nothing is written over
    assert capsys.readouterr().err == ""


def test_it_is_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = raw(turn(9000), turn(9000))
    assert record(monkeypatch, sound, "--words", "a,b", "--count", "1", "--out", tmp_path) == 0
    assert {path.parent.name for path in tmp_path.rglob("*.wav")} == {"a", "b"}
    (speaker,) = {path.name.partition("_nohash_")[0] for path in tmp_path.rglob("*.wav")}
    assert re.fullmatch("[0-9a-f]{8}", speaker)


def test_a_bad_take_is_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = raw(turn(100), turn(60_000), turn(9000))
    options = ["--words", "low", "--count", "1", "--out", tmp_path]
    assert record(monkeypatch, sound, *options) == 0
    shown = capsys.readouterr()
    assert "once more, too quiet: " in shown.err
    assert "once more, too loud: " in shown.err
    assert "1 low; 2 takes were repeated" in shown.out
    assert record(monkeypatch, raw(turn(0)), *options, "--no-check") == 0


def test_five_bad_takes_are_no_chance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = raw(*[turn(10)] * 9)
    assert record(monkeypatch, sound, "--words", "low", "--out", tmp_path) == 1
    assert "5 takes in a row were not fit, the last was too quiet" in capsys.readouterr().err
    assert list(tmp_path.rglob("*.wav")) == []


def test_a_sound_that_ends_too_early(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = raw(turn(9000), turn(9000)[: 2 * RATE])
    assert record(monkeypatch, sound, "--words", "low", "--out", tmp_path) == 1
    assert "standard input ended after 1 of 20 takes, which are in" in capsys.readouterr().err
    assert len(list(tmp_path.rglob("*.wav"))) == 1


def test_another_rate_and_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--words", "low", "--count", "1", "--out", tmp_path, "--clip-duration-ms", "500"]
    sound = wav_bytes(turn(9000), RATE)
    assert record(monkeypatch, sound, *options, "--sample-rate", "8000") == 0
    (path,) = tmp_path.rglob("*.wav")
    assert read_wav(path).samples.shape == (4000, 1)
    assert read_wav(path).sample_rate_hz == 8000


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--words", "a/b"], "the word 'a/b' cannot name a folder"),
        (["--words", "..", "--count", "1"], "the word '..' cannot name a folder"),
        (["--words", "a", "--count", "0"], "--count 0 records nothing"),
        (["--words", "a", "--speaker", "a/b"], "the speaker 'a/b' cannot begin a clip's name"),
        (["--words", "a", "--speaker", "a_nohash_b"], "the speaker 'a_nohash_b' cannot begin"),
        (["--words", "a", "--clip-duration-ms", "1"], "clips of 1 ms are not between"),
        (["--words", "a", "--sample-rate", "1"], "the rate 1 is not a whole number from 1000"),
        (["--words", ","], "expected a comma list of words"),
    ],
)
def test_what_it_refuses(
    options: list[str],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert record(monkeypatch, b"", *options, "--out", tmp_path) == 1
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.children
@pytest.mark.slow
def test_a_microphone_until_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "sound.raw").write_bytes(raw(turn(9000), turn(9000)[:RATE]))
    script = tmp_path / "arecord"
    script.write_text(
        f"#!/bin/sh\necho $* >{tmp_path}/call\ncat {tmp_path}/sound.raw\nexec sleep 60\n"
    )
    script.chmod(0o755)
    (tmp_path / "sounddevice.py").write_text("raise ImportError('absent')\n")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    argv = [
        "data",
        "record",
        "--words",
        "on,off",
        "--input",
        "hw:1,0",
        "--out",
        str(tmp_path / "w"),
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "minikws", *argv, "--speaker", "me"],
        env={**os.environ, "PATH": path, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = ""
        while "off (2 of 40)" not in said:
            said += process.stderr.readline()
        process.send_signal(signal.SIGINT)
        answer = process.communicate(timeout=30)[0]
    assert process.returncode == 130
    assert answer == f"{tmp_path}/w: 1 clip by me, 1 on, 0 off; 0 takes were repeated\n"
    assert "-D hw:1,0 -f S16_LE -r 16000 -c 1" in (tmp_path / "call").read_text()
    assert [file.name for file in tmp_path.rglob("*.wav")] == ["me_nohash_0.wav"]
