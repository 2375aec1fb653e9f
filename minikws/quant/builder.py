"""A graph while it is put together: tensors and operators in float32, or in int8.

`quant.lower` adds what each layer needs; here stands how numbers are stored.

Source: the TFLite 8-bit quantisation specification (per-channel symmetric int8 weights of
convolutions, int32 biases at input scale times weight scale, asymmetric int8 activations; an SVDF's
state and weights in time are int16).
"""

from __future__ import annotations

import numpy as np

from minikws._typing import Array, Float
from minikws.errors import SettingsError
from minikws.fixedpoint import round_half_away
from minikws.graph import Op, OptionValue, Tensor
from minikws.nn.layers import Shape

Quantization = tuple[float, int]  # scale, zero point

INT8_MIN, INT8_MAX, INT16_MAX = -128, 127, 32767
LEAST_SVDF_SCALE = 1e-12  # of an SVDF's weights and state: the product of two stays a float32


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
        zero_point: int = 0,
        axis: int = 0,
    ) -> int:
        """Add a constant tensor, all its zero points the same."""
        data = np.ascontiguousarray(values)
        data.flags.writeable = False
        zero_points = (zero_point,) * len(scale)
        return self.tensor(
            Tensor(name, data.shape, data.dtype.name, scale, zero_points, axis, data)
        )

    def activation(self, name: str, shape: Shape, quantization: Quantization | None) -> int:
        """Add an activation of one clip."""
        scale, zero_point = ((quantization[0],), (quantization[1],)) if quantization else ((), ())
        return self.tensor(Tensor(name, (1, *shape), self.dtype, scale, zero_point))

    def quantization(self, range_name: str) -> Quantization | None:
        """Return how the values of a layer are stored."""
        return None

    def fixed(self, quantization: Quantization) -> Quantization | None:
        """Return how an operator stores its output that takes this scale and zero point alone."""
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

    def filters(
        self, name: str, frequency: Float, time: Float, b: Float, x: int
    ) -> tuple[int, int, int, int]:
        """Add weights, bias and state of an SVDF with input tensor `x`.

        frequency : (N, F); time : (N, M), the oldest frame first; b : (U,), N a multiple of U.
        """
        return (
            self.constant(f"{name}/weights_frequency", frequency.astype(np.float32)),
            self.constant(f"{name}/weights_time", time.astype(np.float32)),
            self.constant(f"{name}/bias", b.astype(np.float32)),
            self.state(f"{name}/state", time.size, "float32"),
        )

    def state(self, name: str, size: int, dtype: str, scale: tuple[float, ...] = ()) -> int:
        """Add a tensor (1, size) that keeps its values from one frame to the next."""
        zero_point = (0,) * len(scale)
        return self.tensor(Tensor(name, (1, size), dtype, scale, zero_point, is_variable=True))

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

    def fixed(self, quantization: Quantization) -> Quantization:
        """Return the scale and zero point that an operator insists on."""
        return quantization

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
        return [
            self.constant(
                f"{name}/weights",
                np.moveaxis(integers.reshape(by_channel.shape), 0, axis).astype(np.int8),
                scale=tuple(scale.tolist()),
                axis=axis,
            ),
            self.bias(name, b, x, scale),
        ]

    def bias(self, name: str, b: Float, x: int, scale: Float) -> int:
        """Add an int32 bias, its scale that of input `x` times the weights' (O,) or (1,)."""
        bias_scale = (np.float64(self.tensors[x].scale[0]) * scale).astype(np.float32)
        integers = round_half_away(b / bias_scale.astype(np.float64)).astype(np.int32)
        return self.constant(f"{name}/bias", integers, scale=tuple(bias_scale.tolist()))

    def filters(
        self, name: str, frequency: Float, time: Float, b: Float, x: int
    ) -> tuple[int, int, int, int]:
        """Add int8 weights in frequency, int16 weights in time and state, int32 bias.

        No range is asked for: the state has room for the largest sum that the weights can give,
        and the weights in time take as many of their 16 bits as leave their sums within int32,
        which is all that TFLite Micro adds them up in.

        Raises
        ------
        SettingsError : a unit sums so many values that no bits are left.
        """
        (x_scale,), (x_zero,) = self.tensors[x].scale, self.tensors[x].zero_point
        f_scale = _as_stored(float(np.abs(frequency).max()) / 127)
        f = np.clip(round_half_away(frequency / np.float64(f_scale)), -127, 127)
        ends = f * (INT8_MIN - x_zero), f * (INT8_MAX - x_zero)
        largest = np.maximum(np.maximum(*ends).sum(1), -np.minimum(*ends).sum(1)).max()
        state_scale = _as_stored(x_scale * f_scale * float(largest) / INT16_MAX)
        b64, per_unit = b.astype(np.float64), time.size // b.size
        sums = np.abs(time.astype(np.float64)).reshape(b.size, per_unit).sum(1)
        rounding = per_unit / 2 * 2**15 + 1  # each weight may round up by half a step
        if rounding > 2**30:
            raise SettingsError(
                f"{name} sums {per_unit} values a unit, more than 16-bit weights leave room for in "
                "32 bits; give it a shorter memory or a lower rank"
            )
        needed = (sums * 2**15 + np.abs(b64) / state_scale).max() / (2**31 - 1 - rounding)
        t_scale = _as_stored(max(float(np.abs(time).max()) / INT16_MAX, float(needed)))
        t = np.clip(round_half_away(time / np.float64(t_scale)), -INT16_MAX, INT16_MAX)
        b_scale = float(np.float32(state_scale * t_scale))
        bias = round_half_away(b64 / b_scale).astype(np.int32)
        return (
            self.constant(f"{name}/weights_frequency", f.astype(np.int8), scale=(f_scale,)),
            self.constant(f"{name}/weights_time", t.astype(np.int16), scale=(t_scale,)),
            self.constant(f"{name}/bias", bias, scale=(b_scale,)),
            self.state(f"{name}/state", time.size, "int16", (state_scale,)),
        )


def _as_stored(scale: float) -> float:
    """Round to float32, as which a file keeps it, and up where weights are next to nothing."""
    return float(np.float32(max(scale, LEAST_SVDF_SCALE)))
