"""Every operator that minikws runs, by its TFLite name; one module each."""

from __future__ import annotations

from collections.abc import Mapping

from minikws.runtime.node import Kernel
from minikws.runtime.ops import (
    conv_2d,
    depthwise_conv_2d,
    fully_connected,
    reshape,
    softmax,
)

OPS: Mapping[str, Kernel] = {
    "CONV_2D": Kernel(conv_2d.prepare, conv_2d.evaluate),
    "DEPTHWISE_CONV_2D": Kernel(depthwise_conv_2d.prepare, depthwise_conv_2d.evaluate),
    "FULLY_CONNECTED": Kernel(fully_connected.prepare, fully_connected.evaluate),
    "RESHAPE": Kernel(reshape.prepare, reshape.evaluate),
    "SOFTMAX": Kernel(softmax.prepare, softmax.evaluate),
}
