"""Dropout: silence a random share of the units in training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minikws._typing import Array, Float
from minikws.nn.fast import elementwise
from minikws.nn.functional.memory import flat, is_clip_first, unflat


class DropoutMask(NamedTuple):
    """Who was kept: bits (32 a word, at rate 0.5) or booleans, in the units' order in memory."""

    bits: Array
    rate: float
    shape: tuple[int, ...]
    clip_first: bool


def dropout(x: Float, *, rate: float, rng: np.random.Generator) -> tuple[Float, DropoutMask]:
    """Silence a random share of the units and make up for it: kept values * 1 / (1 - rate).

    At rate 0.5 a unit costs one random bit: bit j of word i decides unit j * n_words + i. Units
    are counted in their order in memory.

    Returns
    -------
    y : x's shape; mask : what backward needs.
    """
    if rate == 0.5:
        n_words = -(-x.size // 32)
        bits: Array = np.frombuffer(rng.bytes(4 * n_words), np.dtype("<u4")).astype(np.uint32)
    else:
        bits = rng.random(x.size, dtype=np.float32) >= np.float32(rate)
    mask = DropoutMask(bits, rate, x.shape, is_clip_first(x))
    return _apply(x, mask), mask


def dropout_backward(dy: Float, mask: DropoutMask) -> Float:
    """Return dx = dy * 1 / (1 - rate) where the unit was kept, else 0."""
    return _apply(dy, mask)


def _apply(x: Float, mask: DropoutMask) -> Float:
    values = flat(x, clip_first=mask.clip_first)
    if mask.bits.dtype == np.uint32:
        kept = elementwise.keep_by_bits(values, mask.bits)
    else:
        kept = np.asarray(values * mask.bits * values.dtype.type(1 / (1 - mask.rate)))
    return unflat(kept, mask.shape, clip_first=mask.clip_first)


def dropout_mask(mask: DropoutMask) -> Array:
    """Unfold a mask into booleans of the activation's shape (B, …): True is kept."""
    n_units = int(np.prod(mask.shape, dtype=np.int64))
    is_packed = mask.bits.dtype == np.uint32
    kept = elementwise.unpack_bits(mask.bits, n_units) if is_packed else mask.bits
    return unflat(kept, mask.shape, clip_first=mask.clip_first)
