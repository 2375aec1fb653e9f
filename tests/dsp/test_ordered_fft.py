"""The FFT in TensorFlow's order is a Fourier transform; parity_tests hold its bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.dsp.ordered_fft import fft_plan, real_fft
from minikws.errors import ShapeError


@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_equals_the_conjugate_of_numpys(log2: int, n_frames: int, seed: int) -> None:
    frames = np.random.default_rng(seed).normal(size=(1 << log2, n_frames))
    re, im = real_fft(frames)
    expected = np.conj(np.fft.rfft(frames, axis=0))
    np.testing.assert_allclose(re + 1j * im, expected, rtol=0, atol=1e-12)


def test_frames_do_not_touch_each_other() -> None:
    frames = np.random.default_rng(0).normal(size=(512, 5))
    together = real_fft(frames)
    for t in range(5):
        np.testing.assert_array_equal(real_fft(frames[:, t : t + 1])[..., 0], together[..., t])


@pytest.mark.parametrize("log2", range(1, 12))
def test_every_bin_has_a_place(log2: int) -> None:
    order = fft_plan(1 << log2).order
    assert sorted(order.tolist()) == list(range(1 << log2 - 1))


@pytest.mark.parametrize("size", [0, 1, 480])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ShapeError, match=f"power of two from 2 on, found {size}"):
        real_fft(np.zeros((size, 1)))
