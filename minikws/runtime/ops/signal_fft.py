"""SignalRfft, SignalIrfft, SignalEnergy: the Fourier transform, back, and the power of its bins.

Complex values lie as real and imaginary part in turn, N / 2 + 1 of them for N samples.

Source: signal/micro/kernels/rfft.cc, irfft.cc, energy.cc and signal/src/rfft_*.cc, irfft_*.cc,
energy.cc of TFLite Micro.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws.dsp.fft import real_fft
from minikws.dsp.kiss_fft import NUMBERS, inverse_transform, real_transform
from minikws.runtime.node import Inputs, Node, Outputs
from minikws.runtime.signal_checks import expect_shape, expect_tensors, type_option


def prepare_rfft(node: Node) -> int:
    """Check the tensors of a SignalRfft; return the number of samples, with the zeros at the end.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses; a length that is no power of two.
    """
    length, shape = _prepare(node)
    node.expect(shape[-1] <= length, f"transforms {length} samples, found {shape}")
    expect_shape(node, 0, (*shape[:-1], length + 2))
    return length


def prepare_irfft(node: Node) -> int:
    """Check the tensors of a SignalIrfft; return the number of samples.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses; a length that is no power of two; another number
        of bins.
    """
    length, shape = _prepare(node)
    node.expect(shape[-1] == length + 2, f"makes {length} samples of bins {shape}")
    expect_shape(node, 0, (*shape[:-1], length))
    return length


def _prepare(node: Node) -> tuple[int, tuple[int, ...]]:
    """Check types and dimensions; return the length of the transform and the input's shape."""
    dtype, shape = type_option(node, tuple(NUMBERS)), node.input(0, "input").shape
    expect_tensors(node, [(dtype, None)], [(dtype, len(shape))])
    length = node.number("fft_length")
    node.expect(length & (length - 1) == 0, f"has fft_length={length}, expected a power of two")
    node.expect(len(shape) > 0 and min(shape) > 0, f"transforms the shape {shape}")
    return length, shape


def evaluate_rfft(length: int, inputs: Inputs) -> Outputs:
    """(..., n) -> (..., N + 2) of the same type; of integers about the transform / N."""
    x = inputs[0]
    assert x is not None
    samples = np.zeros((*x.shape[:-1], length), x.dtype)
    samples[..., : x.shape[-1]] = x
    if x.dtype == np.int16:
        return (real_fft(samples).view(np.float64).astype(np.int16),)
    bins = real_transform(samples.reshape(-1, length))
    return (bins.reshape(*x.shape[:-1], length + 2),)


def evaluate_irfft(length: int, inputs: Inputs) -> Outputs:
    """(..., N + 2) -> (..., N) of the same type, such that float32 comes back as it went."""
    x = inputs[0]
    assert x is not None
    samples = inverse_transform(x.reshape(-1, length + 2)).reshape(*x.shape[:-1], length)
    return (samples / np.float32(length) if x.dtype == np.float32 else samples,)


@dataclass(frozen=True)
class Bins:
    """The bins that are used, and how many there are."""

    used: slice
    n_bins: int


def prepare_energy(node: Node) -> Bins:
    """Check the tensors of a SignalEnergy.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses, or bins that are not there.
    """
    expect_tensors(node, [("int16", 1)], [("uint32", 1)])
    n_bins = node.input(0, "spectrum").shape[0] // 2
    expect_shape(node, 0, (n_bins,))
    start, end = node.number("start_index"), node.number("end_index")
    node.expect(start <= end <= n_bins, f"uses the bins {start} to {end} of {n_bins}")
    return Bins(slice(start, end), n_bins)


def evaluate_energy(bins: Bins, inputs: Inputs) -> Outputs:
    """(2 F,) int16 -> (F,) uint32: re**2 + im**2; 0 where TFLite Micro writes nothing."""
    x = inputs[0]
    assert x is not None
    parts = x[: 2 * bins.n_bins].reshape(-1, 2)[bins.used].astype(np.int64)
    energy = np.zeros(bins.n_bins, np.uint32)
    energy[bins.used] = (parts * parts).sum(axis=1)
    return (energy,)
