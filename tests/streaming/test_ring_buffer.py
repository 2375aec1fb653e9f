"""The last rows, in order and without a copy."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minikws.streaming.ring_buffer import RingBuffer


@given(n_rows=st.integers(1, 7), n_written=st.integers(0, 30))
def test_the_window_is_the_last_rows(n_rows: int, n_written: int) -> None:
    ring = RingBuffer(n_rows, 2)
    rows = np.arange(2 * n_written, dtype=np.float32).reshape(-1, 2) + 1
    for row in rows:
        ring.append(row)
    padded = np.concatenate((np.zeros((n_rows, 2), np.float32), rows))
    np.testing.assert_array_equal(ring.window(), padded[-n_rows:])
    assert ring.count == n_written
    assert ring.window().base is not None  # a view
    assert ring.window().flags.c_contiguous
    ring.clear()
    assert not ring.window().any()
    assert ring.count == 0
    assert repr(ring) == f"RingBuffer({n_rows} rows of 2, 0 written)"
