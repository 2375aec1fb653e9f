"""SignalFilterBank, SignalFilterBankSquareRoot, SignalFilterBankLog: from energies to levels.

The filter bank's triangles overlap, each by half with the next: an energy goes into its own
band with its weight, and into the band above with its unweight. There is one band more than
channels; what the first gathers is thrown away.

Source: signal/micro/kernels/filter_bank*.cc and signal/src/filter_bank.cc, square_root_64.cc,
filter_bank_log.cc, log.cc of TFLite Micro.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws._typing import Array, Int64
from minikws.dsp.micro_stages import UINT32, natural_logarithm
from minikws.runtime.node import Inputs, Node, Outputs
from minikws.runtime.signal_checks import expect_shape, expect_tensors

MAX_WEIGHTS = 2**20  # of all bands; the file holds each once, but bands may share them
_TABLES = ("weights", "unweights", "frequency starts", "weight starts", "channel widths")


@dataclass(frozen=True)
class Bank:
    """The bands laid end to end.

    bins : which bin each product takes.
    weights, unweights : what it is multiplied with, uint64 that wrap.
    edges : where each band starts, and the end of the last.
    """

    bins: Int64
    weights: Array
    unweights: Array
    edges: Int64


def prepare(node: Node) -> Bank:
    """Check the tensors of a SignalFilterBank and lay out its bands.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses; computed tables; bands that leave the tables.
    """
    expect_tensors(node, [("uint32", 1), *[("int16", 1)] * 5], [("uint64", 1)])
    n_bins, n_channels = node.input(0, "energies").shape[0], node.number("num_channels")
    expect_shape(node, 0, (n_channels,))
    weights, unweights, *places = (
        node.constant(i, what)[1].astype(np.int64) for i, what in enumerate(_TABLES, start=1)
    )
    node.expect(
        all(len(table) == n_channels + 1 for table in places) and len(weights) == len(unweights),
        f"has tables of {len(weights)}, {len(unweights)} weights and "
        f"{', '.join(str(len(table)) for table in places)} places for {n_channels} channels",
    )
    first_bins, first_weights, widths = places
    widths = np.maximum(widths, 0)
    node.expect(int(widths.sum()) <= MAX_WEIGHTS, f"has bands of {widths.sum()} bins in all")
    for what, firsts, count in (
        ("bin", first_bins, n_bins),
        ("weight", first_weights, len(weights)),
    ):
        for band in np.flatnonzero(widths):
            first, last = int(firsts[band]), int(firsts[band] + widths[band] - 1)
            node.expect(
                first >= 0 and last < count,
                f"has a band of {what}s {first} to {last}, there are {count}",
            )
    counts = widths.astype(np.intp)  # all that `repeat` takes on a machine of 32 bits
    edges = np.concatenate((np.zeros(1, np.intp), np.cumsum(counts, dtype=np.intp)))
    within = np.arange(edges[-1]) - np.repeat(edges[:-1], counts)
    chosen = np.repeat(first_weights, counts) + within
    return Bank(
        np.repeat(first_bins, counts) + within,
        weights[chosen].astype(np.uint64),
        unweights[chosen].astype(np.uint64),
        edges,
    )


def evaluate(bank: Bank, inputs: Inputs) -> Outputs:
    """(F,) uint32, five tables -> (C,) uint64."""
    energy = inputs[0]
    assert energy is not None
    energies = energy[bank.bins].astype(np.uint64)

    def band_sums(weights: Array) -> Array:
        # Differences of running totals that wrap are right as long as the sums themselves fit.
        totals = np.concatenate((np.zeros(1, np.uint64), np.cumsum(energies * weights)))
        return np.asarray(totals[bank.edges[1:]] - totals[bank.edges[:-1]])

    return (band_sums(bank.weights)[1:] + band_sums(bank.unweights)[:-1],)


def prepare_square_root(node: Node) -> None:
    """Check the tensors of a SignalFilterBankSquareRoot.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses, or another number of values out than in.
    """
    expect_tensors(node, [("uint64", 1), ("int32", 0)], [("uint32", 1)])
    expect_shape(node, 0, node.input(0, "energies").shape)


def evaluate_square_root(state: None, inputs: Inputs) -> Outputs:
    """(C,) uint64, () int32 -> (C,) uint32: the rounded square root / 2**shift, rounded down."""
    values, shift = inputs
    assert values is not None and shift is not None
    # C++ leaves shifts by other than 0 to 31 open; processors take the low 5 bits.
    return (rounded_root(values) >> np.uint32(int(shift) & 31),)


def rounded_root(values: Array) -> Array:
    """Return the square root of uint64 values as uint32.

    Rounded to the nearest, except that values below 2**32 give up to 65535, and others up to
    2**32 - 1.

    >>> rounded_root(np.array([6, 7, 2**32 - 1, 2**64 - 1], np.uint64)).tolist()
    [2, 3, 65535, 4294967295]
    """
    root = np.sqrt(values.astype(np.float64)).astype(np.uint64)
    root = np.minimum(root, np.uint64(UINT32))
    root -= root * root > values  # a float64 may have been rounded up
    highest = np.where(values >> np.uint64(32) == 0, np.uint64(0xFFFF), np.uint64(UINT32))
    root += (values - root * root > root) & (root < highest)
    return root.astype(np.uint32)


@dataclass(frozen=True)
class Log:
    """By how many bits values are shifted up, and how large a logarithm of 1 comes out."""

    correction_bits: int
    scale: int


def prepare_log(node: Node) -> Log:
    """Check the tensors of a SignalFilterBankLog.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses, or another number of values out than in.
    """
    expect_tensors(node, [("uint32", 1)], [("int16", 1)])
    expect_shape(node, 0, node.input(0, "levels").shape)
    return Log(node.number("input_correction_bits"), node.number("output_scale"))


def evaluate_log(log: Log, inputs: Inputs) -> Outputs:
    """(C,) uint32 -> (C,) int16: scale * ln(value * 2**bits), 0 for 0 and 1."""
    x = inputs[0]
    assert x is not None
    natural = natural_logarithm((x.astype(np.int64) << log.correction_bits) & UINT32)
    scaled = ((natural * log.scale + (1 << 15)) & UINT32) >> 16
    return (np.minimum(scaled, 32767).astype(np.int16),)
