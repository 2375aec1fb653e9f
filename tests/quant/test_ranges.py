"""What 8 bits hold of values whose spread is known: ends and errors are arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pytest

from minikws.quant.calibrate import N_BINS, Histogram
from minikws.quant.noise import Noise
from minikws.quant.ranges import METHODS, least_error, percentile, squared_error, whole_range


def spread(low: float, high: float, counts: dict[int, int]) -> Histogram:
    found = np.zeros(N_BINS, np.int64)
    for index, count in counts.items():
        found[index] = count
    return Histogram((low, high), found)


def test_the_whole_range_is_the_range():
    assert whole_range(spread(-1.0, 3.0, {0: 1, N_BINS - 1: 1})) == (-1.0, 3.0)


def test_a_percentile_leaves_as_many_out_on_either_side():
    evenly = Histogram((-2.0, 6.0), np.full(N_BINS, 10, np.int64))
    low, high = percentile(evenly, 99)
    assert (low, high) == pytest.approx((-2 + 0.005 * 8, 6 - 0.005 * 8), abs=8 / N_BINS)
    # a ReLU's values: nothing below 0, and the end there stays
    top = float(N_BINS)
    low, high = percentile(spread(0.0, top, {0: 9_900, 50: 95, N_BINS - 1: 5}), 99.9)
    assert (low, high) == (0.0, 51.0)
    # all values alike: they are kept
    low, high = percentile(spread(0.0, top, {N_BINS - 1: 100}), 99)
    assert high == top
    assert percentile(spread(0.0, 0.0, {7: 100}), 99) == (0.0, 0.0)


def test_errors_of_rounding_and_of_clipping():
    width = 256 / N_BINS  # an eighth of a step of 1
    one = spread(0.0, 256.0, {4: 4})  # its middle, 4.5 / 8, is rounded up to 1
    assert squared_error(one, (0.0, 255.0)) == pytest.approx(4 * (1 - 4.5 * width) ** 2)
    loud = spread(0.0, 256.0, {8 * 200: 3})  # 149 above the end, and half a bin
    assert squared_error(loud, (0.0, 51.0)) == pytest.approx(3 * (149 + width / 2) ** 2, rel=1e-6)


def test_least_error_gives_up_one_loud_value_for_many_small_ones():
    many = {i: 1000 for i in range(64)}
    low, high = least_error(spread(0.0, 100.0, {**many, N_BINS - 1: 1}))
    assert low == 0.0 and 20.0 <= high < 100.0
    # nothing to gain: of two that are as good, the wider
    assert least_error(spread(-4.0, 4.0, {0: 1000, N_BINS - 1: 1000}))[0] == pytest.approx(-4)
    for method in METHODS.values():
        low, high = method(spread(0.0, 0.0, {0: 5}))
        assert (low, high) == (0.0, 0.0)


def test_noise_in_decibels():
    noise = Noise()
    assert noise.db is None
    noise.add(np.array([3.0, 4.0]), np.array([3.0, 4.5]))
    assert noise.db == pytest.approx(20.0)  # 25 against 0.25
    noise.add(np.array([5.0]), np.array([5.0]))
    assert noise.db == pytest.approx(10 * np.log10(200))
    exact = Noise()
    exact.add(np.ones(3), np.ones(3))
    assert exact.db is None
