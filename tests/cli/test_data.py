from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from minikws.audio import write_wav
from minikws.cli.main import main

NOISE = np.random.default_rng(0).integers(-900, 900, 16000 * 61).astype(np.int16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    for word in ("yes", "no", "other"):
        for number in range(40):
            tone = 3000 * np.sin(np.cumsum(rng.uniform(0.05, 0.9, 20).repeat(800)))
            write_wav(tmp_path / word / f"{number:08x}_nohash_0.wav", tone.astype(np.int16), 16000)
    write_wav(tmp_path / "_background_noise_" / "room.wav", NOISE, 16000)
    return tmp_path


def test_check_of_a_sound_folder_exits_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(folder), "--wanted_words", "yes,no"]) == 0
    text = capsys.readouterr().out
    assert "120 clips of 3 words by 40 speakers" in text
    assert "0 faults" in text


def test_check_of_a_faulty_folder_exits_3(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "yes" / "bad_nohash_0.wav").write_bytes(b"")
    assert main(["data", "check", str(folder), "--json"]) == 3
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert record["faults"] == 1
    (finding,) = [finding for finding in record["findings"] if finding["fault"]]
    assert finding["kind"] == "unreadable"
    assert finding["files"] == ["yes/bad_nohash_0.wav"]
    assert main(["data", "check", str(folder)]) == 3
    assert "fault: 1 file cannot be read; repair" in capsys.readouterr().out


def test_check_of_nothing_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(tmp_path / "nowhere")]) == 1
    assert "there is no folder" in capsys.readouterr().err


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data"]) == 2
    assert main(["data", "synth", "--words", "yes"]) == 2
    with pytest.raises(SystemExit) as done:
        main(["data", "check", "--help"])
    assert done.value.code == 0
    assert "minikws data check my_words" in capsys.readouterr().out


def test_synth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("espeakng_loader", reason="pip install 'minikws[synth]'")
    pytest.importorskip("soxr", reason="pip install 'minikws[train]'")
    out = tmp_path / "demo"
    few = ["--speakers", "2", "--takes", "1"]
    assert main(["data", "synth", "--words", "Yes,no", "--out", str(out), *few, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["out"], record["words"]) == (str(out), ["yes", "no"])
    assert record["clips"] == len(list(out.rglob("*_nohash_*.wav"))) == 2 * (2 + 8)
    assert record["seconds"] > 0
    assert main(["data", "synth", "--words", "yes,no", "--out", str(out), *few]) == 0
    assert f"minikws train --data-dir {out} --wanted-words yes,no" in capsys.readouterr().out


def test_synth_into_a_folder_of_ones_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("espeakng_loader", reason="pip install 'minikws[synth]'")
    pytest.importorskip("soxr", reason="pip install 'minikws[train]'")
    assert main(["data", "synth", "--words", "yes", "--out", str(folder)]) == 1
    assert "was not made by minikws data synth" in capsys.readouterr().err


def test_synth_of_a_label_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "synth", "--words", "_silence_", "--out", str(tmp_path / "a")]) == 1
    assert "minikws adds itself" in capsys.readouterr().err
