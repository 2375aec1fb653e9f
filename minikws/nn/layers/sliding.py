"""What convolutions and pools share: sizes that must make sense, and where a window fits."""

from __future__ import annotations

from minikws.errors import SettingsError, ShapeError, nearest
from minikws.nn import functional as fn
from minikws.nn.layers.base import Layer, Shape

PADDINGS: tuple[fn.Padding, ...] = ("SAME", "VALID")


class Sliding(Layer):
    """A layer with a window that slides along time, or along time and frequency.

    size, strides, dilations : one number an axis.
    """

    def __init__(
        self,
        what: str,
        *,
        channels: tuple[int, ...] = (),
        size: tuple[int, ...],
        strides: tuple[int, ...],
        padding: fn.Padding,
        dilations: tuple[int, ...],
    ) -> None:
        super().__init__()
        if len({len(size), len(strides), len(dilations)}) > 1:
            raise SettingsError(
                f"{what} needs as many strides and dilations as its size {size} has numbers, "
                f"found {strides} and {dilations}; give one an axis"
            )
        if min(*channels, *size, *strides, *dilations) < 1:
            raise SettingsError(
                f"{what} with strides {_by(strides)} and dilations {_by(dilations)} holds a "
                "number below 1; give 1 or more everywhere"
            )
        if padding not in PADDINGS:
            raise SettingsError(f"unknown padding {padding!r}; {nearest(padding, PADDINGS)}")
        self.size, self.strides, self.dilations = size, strides, dilations
        self.padding: fn.Padding = padding

    def positions(self, input_shape: Shape, n_channels: int | None) -> tuple[int, ...]:
        """Return how often the window fits along each axis.

        Raises
        ------
        ShapeError : other axes or channels than (…, n_channels), or an axis that is too short.
        """
        n_axes = len(self.size)
        axes = ("T", "F")[:n_axes]
        if len(input_shape) != n_axes + 1 or n_channels not in (None, input_shape[-1]):
            wanted = ", ".join([*axes, "C" if n_channels is None else str(n_channels)])
            raise ShapeError(f"{self!r} takes ({wanted}), found {input_shape}; reshape its input")
        n_out = tuple(
            fn.window(input_shape[i], self.size[i], self.strides[i], self.padding, d).n_out
            for i, d in enumerate(self.dilations)
        )
        if min(n_out) < 1:
            raise ShapeError(
                f"{self!r} does not fit into {input_shape[:-1]}; use a smaller kernel or "
                "padding SAME"
            )
        return n_out

    def _sizes(self, name: str) -> str:
        """Return "name 3x3, strides 2x2, SAME", and dilations and a missing bias where they are."""
        parts = [f"{name} {_by(self.size)}", f"strides {_by(self.strides)}", self.padding]
        if max(self.dilations) > 1:
            parts.append(f"dilations {_by(self.dilations)}")
        if "w" in self.params and "b" not in self.params:
            parts.append("no bias")
        return ", ".join(parts)


def _by(numbers: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in numbers)
