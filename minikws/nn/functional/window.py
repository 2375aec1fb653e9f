"""Where a kernel lies along an axis, as TensorFlow places it: SAME and VALID."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Padding = Literal["SAME", "VALID"]


@dataclass(frozen=True)
class Window:
    """Where a kernel lies along one axis: size, stride, zeros before and after, positions."""

    size: int
    stride: int
    before: int
    after: int
    n_out: int


def window(n_in: int, size: int, stride: int, padding: Padding) -> Window:
    """Place a kernel along an axis as TensorFlow does.

    SAME: ceil(n_in / stride) positions, zeros split evenly, the odd one after. VALID: no zeros,
    ceil((n_in - size + 1) / stride) positions (0 or below: the axis is too short).

    >>> window(49, 10, 2, "SAME")
    Window(size=10, stride=2, before=4, after=5, n_out=25)
    """
    if padding == "VALID":
        return Window(size, stride, 0, 0, -(-(n_in - size + 1) // stride))
    n_out = -(-n_in // stride)
    total = max((n_out - 1) * stride + size - n_in, 0)
    return Window(size, stride, total // 2, total - total // 2, n_out)
