"""How much of a signal rounding has left: signal-to-quantisation-noise ratio, in decibels.

10 dB: a tenth of the power is noise; 40 dB: a ten-thousandth. Eight bits that are used well give a
layer about 40, and what a network loses shows in its logits: at 30 dB hardly a label changes.
"""

from __future__ import annotations

import math

import numpy as np

from minikws._typing import Array


class Noise:
    """Sums of squares over any number of arrays.

    signal : of what was expected; noise : of what was found beside it.
    """

    def __init__(self) -> None:
        self.signal = self.noise = 0.0

    def add(self, expected: Array, found: Array) -> None:
        """Count two arrays of one shape."""
        exact = expected.astype(np.float64)
        self.signal += float((exact**2).sum())
        self.noise += float(((found - exact) ** 2).sum())

    @property
    def db(self) -> float | None:
        """10 log10(signal / noise); None without a signal, or without noise."""
        if self.signal == 0 or self.noise == 0:
            return None
        return 10 * math.log10(self.signal / self.noise)
