"""kissfft's three number types: against the definition, the fast 16-bit form, and themselves."""

from __future__ import annotations

import numpy as np
import pytest

from minikws.dsp.fft import real_fft
from minikws.dsp.kiss_fft import inverse_transform, real_transform


@pytest.mark.parametrize("length", [4, 8, 16, 128, 512])
def test_sixteen_bits_equal_the_frontends_transform(length: int) -> None:
    rng = np.random.default_rng(length)
    samples = rng.integers(-32768, 32768, (5, length), np.int16)
    samples[0] = -32768
    expected = real_fft(samples).view(np.float64)
    np.testing.assert_array_equal(real_transform(samples), expected)


@pytest.mark.parametrize(
    ("dtype", "size", "tolerance"), [("float32", 1, 1e-4), ("int32", 2**30, 1e-7)]
)
@pytest.mark.parametrize("length", [4, 32, 256])
def test_it_is_the_discrete_fourier_transform(
    dtype: str, size: float, tolerance: float, length: int
) -> None:
    rng = np.random.default_rng(length)
    samples = (rng.uniform(-1, 1, (3, length)) * size).astype(dtype)
    expected = np.fft.rfft(samples.astype(np.float64)).view(np.float64)
    found = real_transform(samples).astype(np.float64) * (1 if dtype == "float32" else length)
    # float32 keeps 24 bits of sums of `length` values; int32 loses what dividing rounds away.
    np.testing.assert_allclose(found, expected, atol=tolerance * size * length)


@pytest.mark.parametrize("length", [4, 64, 512])
def test_back_and_forth(length: int) -> None:
    samples = np.random.default_rng(1).normal(size=(2, length)).astype(np.float32)
    again = inverse_transform(real_transform(samples)) / length
    np.testing.assert_allclose(again, samples, atol=1e-5)  # about 9 steps of 24 bits


def test_three_values_by_hand() -> None:
    """400, 0, -400, 0 is a cosine of one turn: all of it in bin 1, 800 / 4 of it."""
    samples = np.array([[400, 0, -400, 0]], np.int32)
    assert real_transform(samples).tolist() == [[0, 0, 200, 0, 0, 0]]
