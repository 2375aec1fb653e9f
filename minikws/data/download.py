"""Fetch a corpus of recordings, published as a .tar.gz, and unpack it into a folder.

In comes an address; out comes a folder with one sub-folder of WAV files a word. The order of things
is here: fetch (`fetch.py`), check length and checksum, unpack (`unpack.py`), mark the folder as
complete. Everything unfinished has a hidden name that starts with the archive's: `.NAME.part` (what
was fetched so far, from which a later call goes on), `.NAME.part.json` (from where, and which
version of it) and `.NAME.unpacking` (files that nothing was proven about yet). `.NAME.json` marks a
complete folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import urllib.parse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from minikws.data.disk import need_space, writing
from minikws.data.fetch import Progress, Say, fetch, forget
from minikws.data.unpack import BadArchive, unpack_into
from minikws.errors import CorpusError, SettingsError
from minikws.files import write_file

DEFAULT_URL = (
    "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
)


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
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    part, archive = folder / f".{name}.part", folder / name
    ours = not archive.is_file()
    source = part if ours else archive
    try:
        if ours:
            fetch(url, part, n_bytes=expected.n_bytes, on_progress=on_progress, say=say)
        else:
            say(f"using {archive}, which is there already")
        n_bytes = source.stat().st_size
        digest = _checked(source, expected, say)
        need_space(folder, archive_bytes=n_bytes)
        say(f"unpacking {name} ({n_bytes / 1e6:.1f} MB)")
        files, kept = unpack_into(folder, source, folder / f".{name}.unpacking", on_unpacked)
    except BadArchive as bad:
        if ours:
            forget(part)
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
    if ours and keep_archive:
        with writing(archive):
            part.replace(archive)
    if ours:
        forget(part)
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
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_address = False
    if not is_address:
        raise SettingsError(
            f"expected an address http://… or https://…, found {url!r}; check --url"
        )
    name = urllib.parse.unquote(parts.path.rpartition("/")[2])
    if not re.fullmatch(r"\w[\w.+ -]{0,199}", name):
        raise SettingsError(f"the address {url!r} ends in no file name; name a .tar.gz file")
    return name


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


def _checked(source: Path, expected: Expected, say: Say) -> str:
    """Return the file's SHA-256, or refuse a file that is not the one expected."""
    n_bytes = source.stat().st_size
    if expected.n_bytes not in (None, n_bytes):
        raise BadArchive(f"has {n_bytes} bytes, expected {expected.n_bytes}")
    say(f"checking {n_bytes / 1e6:.1f} MB")
    try:
        with source.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorpusError(
            f"{source} cannot be read ({error.strerror or error}); check its permissions"
        ) from error
    if expected.sha256 not in (None, found):
        raise BadArchive(f"has the SHA-256 {found}, expected {expected.sha256}")
    return found
