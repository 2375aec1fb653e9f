"""SignalWindow and SignalFftAutoScale: what happens to samples before the Fourier transform.

Source: signal/micro/kernels/window.cc, fft_auto_scale_common.cc and signal/src/window.cc,
fft_auto_scale.cc, max_abs.cc of TFLite Micro.
"""

from __future__ import annotations

import numpy as np

from minikws.dsp.micro_stages import headroom, peak_of_preprocessor, shift_up
from minikws.runtime.node import Inputs, Node, Outputs
from minikws.runtime.signal_checks import expect_shape, expect_tensors


def prepare_window(node: Node) -> int:
    """Check the tensors of a SignalWindow; return by how many bits products are shifted down.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses, or samples that are no whole number of windows.
    """
    expect_tensors(node, [("int16", None), ("int16", 1)], [("int16", None)])
    x, window = node.input(0, "samples"), node.input(1, "window")
    width, last = window.shape[0], x.shape[-1] if min(x.shape, default=0) > 0 else 0
    node.expect(
        width > 0 and last > 0 and last % width == 0,
        f"has samples {x.shape} and a window of {width}, expected a multiple of it",
    )
    expect_shape(node, 0, x.shape)
    return node.number("shift")


def evaluate_window(shift: int, inputs: Inputs) -> Outputs:
    """(..., N) int16, (W,) int16 -> (..., N) int16: samples * window / 2**shift, rounded down."""
    x, window = inputs
    assert x is not None and window is not None
    products = (x.reshape(-1, len(window)).astype(np.int32) * window) >> shift
    return (np.clip(products, -32768, 32767).astype(np.int16).reshape(x.shape),)


def prepare_auto_scale(node: Node) -> None:
    """Check the tensors of a SignalFftAutoScale.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses.
    """
    expect_tensors(node, [("int16", 1)], [("int16", 1), ("int32", 0)])
    expect_shape(node, 0, node.input(0, "samples").shape)


def evaluate_auto_scale(state: None, inputs: Inputs) -> Outputs:
    """(N,) int16 -> (N,) int16, () int32: samples * 2**shift that fill 15 bits, and the shift."""
    x = inputs[0]
    assert x is not None
    shift = headroom(peak_of_preprocessor(x), silence=0)
    return shift_up(x, shift, len(x)), shift.astype(np.int32)
