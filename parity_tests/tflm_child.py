"""TFLite Micro in a process of its own: it dies on malformed models, and that is an answer.

`minikws.runtime.references` runs it; here is the form that these tests ask it in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from minikws.runtime.references import Reference, Refused

__all__ = ["Refused", "TFLiteMicro"]


class TFLiteMicro:
    """Asks a child process, and starts another where it died."""

    def __init__(self) -> None:
        self._reference = Reference("tflm")

    def run(
        self,
        model: bytes,
        inputs: list[Any],
        *,
        outputs: int = 1,
        tensors: int | Sequence[int] = 0,
    ) -> list[Any]:
        """Return, for each input in turn, [output 0 …, tensor 0, tensor 1 … if asked for].

        With a list of indices only those tensors follow; it dies of handles of variables.
        A tuple of arrays goes into the inputs of a model that has several; None resets the
        interpreter, and its place in the answer is empty.
        """
        size = max(1_000_000, 10 * len(model))
        wanted = range(tensors) if isinstance(tensors, int) else tensors
        self._reference.load(
            model, n_outputs=outputs, arena_bytes=size, keep_tensors=len(wanted) > 0
        )
        rounds = [x if x is None or isinstance(x, tuple) else (x,) for x in inputs]
        replies = self._reference.run(rounds, tensors=wanted)
        return [
            [*found[:outputs], *(kept.get(i) for i in wanted)] if found else []
            for found, kept in replies
        ]

    def arena_bytes(self, model: bytes) -> dict[str, int]:
        """Return the arena's head and tail, as the allocation log has them."""
        self._reference.load(model, arena_bytes=max(1_000_000, 10 * len(model)))
        found = re.findall(r"(head|tail) (\d+) bytes", self._reference.allocations())
        assert [part for part, _ in found] == ["head", "tail"]
        return {part: int(size) for part, size in found}

    def head_bytes(self, model: bytes) -> int:
        """Return the arena's head."""
        return self.arena_bytes(model)["head"]

    def close(self) -> None:
        self._reference.close()
