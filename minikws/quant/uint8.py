"""uint8 as converters wrote it until 2019: one scale and zero point for all weights of a layer.

The activations are those of int8 with zero points 128 higher; only the weights are stored anew.
They are asymmetric, from 1 to 255: the fast kernels of the time could not take a 0. Layers with a
few large weights lose by the one scale, which is why int8 gives each channel its own.

Source: QUANTIZED_UINT8 of toco, quantisation-aware ranges of FakeQuantWithMinMaxVars with
narrow_range (tensorflow/contrib/quantize).
"""

from __future__ import annotations

import numpy as np

from minikws._typing import Float
from minikws.errors import SettingsError
from minikws.fixedpoint import round_half_away
from minikws.nn.layers import Shape
from minikws.quant.builder import Int8Builder, Quantization

LOWEST, HIGHEST = 1, 255  # of a weight


class UInt8Builder(Int8Builder):
    """Tensors and operators in uint8; `quant.lower` speaks to it of int8 zero points."""

    dtype = "uint8"

    def activation(self, name: str, shape: Shape, quantization: Quantization | None) -> int:
        """Add an activation of one clip; its zero point is stored 128 higher."""
        if quantization is not None:
            quantization = quantization[0], quantization[1] + 128
        return super().activation(name, shape, quantization)

    def same_as(self, index: int) -> Quantization | None:
        """Return how another tensor would be stored in int8."""
        quantization = super().same_as(index)
        return None if quantization is None else (quantization[0], quantization[1] - 128)

    def weights(
        self, name: str, w: Float, b: Float, x: int, *, per_channel: bool, axis: int = 0
    ) -> list[int]:
        """Add weights with one scale and zero point, whatever is asked for, and int32 bias."""
        low, high = min(float(w.min()), 0.0), max(float(w.max()), 0.0)
        x_scale = self.tensors[x].scale[0]
        # tiny weights may need a larger scale, for the bias to fit into int32
        needed = float(np.abs(b).max()) / (x_scale * 2**30)
        scale = np.float32(max((high - low) / (HIGHEST - LOWEST), needed) or 1.0)
        step = np.float64(scale)
        zero_point = int(np.clip(round_half_away(LOWEST - low / step), LOWEST, HIGHEST))
        integers = np.clip(round_half_away(w / step) + zero_point, LOWEST, HIGHEST)
        stored = self.constant(
            f"{name}/weights",
            integers.astype(np.uint8),
            scale=(float(scale),),
            zero_point=zero_point,
        )
        return [stored, self.bias(name, b, x, scale.reshape(1))]

    def filters(
        self, name: str, frequency: Float, time: Float, b: Float, x: int
    ) -> tuple[int, int, int, int]:
        """Refuse an SVDF.

        Raises
        ------
        SettingsError : always.
        """
        raise SettingsError(
            f"layer {name} is an SVDF, which no runtime has in uint8; export it as int8"
        )
