"""The systemd unit: its words, their quotes, and what systemd says of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minikws.cli.main import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my model.tflite").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_unit_of_ones_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["service", "--user", "my model.tflite", "-", "--quiet"]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    words = f'ExecStart={sys.executable} -m minikws listen "my model.tflite" - --quiet'
    assert words in lines
    assert f"WorkingDirectory={folder}" in lines
    assert "WantedBy=default.target" in lines
    assert not any(line.startswith("User=") for line in lines)
    assert "systemctl --user enable --now minikws" in printed.err
    assert "loginctl enable-linger" in printed.err


def test_a_unit_of_the_system(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["service", "--name", "nursery", "my model.tflite", "--stride_ms", "200", "-"]) == 0
    printed = capsys.readouterr()
    assert "SupplementaryGroups=audio" in printed.out
    assert "WantedBy=multi-user.target" in printed.out
    assert "/etc/systemd/system/nursery.service" in printed.err


def test_systemd_takes_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    assert main(["service", "--user", "my model.tflite", "-"]) == 0
    (folder / "minikws.service").write_text(capsys.readouterr().out)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(folder / "minikws.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "minikws.service" not in checked.stderr


def test_a_unit_is_refused_before_it_fails(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["service", "--user"]) == 1
    assert "name a model" in capsys.readouterr().err
    assert main(["service", "other.tflite", "-"]) == 1
    assert "there is no model other.tflite" in capsys.readouterr().err
    assert main(["service", "my model.tflite", "--treshold=1"]) == 2
    assert "does not know '--treshold=1'" in capsys.readouterr().err


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["service", "--user", "--json", "my model.tflite", "-"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["unit"].startswith("[Unit]\nDescription=minikws listens with my model.tflite\n")
    assert record["file"] == "~/.config/systemd/user/minikws.service"
