"""Sound of one rate at another, as it comes, in NumPy alone.

Output k is the sound at the moment k * from_hz / to_hz, counted in input samples: a sum of the
input around it, weighted by a sinc under a Kaiser window. The moments lie at `up` different places
between two input samples, where from_hz / to_hz = down / up; so there are `up` sets of weights
(the phases of a polyphase filter), computed once::

    44,100 -> 16,000 Hz: up 160, down 441     48,000 -> 16,000 Hz: up 1, down 3

Below 90 % of the lower Nyquist frequency the sound stays as it is, above it nothing is left
(-80 dB). Weights are whole multiples of 2**-24 and samples whole numbers, so every sum is exact in
float64, and the output is the same for any cut into pieces.

Source: A. V. Oppenheim, R. W. Schafer, Discrete-Time Signal Processing, 3rd ed., 4.6 (rates) and
7.5.3 (Kaiser's formulas for length and beta).
"""

from __future__ import annotations

from math import ceil, gcd

import numpy as np

from minikws._typing import Float64, Samples
from minikws.audio import FULL_SCALE, from_float
from minikws.errors import SettingsError

STOP_DB = 80.0
PASS = 0.9  # of the lower Nyquist frequency
WEIGHT_STEP = 2.0**-24
PIECE_SAMPLES = 2048  # are computed at once: bounds the memory of a long push
MAX_WEIGHTS = 1 << 21  # 16 MB: rates without a common factor have as many phases as hertz


class Resampler:
    """A stream of samples at another rate.

    Parameters
    ----------
    from_hz, to_hz : rates, whole numbers.

    Raises
    ------
    SettingsError : rates whose ratio would need too large a filter.

    >>> resampler = Resampler(48_000, 16_000)
    >>> len(resampler.push(np.zeros(480, np.int16))) + len(resampler.finish())
    160
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        if from_hz < 1 or to_hz < 1:
            raise SettingsError(f"{from_hz} Hz to {to_hz} Hz: a rate is 1 or more; give it in Hz")
        common = gcd(from_hz, to_hz)
        self.up, self.down = to_hz // common, from_hz // common
        self._weights = filter_phases(self.up, self.down)
        self._before = self._weights.shape[1] // 2 - 1  # inputs that lie before a moment
        self.reset()

    def __repr__(self) -> str:
        return f"Resampler({self.down}:{self.up}, {self._weights.shape[1]} weights a sample)"

    def reset(self) -> None:
        """Forget all sound: the next sample is the first."""
        self._kept = np.zeros(self._before, np.float64)  # silence before the beginning
        self._first = -self._before  # number of the first input that is kept
        self._n_in = self._n_out = 0

    def push(self, samples: Samples) -> Samples:
        """Take (n,) int16 samples, n >= 0; return those that can be computed, (m,) int16."""
        self._n_in += len(samples)
        pieces = [
            self._more(samples[start : start + PIECE_SAMPLES])
            for start in range(0, len(samples), PIECE_SAMPLES)
        ]
        return from_float(np.concatenate([np.zeros(0, np.float64), *pieces]) / FULL_SCALE)

    def finish(self) -> Samples:
        """Return the rest, as if silence followed; n samples have then become n * up / down."""
        n_rest = (2 * self._n_in * self.up + self.down) // (2 * self.down) - self._n_out
        rest = self._more(np.zeros(self._weights.shape[1], np.int16))[:n_rest]
        self.reset()
        return from_float(rest / FULL_SCALE)

    def _more(self, samples: Samples) -> Float64:
        """Take more input, return the outputs (m,) that it completes, in steps of 16 bits."""
        n_weights = self._weights.shape[1]
        self._kept = np.concatenate((self._kept, samples))
        n_ready = self._first + len(self._kept) - n_weights + self._before  # last usable moment
        n_end = max(self._n_out, ((n_ready + 1) * self.up - 1) // self.down + 1)
        moments = np.arange(self._n_out, n_end, dtype=np.int64) * self.down
        self._n_out = n_end
        if not len(moments):
            return np.zeros(0, np.float64)
        starts = moments // self.up - self._before - self._first
        windows = np.lib.stride_tricks.sliding_window_view(self._kept, n_weights)[starts]
        found: Float64 = np.einsum("ij,ij->i", windows, self._weights[moments % self.up])
        done = (n_end * self.down) // self.up - self._before - self._first
        done = min(done, len(self._kept))
        self._kept, self._first = self._kept[done:], self._first + done
        return found


def filter_phases(up: int, down: int) -> Float64:
    """Return the weights (up, n): of the n inputs around a moment, for each place of it.

    Row p is for moments p / up after an input, which is the one at n // 2 - 1. Each row sums to 1.

    Raises
    ------
    SettingsError : more weights than a stream should take.
    """
    cutoff = min(1.0, up / down)  # the lower Nyquist frequency, as a share of the input's
    width = (1 - PASS) * cutoff * np.pi  # of the transition, radians an input sample
    half = ceil((STOP_DB - 8) / (2.285 * width) / 2)
    if up * 2 * half > MAX_WEIGHTS:
        raise SettingsError(
            f"a rate of {down}/{up} of the other has no filter of a sensible size; choose a rate "
            "that shares a factor with it, such as 48000 or 44100 Hz"
        )
    beta = 0.1102 * (STOP_DB - 8.7)
    # Distance of every input from the moment, in input samples.
    at = np.arange(up, dtype=np.float64)[:, None] / up - np.arange(1 - half, half + 1)
    middle = (1 + PASS) / 2 * cutoff
    window = np.i0(beta * np.sqrt(np.maximum(0, 1 - (at / half) ** 2))) / np.i0(beta)
    weights = middle * np.sinc(middle * at) * window
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(np.rint(weights / WEIGHT_STEP) * WEIGHT_STEP)
