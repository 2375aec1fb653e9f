"""Sums of products for sixteen outputs at once, and their way back to bytes.

Convolutions and dense layers spend their time here. For each of 1 or 4 positions p and 16 outputs
o, with values as bytes 0 to 255:

    dense       acc[p, o] = bias[o] + sum over k, j of x[start[p] + tap[k] + j] * w[k, o, j]
    depthwise   acc[p, o] = bias[o] + sum over k    of x[start[p] + tap[k] + o] * w[k, o]
    y[p, o]   = clamp(requantize(acc[p, o]) + zero, low, high)

A tap k of the dense form is four bytes that lie side by side in memory: processors with VNNI
multiply and add 64 such pairs in one instruction (vpdpbusd, the one that is named here; elsewhere
LLVM finds its own way, on AVX2 by vpmaddwd at a quarter of the speed). Loops in Python, and BLAS,
come to half of that speed at most: they know no sums of bytes. All sums stay in registers.

The plain forms say the same in NumPy. `machine` calls these pieces and nothing else does; Numba's
cache watches that file, so save it again after a change here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from minikws._jit import Code
from minikws._typing import Array
from minikws.fixedpoint import requantize, wrap32

LANES = 16  # outputs at once: 32-bit sums that fill the widest register
QUAD = 4  # bytes of a dense tap
FOUR = 4  # positions at once: as many sums as hide an instruction's delay


def positions(
    n_positions: int,
    is_dense: bool,
    arena: Array,
    words: Array,
    weights: Array,
    x: int,
    starts: int,
    taps: int,
    n_taps: int,
    first: int,
    channels: int,
    y: int,
    step: int,
    zero: int,
    low: int,
    high: int,
) -> None:
    """Compute 16 outputs of some positions; the form to read.

    Parameters
    ----------
    arena : uint8, inputs at x + start + tap; the outputs of position p go to y + p * step.
    words : int32; starts and taps, and at `channels` bias, multiplier and right shift (16 each).
    weights : int8, from `first` on (n_taps, 16, 4) or (n_taps, 16).
    """
    width = QUAD if is_dense else LANES
    begin, tap = words[starts : starts + n_positions], words[taps : taps + n_taps]
    values = arena[x + begin[:, None, None] + tap[:, None] + np.arange(width)].astype(np.int64)
    shape = (n_taps, LANES, QUAD) if is_dense else (n_taps, LANES)
    w = weights[first : first + np.prod(shape)].reshape(shape).astype(np.int64)
    acc = np.einsum("pkj,koj->po" if is_dense else "pko,ko->po", values, w)
    bias, multiplier, shift = words[channels : channels + 3 * LANES].reshape(3, -1).astype(np.int64)
    scaled = requantize(wrap32(acc + bias), multiplier, -shift) + zero
    for p, row in enumerate(np.clip(scaled, low, high).astype(np.uint8)):
        arena[y + p * step : y + p * step + LANES] = row


class _Lanes:
    """LLVM's builder, and the vectors that the tile is made of."""

    def __init__(self, builder: Any) -> None:
        self.ir: Any = import_module("llvmlite.ir")
        self.builder = builder
        self.byte, self.word, self.wide = (self.ir.IntType(n) for n in (8, 32, 64))

    def vector(self, kind: Any, n: int = LANES) -> Any:
        return self.ir.VectorType(kind, n)

    def number(self, value: int) -> Any:
        return self.ir.Constant(self.wide, value)

    def all(self, kind: Any, value: int) -> Any:
        """Return a vector of one known number."""
        return self.ir.Constant(self.vector(kind), [value] * LANES)

    def splat(self, value: Any) -> Any:
        """Return a vector of one computed number."""
        nothing = self.ir.Constant(self.vector(value.type), self.ir.Undefined)
        one = self.builder.insert_element(nothing, value, self.ir.Constant(self.word, 0))
        return self.builder.shuffle_vector(one, nothing, self.all(self.word, 0))

    def at(self, base: Any, index: Any, kind: Any) -> Any:
        """Return the address of a `kind` that begins at element `index` of an array."""
        return self.builder.bitcast(self.builder.gep(base, [index]), kind.as_pointer())

    def load(self, base: Any, index: Any, kind: Any) -> Any:
        value = self.builder.load(self.at(base, index, kind))
        value.align = 1
        return value

    def word_at(self, base: Any, start: Any, index: Any) -> Any:
        """Load one of `words` as a 64-bit number."""
        place = self.builder.add(start, index)
        return self.builder.sext(self.load(base, place, self.word), self.wide)

    def bound(self, sign: str, values: Any, limit: Any) -> Any:
        """Return `limit` where the values are beyond it."""
        return self.builder.select(self.builder.icmp_signed(sign, values, limit), limit, values)

    def add_quads(self, sums: Any, quad: Any, w: Any, features: Sequence[str]) -> Any:
        """Add the products of four bytes 0 to 255 with four weights of each output."""
        b, wide_bytes = self.builder, self.vector(self.byte, QUAD * LANES)
        x, kind = self.splat(quad), self.vector(self.word)
        if "+avx512vnni" in features:
            function = b.module.declare_intrinsic(
                "llvm.x86.avx512.vpdpbusd.512", (), self.ir.FunctionType(kind, [kind] * 3)
            )
            return b.call(function, [sums, x, b.bitcast(w, kind)])
        half_words = self.vector(self.ir.IntType(16), QUAD * LANES)
        words = self.vector(self.word, QUAD * LANES)
        values = b.sext(b.zext(b.bitcast(x, wide_bytes), half_words), words)
        products = b.mul(values, b.sext(b.sext(w, half_words), words))
        for n in (QUAD * LANES, QUAD * LANES // 2):  # neighbours, and neighbours again
            even, odd = (
                b.shuffle_vector(
                    products,
                    products,
                    self.ir.Constant(self.vector(self.word, n // 2), list(range(i, n, 2))),
                )
                for i in (0, 1)
            )
            products = b.add(even, odd)
        return b.add(sums, products)


def _emit(
    n_positions: int,
    is_dense: bool,
    builder: Any,
    features: Sequence[str],
    arena: Any,
    words: Any,
    weights: Any,
    x: Any,
    starts: Any,
    taps: Any,
    n_taps: Any,
    first: Any,
    channels: Any,
    y: Any,
    step: Any,
    zero: Any,
    low: Any,
    high: Any,
) -> None:
    """Write the instructions of `positions`."""
    b, lanes = builder, _Lanes(builder)
    word, wide = lanes.vector(lanes.word), lanes.vector(lanes.wide)
    count = LANES * QUAD if is_dense else LANES
    bias = lanes.load(words, channels, word)
    begins = [b.add(x, lanes.word_at(words, starts, lanes.number(p))) for p in range(n_positions)]

    before = b.block
    loop, after = b.append_basic_block("taps"), b.append_basic_block("sums")
    b.branch(loop)
    b.position_at_end(loop)
    k = b.phi(lanes.wide)
    sums = [b.phi(word) for _ in begins]
    tap = lanes.word_at(words, taps, k)
    place = b.add(first, b.mul(k, lanes.number(count)))
    w = lanes.load(weights, place, lanes.vector(lanes.byte, count))
    added = []
    for total, begin in zip(sums, begins, strict=True):
        at = b.add(begin, tap)
        if is_dense:
            added.append(lanes.add_quads(total, lanes.load(arena, at, lanes.word), w, features))
        else:
            values = b.zext(lanes.load(arena, at, lanes.vector(lanes.byte)), word)
            added.append(b.add(total, b.mul(values, b.sext(w, word))))
    following = b.add(k, lanes.number(1))
    for phi, at_first, later in zip(
        [k, *sums], [lanes.number(0), *[bias] * n_positions], [following, *added], strict=True
    ):
        phi.add_incoming(at_first, before)
        phi.add_incoming(later, loop)
    b.cbranch(b.icmp_signed("<", following, n_taps), loop, after)

    b.position_at_end(after)
    multiplier = b.sext(lanes.load(words, b.add(channels, lanes.number(LANES)), word), wide)
    shift = lanes.load(words, b.add(channels, lanes.number(2 * LANES)), word)
    half = b.lshr(b.shl(lanes.all(lanes.word, 1), shift), lanes.all(lanes.word, 1))
    shifts = b.ashr(b.sub(lanes.all(lanes.word, 0), half), lanes.all(lanes.word, 31))  # -1, or 0
    zeros, lowest, highest = (lanes.splat(b.trunc(v, lanes.word)) for v in (zero, low, high))
    for p, acc in enumerate(added):
        product = b.add(b.mul(b.sext(acc, wide), multiplier), lanes.all(lanes.wide, 2**30))
        v = b.trunc(b.ashr(product, lanes.all(lanes.wide, 31)), word)
        sign = b.and_(b.ashr(v, lanes.all(lanes.word, 31)), shifts)
        v = b.add(b.ashr(b.add(b.add(v, half), sign), shift), zeros)
        v = lanes.bound(">", lanes.bound("<", v, lowest), highest)
        place = b.add(y, b.mul(step, lanes.number(p)))
        stored = b.store(
            b.trunc(v, lanes.vector(lanes.byte)), lanes.at(arena, place, lanes.vector(lanes.byte))
        )
        stored.align = 1


def _code(n_positions: int, is_dense: bool) -> Code[Any]:
    plain: Callable[..., None] = partial(positions, n_positions, is_dense)
    return Code(plain, partial(_emit, n_positions, is_dense))


# (arena, words, weights, x, starts, taps, n_taps, first, channels, y, step, zero, low, high)
dense_four, dense_one = _code(FOUR, True), _code(1, True)
depthwise_four, depthwise_one = _code(FOUR, False), _code(1, False)
