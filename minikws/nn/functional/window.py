"""Where a kernel lies along an axis, as TensorFlow places it: SAME and VALID."""

from __future__ import annotations

from typing import Literal, NamedTuple

Padding = Literal["SAME", "VALID"]


class Window(NamedTuple):
    """Where a kernel lies along one axis.

    size : taps; stride : distance between positions; dilation : distance between taps.
    before, after : zeros around the axis; n_out : positions.
    """

    size: int
    stride: int
    dilation: int
    before: int
    after: int
    n_out: int

    @property
    def numbers(self) -> tuple[int, int, int, int, int, int]:
        """The fields as a plain tuple, which compiled twins take."""
        return (*self,)


def window(n_in: int, size: int, stride: int, padding: Padding, dilation: int = 1) -> Window:
    """Place a kernel along an axis as TensorFlow does.

    Its taps span (size - 1) * dilation + 1. SAME: ceil(n_in / stride) positions, zeros split
    evenly, the odd one after. VALID: no zeros, ceil((n_in - span + 1) / stride) positions (0 or
    below: the axis is too short).

    >>> window(49, 10, 2, "SAME")
    Window(size=10, stride=2, dilation=1, before=4, after=5, n_out=25)
    """
    span = (size - 1) * dilation + 1
    if padding == "VALID":
        return Window(size, stride, dilation, 0, 0, -(-(n_in - span + 1) // stride))
    n_out = -(-n_in // stride)
    total = max((n_out - 1) * stride + span - n_in, 0)
    return Window(size, stride, dilation, total // 2, total - total // 2, n_out)
