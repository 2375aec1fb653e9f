"""The last rows of a stream, always in order and in one piece, without moving them.

Each row is written twice, N places apart, into a buffer of twice the rows that are kept. So the
last N rows always lie side by side somewhere, and a window is a view, not a copy::

    kept N = 3, row 4 just written       |4 2 3|4 2 3|
                                            +---+ the window: 2 3 4
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from minikws._typing import Array


class RingBuffer:
    """The last `n_rows` rows of `n_columns` values."""

    def __init__(self, n_rows: int, n_columns: int, dtype: DTypeLike = np.float32) -> None:
        self._rows: Array = np.zeros((2 * n_rows, n_columns), dtype)
        self._n = n_rows
        self.count = 0

    def __repr__(self) -> str:
        return f"RingBuffer({self._n} rows of {self._rows.shape[1]}, {self.count} written)"

    def append(self, row: Array) -> None:
        """Write one row (n_columns,), over the oldest."""
        at = self.count % self._n
        self._rows[at] = self._rows[at + self._n] = row
        self.count += 1

    def window(self) -> Array:
        """Return the last rows, oldest first: (n_rows, n_columns), a view until the next append.

        Rows that were never written are zero.
        """
        start = self.count % self._n
        return self._rows[start : start + self._n]

    def clear(self) -> None:
        """Forget all rows."""
        self._rows[:] = 0
        self.count = 0
