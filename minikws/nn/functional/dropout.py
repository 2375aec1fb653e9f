"""Dropout: silence a random share of the units in training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minikws._typing import Array, Float
from minikws.nn.fast import elementwise
from minikws.nn.functional.memory import flat, is_clip_first, unflat


class DropoutMask(NamedTuple):
    """Who was kept: bit u % 32 of word u // 32 for unit u, counted in their order in memory."""

    words: Array  # (ceil(N / 32),) uint32
    rate: float
    shape: tuple[int, ...]
    clip_first: bool

    @property
    def scale(self) -> float:
        """Return what a kept unit is multiplied by, 1 / (1 - rate)."""
        return 1 / (1 - self.rate)


def draw_mask(
    shape: tuple[int, ...], *, rate: float, rng: np.random.Generator, clip_first: bool = True
) -> DropoutMask:
    """Draw who is kept: at rate 0.5 one random bit a unit, else a random number below 1."""
    n_units = int(np.prod(shape, dtype=np.int64))
    if rate == 0.5:
        octets = rng.bytes(4 * -(-n_units // 32))
        words: Array = np.frombuffer(octets, np.dtype("<u4")).astype(np.uint32, copy=False)
    else:
        words = elementwise.pack_bits(rng.random(n_units, dtype=np.float32) >= np.float32(rate))
    return DropoutMask(words, rate, shape, clip_first)


def dropout(x: Float, *, rate: float, rng: np.random.Generator) -> tuple[Float, DropoutMask]:
    """Silence a random share of the units and make up for it: kept values * 1 / (1 - rate).

    Returns
    -------
    y : x's shape; mask : what backward needs.
    """
    mask = draw_mask(x.shape, rate=rate, rng=rng, clip_first=is_clip_first(x))
    return dropout_apply(x, mask), mask


def dropout_backward(dy: Float, mask: DropoutMask) -> Float:
    """Return dx = dy * 1 / (1 - rate) where the unit was kept, else 0."""
    return dropout_apply(dy, mask)


def dropout_apply(x: Float, mask: DropoutMask) -> Float:
    """Return x * 1 / (1 - rate) where the unit is kept, else 0."""
    values = flat(x, clip_first=mask.clip_first)
    kept = elementwise.keep_by_bits(values, mask.words, mask.scale)
    return unflat(kept, mask.shape, clip_first=mask.clip_first)


def dropout_mask(mask: DropoutMask) -> Array:
    """Unfold a mask into booleans of the activation's shape (B, …): True is kept."""
    n_units = int(np.prod(mask.shape, dtype=np.int64))
    kept = elementwise.unpack_bits(mask.words, n_units)
    return unflat(kept, mask.shape, clip_first=mask.clip_first)
