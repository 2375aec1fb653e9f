"""Fetch one file over HTTP, through broken connections: an address comes in, a `.part` goes out.

Beside the part lies a note (`.part.json`) of where it comes from and which version of it, so that
a later call goes on where this one stopped: it asks for the missing bytes, on condition that the
file is still the same (RFC 9110, sections 13.1.5 and 14). A server that cannot do that, or has
another version, is asked for the whole again. A try that fails is repeated, after longer and longer
waits, as long as some of them bring something new.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from minikws.data.disk import BLOCK_BYTES, need_space, writing
from minikws.errors import CorpusError
from minikws.files import write_file

TRIES = 6  # in a row, none of which brought anything new
RETRY_WAIT_S = 1.0  # before the second try; doubled before each further one
TIMEOUT_S = 30.0

Progress = Callable[[int, int], None]
Say = Callable[[str], None]


class _Broken(Exception):
    """A try that failed and may go better next time; the message says why."""


class _Unreachable(_Broken):
    """A try that got no answer at all."""


def fetch(
    url: str, part: Path, *, n_bytes: int | None, on_progress: Progress | None, say: Say
) -> None:
    """Fetch what is missing of `url` into `part`.

    Parameters
    ----------
    n_bytes : the file's length, if known beforehand.
    on_progress : is told (bytes fetched, bytes in all; 0 if unknown).

    Raises
    ------
    CorpusError : no connection, no such file, another length, too little free space.
    RunError : the part cannot be written.
    """
    _Fetch(url, part, n_bytes, on_progress or (lambda done, total: None), say).run()


def forget(part: Path) -> None:
    """Delete a part and its note, where they exist."""
    with writing(part):
        note_of(part).unlink(missing_ok=True)
        part.unlink(missing_ok=True)


def note_of(part: Path) -> Path:
    """Return the path of a part's note."""
    return part.with_name(part.name + ".json")


class _Fetch:
    """One file on its way; `fetch` describes the parameters."""

    def __init__(
        self, url: str, part: Path, n_bytes: int | None, on_progress: Progress, say: Say
    ) -> None:
        self.url, self.part, self.n_bytes = url, part, n_bytes
        self.on_progress, self.say = on_progress, say
        self.host = urllib.parse.urlsplit(url).netloc.rpartition("@")[2]
        self.answered = False  # whether the server ever was

    def run(self) -> None:
        """Try until the part is as long as the server promised."""
        most, idle = self._size(), 0
        if most and self._read_note():
            self.say(f"going on after the {most / 1e6:.1f} MB that were fetched before")
        while True:
            try:
                return self._try()
            except _Broken as broken:
                if isinstance(broken, _Unreachable) and not self.answered:
                    raise CorpusError(
                        f"no connection to {self.host} ({broken}); check the network and the "
                        "address, then run the same command again"
                    ) from broken
                size = self._size()
                idle = 0 if size > most else idle + 1
                most = max(most, size)
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
        note = self._read_note()
        have = self._size() if note else 0
        total = self.n_bytes or note.get("total")
        if have and have == total:
            return
        if total and have > total:
            have = 0
        response = self._open(have, note.get("version"))
        if response is None:
            return
        with response:
            start, promised = _extent(response)
            self._check(start, promised, have, note.get("total"))
            total = promised or self.n_bytes
            if total:
                need_space(self.part.parent, archive_bytes=total, missing_bytes=total - start)
            if start == 0:
                forget(self.part)
                self._write_note(response, total)
            have = self._append(response, start, total)
        if total and have < total:
            raise _Broken(f"the connection ended after {have} of {total} bytes")

    def _open(self, have: int, version: str | None) -> Any:
        """Ask for what comes after `have` bytes; return the response, None if nothing does.

        urllib does not name the class of its responses.
        """
        headers = {"User-Agent": "minikws", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if version:
                headers["If-Range"] = version
        request = urllib.request.Request(self.url, headers=headers)
        try:
            response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            self.answered = True
            error.close()
            if error.code == 416:
                told = (error.headers.get("Content-Range") or "").strip()
                if have and told == f"bytes */{have}":
                    return None
                forget(self.part)
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

    def _check(self, start: int, promised: int | None, have: int, noted: int | None) -> None:
        """Refuse a response that does not go on from our `have` bytes of `noted`, nor anew."""
        if start not in (0, have):
            forget(self.part)
            raise _Broken(f"asked for byte {have}, the server sent from byte {start}")
        if start and promised and noted and promised != noted:
            forget(self.part)
            raise _Broken("the archive on the server has changed")
        if have and start == 0:
            self.say("the server begins anew, and so do we")
        if self.n_bytes and promised not in (None, self.n_bytes):
            raise CorpusError(
                f"the archive has {self.n_bytes} bytes, {self.host} announces {promised}; "
                "check the address"
            )

    def _append(self, response: Any, start: int, total: int | None) -> int:
        """Write the response's body behind byte `start`; return where it ended."""
        have = start
        with writing(self.part), self.part.open("ab" if start else "wb") as file:
            self.on_progress(have, total or 0)
            for block in _blocks(response):
                file.write(block)
                have += len(block)
                self.on_progress(have, total or 0)
        return have

    def _read_note(self) -> dict[str, Any]:
        """Return the part's note; empty if there is none, or one of another address."""
        try:
            note = json.loads(note_of(self.part).read_text(encoding="utf-8"))
            return note if note["url"] == self.url else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _write_note(self, response: Any, total: int | None) -> None:
        version = response.headers.get("ETag") or ""
        if not version.startswith('"'):  # a weak one says nothing about bytes (RFC 9110, 8.8.3)
            version = response.headers.get("Last-Modified")
        note = {"url": self.url, "version": version, "total": total}
        write_file(note_of(self.part), json.dumps(note))


def _extent(response: Any) -> tuple[int, int | None]:
    """Return the first byte a response holds, and the length of the whole (None: not told)."""
    if response.status == 200:
        return 0, response.length
    told = (response.headers.get("Content-Range") or "").strip()
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", told)
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
            reason = str(error) or type(error).__name__
            raise _Broken(f"the connection broke off ({reason})") from error
        if not block:
            return
        yield block
