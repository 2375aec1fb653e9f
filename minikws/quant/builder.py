"""A graph while it is put together: tensors and operators in float32, or in int8.

`quant.lower` adds what each layer needs; here stands how numbers are stored.

Source: the TFLite 8-bit quantisation specification (per-channel symmetric int8 weights of
convolutions, int32 biases at input scale times weight scale, asymmetric int8 activations).
"""

from __future__ import annotations

import numpy as np

from minikws._typing import Array, Float
from minikws.errors import SettingsError
from minikws.fixedpoint import round_half_away
from minikws.graph import Op, OptionValue, Tensor
from minikws.nn.layers import Shape

Quantization = tuple[float, int]  # scale, zero point


class Builder:
    """Tensors and operators as they are added; float32 here, int8 in the class below."""

    dtype = "float32"

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []

    def tensor(self, tensor: Tensor) -> int:
        """Add a tensor and return its index."""
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(
        self,
        name: str,
        values: Array,
        *,
        scale: tuple[float, ...] = (),
        axis: int = 0,
    ) -> int:
        """Add a constant tensor, its zero points 0."""
        data = np.ascontiguousarray(values)
        data.flags.writeable = False
        return self.tensor(
            Tensor(name, data.shape, data.dtype.name, scale, (0,) * len(scale), axis, data)
        )

    def activation(self, name: str, shape: Shape, quantization: Quantization | None) -> int:
        """Add an activation of one clip."""
        scale, zero_point = ((quantization[0],), (quantization[1],)) if quantization else ((), ())
        return self.tensor(Tensor(name, (1, *shape), self.dtype, scale, zero_point))

    def quantization(self, range_name: str) -> Quantization | None:
        """Return how the values of a layer are stored."""
        return None

    def output(self, name: str, shape: Shape, range_name: str, x: int) -> int:
        """Add an activation with its own range, or that of `x` where it has none."""
        quantization = self.same_as(x)
        if self.has_range(range_name):
            quantization = self.quantization(range_name)
        return self.activation(name, shape, quantization)

    def has_range(self, range_name: str) -> bool:
        """Whether the values of a layer have a scale of their own."""
        return False

    def same_as(self, index: int) -> Quantization | None:
        """Return how another tensor is stored."""
        tensor = self.tensors[index]
        return (tensor.scale[0], tensor.zero_point[0]) if tensor.scale else None

    def weights(
        self, name: str, w: Float, b: Float, x: int, *, per_channel: bool, axis: int = 0
    ) -> list[int]:
        """Add weights and bias of an operator with input tensor `x`.

        axis : of the output channels, 0 or the last.
        """
        return [
            self.constant(f"{name}/weights", w.astype(np.float32)),
            self.constant(f"{name}/bias", b.astype(np.float32)),
        ]

    def op(self, name: str, inputs: list[int], output: int, **options: OptionValue) -> int:
        """Add an operator and return its output."""
        self.ops.append(Op(name, tuple(inputs), (output,), options))
        return output


class Int8Builder(Builder):
    """The same with int8 activations, whose scales are given, and int8 weights."""

    dtype = "int8"

    def __init__(self, quantizations: dict[str, Quantization]) -> None:
        super().__init__()
        self.quantizations = quantizations

    def quantization(self, range_name: str) -> Quantization | None:
        """Return scale and zero point of a layer's output.

        Raises
        ------
        SettingsError : nothing is known of it.
        """
        if range_name not in self.quantizations:
            raise SettingsError(
                f"the range of {range_name} is not known; export the run with its calibration "
                "features, without quantisation-aware training"
            )
        return self.quantizations[range_name]

    def has_range(self, range_name: str) -> bool:
        """Whether the values of a layer have a scale of their own."""
        return range_name in self.quantizations

    def weights(
        self, name: str, w: Float, b: Float, x: int, *, per_channel: bool, axis: int = 0
    ) -> list[int]:
        """Add symmetric weights from -127 to 127, one scale or one a channel, and int32 bias."""
        by_channel = np.moveaxis(w, axis, 0)
        rows = by_channel.reshape(len(by_channel), -1).astype(np.float64)
        largest = np.abs(rows).max(axis=1)
        biggest_bias = np.abs(b.astype(np.float64))
        if not per_channel:
            largest, biggest_bias = largest.max(keepdims=True), biggest_bias.max(keepdims=True)
        scale = np.where(largest > 0, largest, 1.0) / 127
        # a channel of tiny weights may need a larger scale, for its bias to fit into int32
        x_scale = self.tensors[x].scale[0]
        scale = np.maximum(scale, biggest_bias / (x_scale * 2**30)).astype(np.float32)
        integers = np.clip(round_half_away(rows / scale[:, None].astype(np.float64)), -127, 127)
        bias_scale = (np.float64(x_scale) * scale).astype(np.float32)
        bias = round_half_away(b / bias_scale.astype(np.float64))
        return [
            self.constant(
                f"{name}/weights",
                np.moveaxis(integers.reshape(by_channel.shape), 0, axis).astype(np.int8),
                scale=tuple(scale.tolist()),
                axis=axis,
            ),
            self.constant(f"{name}/bias", bias.astype(np.int32), scale=tuple(bias_scale.tolist())),
        ]
