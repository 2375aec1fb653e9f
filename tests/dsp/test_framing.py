from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.dsp.framing import frame
from minikws.errors import ShapeError


@given(n=st.integers(1, 60), window=st.integers(1, 20), hop=st.integers(1, 30), batch=st.booleans())
def test_frames_are_the_samples_at_their_places(n: int, window: int, hop: int, batch: bool) -> None:
    if n < window:
        return
    samples = np.arange(2 * n).reshape(2, n) if batch else np.arange(n)
    frames = frame(samples, window_samples=window, hop_samples=hop)
    assert frames.shape[-2:] == (1 + (n - window) // hop, window)
    for t in range(frames.shape[-2]):
        np.testing.assert_array_equal(frames[..., t, :], samples[..., t * hop : t * hop + window])


@pytest.mark.parametrize("n", [12, 40])
def test_frames_are_a_view_that_cannot_be_written(n: int) -> None:
    samples = np.zeros(n, np.int16)
    frames = frame(samples, window_samples=10, hop_samples=5)
    assert np.shares_memory(frames, samples)
    assert not frames.flags.writeable
    assert samples.flags.writeable


def test_a_clip_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(ShapeError, match="one window of 10 samples, found 9; give a longer clip"):
        frame(np.zeros(9), window_samples=10, hop_samples=5)
