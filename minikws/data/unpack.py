"""Unpack a .tar.gz that is not trusted: an archive comes in, files below one folder go out.

Only plain files and folders are unpacked, only below the folder, and no more of them than a corpus
would hold; what else an archive can contain is refused. Everything is unpacked aside first, and
takes its place when the whole was found good, never the place of another file. Tar's own defenses
came after Python 3.11.0.
"""

from __future__ import annotations

import filecmp
import gzip
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from minikws.data.disk import BLOCK_BYTES, writing

# Sound is compressed to a half at best; what grows more than this is not a corpus.
LARGEST_RATIO, LARGEST_EXTRA_BYTES = 20, 64 * 1024**2

Progress = Callable[[int, int], None]


class BadArchive(Exception):
    """An archive that is damaged or hostile; the message says why, after the archive's name."""


def unpack_into(
    folder: Path, source: Path, aside: Path, on_unpacked: Progress | None
) -> tuple[list[str], list[str]]:
    """Unpack `source` aside, then move file by file into `folder`.

    Parameters
    ----------
    aside : a folder for the time being, on the same disk; emptied before and deleted after.
    on_unpacked : is told (bytes of the archive done, bytes in all).

    Returns
    -------
    The names of all files, relative to the folder, each once; and of these the files that were
    there already, with other content, and stay as they were.

    Raises
    ------
    BadArchive : damaged, hostile, or without a file; the folder is as it was.
    RunError : a file cannot be written.
    """
    with writing(aside):
        shutil.rmtree(aside, ignore_errors=True)  # an interrupted call's
        aside.mkdir()
    try:
        files = _unpack(source, aside, on_unpacked)
        return files, [file for file in files if not _move(aside / file, folder / file)]
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _move(file: Path, target: Path) -> bool:
    """Move a file to its place; return False if another file has that place."""
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(target):
            file.rename(target)
            return True
    return target.is_file() and filecmp.cmp(file, target, shallow=False)


class _Tape:
    """The tar inside a .gz, read once from end to end, up to a limit.

    position, content_end : bytes read, and where the last that is not zero ended.
    """

    def __init__(self, packed: BinaryIO, size: int, on_unpacked: Progress | None) -> None:
        self.limit = LARGEST_RATIO * size + LARGEST_EXTRA_BYTES
        self.position = self.content_end = 0
        self._packed, self._size, self._on_unpacked = packed, size, on_unpacked
        self._gzip = gzip.GzipFile(fileobj=packed)

    def read(self, n_bytes: int) -> bytes:
        try:
            block = self._gzip.read(n_bytes)
        except (OSError, EOFError, zlib.error) as error:
            raise BadArchive(f"cannot be unpacked: it is no whole .gz ({error})") from error
        content = len(block.rstrip(b"\0"))
        if content:
            self.content_end = self.position + content
        self.position += len(block)
        if self.position > self.limit:
            raise BadArchive(f"cannot be unpacked: it unpacks to over {self.limit} bytes")
        if self._on_unpacked is not None:
            self._on_unpacked(self._packed.tell(), self._size)
        return block


def _unpack(source: Path, aside: Path, on_unpacked: Progress | None) -> list[str]:
    """Unpack a .tar.gz into a new folder; return the files' names, relative, each once."""
    files: dict[str, None] = {}
    with source.open("rb") as packed:
        tape = _Tape(packed, source.stat().st_size, on_unpacked)
        try:
            with tarfile.open(fileobj=cast(BinaryIO, tape), mode="r|", bufsize=BLOCK_BYTES) as tar:
                for member in tar:
                    path = _safe_path(member, tape)
                    if member.isreg():
                        _write_member(tar, member, aside / path)
                        files[path.as_posix()] = None
            while tape.read(BLOCK_BYTES):  # to the end, where gzip keeps its own checksum
                pass
        except (tarfile.TarError, ValueError, OverflowError) as error:
            raise BadArchive(f"cannot be unpacked: it holds no whole tar ({error})") from error
    # The tar module takes a damaged header for the end; after the true end all is zero.
    if tape.content_end > tar.offset:
        raise BadArchive(f"cannot be unpacked: the tar inside is damaged at byte {tar.offset}")
    if not files:
        raise BadArchive("cannot be unpacked: it holds no file")
    return list(files)


def _safe_path(member: tarfile.TarInfo, tape: _Tape) -> PurePosixPath:
    """Return where a member belongs, relative to the folder, or refuse it."""
    path = PurePosixPath(member.name)
    # A backslash or a drive's colon would be a path of its own on Windows.
    if path.is_absolute() or ".." in path.parts or re.search(r"[\\:\0]", member.name):
        why = "lies outside the folder"
    elif member.issparse() or not (member.isreg() or member.isdir()):
        why = "is a link, a device or the like, neither a file nor a folder"
    elif not 0 <= member.size <= tape.limit - tape.position + BLOCK_BYTES:
        why = f"claims {member.size} bytes, more than such an archive can hold"
    elif member.isreg() and not path.parts:
        why = "has no name"
    else:
        return path
    raise BadArchive(f"cannot be unpacked: its entry {member.name!r} {why}")


def _write_member(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = tar.extractfile(member)
    assert content is not None  # None stands for what is no file
    with writing(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise BadArchive(
                f"cannot be unpacked: its entry {member.name!r} is a file and a folder"
            ) from error
