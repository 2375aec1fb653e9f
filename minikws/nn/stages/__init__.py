"""Stages: runs of layers that are computed in one compiled go.

A `Network` runs its layers one by one. Where Numba is installed it first looks for runs that a
stage takes: [Conv2D, ReLU, Dropout, MaxPool2D], say, which then keeps only the pooled values and
not the hundred megabytes between. A stage gives the numbers of its layers run one by one (the same
dropout masks for the same generator, gradients in the same `grads`), which
tests/nn/test_stages.py shows for each. `Network.activations` always goes layer by layer.

A new stage: a subclass of `Stage` in a module of this package with

- `takes`: the exact types of its layers, in order (or `length`, for a run of any length);
- `fits(layers, shape)`: whether strides, sizes and so on are those it is made for;
- `forward(x, training=...)`, `backward(dy)`, `backward_params(dy)`, as a layer has them. It reads
  `self.layers[i].params` at every call, sets `self.layers[i].grads`, and draws dropout masks with
  `Dropout.draw`;

then a line in `STAGES`, before shorter ones that begin alike, and an example in the test. Its
compiled loops stand in `nn.fast`.
"""

from collections.abc import Sequence

from minikws import _jit
from minikws.nn.layers import Layer, Shape
from minikws.nn.stages.base import Stage
from minikws.nn.stages.base import fuse as _fuse
from minikws.nn.stages.clip_first import NormChain
from minikws.nn.stages.conv import PooledConv, SpectralConv, WholeClipConv
from minikws.nn.stages.few_channels import FewChannelsConv, FewChannelsDense

STAGES: list[type[Stage]] = [
    PooledConv,
    SpectralConv,
    WholeClipConv,
    FewChannelsConv,
    FewChannelsDense,
    NormChain,
]


def fuse(layers: Sequence[Layer], shapes: Sequence[Shape]) -> list[Layer]:
    """Return the layers with runs of them replaced by stages, or as they are without Numba."""
    return _fuse(layers, shapes, STAGES if _jit.ENABLED else [])


__all__ = ["STAGES", "Stage", "fuse"]
