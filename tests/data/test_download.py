"""`minikws data download` against a server that does everything a server can do wrong."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws.cli.main import main
from minikws.data import unpack
from minikws.data.download import (
    DEFAULT_URL,
    KNOWN_ARCHIVES,
    DownloadReport,
    Expected,
    download_corpus,
)
from minikws.data.fetch import TRIES
from minikws.errors import CorpusError, MinikwsError, RunError, SettingsError

NAME = "words.tar.gz"
RNG = np.random.default_rng(5)
FILES = {  # noise, so that gzip cannot shrink it and the archive is several blocks long
    f"{word}/{number:08x}_nohash_0.wav": RNG.bytes(30_000)
    for word in ("yes", "no", "_background_noise_")
    for number in range(4)
} | {"README.md": b"words\n", "yes/silent_nohash_0.wav": bytes(32_044)}


def entry(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar_gz(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as file:
        for info, content in entries:
            file.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return gzip.compress(tar.getvalue(), mtime=0)


GOOD = tar_gz(
    entry(".", type=tarfile.DIRTYPE),
    entry("./yes", type=tarfile.DIRTYPE),
    *(entry(f"./{name}", content) for name, content in FILES.items()),
)
GOOD_SHA256 = hashlib.sha256(GOOD).hexdigest()


class Server:
    """What the next answers are like; `requests` holds the headers of those that came.

    ranges : honor Range. etag : sent, and asked for by If-Range. break_after : bytes of each
    body after which the connection is closed, one a request, then none. promise : the length
    that is told instead of the true one. statuses : sent instead of the body, one a request.
    """

    def __init__(self) -> None:
        self.body = GOOD
        self.ranges = True
        self.etag: str | None = '"v1"'
        self.break_after: list[int] = []
        self.promise: int | None = None
        self.length_told = True
        self.statuses: list[int] = []
        self.shift = 0
        self.content_range: str | None = None
        self.requests: list[dict[str, str]] = []
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = dict(handler.headers)
        self.requests.append(asked)
        if self.statuses:
            handler.send_response(self.statuses.pop(0))
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        start = 0
        if self.ranges and "Range" in asked and asked.get("If-Range") in (None, self.etag):
            start = int(asked["Range"].removeprefix("bytes=").removesuffix("-")) + self.shift
        if start and start >= len(self.body):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(self.body)}")
            handler.end_headers()
            return
        body = self.body[start:]
        handler.send_response(206 if start else 200)
        if start:
            told = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
            handler.send_header("Content-Range", self.content_range or told)
        if self.etag:
            handler.send_header("ETag", self.etag)
        if self.length_told:
            promised = len(self.body) if self.promise is None else self.promise
            handler.send_header("Content-Length", str(promised - start))
        handler.end_headers()
        if self.break_after:
            body = body[: self.break_after.pop(0)]
        handler.wfile.write(body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):  # the client has heard enough
                told.answer(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    monkeypatch.setattr("minikws.data.fetch.RETRY_WAIT_S", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        http_server.daemon_threads = True
        told.url = f"http://127.0.0.1:{http_server.server_port}/data/{NAME}"
        thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield told
        http_server.shutdown()
        thread.join()


def content_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != f".{NAME}.json"
    }


def fetch(server: Server, folder: Path, **options: Any) -> DownloadReport:
    return download_corpus(folder, server.url, **{"sha256": GOOD_SHA256, **options})


def refusal(
    server: Server, folder: Path, kind: type[MinikwsError] = CorpusError, **options: Any
) -> str:
    with pytest.raises(kind) as caught:
        fetch(server, folder, **options)
    return str(caught.value)


# Whole


def test_a_whole_download(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    unpacked: list[tuple[int, int]] = []
    report = fetch(
        server,
        tmp_path / "new" / "words",
        on_progress=lambda done, total: seen.append((done, total)),
        on_unpacked=lambda done, total: unpacked.append((done, total)),
    )
    assert content_of(tmp_path / "new" / "words") == FILES
    assert (report.n_bytes, report.sha256) == (len(GOOD), GOOD_SHA256)
    assert (report.n_files, report.kept, report.verified) == (len(FILES), (), True)
    assert seen[0] == (0, len(GOOD)) and seen == sorted(seen)
    assert seen[-1] == unpacked[-1] == (len(GOOD), len(GOOD))
    assert server.requests[0]["Accept-Encoding"] == "identity"


def test_a_second_call_does_nothing(server: Server, tmp_path: Path) -> None:
    fetch(server, tmp_path)
    said: list[str] = []
    report = fetch(server, tmp_path, on_message=said.append)
    assert report.already_complete and report.n_files == len(FILES)
    assert len(server.requests) == 1
    assert "already holds all 14 files" in said[0]


def test_a_missing_clip_is_fetched_again(server: Server, tmp_path: Path) -> None:
    fetch(server, tmp_path)
    (tmp_path / "no" / "00000000_nohash_0.wav").unlink()
    said: list[str] = []
    assert not fetch(server, tmp_path, on_message=said.append).already_complete
    assert "1 of 14 files are missing" in said[0]
    assert content_of(tmp_path) == FILES


def test_another_checksum_is_another_archive(server: Server, tmp_path: Path) -> None:
    fetch(server, tmp_path)
    server.body = tar_gz(entry("up/a.wav", b"up"))
    sha256 = hashlib.sha256(server.body).hexdigest()
    assert not fetch(server, tmp_path, sha256=sha256).already_complete
    assert content_of(tmp_path) == FILES | {"up/a.wav": b"up"}


def test_a_marker_that_is_damaged_counts_for_nothing(server: Server, tmp_path: Path) -> None:
    for text in ("{", "[]", '{"made_by": "minikws data download"}'):
        (tmp_path / f".{NAME}.json").write_text(text)
        assert not fetch(server, tmp_path).already_complete


def test_keeping_the_archive(server: Server, tmp_path: Path) -> None:
    fetch(server, tmp_path, keep_archive=True)
    assert content_of(tmp_path) == FILES | {NAME: GOOD}


def test_an_archive_that_is_there_already(server: Server, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(GOOD)
    fetch(server, tmp_path)
    assert not server.requests
    assert content_of(tmp_path) == FILES | {NAME: GOOD}


def test_a_wrong_archive_of_the_users_is_left_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"mine")
    assert "expected" in (text := refusal(server, tmp_path)) and "; delete it" in text
    assert content_of(tmp_path) == {NAME: b"mine"}


def test_files_of_the_users_stay(server: Server, tmp_path: Path) -> None:
    mine = {"yes/00000001_nohash_0.wav": b"mine", "yes/me_nohash_0.wav": b"also mine"}
    same = {"no/00000001_nohash_0.wav": FILES["no/00000001_nohash_0.wav"]}
    for name, content in (mine | same).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert fetch(server, tmp_path).kept == ("yes/00000001_nohash_0.wav",)
    assert content_of(tmp_path) == FILES | mine


def test_a_link_of_the_users_is_not_followed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "README.md").symlink_to("nowhere")
    assert fetch(server, tmp_path).kept == ("README.md",)
    assert not (tmp_path / "nowhere").exists()


def test_the_published_checksums() -> None:
    assert KNOWN_ARCHIVES["speech_commands_v0.02.tar.gz"] == Expected(
        2428923189, "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
    )
    known = KNOWN_ARCHIVES[DEFAULT_URL.rpartition("/")[2]]
    assert known.n_bytes == 2428923189
    assert str(KNOWN_ARCHIVES["speech_commands_v0.01.tar.gz"].sha256).startswith("743935421bb5")


# Going on


def test_a_connection_that_breaks_off_several_times(server: Server, tmp_path: Path) -> None:
    server.break_after = [100_000, 1, 70_000, 0, 0, 5000]
    said: list[str] = []
    fetch(server, tmp_path, on_message=said.append)
    assert content_of(tmp_path) == FILES
    asked = [request.get("Range") for request in server.requests]
    assert asked[:4] == [None, "bytes=100000-", "bytes=100001-", "bytes=170001-"]
    assert all(request["If-Range"] == '"v1"' for request in server.requests[1:])
    assert any("ended after 100000 of" in text for text in said)


def test_an_interrupted_download_goes_on(server: Server, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done > 100_000:
            raise KeyboardInterrupt

    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        fetch(server, tmp_path, on_progress=stop, on_message=said.append)
    assert "goes on from there" in said[-1]
    have = (tmp_path / f".{NAME}.part").stat().st_size
    assert 100_000 < have < len(GOOD)
    fetch(server, tmp_path, on_message=said.append)
    assert server.requests[1]["Range"] == f"bytes={have}-"
    assert "going on after the 0.1 MB" in said[1]
    assert content_of(tmp_path) == FILES


def test_an_interrupted_unpacking_leaves_no_half_file(server: Server, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server, tmp_path, on_unpacked=stop)
    assert set(content_of(tmp_path)) == {f".{NAME}.part", f".{NAME}.part.json"}
    (tmp_path / f".{NAME}.unpacking").mkdir()  # as a killed process would leave it
    (tmp_path / f".{NAME}.unpacking" / "half.wav").write_bytes(b"ha")
    fetch(server, tmp_path)
    assert len(server.requests) == 1  # nothing was fetched twice
    assert content_of(tmp_path) == FILES


def test_an_interrupted_moving_goes_on(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move, moved = unpack._move, []

    def move_some(file: Path, target: Path) -> bool:
        if len(moved) == 5:
            raise KeyboardInterrupt
        moved.append(target)
        return move(file, target)

    with monkeypatch.context() as patch:
        patch.setattr(unpack, "_move", move_some)
        with pytest.raises(KeyboardInterrupt):
            fetch(server, tmp_path)
    there = {name: c for name, c in content_of(tmp_path).items() if ".part" not in name}
    assert len(there) == 5 and there.items() <= FILES.items()
    assert fetch(server, tmp_path).kept == ()
    assert content_of(tmp_path) == FILES


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.break_after = [200_000, 100]
    said: list[str] = []
    fetch(server, tmp_path, on_message=said.append)
    assert content_of(tmp_path) == FILES
    assert "the server begins anew, and so do we" in said


@pytest.mark.parametrize("etag", ['"v2"', None])
def test_an_archive_that_changed_meanwhile(
    server: Server, tmp_path: Path, etag: str | None
) -> None:
    server.etag = etag and '"v1"'
    server.break_after = [100_000] + [0] * TRIES
    assert "failed 6 times" in refusal(server, tmp_path)
    changed = tar_gz(entry("up/a.wav", RNG.bytes(300_000)))
    server.body, server.etag, server.break_after = changed, etag, []
    fetch(server, tmp_path, sha256=hashlib.sha256(changed).hexdigest())
    assert set(content_of(tmp_path)) == {"up/a.wav"}


def test_a_weak_etag_is_not_sent_back(server: Server, tmp_path: Path) -> None:
    server.etag, server.break_after = 'W/"v1"', [100_000]
    fetch(server, tmp_path)
    assert "If-Range" not in server.requests[1]


def test_a_part_of_another_address_is_not_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / f".{NAME}.part").write_bytes(b"x" * 1000)
    fetch(server, tmp_path)
    assert "Range" not in server.requests[0]
    (tmp_path / f".{NAME}.json").unlink()
    (tmp_path / f".{NAME}.part").write_bytes(b"x" * 1000)
    (tmp_path / f".{NAME}.part.json").write_text('{"url": "http://other/words.tar.gz"}')
    fetch(server, tmp_path)
    assert "Range" not in server.requests[1]


def test_a_part_that_is_too_long_is_not_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / f".{NAME}.part").write_bytes(b"x" * (len(GOOD) + 1))
    (tmp_path / f".{NAME}.part.json").write_text(json.dumps({"url": server.url}))
    fetch(server, tmp_path)
    assert server.requests[0]["Range"] == f"bytes={len(GOOD) + 1}-"
    assert content_of(tmp_path) == FILES


def test_a_server_that_goes_on_at_the_wrong_byte(server: Server, tmp_path: Path) -> None:
    server.break_after, server.shift = [100_000], 7
    fetch(server, tmp_path)
    assert [request.get("Range") for request in server.requests] == [None, "bytes=100000-", None]
    assert content_of(tmp_path) == FILES


def test_a_part_of_which_nothing_is_said(server: Server, tmp_path: Path) -> None:
    server.break_after, server.content_range = [100_000], "characters"
    assert "without saying which bytes" in refusal(server, tmp_path)


# Lengths


def test_a_promise_of_too_much(server: Server, tmp_path: Path) -> None:
    server.promise, server.ranges = len(GOOD) + 1000, False
    text = refusal(server, tmp_path)
    assert f"failed 6 times in a row: the connection ended after {len(GOOD)} of" in text
    assert f"{len(GOOD) + 1000} bytes; run the same command later" in text


def test_a_promise_of_too_much_that_ranges_uncover(server: Server, tmp_path: Path) -> None:
    server.promise = len(GOOD) + 1000
    fetch(server, tmp_path)
    assert content_of(tmp_path) == FILES


def test_a_promise_of_too_little(server: Server, tmp_path: Path) -> None:
    server.promise = len(GOOD) - 1000
    text = refusal(server, tmp_path)
    assert "has the SHA-256" in text and "it was deleted" in text
    assert content_of(tmp_path) == {}
    assert "is no whole .gz" in refusal(server, tmp_path, sha256=None)
    assert content_of(tmp_path) == {}


def test_a_known_length_is_checked_first(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KNOWN_ARCHIVES, NAME, Expected(len(GOOD), GOOD_SHA256))
    server.promise = len(GOOD) - 1000
    text = refusal(server, tmp_path, sha256=None)
    assert f"has {len(GOOD)} bytes, 127.0.0.1" in text
    assert f"announces {len(GOOD) - 1000}; check the address" in text
    server.promise = None
    assert fetch(server, tmp_path, sha256=None).verified


def test_no_length_at_all(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.length_told = False
    fetch(server, tmp_path / "a")
    assert content_of(tmp_path / "a") == FILES
    monkeypatch.setitem(KNOWN_ARCHIVES, NAME, Expected(len(GOOD), GOOD_SHA256))
    server.body = GOOD + b"more"
    text = refusal(server, tmp_path / "b")
    assert f"has {len(GOOD) + 4} bytes, expected {len(GOOD)}; it was deleted" in text


# Answers


def test_no_such_file(server: Server, tmp_path: Path) -> None:
    server.statuses = [404]
    text = refusal(server, tmp_path)
    assert f"expected an archive at {server.url}, the server answered with HTTP status 404" in text
    assert len(server.requests) == 1


def test_a_server_in_trouble(server: Server, tmp_path: Path) -> None:
    server.statuses = [500, 503, 429, 416]
    fetch(server, tmp_path / "a")
    assert content_of(tmp_path / "a") == FILES
    server.statuses = [500] * 10
    text = refusal(server, tmp_path / "b")
    assert "failed 6 times in a row: HTTP status 500" in text and "run the same command" in text


def test_no_connection(tmp_path: Path, server: Server) -> None:
    url = "http://127.0.0.1:9/words.tar.gz"  # the port of the discard service, which nobody runs
    with pytest.raises(CorpusError, match=r"no connection to 127\.0\.0\.1:9 \(.+\); check the"):
        download_corpus(tmp_path, url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "expected an address"),
        ("speech_commands_v0.02.tar.gz", "expected an address"),
        ("file:///etc/passwd", "expected an address"),
        ("http:///a.tar.gz", "expected an address"),
        ("http://[::1/a.tar.gz", "expected an address"),
        ("http://example.org/", "ends in no file name"),
        ("http://example.org/%2e%2e", "ends in no file name"),
        ("http://example.org/..%2fa.tar.gz", "ends in no file name"),
    ],
)
def test_addresses_that_cannot_be(tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        download_corpus(tmp_path / "a", url)
    assert not (tmp_path / "a").exists()


def test_a_checksum_that_cannot_be(server: Server, tmp_path: Path) -> None:
    assert "64 hex digits, found 'abc'" in refusal(server, tmp_path, SettingsError, sha256="abc")


def test_a_wrong_checksum(server: Server, tmp_path: Path) -> None:
    text = refusal(server, tmp_path, sha256="0" * 64)
    assert f"has the SHA-256 {GOOD_SHA256}, expected {'0' * 64}; it was deleted" in text
    assert content_of(tmp_path) == {}


# The disk


def test_too_little_space(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=len(GOOD))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert "GB are free; free some space" in refusal(server, tmp_path)
    assert content_of(tmp_path) == {}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_disk_that_becomes_full(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def open_full(path: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        full = path.name == f".{NAME}.part" and mode == "ab"
        return opened(Path("/dev/full") if full else path, mode, *rest, **options)

    monkeypatch.setattr(Path, "open", open_full)
    server.break_after = [100_000]
    text = refusal(server, tmp_path, RunError)
    assert "cannot be written (No space left on device); free some space" in text
    monkeypatch.undo()
    assert (tmp_path / f".{NAME}.part").read_bytes() == GOOD[:100_000]


@pytest.mark.parametrize("what", ["mkdir", "open"])
def test_no_permission(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def refuse(path: Path, *rest: Any, **options: Any) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, what, refuse)
        text = refusal(server, tmp_path / "new", RunError)
    assert "cannot be written (Permission denied); choose a folder" in text


def test_an_archive_that_cannot_be_read(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / NAME).write_bytes(GOOD)

    def refuse(path: Path, *rest: Any, **options: Any) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        assert "cannot be read (Permission denied)" in refusal(server, tmp_path)


def test_files_where_folders_must_be(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    assert "is a file, expected a folder" in refusal(server, tmp_path / "file")
    (tmp_path / "yes").write_bytes(b"mine")
    assert "a file stands where a folder must be" in refusal(server, tmp_path, RunError)
    assert (tmp_path / "yes").read_bytes() == b"mine"


# Bad archives


def damaged_header(position: int) -> bytes:
    tar = bytearray(gzip.decompress(GOOD))
    tar[position : position + 8] = b"\xff" * 8
    return gzip.compress(bytes(tar))


def flipped(position: int) -> bytes:
    return GOOD[:position] + bytes([GOOD[position] ^ 0x55]) + GOOD[position + 1 :]


EVIL = b"evil"
BAD_ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "no whole"),
    "a page of a portal": (lambda: b"<html>please log in</html>", "Not a gzipped file"),
    "gzip of no tar": (lambda: gzip.compress(RNG.bytes(5000)), "no whole tar"),
    "no file": (lambda: tar_gz(entry("yes", type=tarfile.DIRTYPE)), "holds no file"),
    "cut": (lambda: GOOD[:-5000], "no whole .gz"),
    "cut in gzip's checksum": (lambda: GOOD[:-4], "no whole .gz"),
    "a bit of the content": (lambda: flipped(len(GOOD) // 2), "no whole"),
    "gzip's checksum": (lambda: flipped(len(GOOD) - 6), "CRC check failed"),
    "a tar cut in a file": (lambda: gzip.compress(gzip.decompress(GOOD)[:50_000]), "no whole tar"),
    "a tar cut in a header": (
        lambda: gzip.compress(gzip.decompress(GOOD)[: 1024 + 512 + 30_208 + 100]),
        "damaged at byte",
    ),
    "a header": (lambda: damaged_header(1024 + 512 + 30_208), "damaged at byte 31744"),
    "the first header": (lambda: damaged_header(0), "no whole tar"),
    "..": (lambda: tar_gz(entry("../evil", EVIL)), "outside the folder"),
    ".. within": (lambda: tar_gz(entry("yes/../../evil", EVIL)), "outside the folder"),
    ".. as a folder": (lambda: tar_gz(entry("..", type=tarfile.DIRTYPE)), "outside the folder"),
    "absolute": (lambda: tar_gz(entry("/tmp/minikws-evil", EVIL)), "outside the folder"),
    "backslash": (lambda: tar_gz(entry("..\\evil", EVIL)), "outside the folder"),
    "drive": (lambda: tar_gz(entry("C:evil", EVIL)), "outside the folder"),
    "a link out": (
        lambda: tar_gz(
            entry("yes", type=tarfile.SYMTYPE, linkname="../.."), entry("yes/evil", EVIL)
        ),
        "'yes' is a link",
    ),
    "a hard link out": (
        lambda: tar_gz(entry("yes/evil", type=tarfile.LNKTYPE, linkname="/etc/passwd")),
        "is a link",
    ),
    "a device": (
        lambda: tar_gz(entry("yes/evil", type=tarfile.CHRTYPE, devmajor=1, devminor=5)),
        "a device",
    ),
    "a pipe": (lambda: tar_gz(entry("yes/evil", type=tarfile.FIFOTYPE)), "or the like"),
    "a huge size": (
        lambda: gzip.compress(entry("yes/evil", size=10**12)[0].tobuf(tarfile.GNU_FORMAT)),
        "claims 1000000000000 bytes",
    ),
    "a negative size": (
        lambda: gzip.compress(entry("yes/evil", size=-512)[0].tobuf(tarfile.GNU_FORMAT)),
        "cannot be unpacked",
    ),
    "a sparse file": (
        lambda: gzip.compress(
            entry("yes/evil", type=tarfile.GNUTYPE_SPARSE)[0].tobuf(tarfile.GNU_FORMAT)
        ),
        "is a link, a device or the like",
    ),
    "a bomb": (lambda: gzip.compress(bytes(3_000_000)), "unpacks to over 10"),
    "a file and a folder": (
        lambda: tar_gz(entry("yes", EVIL), entry("yes/evil", EVIL)),
        "is a file and a folder",
    ),
    "a folder and a file": (
        lambda: tar_gz(entry("yes/evil", EVIL), entry("yes", EVIL)),
        "is a file and a folder",
    ),
    "no name": (lambda: tar_gz(entry(".", EVIL)), "has no name"),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_bad_archives(
    server: Server, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, words = BAD_ARCHIVES[case]
    monkeypatch.setattr(unpack, "LARGEST_EXTRA_BYTES", 1_000_000)
    server.body = make()
    folder = tmp_path / "deep" / "words"
    text = refusal(server, folder, sha256=None)
    assert words in text and text.startswith(f"{NAME} cannot be unpacked: ")
    assert text.endswith("; it was deleted; try again or check the address")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "words"]
    assert not Path("/tmp/minikws-evil").exists()


def test_a_name_twice_is_one_file(server: Server, tmp_path: Path) -> None:
    server.body = tar_gz(entry("yes/a.wav", b"old, longer"), entry("./yes/a.wav", b"new"))
    assert fetch(server, tmp_path, sha256=None).n_files == 1
    assert content_of(tmp_path) == {"yes/a.wav": b"new"}


# The command


def test_the_command(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "words"
    argv = ["data", "download", "--data_url", server.url, "--out", str(out)]
    assert main([*argv, "--sha256", GOOD_SHA256.upper(), "--json"]) == 0
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert record.pop("seconds") > 0
    assert record == {
        "url": server.url,
        "out": str(out),
        "bytes": len(GOOD),
        "sha256": GOOD_SHA256,
        "files": len(FILES),
        "verified": True,
        "already_complete": False,
        "kept": [],
    }
    assert "fetched 100 % of 0.4 MB" in printed.err and "unpacked 100 %" in printed.err
    assert main(argv) == 0
    printed = capsys.readouterr()
    assert "nothing to do" in printed.err and "warning" not in printed.err
    assert f"minikws train --data-dir {out}" in printed.out


def test_the_command_warns(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README.md").write_bytes(b"mine")
    argv = ["data", "download", "--url", server.url, "--out", str(tmp_path), "--quiet"]
    assert main([*argv, "--keep-archive"]) == 0
    printed = capsys.readouterr().err
    assert f"no checksum of {server.url} is known" in printed
    assert f"give --sha256 {GOOD_SHA256}" in printed
    assert "1 files were there with other content and stay as they were: README.md" in printed
    assert "fetched" not in printed
    assert (tmp_path / NAME).read_bytes() == GOOD


def test_the_command_fails(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.statuses = [404]
    argv = ["data", "download", "--url", server.url, "--out", str(tmp_path)]
    assert main([*argv, "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert record["kind"] == "CorpusError" and "HTTP status 404" in record["error"]


def test_the_command_interrupted(
    server: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(response: Any) -> Iterator[bytes]:
        yield response.read(1000)
        raise KeyboardInterrupt

    monkeypatch.setattr("minikws.data.fetch._blocks", stop)
    argv = ["data", "download", "--url", server.url, "--out", str(tmp_path)]
    assert main(argv) == 130
    assert "the same command goes on from there" in capsys.readouterr().err
    assert (tmp_path / f".{NAME}.part").read_bytes() == GOOD[:1000]


def test_a_length_that_is_not_told_is_shown_in_megabytes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from minikws.cli.data import _byte_progress
    from minikws.cli.output import Output

    with _byte_progress("fetched", Output()) as progress:
        assert progress is not None
        for done in (0, 50_000_000, 150_000_000, 160_000_000, 310_000_000):
            progress(done, 0)
    assert capsys.readouterr().err.splitlines() == ["fetched 100 MB", "fetched 300 MB"]


def test_the_bar_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tqdm", reason="pip install 'minikws[train]'")
    from minikws.cli.data import _byte_progress
    from minikws.cli.output import Output

    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with _byte_progress("fetched", Output()) as progress:
        assert progress is not None
        progress(0, 2000)
        progress(2000, 2000)
    assert "fetched: 100%" in capsys.readouterr().err
