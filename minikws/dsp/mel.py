"""Mel filterbanks: settings come in, tables of triangular weights over FFT bins go out.

The micro frontend's bank stores each bin once: the *band* it lies in, the gap between two
neighboring center frequencies, and its share, `weights`, of the triangle that falls there; the
rest, `unweights`, belongs to the triangle that rises.

    channel k  =  sum of unweights * energy over band k  +  sum of weights * energy over band k + 1
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minikws._typing import Float32, Float64, Int32
from minikws.errors import SettingsError

WEIGHT_BITS = 12  # a filter weight's 1.0 is 4096

# pymicro-features knows one configuration, and takes its logarithms with the C library's log1pf,
# which is off by a unit in the last place here and there (exact logarithms and newer C libraries
# are not). Two of its weights lie so near a half that this shows: in bins 149 and 221 they are one
# more, the unweights one less. They cannot be computed without copying that log1pf, so they are
# listed.
_PYMICRO_BINS = [149, 221]
_PYMICRO_CONFIGURATION = (16_000, 512, 40, 125.0, 7500.0)


class MicroFilterbank(NamedTuple):
    """The micro frontend's filterbank, one entry for each used FFT bin.

    first_bin : index of the first used bin; the arrays cover first_bin, first_bin + 1, …
    bands : (K,) int32, the gap between two centers that a bin lies in, 0 to n_mels.
    weights, unweights : (K,) int32, the bin's share of channels bands - 1 and bands, of 4096.
    triangles : (K, n_mels) float64, the same as a matrix: energies @ triangles = channels, exactly.
    """

    first_bin: int
    bands: Int32
    weights: Int32
    unweights: Int32
    triangles: Float64


def _triangles(bands: Int32, weights: Int32, unweights: Int32, n_mels: int) -> Float64:
    matrix = np.zeros((len(bands), n_mels + 2), np.float64)
    bins = np.arange(len(bands))
    matrix[bins, bands] = weights
    matrix[bins, bands + 1] = unweights
    # The lowest column falls from nothing, the highest rises to nothing: both are dropped.
    return np.ascontiguousarray(matrix[:, 1:-1])


def mel_of_hz(hz: Float32) -> Float32:
    """Return 1127 ln(1 + hz / 700), computed in double and rounded to float32."""
    return (1127.0 * np.log1p(hz.astype(np.float64) / 700.0)).astype(np.float32)


def _mel_of_hz_single(hz: Float32) -> Float32:
    """Return the same with each step in float32."""
    share = hz / np.float32(700)
    return np.float32(1127) * np.log1p(share.astype(np.float64)).astype(np.float32)


def micro_filterbank(
    *,
    sample_rate_hz: int,
    fft_size: int,
    n_mels: int,
    lower_hz: float,
    upper_hz: float,
    variant: str = "tensorflow",
) -> MicroFilterbank:
    """Make the micro frontend's filterbank, equal to the C library's for any setting.

    Float widths are the library's, step by step, because they decide weights near a half. The
    variants differ in them: "tensorflow" takes the logarithm in double and the rest in float32,
    "pymicro" everything in float32, "preprocessor" as "tensorflow" but truncates the weights.

    Raises
    ------
    SettingsError : the upper limit reaches the last FFT bin, which the library refuses too.

    Source: tensorflow/lite/experimental/microfrontend/lib/filterbank_util.c,
    FilterbankPopulateState.
    """
    f32 = np.float32
    mel = _mel_of_hz_single if variant == "pymicro" else mel_of_hz
    n_bins = fft_size // 2 + 1
    hz_per_bin = f32(0.5 * sample_rate_hz / (n_bins - 1))
    low, high = mel(np.array([lower_hz, upper_hz], f32))
    spacing = (high - low) / f32(n_mels + 1)
    centers = low + spacing * np.arange(1, n_mels + 2).astype(f32)  # (n_mels + 1,)

    first_bin = int(float(f32(lower_hz) / hz_per_bin) + 1.5)
    if variant == "preprocessor":
        first_bin = round(float(f32(lower_hz) / hz_per_bin) + 1)
    bin_mels = mel(np.arange(first_bin, n_bins).astype(f32) * hz_per_bin)
    bands = np.searchsorted(centers, bin_mels, side="left")  # first center not below the bin
    n_used = int(np.count_nonzero(bands <= n_mels))
    if n_used == len(bands):
        raise SettingsError(
            f"upper_hz={upper_hz:g} reaches the last of {n_bins} FFT bins, "
            f"{sample_rate_hz / 2:g} Hz; lower it below {float(hz_per_bin) * (n_bins - 1):g}"
        )
    bands, bin_mels = bands[:n_used], bin_mels[:n_used]

    edges = np.concatenate(([low], centers))
    width = edges[bands + 1] - edges[bands]
    share = (centers[bands] - bin_mels) / width
    one = 1 << WEIGHT_BITS
    if variant == "preprocessor":
        weights = np.trunc(share * f32(one))
        unweights = np.trunc((f32(1) - share) * f32(one))
    elif variant == "pymicro":
        weights = np.floor(share * f32(one) + f32(0.5))
        unweights = np.floor((f32(1) - share) * f32(one) + f32(0.5))
    else:
        weights = np.floor(share.astype(np.float64) * one + 0.5)
        unweights = np.floor((1.0 - share.astype(np.float64)) * one + 0.5)
    configuration = (sample_rate_hz, fft_size, n_mels, lower_hz, upper_hz)
    if variant == "pymicro" and configuration == _PYMICRO_CONFIGURATION:
        listed = np.array(_PYMICRO_BINS) - first_bin
        weights[listed] += 1
        unweights[listed] -= 1
    tables = bands.astype(np.int32), weights.astype(np.int32), unweights.astype(np.int32)
    return MicroFilterbank(first_bin, *tables, _triangles(*tables, n_mels))
