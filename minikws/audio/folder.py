"""The WAV files that a path means: one, or a folder's."""

from __future__ import annotations

from pathlib import Path

from minikws.errors import AudioError


def folder_wavs(folder: Path) -> list[Path]:
    """Return a folder's WAV files in the order of their names, hidden ones left out.

    macOS and rsync leave "._name.wav" and ".name.wav.x7Ks2" beside the recordings.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == ".wav" and not path.name.startswith(".")
    )


def wav_files(path: str | Path) -> list[Path]:
    """Return a file itself, or a folder's WAV files.

    Raises
    ------
    AudioError : the folder holds none.
    """
    path = Path(path)
    if not path.is_dir():
        return [path]
    found = folder_wavs(path)
    if not found:
        raise AudioError(f"{path} holds no .wav file; name WAV files or a folder of them")
    return found
