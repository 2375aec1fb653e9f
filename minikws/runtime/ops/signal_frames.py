"""SignalFramer, SignalStacker, SignalOverlapAdd, SignalDelay: windows over a stream of samples.

All four remember what came before, along the last axis and for each row of the others. Framer
and stacker also say whether their output is complete, which it is not before enough has come;
what is not complete stays as the run before left it.

Source: signal/micro/kernels/framer.cc, stacker.cc, overlap_add.cc, delay.cc and
signal/src/circular_buffer.cc, overlap_add.cc of TFLite Micro.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws._typing import Array
from minikws.runtime.node import Inputs, Node, Outputs
from minikws.runtime.signal_checks import expect_shape, expect_tensors, type_option


@dataclass(frozen=True)
class Framer:
    """Sizes in samples, and what is remembered.

    waiting : (R, frame + step) int16, samples of each row that have come and not gone.
    heard : (1,) how many came since the start, less those that have gone.
    frames : the output of the run before.
    n_zeros : how many zeros count as having come before the first sample.
    """

    frame_size: int
    frame_step: int
    n_zeros: int
    waiting: Array
    heard: Array
    frames: Array


def prepare_framer(node: Node) -> Framer:
    """Check the tensors of a SignalFramer.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: other types, samples that are no whole number of
        steps; zeros in front of frames that do not overlap; another output.
    """
    x = node.input(0, "samples")
    rank = len(x.shape)
    expect_tensors(node, [("int16", None)], [("int16", rank + 1), ("bool", 0)])
    size, step = node.number("frame_size"), node.number("frame_step")
    node.expect(
        rank > 0 and min(x.shape) > 0 and x.shape[-1] % step == 0,
        f"cuts samples {x.shape} into steps of {step}, expected a multiple of it",
    )
    n_zeros = size - step if node.options["prefill"] else 0
    node.expect(n_zeros >= 0, f"puts zeros before frames of {size} at steps of {step}")
    expect_shape(node, 0, (*x.shape[:-1], x.shape[-1] // step, size))
    n_rows = int(np.prod(x.shape[:-1]))
    return Framer(
        size,
        step,
        n_zeros,
        node.memory((n_rows, size + step), "int16"),
        node.memory((1,), "int64"),
        node.memory(node.outputs[0].shape, "int16"),
    )


def evaluate_framer(state: Framer, inputs: Inputs) -> Outputs:
    """(..., T * step) int16 -> (..., T, frame) int16, () bool whether every frame is complete."""
    x = inputs[0]
    assert x is not None
    n_rows, step = len(state.waiting), state.frame_step
    frames = state.frames.reshape(n_rows, -1, state.frame_size)
    is_complete = True
    for t, samples in enumerate(np.split(x.reshape(n_rows, -1), frames.shape[1], axis=1)):
        have = state.n_zeros + int(state.heard[0])
        state.waiting[:, have : have + step] = samples
        state.heard[0] += step
        if have + step >= state.frame_size:
            frames[:, t] = state.waiting[:, : state.frame_size]
            state.waiting[:, :-step] = state.waiting[:, step:].copy()
            state.heard[0] -= step
        else:
            is_complete = False
    return state.frames.copy(), np.array(is_complete)


@dataclass(frozen=True)
class Stacker:
    """How many frames stand side by side, how many go at a time, and what is remembered.

    waiting : (2 * stacked, C) int16, frames that have come and not gone.
    heard : (1,) how many.
    started : (1,) bool.
    stack : the output of the run before.
    """

    n_stacked: int
    left: int
    step: int
    waiting: Array
    heard: Array
    started: Array
    stack: Array


def prepare_stacker(node: Node) -> Stacker:
    """Check the tensors of a SignalStacker.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses; sizes that do not belong together; steps longer
        than a stack.
    """
    expect_tensors(node, [("int16", 1)], [("int16", 1), ("bool", 0)])
    n_channels = node.number("num_channels")
    left, right = node.number("stacker_left_context"), node.number("stacker_right_context")
    n_stacked, step = left + right + 1, node.number("stacker_step")
    shape = node.input(0, "frame").shape
    node.expect(shape[0] >= n_channels, f"has {n_channels} channels and a frame of {shape}")
    node.expect(step <= n_stacked, f"takes steps of {step} frames, stacks {n_stacked}")
    expect_shape(node, 0, (n_stacked * n_channels,))
    return Stacker(
        n_stacked,
        left,
        step,
        node.memory((n_stacked, n_channels), "int16"),
        node.memory((1,), "int64"),
        node.memory((1,), "bool"),
        node.memory(node.outputs[0].shape, "int16"),
    )


def evaluate_stacker(state: Stacker, inputs: Inputs) -> Outputs:
    """(C,) int16 -> (stacked * C,) int16, () bool; the first frame also stands for those before.

    Values of a frame beyond the channels are not looked at.
    """
    frame = inputs[0]
    assert frame is not None
    n_copies = 1 if state.started[0] else 1 + state.left
    state.started[0] = True
    have = int(state.heard[0]) + n_copies
    state.waiting[have - n_copies : have] = frame[: state.waiting.shape[1]]
    is_complete = have == state.n_stacked
    if is_complete:
        state.stack[:] = state.waiting.ravel()
        state.waiting[: -state.step] = state.waiting[state.step :].copy()
        have -= state.step
    state.heard[0] = have
    return state.stack.copy(), np.array(is_complete)


@dataclass(frozen=True)
class OverlapAdd:
    """How far each frame lies behind the one before, and (R, frame) of sums that go on."""

    frame_step: int
    sums: Array


def prepare_overlap_add(node: Node) -> OverlapAdd:
    """Check the tensors of a SignalOverlapAdd.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses: other types or dimensions; steps longer than a
        frame; another output.
    """
    dtype = type_option(node, ("float32", "int16"))
    x = node.input(0, "frames")
    rank, step = len(x.shape), node.number("frame_step")
    node.expect(rank >= 2 and min(x.shape) > 0, f"adds frames {x.shape}, expected (..., T, frame)")
    expect_tensors(node, [(dtype, None)], [(dtype, rank - 1)])
    *rows, n_frames, size = x.shape
    node.expect(step <= size, f"takes steps of {step} samples, its frames have {size}")
    expect_shape(node, 0, (*rows, n_frames * step))
    return OverlapAdd(step, node.memory((int(np.prod(rows)), size), dtype))


def evaluate_overlap_add(state: OverlapAdd, inputs: Inputs) -> Outputs:
    """(..., T, frame) -> (..., T * step) int16 (each sum cut to its range) or float32."""
    x = inputs[0]
    assert x is not None
    sums, step = state.sums, state.frame_step
    n_rows, size = sums.shape
    parts = []
    for frame in x.reshape(n_rows, -1, size).swapaxes(0, 1):
        if sums.dtype == np.int16:
            sums[:] = np.clip(sums.astype(np.int32) + frame, -32768, 32767)
        else:
            sums += frame
        parts.append(sums[:, :step].copy())
        sums[:, :-step] = sums[:, step:].copy()
        sums[:, size - step :] = 0
    shape = (*x.shape[:-2], x.shape[-2] * step)
    return (np.concatenate(parts, axis=1).reshape(shape),)


def prepare_delay(node: Node) -> Array:
    """Check the tensors of a SignalDelay; return (R, delay) int16, the samples on their way.

    Raises
    ------
    ModelFileError : what TFLite Micro refuses, or another output.
    """
    expect_tensors(node, [("int16", None)], [("int16", None)])
    x = node.input(0, "samples")
    node.expect(len(x.shape) > 0 and min(x.shape) > 0, f"delays samples {x.shape}")
    expect_shape(node, 0, x.shape)
    return node.memory((int(np.prod(x.shape[:-1])), node.number("delay_length")), "int16")


def evaluate_delay(waiting: Array, inputs: Inputs) -> Outputs:
    """(..., N) int16 -> (..., N) int16, those of `delay_length` samples before."""
    x = inputs[0]
    assert x is not None
    n_rows, length = waiting.shape
    line = np.concatenate((waiting, x.reshape(n_rows, -1)), axis=1)
    waiting[:] = line[:, line.shape[1] - length :]
    return (line[:, : x.shape[-1]].reshape(x.shape),)
