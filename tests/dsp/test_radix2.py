"""The FFT of the lesson equals the definition and NumPy's, and what each costs in accuracy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.dsp.radix2 import dft, fft, real_fft
from minikws.errors import ShapeError

SIZES = st.sampled_from([1, 2, 4, 8, 64, 512, 1024])


@given(SIZES, st.integers(0, 2**32 - 1))
def test_equals_numpy(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, n)) + 1j * rng.normal(size=(3, n))
    np.testing.assert_allclose(fft(x), np.fft.fft(x), rtol=0, atol=1e-13 * n)


def test_equals_the_definition() -> None:
    x = np.random.default_rng(0).normal(size=64)
    np.testing.assert_allclose(fft(x), dft(x), rtol=0, atol=1e-12)


@given(SIZES.filter(lambda n: n > 1), st.integers(0, 2**32 - 1))
def test_real_numbers_need_half_the_work(n: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(2, n))
    np.testing.assert_allclose(real_fft(x), np.fft.rfft(x), rtol=0, atol=1e-13 * n)


@given(st.floats(-2, 2), st.integers(0, 2**32 - 1))
def test_sums_stay_sums(factor: float, seed: int) -> None:
    x, y = np.random.default_rng(seed).normal(size=(2, 64))
    np.testing.assert_allclose(fft(factor * x + y), factor * fft(x) + fft(y), rtol=0, atol=1e-11)


def test_what_the_widths_cost() -> None:
    # The error grows with log2(n) roundings of half a unit each: for n = 512, about 9 / 2 units of
    # the root mean square at most (Gentleman and Sande 1966), far less on average.
    x = np.random.default_rng(0).normal(size=(50, 512))
    exact = np.fft.fft(x)
    scale = np.sqrt(np.mean(np.abs(exact) ** 2))
    for dtype in (np.float32, np.float64):
        error = np.sqrt(np.mean(np.abs(fft(x.astype(dtype)) - np.fft.fft(x.astype(dtype))) ** 2))
        assert error < 4.5 * np.finfo(dtype).eps * scale
    assert fft(x.astype(np.float32)).dtype == np.complex64
    assert real_fft(x.astype(np.float32)).dtype == np.complex64


def test_the_decimation_writes_nothing_back() -> None:
    x = np.arange(8.0)
    fft(x)
    np.testing.assert_array_equal(x, np.arange(8.0))


@pytest.mark.parametrize("transform", [fft, real_fft])
def test_lengths_that_cannot_be_halved_are_refused(transform: object) -> None:
    with pytest.raises(ShapeError, match=r"power of two.*found 480; pad with zeros to 512"):
        transform(np.zeros(480))  # type: ignore[operator]
    with pytest.raises(ShapeError, match="found 1"):
        real_fft(np.zeros(1))
