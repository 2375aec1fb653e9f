"""SignalFilterBankSpectralSubtraction and SignalPCAN: noise taken away, gain evened out.

Source: signal/micro/kernels/filter_bank_spectral_subtraction.cc, pcan.cc and signal/src of the
same names of TFLite Micro.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws._typing import Array, Int64
from minikws.dsp.micro_stages import UINT32, gain_of, shrink
from minikws.runtime.node import Inputs, Node, Outputs
from minikws.runtime.signal_checks import expect_shape, expect_tensors

GAIN_TABLE_SIZE = 125  # the starts of 0 and 1, then start, slope, curvature, 0 of each octave


@dataclass(frozen=True)
class Subtraction:
    """The noise estimates that are remembered, and the options.

    estimate : (C,) uint32.
    rise, keep : (C,) uint64, the shares of the new level and of the old estimate.
    """

    estimate: Array
    rise: Array
    keep: Array
    least: int
    smoothing_bits: int
    bits: int
    clamps: bool


def prepare_subtraction(node: Node) -> Subtraction:
    """Check the tensors of a SignalFilterBankSpectralSubtraction.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses, or tensors of another size than its channels.
    """
    expect_tensors(node, [("uint32", 1)], [("uint32", 1), ("uint32", 1)])
    n_channels = node.number("num_channels")
    shape = node.input(0, "levels").shape
    node.expect(shape == (n_channels,), f"has {n_channels} channels and levels of {shape}")
    expect_shape(node, 0, shape)
    expect_shape(node, 1, shape)

    def shares(name: str) -> Array:
        values = np.full(n_channels, node.number(name), np.uint64)
        values[1::2] = node.number(f"alternate_{name}")
        return values

    return Subtraction(
        node.memory((n_channels,), "uint32"),
        shares("smoothing"),
        shares("one_minus_smoothing"),
        node.number("min_signal_remaining"),
        node.number("smoothing_bits"),
        node.number("spectral_subtraction_bits"),
        bool(node.options["clamping"]),
    )


def evaluate_subtraction(state: Subtraction, inputs: Inputs) -> Outputs:
    """(C,) uint32 -> (C,) uint32 what remains, (C,) uint32 the estimates, which move on."""
    signal = inputs[0]
    assert signal is not None
    bits = np.uint64(state.bits)
    scaled = signal << np.uint32(state.smoothing_bits)
    total = scaled.astype(np.uint64) * state.rise + state.estimate.astype(np.uint64) * state.keep
    state.estimate[:] = (total >> bits).astype(np.uint32)
    noise = np.minimum(state.estimate, scaled)
    if state.clamps:
        state.estimate[:] = noise
    floor = ((signal.astype(np.uint64) * np.uint64(state.least)) >> bits).astype(np.uint32)
    remaining = (scaled - noise) >> np.uint32(state.smoothing_bits)
    return np.maximum(remaining, floor), state.estimate.copy()


@dataclass(frozen=True)
class Pcan:
    """The gain table, (3, 33) as `micro_stages.gain_of` reads it, and the options."""

    gains: Int64
    snr_shift: int


def prepare_pcan(node: Node) -> Pcan:
    """Check the tensors of a SignalPCAN.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses; a gain table that is computed or too short.
    """
    expect_tensors(node, [("uint32", 1), ("uint32", 1), ("int16", 1)], [("uint32", 1)])
    shape = node.input(0, "levels").shape
    noise = node.input(1, "noise estimates").shape
    node.expect(noise == shape != (0,), f"has levels of {shape} and noise estimates of {noise}")
    expect_shape(node, 0, shape)
    values = node.constant(2, "gain table")[1].astype(np.int64)
    node.expect(
        len(values) >= GAIN_TABLE_SIZE,
        f"has a gain table of {len(values)}, expected {GAIN_TABLE_SIZE} or more",
    )
    gains = np.zeros((3, 33), np.int64)
    gains[0, :2] = values[:2]
    octaves = 2 + 4 * np.arange(31)
    gains[:, 2:] = values[octaves], values[octaves + 1], values[octaves + 2]
    return Pcan(gains, node.number("snr_shift"))


def evaluate_pcan(state: Pcan, inputs: Inputs) -> Outputs:
    """(C,) uint32 levels, (C,) uint32 estimates -> (C,) uint32 with 6 fraction bits."""
    signal, noise = inputs[:2]
    assert signal is not None and noise is not None
    gain = gain_of(noise.astype(np.int64), state.gains).astype(np.int16).astype(np.uint64)
    product = signal.astype(np.uint64) * (gain & np.uint64(UINT32))
    ratio = ((product >> np.uint64(state.snr_shift)) & np.uint64(UINT32)).astype(np.int64)
    return (shrink(ratio).astype(np.uint32),)
