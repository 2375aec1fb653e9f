"""Files zipped behind the model, as TFLite's metadata convention has them.

A .tflite file may be followed by a zip archive: readers of the model start at the front,
unzippers at the end. In come the bytes of the whole file, out come the files in it, and back.
Files are stored without compression and with a fixed date, so that equal files give equal
bytes.

Source: APPNOTE.TXT (zip); tflite-support, metadata.py.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from minikws.errors import ModelFileError

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_DATE = 1 << 5 | 1  # 1 January 1980, the first day a zip knows
_UTF8 = 0x800
_MAX_COMMENT = 0xFFFF
_MAX_FILE_BYTES = 1 << 20


def append_files(model: bytes, files: Mapping[str, bytes]) -> bytes:
    """Return the model followed by an archive of `files`; the model alone if there are none."""
    if not files:
        return model
    out = bytearray(model)
    directory = bytearray()
    for name, content in files.items():
        encoded = name.encode("utf-8")
        sizes = (zlib.crc32(content), len(content), len(content), len(encoded), 0)
        start = len(out)
        out += _LOCAL.pack(b"PK\3\4", 20, _UTF8, 0, 0, _DATE, *sizes) + encoded + content
        directory += _CENTRAL.pack(b"PK\1\2", 20, 20, _UTF8, 0, 0, _DATE, *sizes, 0, 0, 0, 0, start)
        directory += encoded
    end = _END.pack(b"PK\5\6", 0, 0, len(files), len(files), len(directory), len(out), 0)
    return bytes(out + directory + end)


def read_files(data: bytes, name: str) -> tuple[dict[str, bytes], int]:
    """Return the files behind a model, and where the archive starts.

    Returns
    -------
    files : name -> content; empty where nothing is appended.
    start : length of the model before the archive.

    Raises
    ------
    ModelFileError : an archive that is damaged; files of over a mebibyte.
    """
    end = data.rfind(b"PK\5\6", max(0, len(data) - _END.size - _MAX_COMMENT))
    if end < 0 or len(data) - end < _END.size:
        return {}, len(data)
    *_, count, directory_bytes, directory_start, comment = _END.unpack_from(data, end)
    if end + _END.size + comment != len(data):
        return {}, len(data)

    def damaged(sentence: str) -> ModelFileError:
        return ModelFileError(
            f"the files appended to {name} are damaged: {sentence}; export or download it again"
        )

    # Offsets count from the archive's start in some writers, from the file's in others.
    shift = end - directory_bytes - directory_start
    if shift < 0:
        raise damaged("the list of files lies outside")
    files: dict[str, bytes] = {}
    first, at, total = end, end - directory_bytes, 0
    for _ in range(count):
        if at + _CENTRAL.size > end or data[at : at + 4] != b"PK\1\2":
            raise damaged("the list of files is cut")
        row = _CENTRAL.unpack_from(data, at)
        method, crc, packed, size, name_bytes, extra_bytes, comment_bytes = (row[4], *row[7:13])
        start = row[-1] + shift
        encoded = data[at + _CENTRAL.size : at + _CENTRAL.size + name_bytes]
        at += _CENTRAL.size + name_bytes + extra_bytes + comment_bytes
        if start + _LOCAL.size > end or data[start : start + 4] != b"PK\3\4":
            raise damaged("a file lies outside")
        local = _LOCAL.unpack_from(data, start)
        content_start = start + _LOCAL.size + local[-2] + local[-1]
        total += size
        if content_start + packed > end or total > max(_MAX_FILE_BYTES, len(data)):
            raise damaged("a file is cut or too large")
        content = _unpack(data[content_start : content_start + packed], method, size)
        if content is None or zlib.crc32(content) != crc:
            raise damaged("a file's checksum differs")
        files[encoded.decode("utf-8", errors="replace")] = content
        first = min(first, start)
    return files, first


def _unpack(packed: bytes, method: int, size: int) -> bytes | None:
    """Return a file's content, None where it cannot be unpacked to its size."""
    if method == 0:
        content = packed
    elif method == 8:
        try:
            content = zlib.decompressobj(-15).decompress(packed, size + 1)
        except zlib.error:
            return None
    else:
        return None
    return content if len(content) == size else None
