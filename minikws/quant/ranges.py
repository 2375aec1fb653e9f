"""Which part of a layer's values shall 8 bits hold? Three answers.

The whole range (`minmax`) clips nothing, and lets a single loud value make every step coarse. A
`percentile` leaves the outermost values out, whatever they are worth. `mse` moves both ends to
where the mean squared error of all values, rounded or clipped, is least. In comes how the values
are spread, out comes a range, and from it scale and zero point. Which answer is best for a tensor,
`quant.choose` tries out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from minikws.fixedpoint import round_half_away
from minikws.quant.builder import INT8_MAX, INT8_MIN, Quantization
from minikws.quant.calibrate import Histogram, Range

SHRINKAGES = np.linspace(1.0, 0.2, 21, dtype=np.float64)  # of one end, in steps of 4 %
LEAST_SCALE = 2.0**-24  # TFLite Micro's softmax dies of less, and no layer needs less


def quantization_of(range_: Range) -> Quantization:
    """Return scale and zero point of an int8 activation that must hold this range and 0.

    >>> quantization_of((-1.0, 1.55))
    (0.009999999776482582, -28)
    """
    low, high = min(range_[0], 0.0), max(range_[1], 0.0)
    if low == high:
        high = 1.0
    scale = float(np.float32(max((high - low) / 255, LEAST_SCALE)))  # as a file keeps it
    zero_point = int(np.clip(round_half_away(-128 - low / scale), INT8_MIN, INT8_MAX))
    return scale, zero_point


def whole_range(histogram: Histogram) -> Range:
    """Return smallest and largest value."""
    return histogram.range


def percentile(histogram: Histogram, percent: float) -> Range:
    """Return the range that holds this share of the values, as many left out on either side.

    0 is not moved away from: an end that lies there stays.
    """
    below = np.cumsum(histogram.counts) / max(1, histogram.counts.sum())
    rest = (1 - percent / 100) / 2
    low, high = histogram.range
    step = (high - low) / len(histogram.counts)
    first = int(np.searchsorted(below, rest, side="right"))
    last = int(np.searchsorted(below, 1 - rest, side="left"))
    return min(0.0, low + first * step), max(0.0, low + (last + 1) * step)


def least_error(histogram: Histogram) -> Range:
    """Return the range, its ends at `SHRINKAGES` of the whole one, that `squared_error` likes best.

    Of ranges with one error the widest.
    """
    low, high = histogram.range
    lows = low * SHRINKAGES if low < 0 else [0.0]
    highs = high * SHRINKAGES if high > 0 else [0.0]
    tries = [(float(a), float(b)) for a in lows for b in highs]
    return min(tries, key=lambda range_: squared_error(histogram, range_))


def squared_error(histogram: Histogram, range_: Range) -> float:
    """Return the sum of (value - its 8-bit form)^2, each value taken for its bin's middle."""
    scale, zero_point = quantization_of(range_)
    values = histogram.centers
    steps = np.clip(np.rint(values / scale), INT8_MIN - zero_point, INT8_MAX - zero_point)
    return float(histogram.counts @ (values - scale * steps) ** 2)


# In the order in which they are tried: a later one must win clearly.
METHODS: dict[str, Callable[[Histogram], Range]] = {
    "minmax": whole_range,
    "percentile 99.99": partial(percentile, percent=99.99),
    "percentile 99.9": partial(percentile, percent=99.9),
    "percentile 99.5": partial(percentile, percent=99.5),
    "percentile 99": partial(percentile, percent=99.0),
    "mse": least_error,
}
