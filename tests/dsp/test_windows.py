from __future__ import annotations

import zlib

import numpy as np
import pytest

from minikws.dsp.windows import micro_window


def test_the_published_window() -> None:
    window = micro_window(480)
    assert window.dtype == np.int16
    assert zlib.crc32(window.astype("<i2").tobytes()) == 0x82BFB5E7  # as the library's builds have
    assert int(window.sum(dtype=np.int64)) == 983040
    assert window[17] == 53


def test_float_steps_move_one_coefficient_of_the_published_window() -> None:
    # Exactly it is 53.49994644; pymicro-features' chain of float32 steps makes it 54.
    double, single = micro_window(480), micro_window(480, single_precision=True)
    assert np.flatnonzero(double != single).tolist() == [17]
    assert single[17] == 54


@pytest.mark.parametrize("n", [2, 3, 16, 240, 401, 1024])
@pytest.mark.parametrize("single", [False, True])
def test_it_is_a_hann_window_on_half_samples(n: int, single: bool) -> None:
    exact = 4096 * (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + 0.5) / n))
    window = micro_window(n, single_precision=single)
    assert np.abs(window - exact).max() < 0.501
    np.testing.assert_allclose(window, window[::-1], atol=1)
