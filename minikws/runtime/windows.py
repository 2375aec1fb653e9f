"""Where a convolution's kernel lies on its input: padding, strides, dilation, patches.

In come an operator's options and shapes; out comes a `Geometry`, which turns an activation
(B, H, W, C) into all the patches that the kernel sees. H is time and W is frequency in a
keyword model.

Source: ComputePaddingHeightWidth, tensorflow/lite/kernels/padding.h.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws._typing import Array
from minikws.runtime.node import Node


@dataclass(frozen=True)
class Geometry:
    """Sizes along (height, width) of one convolution or pool.

    kernel, stride, dilation : in samples of the input.
    before, after : padding; SAME puts the odd one after.
    output : positions of the kernel.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]
    after: tuple[int, int]
    output: tuple[int, int]

    @classmethod
    def of(cls, node: Node, input_hw: tuple[int, int], kernel: tuple[int, int]) -> Geometry:
        """Read strides, dilation and padding from the options.

        Raises
        ------
        ModelFileError : a stride or dilation below 1, or a kernel larger than its input.
        """
        stride = (node.number("stride_h"), node.number("stride_w"))
        dilation = (1, 1)
        if "dilation_h_factor" in node.options:  # pools have none
            dilation = (node.number("dilation_h_factor"), node.number("dilation_w_factor"))
        node.expect(min(stride) >= 1, f"has the strides {stride}, expected 1 or more")
        node.expect(min(dilation) >= 1, f"has the dilation {dilation}, expected 1 or more")
        node.expect(
            min(*kernel, *input_hw) >= 1, f"has a kernel of {kernel} on an input of {input_hw}"
        )
        before, after, output = [], [], []
        for size, k, s, d in zip(input_hw, kernel, stride, dilation, strict=True):
            reach = (k - 1) * d + 1
            same = node.options["padding"] == "SAME"
            n = -(-size // s) if same else -(-(size - reach + 1) // s)
            node.expect(n >= 1, f"has a kernel that reaches over {reach} of {size} values")
            padding = max(0, (n - 1) * s + reach - size) if same else 0
            # A dilation of millions is no model, and its padding would fill the memory.
            node.expect(
                padding <= 16 * size + 4096,
                f"has a kernel that reaches over {reach} values on an input of {size}",
            )
            before.append(padding // 2)
            after.append(padding - padding // 2)
            output.append(n)
        return cls(
            kernel,
            stride,
            dilation,
            (before[0], before[1]),
            (after[0], after[1]),
            (output[0], output[1]),
        )

    @property
    def is_identity(self) -> bool:
        """Whether every patch is one input position: a pointwise convolution."""
        return self.kernel == self.stride == (1, 1)

    def pad(self, x: Array, fill: float, dtype: type[np.floating]) -> Array:
        """(B, H, W, C) any dtype -> the same with `fill` around it, as contiguous floats."""
        (top, left), (bottom, right) = self.before, self.after
        b, h, w, c = x.shape
        if not (top or left or bottom or right):
            return np.ascontiguousarray(x, dtype)
        padded = np.full((b, top + h + bottom, left + w + right, c), fill, dtype)
        padded[:, top : top + h, left : left + w] = x
        return padded

    def patches(self, padded: Array) -> Array:
        """(B, H, W, C) contiguous -> (B, OH, OW, kh, kw, C), a view of the same values."""
        sb, sh, sw, sc = padded.strides
        return np.ndarray(
            (padded.shape[0], *self.output, *self.kernel, padded.shape[3]),
            padded.dtype,
            padded,
            0,
            (
                sb,
                sh * self.stride[0],
                sw * self.stride[1],
                sh * self.dilation[0],
                sw * self.dilation[1],
                sc,
            ),
        )

    def matrices(self, padded: Array, channel: int = 0) -> Array:
        """(B, H, W, C) contiguous -> the patches of one channel, (B, OH, OW, kh * kw).

        Neighbours in time see the same rows again. So each row is spread out once, as its patches
        along the frequency lie side by side, and a patch is a view of kh rows in a row.
        """
        sb, sh, sw, _ = padded.strides
        n_clips, n_rows, _, _ = padded.shape
        (kh, kw), (n_t, n_f) = self.kernel, self.output
        # Rows between those that are seen; or nothing at all, as damaged files have it.
        if self.dilation[0] > 1 or self.stride[0] > kh or n_clips == 0:
            return self.patches(padded)[..., channel].reshape(n_clips, n_t, n_f, kh * kw)
        spread = np.ascontiguousarray(
            np.ndarray(
                (n_clips, n_rows, kw, n_f),
                padded.dtype,
                padded,
                channel * padded.itemsize,
                (sb, sh, sw * self.dilation[1], sw * self.stride[1]),
            )
        )
        # Not `spread.strides`: NumPy gives any for an axis of one, as that of a kernel one wide.
        position = spread.itemsize
        tap = n_f * position
        row = kw * tap
        strides = (n_rows * row, row * self.stride[0], position, tap)
        return np.ndarray((n_clips, n_t, n_f, kh * kw), spread.dtype, spread, 0, strides)
