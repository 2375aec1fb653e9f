"""Patches of a convolution in the layouts that its sums take, against the plain one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minikws.runtime import Interpreter
from minikws.runtime.node import Node
from minikws.runtime.ops import conv_2d, depthwise_conv_2d
from minikws.runtime.outputs import LONGEST_RUN, SHORTEST_RUN, Int8Output
from minikws.runtime.windows import Geometry
from tests.tflite import tiny


@pytest.mark.parametrize("stride", [(1, 1), (2, 3), (4, 1)])  # 4: beyond the kernel
@pytest.mark.parametrize("dilation", [(1, 1), (1, 2), (2, 1)])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("kernel", [(3, 2), (3, 1), (1, 2), (1, 1)])
@pytest.mark.parametrize(
    "shape", [(2, 13, 8, 3), (1, 13, 8, 1), (2, 13, 3, 1), (1, 5, 3, 2), (0, 5, 4, 2)]
)
def test_the_patches_of_one_channel(
    shape: tuple[int, int, int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: str,
) -> None:
    n_clips, *hw, n_channels = shape
    size = (hw[0], hw[1])
    graph = tiny.conv(hw=size, kernel=kernel, stride=stride, dilation=dilation, padding=padding)
    geometry = Geometry.of(Node.of(graph.main, 0, "the model"), size, kernel)
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    padded = geometry.pad(x, -1, np.float32)
    patches = geometry.patches(padded)
    for channel in range(n_channels):
        expected = patches[..., channel].reshape(n_clips, *geometry.output, math.prod(kernel))
        np.testing.assert_array_equal(geometry.matrices(padded, channel), expected)


@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (1, 2)])
def test_taps_are_summed_in_runs_as_one_by_one(
    stride: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = tiny.conv(depthwise=True, hw=(7, 6), channels=3, outputs=2, stride=stride)
    x = np.random.default_rng(0).integers(-128, 128, (3, 7, 6, 3), np.int8)
    in_runs = Interpreter(graph).invoke(x)
    monkeypatch.setattr(depthwise_conv_2d, "MOST_RUNS", 0)
    np.testing.assert_array_equal(Interpreter(graph).invoke(x), in_runs)


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_no_clip_makes_no_clip(depthwise: bool, channels: int, dtype: str) -> None:
    graph = tiny.conv(depthwise=depthwise, hw=(7, 6), channels=channels, outputs=2, dtype=dtype)
    op = depthwise_conv_2d if depthwise else conv_2d
    state = op.prepare(Node.of(graph.main, 0, "the model"))
    (y,) = op.evaluate(state, (np.zeros((0, 7, 6, channels), dtype),))
    assert y.shape == (0, *graph.main.tensors[-1].shape[1:])


@pytest.mark.parametrize("hw", [(1, 1), (5, 4), (997, 1), (64, 60)])
def test_scaling_takes_a_whole_part_of_the_positions_at_once(hw: tuple[int, int]) -> None:
    graph = tiny.conv(hw=hw, kernel=(1, 1), outputs=2)
    node = Node.of(graph.main, 0, "the model")
    x, w, b = (tensor for tensor in node.inputs if tensor is not None)
    assert w.data is not None and b.data is not None
    matrix = w.data.reshape(2, -1).astype(np.int64)
    output = Int8Output(node, matrix, w.scale, b.data, x, node.outputs[0])
    n_positions = hw[0] * hw[1]
    sums = np.arange(2 * n_positions, dtype=np.float32).reshape(-1, 2) - n_positions
    np.testing.assert_array_equal(output.fast(sums), output.exact(sums))
    run = output.positions_a_run
    assert n_positions % run == 0 and run <= LONGEST_RUN
    assert run * 2 >= min(SHORTEST_RUN, 2 * n_positions) or n_positions == 997
