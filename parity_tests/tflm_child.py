"""TFLite Micro in a process of its own: it dies on malformed models, and that is an answer.

Run as a script it reads pickled requests from stdin and writes pickled replies to stdout; as a
module it offers `TFLiteMicro`, which starts that script and asks it.
"""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import tempfile
from typing import Any


class Refused(Exception):
    """TFLite Micro would not take the model, or died of it."""


class TFLiteMicro:
    """Asks a child process, and starts another where it died."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def _ask(self, request: dict[str, Any]) -> Any:
        if self._child is None or self._child.poll() is not None:
            self._child = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        assert self._child.stdin is not None and self._child.stdout is not None
        try:
            pickle.dump(request, self._child.stdin)
            self._child.stdin.flush()
            reply = pickle.load(self._child.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            self.close()
            raise Refused("TFLite Micro died") from error
        if isinstance(reply, str):
            raise Refused(reply)
        return reply

    def run(self, model: bytes, inputs: list[Any], *, tensors: int = 0) -> list[Any]:
        """Return, for each input in turn, [output, tensor 0, tensor 1 … if asked for].

        A tuple of arrays goes into the inputs of a model that has several.
        """
        return self._ask({"model": model, "inputs": inputs, "tensors": tensors})

    def head_bytes(self, model: bytes) -> int:
        """Return the arena's head, as the allocation log has it."""
        log = self._ask({"model": model, "inputs": [], "log": True})
        return int(re.search(r"head (\d+) bytes", log[0]).group(1))

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    pipe.close()
            self._child = None


def _answer(request: dict[str, Any]) -> Any:
    from tflite_micro.python.tflite_micro import runtime

    config = runtime.InterpreterConfig.kAllocationRecording
    if request.get("tensors"):
        config = runtime.InterpreterConfig.kPreserveAllTensors
    size = max(200_000, 10 * len(request["model"]))
    interpreter = runtime.Interpreter.from_bytes(
        request["model"], arena_size=size, intrepreter_config=config
    )
    replies: list[Any] = []
    for x in request["inputs"]:
        for index, value in enumerate(x if isinstance(x, tuple) else (x,)):
            interpreter.set_input(value, index)
        interpreter.invoke()
        reply = [interpreter.get_output(0)]
        for index in range(request.get("tensors", 0)):
            try:
                reply.append(interpreter.GetTensor(index, 0)["tensor_data"])
            except (RuntimeError, ValueError, TypeError):
                reply.append(None)
        replies.append(reply)
    if request.get("log"):
        with tempfile.TemporaryFile() as log:
            stderr = os.dup(2)
            os.dup2(log.fileno(), 2)
            interpreter.print_allocations()
            os.dup2(stderr, 2)
            os.close(stderr)
            log.seek(0)
            return [log.read().decode()]
    return replies


def _serve() -> None:
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the C++ code prints must not mix with the replies
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            reply = _answer(request)
        except Exception as error:
            reply = f"{type(error).__name__}: {error}"
        pickle.dump(reply, replies)
        replies.flush()


if __name__ == "__main__":
    _serve()
