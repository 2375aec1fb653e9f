"""Write to a disk that may refuse: what is wrong becomes one sentence, with what to do about it."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minikws.errors import CorpusError, RunError

BLOCK_BYTES = 64 * 1024  # read and written at a time
UNPACKED_RATIO = 1.6  # room for the files, against the archive; 105,829 of 32 KiB in v0.02 are 1.43

_ELSEWHERE = "choose a folder that you may write to"
_IN_THE_WAY = "a file stands where a folder must be, move it away"
_ADVICE = {
    errno.ENOSPC: "free some space, then run the same command: it goes on where it stopped",
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
    errno.EROFS: _ELSEWHERE,
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError into a RunError that names `path` and what to do."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "check the disk")
        raise RunError(f"{path} cannot be written ({error.strerror or error}); {advice}") from error


def need_space(folder: Path, *, archive_bytes: int, missing_bytes: int = 0) -> None:
    """Make sure that an archive's files fit, and what of the archive is still to be fetched.

    Raises
    ------
    CorpusError : too little is free.
    """
    need = missing_bytes + int(UNPACKED_RATIO * archive_bytes)
    free = shutil.disk_usage(folder).free
    if free < need:
        raise CorpusError(
            f"{folder} needs {need / 1e9:.1f} GB for the archive and its files, "
            f"{free / 1e9:.1f} GB are free; free some space or choose another disk"
        )
