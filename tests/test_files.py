"""Whole files or none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from minikws.errors import RunError
from minikws.files import write_file


def test_bytes_text_and_writers(tmp_path: Path) -> None:
    assert write_file(tmp_path / "a" / "b.bin", b"\x00\x01").read_bytes() == b"\x00\x01"
    assert write_file(tmp_path / "t.txt", "ä\n").read_text(encoding="utf-8") == "ä\n"

    def writer(file: BinaryIO) -> None:
        file.write(b"by hand")

    assert write_file(tmp_path / "w", writer).read_bytes() == b"by hand"


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        path = write_file(tmp_path / "x", b"")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_disk_full_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = write_file(tmp_path / "model", b"old")

    def full(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match=r"model cannot be written \(No space left on device\)"):
        write_file(path, full)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model"]


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunError, match="cannot be written"):
        write_file(tmp_path / "folder", b"")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RunError, match="cannot be written"):
        write_file(tmp_path / "file" / "below", b"")
