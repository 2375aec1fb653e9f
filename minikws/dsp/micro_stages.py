"""The micro frontend's stages in the order of the data, as integer formulas on whole arrays.

    frames -> windowed, shifted up -> spectrum -> energy -> channels -> levels   no memory
    levels -> noise taken away -> gain evened out -> logarithm                   in time order

Frames may have any leading axes; the last axis holds samples, bins or channels. The two kernels at
the end run the stages of a line together, for a batch of clips; `minikws.frontend.micro` calls
them.
Integers are int64 (or float64, exactly) unless said otherwise: the C library's uint32 and int16
wrap only where a line below says so.

Source: tensorflow/lite/experimental/microfrontend/lib, one file a stage.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minikws._jit import kernel
from minikws._typing import Array, Float64, Int16, Int64
from minikws.dsp.fast.micro import compress_loops, levels_loops
from minikws.dsp.fft import FftTables, real_fft
from minikws.dsp.framing import frame
from minikws.dsp.mel import MicroFilterbank
from minikws.dsp.windows import WINDOW_BITS

UInt16 = NDArray[np.uint16]
UInt32 = NDArray[np.uint32]

UINT32 = 0xFFFFFFFF
NOISE_BITS = 14  # fraction bits of the smoothing factors
SNR_BITS = 12  # fraction bits of the signal-to-noise ratio
OUTPUT_BITS = 6  # fraction bits of the gain control's output
LOG_BITS = 16  # fraction bits of a logarithm
SEGMENT_BITS = 7  # the logarithm's table has 2**7 segments
LN_2 = 45426  # round(65536 ln 2)


def bit_length(values: Array) -> Int64:
    """Return the number of significant bits of each value, 0 for 0.

    >>> bit_length(np.array([0, 1, 2, 3, 4])).tolist()
    [0, 1, 2, 2, 3]
    """
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)


# ------------------------------------------------------------------------ window and shift


def apply_window(frames: Int16, window: Int16) -> Int16:
    """Return frames * window / 4096, rounded down; both (..., W) int16."""
    product = frames.astype(np.int32) * window
    product >>= WINDOW_BITS
    return product.astype(np.int16)


def peak(frames: Int16) -> Int16:
    """Return the largest magnitude of each frame, (..., W) -> (...); -32768 is never counted.

    Source: window.c, WindowProcessSamples (the negative of -32768 wraps to itself there).
    """
    largest: Int16 = np.abs(frames).max(axis=-1, initial=np.int16(0))  # np.abs wraps it as well
    return largest


def peak_of_preprocessor(frames: Int16) -> Int16:
    """Return the largest magnitude as the preprocessor model's FFT scaling finds it.

    A -32768 resets the search to itself, below every other value: what follows is searched anew,
    with its sign as long as nothing above 0 was found. A result of 0 or less means "do not shift".

    Source: tflite-micro, signal/src/max_abs.cc, MaxAbs16.
    """
    found = peak(frames).reshape(-1)
    for t, samples in enumerate(frames.reshape(-1, frames.shape[-1])):
        lowest = np.flatnonzero(samples == -32768)
        if len(lowest):
            top = -32768
            for value in samples[lowest[-1] + 1 :].tolist():
                # While the best is below 0, a larger value counts with its sign.
                top = value if value > top else max(top, -value)
            found[t] = top
    return found.reshape(frames.shape[:-1])


def headroom(peaks: Int16, *, silence: int = 15) -> Int64:
    """Return how far each frame can be shifted left so that its peak fills 15 bits.

    A frame without a peak (0 or less) is shifted by `silence`.

    >>> headroom(np.array([16384, 16383, 1, 0], np.int16)).tolist()
    [0, 1, 14, 15]
    """
    return np.where(peaks > 0, 15 - bit_length(peaks), silence)


def shift_up(frames: Int16, shift: Int64, fft_size: int) -> Int16:
    """Return the frames times 2**shift, padded with zeros to the FFT's size, wrapped to int16."""
    out = np.zeros((*frames.shape[:-1], fft_size), np.int16)
    np.left_shift(frames, shift.astype(np.int16)[..., None], out=out[..., : frames.shape[-1]])
    return out


# ------------------------------------------------------------------------ energy and channels


def energy(spectrum: NDArray[np.complex128]) -> Float64:
    """Return re**2 + im**2 of each bin; whole numbers up to 2**31."""
    return spectrum.real**2 + spectrum.imag**2


def square_root(values: Float64) -> Float64:
    """Return the rounded square root of whole numbers.

    Source: filterbank.c, Sqrt64. Below 2**32 it cannot round up to 65536.
    """
    root = np.rint(np.sqrt(values))
    root -= (root == 65536) & (values < 2**32)
    return root


# ------------------------------------------------------------------------ noise reduction


class NoiseSettings(NamedTuple):
    """The noise estimate's speed, for even and odd channels, and what it must leave; of 2**14."""

    smoothing_bits: int
    even_smoothing: int
    odd_smoothing: int
    min_signal_remaining: int


def reduce_noise(
    levels: UInt32, estimate: UInt32, settings: NoiseSettings
) -> tuple[Int64, Int64, UInt32]:
    """Subtract a slowly following estimate of the noise from each channel.

    Parameters
    ----------
    levels : (B, T, F) uint32.
    estimate : (B, F) uint32, the estimates before the first frame; zeros at the start.

    Returns
    -------
    (B, T, F) what remains; (B, T, F) the estimates after each frame; (B, F) uint32 the last ones.

    Source: noise_reduction.c, NoiseReductionApply.
    """
    one = 1 << NOISE_BITS
    share = np.full(levels.shape[-1], settings.even_smoothing, np.int64)
    share[1::2] = settings.odd_smoothing
    signal = levels.astype(np.int64)
    scaled = (signal << settings.smoothing_bits) & UINT32
    arriving = scaled * share
    estimates = np.empty_like(signal)
    current = estimate.astype(np.int64)
    for t in range(levels.shape[1]):
        current = (arriving[:, t] + current * (one - share)) >> NOISE_BITS
        estimates[:, t] = current
    remaining = (scaled - np.minimum(estimates, scaled)) >> settings.smoothing_bits
    floor = (signal * settings.min_signal_remaining) >> NOISE_BITS
    return np.maximum(remaining, floor), estimates, current.astype(np.uint32)


# ------------------------------------------------------------------------ gain control (PCAN)


def gain_table(
    *, strength: float, offset: float, gain_bits: int, smoothing_bits: int, correction_bits: int
) -> Int64:
    """Return gain(noise) = 2**gain_bits (noise + offset)**-strength as a parabola for each octave.

    Returns
    -------
    (3, 33) int64 within int16: start, slope and curvature for noise estimates of 0 to 32
        significant bits.

    Source: pcan_gain_control_util.c, PcanGainControlPopulateState (which stores the same numbers
    in one line of 125: the starts of 0 and 1, then start, slope, curvature, 0 of each octave).
    """
    starts = 1 << np.arange(1, 32, dtype=np.int64)
    ends = np.minimum(2 * starts, UINT32)
    noise = np.concatenate(([0, 1], starts, starts + starts // 2, ends)).astype(np.float32)
    base = noise / np.float32(1 << (smoothing_bits - correction_bits)) + np.float32(offset)
    with np.errstate(divide="ignore", over="ignore"):
        power = (base.astype(np.float64) ** -np.float64(np.float32(strength))).astype(np.float32)
        gain = np.float32(1 << gain_bits) * power
    # Above 32767 the library returns it at once; below, the half is added in float32.
    gains = np.floor(np.minimum(gain + np.float32(0.5), np.float32(32767))).astype(np.int64)

    start, middle, end = gains[2:].reshape(3, 31)
    slope = 4 * (middle - start) - (end - start)
    table = np.zeros((3, 33), np.int64)
    table[0, :2] = gains[:2]
    table[:, 2:] = start, slope, end - start - slope
    return table.astype(np.int16).astype(np.int64)  # wraps, as the library's stores do


def gain_of(estimates: Int64, table: Int64) -> Int64:
    """Look up the gain of each noise estimate; 0 to 2**32 - 1 in, int16 values out.

    Source: pcan_gain_control.c, WideDynamicFunction.
    """
    bits = bit_length(estimates)
    start, slope, curvature = table[:, bits]
    within = ((estimates << 21) >> (bits + 10)) & 1023  # place within the octave, of 1024
    rise = (((curvature * within) >> 5) + (slope << 5)) * within
    gain: Int64 = ((rise + (1 << 14)) >> 15) + start
    return gain


def control_gain(
    signal: Int64, estimates: Int64, table: Int64, *, gain_bits: int, correction_bits: int
) -> Int64:
    """Divide each channel by its noise (per-channel amplitude normalization, PCAN).

    Returns values with 6 fraction bits.

    Source: pcan_gain_control.c, PcanGainControlApply.
    """
    gain = gain_of(estimates, table) & UINT32
    ratio = ((signal * gain) >> (gain_bits - correction_bits - SNR_BITS)) & UINT32
    return shrink(ratio)


def shrink(ratio: Int64) -> Int64:
    """Compress a signal-to-noise ratio (12 fraction bits): a parabola up to 2, then a line.

    Source: pcan_gain_control.c, PcanShrink.

    >>> shrink(np.array([4096, 8191, 8192, 12288])).tolist()
    [16, 63, 64, 128]
    """
    parabola = (ratio * ratio) >> (2 + 2 * SNR_BITS - OUTPUT_BITS)
    line = (ratio >> (SNR_BITS - OUTPUT_BITS)) - (1 << OUTPUT_BITS)
    return np.where(ratio < 2 << SNR_BITS, parabola, line)


# ------------------------------------------------------------------------------- logarithm


def log_table() -> Int64:
    """Return 65536 (log2(1 + i / 128) - i / 128), i = 0 … 128: log2 above its straight line.

    Source: log_lut.c (which holds one more, unused entry).
    """
    x = np.arange((1 << SEGMENT_BITS) + 1) / (1 << SEGMENT_BITS)
    return np.rint((1 << LOG_BITS) * (np.log2(1 + x) - x)).astype(np.int64)


LOG_TABLE = log_table()
LOG_TABLE.flags.writeable = False


def logarithm(values: Int64, *, scale_shift: int) -> Int64:
    """Return 2**scale_shift * ln(value), rounded; 0 for 0 and 1. Values below 2**32.

    Source: log_scale.c, Log.
    """
    half = 1 << (LOG_BITS - 1)
    scaled: Int64 = (((natural_logarithm(values) << scale_shift) + half) & UINT32) >> LOG_BITS
    return scaled


def natural_logarithm(values: Int64) -> Int64:
    """Return 2**16 * ln(value), rounded; 0 for 0 and 1. Values below 2**32.

    Source: log_scale.c, Log2FractionPart and the first half of Log.
    """
    positive = np.maximum(values, 1)  # the logarithm of 1 is 0 too
    power = bit_length(positive) - 1
    fraction = ((positive << LOG_BITS) >> power) - (1 << LOG_BITS)
    segment_bits = LOG_BITS - SEGMENT_BITS
    segment = fraction >> segment_bits
    low, high = LOG_TABLE[segment], LOG_TABLE[segment + 1]
    within = fraction & ((1 << segment_bits) - 1)
    log2 = (power << LOG_BITS) + fraction + low + (((high - low) * within) >> LOG_BITS)
    natural: Int64 = (LN_2 * log2 + (1 << (LOG_BITS - 1))) >> LOG_BITS
    return natural


# ------------------------------------------------------------------------- the two kernels


class LevelSettings(NamedTuple):
    """What `levels` needs beside the sound.

    preprocessor : search peaks as `peak_of_preprocessor` does.
    """

    hop_samples: int
    window: Int16
    fft: FftTables
    bank: MicroFilterbank
    preprocessor: bool


class CompressSettings(NamedTuple):
    """What `compress` needs beside the levels.

    correction_bits : log2(fft_size) - 6, how much louder a larger FFT lets a channel be.
    largest : values are cut here.
    """

    noise: NoiseSettings
    enable_pcan: bool
    gains: Int64
    gain_bits: int
    correction_bits: int
    enable_log: bool
    log_table: Int64
    scale_shift: int
    largest: int


@kernel
def levels(clips: Int16, settings: LevelSettings) -> UInt32:
    """Return the amplitude of each channel in each frame, (B, N) int16 -> (B, T, F) uint32."""
    window, bank = settings.window, settings.bank
    frames = frame(clips, window_samples=len(window), hop_samples=settings.hop_samples)
    windowed = apply_window(frames, window)
    shift = headroom(
        peak_of_preprocessor(windowed) if settings.preprocessor else peak(windowed),
        silence=0 if settings.preprocessor else 15,
    )
    spectrum = real_fft(shift_up(windowed, shift, 2 * len(settings.fft.order)))
    used = spectrum[..., bank.first_bin : bank.first_bin + len(bank.bands)]
    channels = energy(used) @ bank.triangles
    return square_root(channels).astype(np.uint32) >> shift.astype(np.uint32)[..., None]


levels.jit(parallel=True)(levels_loops)


@kernel
def compress(levels: UInt32, estimate: UInt32, settings: CompressSettings) -> tuple[UInt16, UInt32]:
    """Reduce noise, even out the gain, take the logarithm, in time order.

    Parameters
    ----------
    levels : (B, T, F) uint32.
    estimate : (B, F) uint32, the noise estimates before the first frame.

    Returns
    -------
    (B, T, F) uint16, and the estimates after the last frame.
    """
    values, estimates, estimate = reduce_noise(levels, estimate, settings.noise)
    correction_bits = settings.correction_bits
    if settings.enable_pcan:
        values = control_gain(
            values,
            estimates,
            settings.gains,
            gain_bits=settings.gain_bits,
            correction_bits=correction_bits,
        )
    if settings.enable_log:
        values = values << correction_bits if correction_bits > 0 else values >> -correction_bits
        values = logarithm(values & UINT32, scale_shift=settings.scale_shift)
    return np.minimum(values, settings.largest).astype(np.uint16), estimate


compress.jit(parallel=True)(compress_loops)
