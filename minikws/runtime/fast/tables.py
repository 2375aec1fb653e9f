"""The machine's arrays while they grow, one operator after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikws._typing import Array, Int64
from minikws.graph import Tensor
from minikws.runtime.fast.rows import COLUMNS, MOVED, SLACK, Machine


class Tables:
    """Places for tensors, lists, weights and memories, and the rows that use them.

    places : tensor -> where it stands in the arena.
    variables, states : the same for resource variables by their number, and for the memories of
        SVDF by their tensor.
    """

    def __init__(self, tensors: tuple[Tensor, ...]) -> None:
        self.tensors = tensors
        self.places: dict[int, int] = {}
        self.variables: dict[int, int] = {}
        self.states: dict[int, int] = {}
        self.rows: list[tuple[int, ...]] = []
        self._padded: dict[tuple[int, Any], int] = {}
        self._parts: dict[str, list[Array]] = {name: [] for name in Machine._fields}
        self._sizes = dict.fromkeys(Machine._fields, 0)

    def are_int8(self, *indices: int) -> bool:
        """Whether tensors are int8 and hold values."""
        tensors = [self.tensors[i] for i in indices]
        return all(tensor.dtype == "int8" and 0 not in tensor.shape for tensor in tensors)

    def size(self, index: int) -> int:
        """Return the number of a tensor's values."""
        return int(np.prod(self.tensors[index].shape, dtype=np.int64))

    def place(self, index: int) -> int:
        """Return a tensor's place in the arena; at first, give it one and a constant's values."""
        if index not in self.places:
            tensor = self.tensors[index]
            values = np.zeros(tensor.shape, np.int8) if tensor.data is None else tensor.data
            self.places[index] = self.bytes(values.ravel().view(np.uint8) ^ MOVED)
        return self.places[index]

    def bytes(self, values: Array) -> int:
        """Put bytes into the arena, slack behind them; return their place."""
        behind = SLACK + -values.size % SLACK
        return self._add("arena", np.concatenate([values.ravel(), np.zeros(behind, np.uint8)]))

    def padded(self, size: int, fill: int, shape: Any) -> int:
        """Return the place of a filled buffer; padded copies of one shape take turns in it."""
        if (fill, shape) not in self._padded:
            self._padded[fill, shape] = self.bytes(np.full(size, fill, np.uint8))
        return self._padded[fill, shape]

    def words(self, values: Any) -> int:
        """Put whole numbers into `words`; return their place."""
        return self._add("words", np.asarray(values, np.int64).ravel().astype(np.int32))

    def weights(self, values: Array) -> int:
        """Put weights into `weights`; return their place."""
        return self._add("weights", values.ravel().astype(np.int8))

    def memory(self, values: Array) -> int:
        """Put what an operator remembers into `memory`; return its place."""
        return self._add("memory", values.ravel().astype(np.int16))

    def row(self, kind: int, x: int, y: int, *columns: int) -> None:
        """Add an operation."""
        found = (kind, x, y, *columns)
        self.rows.append(found + (0,) * (COLUMNS - len(found)))

    def machine(self) -> Machine:
        """Return the arrays, whole."""
        kinds = {"arena": np.uint8, "words": np.int32, "weights": np.int8, "memory": np.int16}
        arrays = {
            name: np.concatenate([*parts, np.zeros(SLACK, kinds[name])], dtype=kinds[name])
            for name, parts in self._parts.items()
        }
        return Machine(**arrays)

    def table(self) -> Int64:
        """Return the rows."""
        return np.array(self.rows, np.int64).reshape(-1, COLUMNS)

    def _add(self, name: str, values: Array) -> int:
        place = self._sizes[name]
        self._parts[name].append(values)
        self._sizes[name] += values.size
        return place
