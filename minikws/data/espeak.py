"""eSpeak NG behind a pipe: a word and a voice go in, samples come out.

The library comes with the PyPI package espeakng-loader and is called through ctypes. It keeps
hidden state from word to word, so `Voice` runs it in a child process: each child starts from
the same state, the same requests give the same samples, and a crash would be an error here.
Run as a script, this file is that child; it needs the standard library alone.
"""

from __future__ import annotations

import array
import ctypes
import json
import struct
import subprocess
import sys
from contextlib import suppress
from types import TracebackType
from typing import Any, BinaryIO

SYNCHRONOUS = 2  # speak_lib.h, AUDIO_OUTPUT_SYNCHRONOUS
DONT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT
UTF8 = 1  # espeakCHARS_UTF8
PARAMETERS = {"words_per_minute": 1, "pitch": 3, "pitch_range": 4}  # espeak_PARAMETER


class Voice:
    """eSpeak NG in a child process; a context manager.

    ``say(text, voice="gmw/en-US+f3", pitch=50, ...)`` gives (N,) int16 at `sample_rate_hz`.

    Raises
    ------
    MissingExtraError : espeakng-loader is not installed.
    RunError : the library does not start, or dies on a word.
    """

    def __init__(self) -> None:
        from minikws.errors import import_extra

        loader = import_extra("espeakng_loader", extra="synth", purpose="speaking words")
        self._child = subprocess.Popen(
            [sys.executable, "-I", __file__, loader.get_library_path(), loader.get_data_path()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            (self.sample_rate_hz,) = struct.unpack("<i", self._receive(4, "starting"))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Voice:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child process."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.kill()
        with suppress(OSError):  # what a dead child was still to read
            self._child.stdin.close()
        self._child.stdout.close()
        self._child.wait()

    def say(self, text: str, *, voice: str, **parameters: int) -> Any:
        """Return `text` spoken, (N,) int16; N is 0 where eSpeak NG has no sound for it.

        voice : a file of its data, with a variant: "gmw/en-US+f3".
        parameters : words_per_minute (80 to 450), pitch and pitch_range (0 to 99).
        """
        import numpy as np

        from minikws.errors import SettingsError

        request = json.dumps({"text": text, "voice": voice, "parameters": parameters})
        assert self._child.stdin is not None
        with suppress(OSError):  # the child died: reading its answer says so
            self._child.stdin.write(request.encode() + b"\n")
            self._child.stdin.flush()
        (n_bytes,) = struct.unpack("<i", self._receive(4, f"speaking {text!r}"))
        if n_bytes < 0:
            raise SettingsError(f"eSpeak NG has no voice {voice!r}; choose one of its data folder")
        return np.frombuffer(self._receive(n_bytes, f"speaking {text!r}"), np.int16)

    def _receive(self, n_bytes: int, doing: str) -> bytes:
        from minikws.errors import RunError

        assert self._child.stdout is not None
        received = self._child.stdout.read(n_bytes)
        if len(received) < n_bytes:
            raise RunError(
                f"eSpeak NG stopped while {doing} (exit code {self._child.wait()}); "
                "install it again with: pip install --force-reinstall espeakng-loader"
            )
        return received


def main(library_path: str, data_path: str, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer each line of `requests` with a length in bytes and the samples; -1: no such voice."""
    library = ctypes.CDLL(library_path)
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, data_path.encode(), DONT_EXIT)
    if rate <= 0:
        sys.exit(1)
    spoken = array.array("h")

    def gather(samples: Any, n_samples: int, events: Any) -> int:
        if samples and n_samples > 0:
            spoken.frombytes(ctypes.string_at(samples, 2 * n_samples))
        return 0

    kind = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
    )
    callback = kind(gather)  # kept in a name: the library calls it until the end
    library.espeak_SetSynthCallback(callback)
    answers.write(struct.pack("<i", rate))
    answers.flush()
    for line in requests:
        request = json.loads(line)
        del spoken[:]
        if library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
            answers.write(struct.pack("<i", -1))
        else:
            for name, value in request["parameters"].items():
                library.espeak_SetParameter(PARAMETERS[name], value, 0)
            text = request["text"].encode()
            size = ctypes.c_size_t(len(text) + 1)
            library.espeak_Synth(text, size, 0, 0, 0, UTF8, None, None)
            answers.write(struct.pack("<i", 2 * len(spoken)) + spoken.tobytes())
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.stdin.buffer, sys.stdout.buffer)
