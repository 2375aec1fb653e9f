"""Fetch a corpus of recordings, published as a .tar.gz, and unpack it into a folder.

In comes an address; out comes a folder with one sub-folder of WAV files a word. Everything
unfinished has a hidden name that starts with the archive's: `.NAME.part` (what was fetched so far,
from which a later call goes on), `.NAME.part.json` (from where, and which version of it) and
`.NAME.unpacking` (files that nothing was proven about yet). A file takes its place in the folder
only when the whole archive was found good, and never the place of another; `.NAME.json` marks the
folder as complete.

The archive is not trusted: only plain files and folders are unpacked, only below the folder, and
no more of them than a corpus would hold. Tar's own defences came after Python 3.11.0.
"""

from __future__ import annotations

import errno
import filecmp
import gzip
import hashlib
import http.client
import json
import os
import re
import shutil
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from minikws.errors import CorpusError, RunError, SettingsError
from minikws.files import write_file

DEFAULT_URL = (
    "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
)
TRIES = 6  # in a row, none of which brought anything new
RETRY_WAIT_S = 1.0  # before the second try; doubled before each further one
TIMEOUT_S = 30.0
BLOCK_BYTES = 64 * 1024
UNPACKED_RATIO = 1.6  # room for the files, against the archive; 105,829 of 32 KiB in v0.02 are 1.43
# Sound is compressed to a half at best; what grows more than this is not a corpus.
LARGEST_RATIO, LARGEST_EXTRA_BYTES = 20, 64 * 1024**2

Progress = Callable[[int, int], None]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Expected:
    """What is known of an archive beforehand; None is not known."""

    n_bytes: int | None = None
    sha256: str | None = None


KNOWN_ARCHIVES = {
    "speech_commands_v0.02.tar.gz": Expected(
        2_428_923_189, "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
    ),
    "speech_commands_v0.01.tar.gz": Expected(
        None, "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d"
    ),
}


@dataclass(frozen=True)
class DownloadReport:
    """What was done.

    n_bytes, sha256 : of the archive.
    n_files : how many files the archive holds.
    kept : files of the user's that differ from the archive's of the same name, left as they were.
    verified : whether the checksum was known beforehand.
    already_complete : whether an earlier call had done everything, so that this one did nothing.
    """

    url: str
    folder: Path
    n_bytes: int
    sha256: str
    n_files: int
    seconds: float
    kept: tuple[str, ...] = ()
    verified: bool = True
    already_complete: bool = False


class _Broken(Exception):
    """A try that failed and may go better next time; the message says why."""


class _Unreachable(_Broken):
    """A try that got no answer at all."""


class _BadArchive(Exception):
    """An archive that is damaged or hostile; the message says why, after "cannot be unpacked"."""


def download_corpus(
    folder: str | Path,
    url: str = DEFAULT_URL,
    *,
    sha256: str | None = None,
    keep_archive: bool = False,
    on_progress: Progress | None = None,
    on_unpacked: Progress | None = None,
    on_message: Say | None = None,
) -> DownloadReport:
    """Fill `folder` with the corpus at `url`; go on where an interrupted call stopped.

    An archive of that name which lies in the folder already is used, and left there.

    Parameters
    ----------
    sha256 : the archive's checksum in hex; known for both versions of Speech Commands.
    keep_archive : leave the archive in the folder under its own name.
    on_progress, on_unpacked : are told (bytes of the archive done, bytes in all; 0 if unknown).
    on_message : is told what happens otherwise.

    Raises
    ------
    SettingsError : an address or checksum that cannot be one.
    CorpusError : no connection, no such file, a wrong length or checksum, a damaged or hostile
        archive, too little free space.
    RunError : a file cannot be written (no permission, disk full).
    """
    started = time.perf_counter()
    say = on_message or (lambda text: None)
    name = _archive_name(url)
    expected = _expected(name, sha256)
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise CorpusError(f"{folder} is a file, expected a folder to fill; name another")
    marker = folder / f".{name}.json"
    done = _completed(folder, marker, url, expected, say)
    if done is not None:
        say(f"{folder} already holds all {done.n_files} files of {name}; nothing to do")
        return done
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    part, archive = folder / f".{name}.part", folder / name
    note = part.with_name(part.name + ".json")
    ours = not archive.is_file()
    try:
        if ours:
            _Fetch(url, part, note, expected.n_bytes, on_progress, say).run()
        else:
            say(f"using {archive}, which is there already")
        source = part if ours else archive
        n_bytes = source.stat().st_size
        try:
            digest = _checked(source, expected, say)
            _need_space(folder, 0, n_bytes)
            say(f"unpacking {name} ({n_bytes / 1e6:.1f} MB)")
            files, kept = _unpack_into(folder, source, name, on_unpacked)
        except _BadArchive as bad:
            if ours:
                part.unlink()
                note.unlink(missing_ok=True)
            end = "it was deleted; try again or check the address" if ours else "delete it"
            raise CorpusError(f"{name if ours else archive} {bad}; {end}") from bad
    except KeyboardInterrupt:
        if part.exists():
            say(f"what was fetched stays in {part}; the same command goes on from there")
        raise
    stored = {
        "made_by": "minikws data download",
        "url": url,
        "bytes": n_bytes,
        "sha256": digest,
        "files": Counter(PurePosixPath(file).parent.as_posix() for file in files),
    }
    write_file(marker, json.dumps(stored, indent=0))
    if ours:
        with _writing(archive):
            if keep_archive:
                part.replace(archive)
            part.unlink(missing_ok=True)
            note.unlink(missing_ok=True)
    return DownloadReport(
        url,
        folder,
        n_bytes,
        digest,
        len(files),
        time.perf_counter() - started,
        tuple(kept),
        verified=expected.sha256 is not None,
    )


def _archive_name(url: str) -> str:
    """Return the file name at the end of an address.

    >>> _archive_name("https://example.org/a/words.tar.gz?version=2")
    'words.tar.gz'
    """
    try:
        parts = urllib.parse.urlsplit(url)
        name = urllib.parse.unquote(parts.path.rpartition("/")[2])
        if parts.scheme in ("http", "https") and parts.hostname:
            if re.fullmatch(r"\w[\w.+ -]{0,199}", name):
                return name
            raise SettingsError(f"the address {url!r} ends in no file name; name a .tar.gz file")
    except ValueError as error:
        if isinstance(error, SettingsError):
            raise
    raise SettingsError(f"expected an address http://… or https://…, found {url!r}; check --url")


def _expected(name: str, sha256: str | None) -> Expected:
    known = KNOWN_ARCHIVES.get(name, Expected())
    if sha256 is None:
        return known
    sha256 = sha256.strip().lower()
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise SettingsError(
            f"expected a SHA-256 checksum of 64 hex digits, found {sha256!r}; check --sha256"
        )
    return known if sha256 == known.sha256 else Expected(None, sha256)


def _completed(
    folder: Path, marker: Path, url: str, expected: Expected, say: Say
) -> DownloadReport | None:
    """Return the report of the earlier call that filled the folder, unless files are missing."""
    try:
        stored = json.loads(marker.read_text(encoding="utf-8"))
        same = stored["sha256"] == expected.sha256 if expected.sha256 else stored["url"] == url
        if stored["made_by"] != "minikws data download" or not same:
            return None
        files = {str(name): int(count) for name, count in stored["files"].items()}
        report = DownloadReport(
            stored["url"],
            folder,
            int(stored["bytes"]),
            str(stored["sha256"]),
            sum(files.values()),
            0.0,
            verified=expected.sha256 is not None,
            already_complete=True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    missing = sum(max(0, count - _n_files(folder / name)) for name, count in files.items())
    if missing:
        say(f"{missing} of {report.n_files} files are missing in {folder}; fetching them again")
        return None
    return report


def _n_files(folder: Path) -> int:
    try:
        with os.scandir(folder) as entries:
            return sum(entry.is_file() for entry in entries)
    except OSError:
        return 0


class _Fetch:
    """One archive on its way into its `.part` file.

    Parameters
    ----------
    part, note : the file, and beside it a record of where it comes from.
    n_bytes : the archive's length, if known beforehand.
    """

    def __init__(
        self,
        url: str,
        part: Path,
        note: Path,
        n_bytes: int | None,
        on_progress: Progress | None,
        say: Say,
    ) -> None:
        self.url, self.part, self.note, self.n_bytes = url, part, note, n_bytes
        self.on_progress, self.say = on_progress or (lambda done, total: None), say
        self.host = urllib.parse.urlsplit(url).netloc.rpartition("@")[2]
        self.answered = False

    def run(self) -> None:
        """Try until the part is as long as the server promised."""
        most, idle = self._size(), 0
        if most and self._read_note() is not None:
            self.say(f"going on after the {most / 1e6:.1f} MB that were fetched before")
        while True:
            try:
                return self._try()
            except _Broken as broken:
                idle = 0 if self._size() > most else idle + 1
                most = max(most, self._size())
                if isinstance(broken, _Unreachable) and not self.answered:
                    raise CorpusError(
                        f"no connection to {self.host} ({broken}); check the network and the "
                        "address, then run the same command again"
                    ) from broken
                if idle == TRIES:
                    raise CorpusError(
                        f"{self.host} failed {TRIES} times in a row: {broken}; run the same "
                        "command later, it goes on from there"
                    ) from broken
                wait_s = RETRY_WAIT_S * 2**idle
                self.say(f"{broken}; trying again in {wait_s:g} s")
                time.sleep(wait_s)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _try(self) -> None:
        """Fetch what is missing, as far as it comes."""
        note = self._read_note() or {}
        have = self._size() if note else 0
        total = self.n_bytes or note.get("total")
        if have and have == total:
            return
        if total and have > total:
            have = 0
        headers = {"User-Agent": "minikws", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if note.get("version"):
                headers["If-Range"] = note["version"]
        response = self._open(headers, have)
        if response is None:
            return
        with response:
            start, promised = _extent(response)
            if start not in (0, have):
                self._forget()
                raise _Broken(f"asked for byte {have}, the server sent from byte {start}")
            if start and promised not in (None, note.get("total") or promised):
                self._forget()
                raise _Broken("the archive on the server has changed")
            if start == 0 and have:
                self.say("the server begins anew, and so do we")
            if self.n_bytes and promised not in (None, self.n_bytes):
                raise CorpusError(
                    f"the archive has {self.n_bytes} bytes, {self.host} announces {promised}; "
                    "check the address"
                )
            total = promised or self.n_bytes
            if total:
                _need_space(self.part.parent, total - start, total)
            if start == 0:
                self._forget()
                self._write_note(response, total)
            have = self._append(response, start, total)
        if total and have < total:
            raise _Broken(f"the connection ended after {have} of {total} bytes")

    def _open(self, headers: dict[str, str], have: int) -> Any:
        """Return the response (urllib does not name its class), None if nothing is missing."""
        try:
            response = urllib.request.urlopen(
                urllib.request.Request(self.url, headers=headers), timeout=TIMEOUT_S
            )
        except urllib.error.HTTPError as error:
            self.answered = True
            error.close()
            if error.code == 416:
                told = (error.headers.get("Content-Range") or "").strip()
                if have and told == f"bytes */{have}":
                    return None  # nothing comes after what we have
                self._forget()
                raise _Broken(f"the server has no byte {have}") from error
            answer = f"HTTP status {error.code} {error.reason}"
            if error.code in (408, 429) or error.code >= 500:
                raise _Broken(answer) from error
            raise CorpusError(
                f"expected an archive at {self.url}, the server answered with {answer}; "
                "check the address"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise _Unreachable(str(reason) or type(error).__name__) from error
        self.answered = True
        return response

    def _append(self, response: Any, start: int, total: int | None) -> int:
        """Write the response's body behind byte `start`; return where it ended."""
        have = start
        with _writing(self.part), self.part.open("ab" if start else "wb") as file:
            self.on_progress(have, total or 0)
            for block in _blocks(response):
                file.write(block)
                have += len(block)
                self.on_progress(have, total or 0)
        return have

    def _forget(self) -> None:
        with _writing(self.part):
            self.note.unlink(missing_ok=True)
            if self.part.is_file():
                self.part.unlink()

    def _read_note(self) -> dict[str, Any] | None:
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
            return note if note["url"] == self.url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write_note(self, response: Any, total: int | None) -> None:
        version = response.headers.get("ETag") or ""
        if not version.startswith('"'):  # a weak one says nothing about bytes (RFC 9110, 8.8.3)
            version = response.headers.get("Last-Modified")
        write_file(self.note, json.dumps({"url": self.url, "version": version, "total": total}))


def _extent(response: Any) -> tuple[int, int | None]:
    """Return the first byte a response holds, and the length of the whole (None: not told)."""
    if response.status == 200:
        return 0, response.length
    found = re.fullmatch(
        r"bytes (\d+)-\d+/(\d+|\*)", (response.headers.get("Content-Range") or "").strip()
    )
    if response.status != 206 or not found:
        raise _Broken(f"the server answered {response.status} without saying which bytes")
    start = int(found[1])
    if found[2] != "*":
        return start, int(found[2])
    return start, None if response.length is None else start + response.length


def _blocks(response: Any) -> Iterator[bytes]:
    while True:
        try:
            block = response.read(BLOCK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _Broken(f"the connection broke off ({error or type(error).__name__})") from error
        if not block:
            return
        yield block


def _need_space(folder: Path, missing: int, total: int) -> None:
    need = missing + int(UNPACKED_RATIO * total)
    free = shutil.disk_usage(folder).free
    if free < need:
        raise CorpusError(
            f"{folder} needs {need / 1e9:.1f} GB for the archive and its files, "
            f"{free / 1e9:.1f} GB are free; free some space or choose another disk"
        )


def _checked(source: Path, expected: Expected, say: Say) -> str:
    """Return the file's SHA-256, or refuse a file that is not the one expected."""
    n_bytes = source.stat().st_size
    if expected.n_bytes not in (None, n_bytes):
        raise _BadArchive(f"has {n_bytes} bytes, expected {expected.n_bytes}")
    say(f"checking {n_bytes / 1e6:.1f} MB")
    try:
        with source.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorpusError(
            f"{source} cannot be read ({error.strerror or error}); check its permissions"
        ) from error
    if expected.sha256 not in (None, found):
        raise _BadArchive(f"has the SHA-256 {found}, expected {expected.sha256}")
    return found


def _unpack_into(
    folder: Path, source: Path, name: str, on_unpacked: Progress | None
) -> tuple[list[str], list[str]]:
    """Unpack aside, then move file by file; return all names, and those kept as they were."""
    aside = folder / f".{name}.unpacking"
    with _writing(aside):
        shutil.rmtree(aside, ignore_errors=True)  # an interrupted call's
        aside.mkdir()
    try:
        files = _unpack(source, aside, on_unpacked)
        return files, [file for file in files if not _move(aside / file, folder / file)]
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _move(file: Path, target: Path) -> bool:
    """Move a file to its place; return False if another file has that place."""
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(target):
            file.rename(target)
            return True
    return target.is_file() and filecmp.cmp(file, target, shallow=False)


class _Tape:
    """The tar inside a .gz, read once from end to end, up to a limit.

    position, content_end : bytes read, and where the last that is not zero ended.
    """

    def __init__(self, source: BinaryIO, limit: int, on_read: Callable[[], None]) -> None:
        self.limit, self.position, self.content_end = limit, 0, 0
        self._gzip = gzip.GzipFile(fileobj=source)
        self._on_read = on_read

    def read(self, n_bytes: int) -> bytes:
        try:
            block = self._gzip.read(n_bytes)
        except (OSError, EOFError, zlib.error) as error:
            raise _BadArchive(f"cannot be unpacked: it is no whole .gz ({error})") from error
        content = len(block.rstrip(b"\0"))
        if content:
            self.content_end = self.position + content
        self.position += len(block)
        if self.position > self.limit:
            raise _BadArchive(f"cannot be unpacked: it unpacks to over {self.limit} bytes")
        self._on_read()
        return block


def _unpack(source: Path, aside: Path, on_unpacked: Progress | None) -> list[str]:
    """Unpack a .tar.gz into a new folder; return the files' names, relative, each once."""
    size = source.stat().st_size
    files: dict[str, None] = {}
    try:
        with source.open("rb") as packed:

            def on_read() -> None:
                if on_unpacked is not None:
                    on_unpacked(packed.tell(), size)

            tape = _Tape(packed, LARGEST_RATIO * size + LARGEST_EXTRA_BYTES, on_read)
            with tarfile.open(fileobj=cast(BinaryIO, tape), mode="r|", bufsize=BLOCK_BYTES) as tar:
                for member in tar:
                    path = _safe_path(member, tape)
                    if member.isreg():
                        _write_member(tar, member, aside / path)
                        files[path.as_posix()] = None
            while tape.read(BLOCK_BYTES):  # to the end, where gzip keeps its own checksum
                pass
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise _BadArchive(f"cannot be unpacked: it holds no whole tar ({error})") from error
    # The tar module takes a damaged header for the end; after the true end all is zero.
    if tape.content_end > tar.offset:
        raise _BadArchive(f"cannot be unpacked: the tar inside is damaged at byte {tar.offset}")
    if not files:
        raise _BadArchive("cannot be unpacked: it holds no file")
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
    raise _BadArchive(f"cannot be unpacked: its entry {member.name!r} {why}")


def _write_member(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = tar.extractfile(member)
    assert content is not None  # None stands for what is no file
    with _writing(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise _BadArchive(
                f"cannot be unpacked: its entry {member.name!r} is a file and a folder"
            ) from error


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = {
            errno.ENOSPC: "free some space, then run the same command: it goes on where it stopped",
            errno.EACCES: "choose a folder that you may write to",
            errno.EPERM: "choose a folder that you may write to",
            errno.EROFS: "choose a folder that you may write to",
            errno.EEXIST: "a file stands where a folder must be, move it away",
            errno.ENOTDIR: "a file stands where a folder must be, move it away",
        }.get(error.errno or 0, "check the disk")
        raise RunError(f"{path} cannot be written ({error.strerror or error}); {advice}") from error
