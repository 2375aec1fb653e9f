"""Write files so that nothing is lost: beside, then renamed over the old one. Read text lines."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from minikws.errors import RunError, SettingsError


def write_file(path: str | Path, content: bytes | str | Callable[[BinaryIO], None]) -> Path:
    """Write a whole file or nothing: to a temporary name beside it, flushed, then renamed.

    Parameters
    ----------
    path : the file; missing parent folders are made.
    content : the bytes, the text (UTF-8), or a function that writes to the open file.

    Raises
    ------
    RunError : no permission, disk full, a folder in the way; the old file is untouched.
    """
    path = Path(path)
    if isinstance(content, str):
        content = content.encode("utf-8")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                if callable(content):
                    content(file)
                else:
                    file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise RunError(
            f"{path} cannot be written ({error.strerror or error}); "
            "check the free space and the permissions of its folder"
        ) from error
    return path


def read_lines(path: str | Path, *, what: str, form: str) -> list[str]:
    """Return the lines of a text file that somebody wrote; a mark of byte order is left out.

    Parameters
    ----------
    what, form : for the message, as "the labels" and "one label a line".

    Raises
    ------
    SettingsError : not there, or no UTF-8 text.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise SettingsError(
            f"{what} {path} cannot be read ({reason}); give a text file, {form}"
        ) from error


def _umask() -> int:
    """Return the process's umask (it can only be read by setting it)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
