"""Every compiled twin gives the numbers of its reference.

A kernel without example inputs here fails the test: add them beside it.
"""

from __future__ import annotations

import copy
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minikws
from minikws._jit import ENABLED, REGISTRY, Kernel, kernel
from minikws.frontend import Micro
from minikws.nn.fast.conv_dft import axis
from minikws.nn.fast.conv_pool import pair_taps
from minikws.runtime import Interpreter
from minikws.runtime.fast.rows import FORMULAS
from minikws.runtime.fast.tables import Tables
from minikws.runtime.fast.translate import translate
from tests.tflite.every_op import every_op

RNG = np.random.default_rng(0)


def _import_everything() -> None:
    for module in pkgutil.walk_packages(minikws.__path__, "minikws."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


_import_everything()


def _mix() -> tuple[Any, ...]:
    words, noise = (RNG.integers(-32768, 32768, (5, 400)).astype(np.int16) for _ in range(2))
    return words, np.array([0, 3, -3, 400, -400]), noise, RNG.uniform(0, 1, 5).astype(np.float32)


def _pack() -> tuple[Any, ...]:
    x = RNG.normal(size=(5, 9, 7, 2)).astype(np.float32)
    return x, 4, 2, 1, 5, 3, 2, 1, 4  # SAME, kernel 4x3, strides 2x2


def _correlate() -> tuple[Any, ...]:
    planes = RNG.normal(size=(9, 1, 2, 5, 6)).astype(np.float32)
    offsets = RNG.integers(0, 150, 16).astype(np.int64)
    weights = RNG.normal(size=(4, 16)).astype(np.float32)
    return planes, offsets, 120, weights, weights[:3, 0].copy(), 3, 4


def _correlate_params() -> tuple[Any, ...]:
    planes, offsets, step, *_ = _correlate()
    return planes, offsets, step, RNG.normal(size=(3, 4, 3, 6)).astype(np.float32)


def _conv_dense(n_outputs: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return what forward and backward take: kernel 5x3, strides 2x2; then 3x2, strides 2x2."""
    windows = (5, 2, 1, 2, 2, 4), (3, 2, 1, 1, 1, 4)  # 8 frames, 7 bins
    next_windows = (3, 2, 1, 0, 1, 2), (2, 2, 1, 0, 0, 2)
    x, y, dout = _thin((3, 8, 7, 1), (4, 4, 2, 3), (2, 2, n_outputs, 3))
    weights, b, w2, b2 = _thin((2, 16), (2,), (3, 2, 2, n_outputs), (n_outputs,))
    offsets = RNG.integers(0, 40, 16).astype(np.int64)
    words = RNG.integers(0, 2**32, 3, dtype=np.uint32)
    words.flags.writeable = False
    arrays = np.zeros((11, 1, 2, 5, 3), np.float32), y
    first, second = (offsets, weights, b), (w2, b2)
    forward = (x, *arrays, first, windows, words, 1.25, second, next_windows)
    planes = _thin(arrays[0].shape)[0]
    return forward, (dout, planes, y, offsets, 60, 1.25, w2, next_windows)


def _thin(*shapes: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(RNG.normal(size=shape).astype(np.float32) for shape in shapes)


def _slide(*shapes: tuple[int, ...]) -> tuple[Any, ...]:
    """Return arrays, then SAME windows: 3 taps, stride 2, dilated; 2 taps."""
    return *_thin(*shapes), (3, 2, 2, 1, 2, 4), (2, 1, 1, 0, 1, 5)


def _slide_back(*shapes: tuple[int, ...]) -> tuple[Any, ...]:
    *arrays, time, freq = _slide(*shapes)
    return *arrays, 8, 5, time, freq


def _chain(*shapes: tuple[int, ...], low: float = 0.0, high: float = 1.5) -> tuple[Any, ...]:
    """Return arrays, and behind the first the rows of its norm and the bounds."""
    first, *rest = _thin(*shapes)
    norm = np.stack(_thin(*[first.shape[-1:]] * 3))
    return first, norm, low, high, *rest


def _chain_back(v: tuple[int, ...], *shapes: tuple[int, ...]) -> tuple[Any, ...]:
    return *_thin(v, v), np.stack(_thin(*[v[-1:]] * 4)), *_chain(*shapes)


def _chain_slide_back(strides: tuple[int, int]) -> tuple[Any, ...]:
    time, freq = (3, strides[0], 2, 1, 2, 4), (2, strides[1], 1, 0, 1, 5)
    n_frames = (4 - 1) * strides[0] + 2
    n_bins = (5 - 1) * strides[1] + 1
    return *_chain_back((3, 4, 5, 6), (3, n_frames, n_bins, 6), (3, 2, 6)), time, freq


def _dft(*shapes: tuple[int, ...]) -> tuple[Any, ...]:
    """Return arrays, then the matrices of 5 positions with 3 taps: 6 bins."""
    return *_thin(*shapes), *axis(5, 3, 1, 5)


def _conv_pool() -> tuple[Any, ...]:
    x, w, b = _thin((3, 9, 7), (4, 3, 1, 32), (32,))
    words = RNG.integers(0, 2**32, 3 * 9 * 7, dtype=np.uint32)
    return x, pair_taps(w), b, words, 1.25, (1, 1, 9, 7), 5, 4


def _conv_pool_params() -> tuple[Any, ...]:
    x, dy = _thin((3, 9, 7), (5, 4, 3, 32))
    winner = RNG.integers(0, 5, dy.shape).astype(np.uint8)
    winner[4][winner[4] > 1] = 4  # the last window has one row, the last column one column
    winner[:, 3][winner[:, 3] % 2 == 1] = 4
    return x, dy, winner, 1.25, (1, 1, 9, 7), 4, 3


def _largest_backward() -> tuple[Any, ...]:
    dy, *places = _slide_back((3, 4, 5, 6))
    return dy, RNG.integers(0, 6, dy.shape).astype(np.int32), *places


def _activations(n: int) -> list[Any]:
    return [RNG.normal(size=1000).astype(np.float32) for _ in range(n)]


def _micro_levels() -> tuple[Any, ...]:
    return RNG.integers(-32768, 32768, (3, 5000)).astype(np.int16), Micro()._levels


def _micro_compress() -> tuple[Any, ...]:
    levels = RNG.integers(0, 2**20, (3, 9, 40)).astype(np.uint32)
    return levels, np.full((3, 40), 77, np.uint32), Micro()._compress


def _spectral_features() -> tuple[Any, ...]:
    from minikws.frontend import Mfcc

    clips = RNG.integers(-32768, 32768, (3, 2000)).astype(np.int16)
    return clips, Mfcc()._kernel_settings, np.empty((3, 10, 40), np.float32)


def _machine_run() -> tuple[Any, ...]:
    """Return every row that the models of `every_op` need, on an arena of random values."""
    programs = [(graph.main.ops, Interpreter(graph)._main) for graph in every_op().values()]
    tables = Tables(tuple(t for _, program in programs for t in program.subgraph.tensors))
    before = 0  # tensors of the programs before, which move this one's numbers
    for ops, program in programs:
        for op, step in zip(ops, program.steps, strict=True):
            inputs, outputs = (
                tuple(i if i == -1 else i + before for i in indices)
                for indices in (step.inputs, step.outputs)
            )
            translate(op.name, tables, step._replace(inputs=inputs, outputs=outputs))
        before += len(program.subgraph.tensors)
    kinds = {row[0] for row in tables.rows}
    assert kinds == FORMULAS.keys()
    machine, table = tables.machine(), tables.table()
    machine.arena[:] = RNG.integers(0, 256, machine.arena.size)
    some, everything = np.array([[50, 0, 9]]), np.array([[0, 0, machine.arena.size]])
    x = RNG.integers(-128, 128, (2, 9), np.int8)
    return *machine, table, x, np.empty((2, machine.arena.size), np.int8), some, everything


# Name of each kernel with a twin -> example arguments.
EXAMPLES: dict[str, Callable[[], tuple[Any, ...]]] = {
    "minikws.dsp.micro_stages.levels": _micro_levels,
    "minikws.dsp.micro_stages.compress": _micro_compress,
    "minikws.data.batches.mix": _mix,
    "minikws.runtime.fast.machine.run": _machine_run,
    "minikws.dsp.spectrum.spectral_features": _spectral_features,
    "minikws.nn.fast.conv.pack": _pack,
    "minikws.nn.fast.conv.correlate": _correlate,
    "minikws.nn.fast.conv.correlate_params": _correlate_params,
    "minikws.nn.fast.chain.mix": lambda: _chain((504, 9), (9, 4)),
    "minikws.nn.fast.chain.mix_backward": lambda: _chain_back((504, 4), (504, 9), (9, 4)),
    "minikws.nn.fast.chain.slide": lambda: (
        *_chain((3, 5, 5, 6), (3, 2, 6)),
        (3, 1, 2, 1, 2, 4),
        (2, 1, 1, 0, 1, 5),
    ),
    "minikws.nn.fast.chain.slide_backward": lambda: _chain_slide_back((2, 1)),
    "minikws.nn.fast.chain.close": lambda: _chain((40, 6)),
    "minikws.nn.fast.chain.close_by_mean": lambda: _chain((7, 20, 6)),
    "minikws.nn.fast.chain.close_backward": lambda: (*_thin((7, 20, 6)), *_chain((7, 20, 6))),
    "minikws.nn.fast.conv_clips.convolve": lambda: _slide((3, 8, 5, 6), (36, 7), (7,)),
    "minikws.nn.fast.conv_clips.convolve_params": lambda: _slide((3, 8, 5, 6), (3, 4, 5, 7)),
    "minikws.nn.fast.conv_clips.convolve_input": lambda: _slide_back((3, 4, 5, 7), (7, 36)),
    "minikws.nn.fast.conv_clips.mix": lambda: _thin((70, 9), (9, 4), (4,)),
    "minikws.nn.fast.conv_clips.mix_params": lambda: _thin((70, 9), (70, 4)),
    "minikws.nn.fast.conv_dft.transform": lambda: _thin((6, 5), (5, 1500)),
    "minikws.nn.fast.conv_dft.multiply": lambda: _dft((4, 2, 5, 7, 3), (4, 2, 3, 3, 4)),
    "minikws.nn.fast.conv_dft.multiply_backward": lambda: _dft(
        (4, 2, 6, 7, 3), (4, 2, 3, 3, 4), (4, 2, 5, 7, 4)
    ),
    "minikws.nn.fast.conv_dft.synthesize": lambda: _thin((5, 6), (6, 3, 50, 20), (20,)),
    "minikws.nn.fast.conv_dft.synthesize_backward": lambda: (
        *_thin((5, 6), (50, 5, 3, 20), (50, 5, 3, 20)),
        1.25,
    ),
    "minikws.nn.fast.conv_line.multiply": lambda: _thin((4, 2, 7, 5), (4, 2, 5, 6)),
    "minikws.nn.fast.conv_line.multiply_params": lambda: _thin((4, 2, 7, 5), (4, 2, 7, 6)),
    "minikws.nn.fast.conv_pool.convolve": _conv_pool,
    "minikws.nn.fast.conv_pool.convolve_params": _conv_pool_params,
    "minikws.nn.fast.dense_wide.dense": lambda: _thin((7, 70), (70, 9), (9,)),
    "minikws.nn.fast.dense_wide.dense_params": lambda: _thin((7, 70), (7, 9)),
    "minikws.nn.fast.dense_wide.dense_input": lambda: _thin((70, 9), (7, 9)),
    "minikws.nn.fast.depthwise.slide": lambda: _slide((3, 8, 5, 6), (3, 2, 6), (6,)),
    "minikws.nn.fast.depthwise.slide_params": lambda: _slide((3, 8, 5, 6), (3, 4, 5, 6)),
    "minikws.nn.fast.depthwise.slide_input": lambda: _slide_back((3, 4, 5, 6), (3, 2, 6)),
    "minikws.nn.fast.pool.largest": lambda: _slide((3, 8, 5, 6)),
    "minikws.nn.fast.pool.largest_backward": _largest_backward,
    "minikws.nn.fast.conv_dense.forward": lambda: _conv_dense(8)[0],
    "minikws.nn.fast.conv_dense.backward": lambda: _conv_dense(4)[1],
    "minikws.nn.fast.dense.mix": lambda: _thin((70, 9), (70, 4)),
    "minikws.nn.fast.dense.mix_params": lambda: _thin((70, 9), (4, 9)),
    "minikws.nn.fast.dense.mix_input": lambda: _thin((70, 4), (4, 9)),
    "minikws.nn.fast.svdf.mix_frames": lambda: _thin((5, 9, 6), (2, 6, 400), (2, 9, 400)),
    "minikws.nn.fast.svdf.mix_frames_params": lambda: _thin(
        (5, 9, 6), (2, 6, 400), (2, 9, 400), (5, 400)
    ),
    "minikws.nn.fast.elementwise.relu": lambda: tuple(_activations(1)),
    "minikws.nn.fast.elementwise.relu_backward": lambda: tuple(_activations(2)),
    "minikws.nn.fast.elementwise.relu6": lambda: tuple(4 * x for x in _activations(1)),
    "minikws.nn.fast.elementwise.relu6_backward": lambda: tuple(4 * x for x in _activations(2)),
    "minikws.nn.fast.norm.moments": lambda: _thin((90, 7)),
    "minikws.nn.fast.norm.normalize": lambda: _thin((90, 7), (7,), (7,), (7,)),
    "minikws.nn.fast.norm.gradient_sums": lambda: _thin((90, 7), (90, 7), (7,)),
    "minikws.nn.fast.norm.gradient_input": lambda: _thin((90, 7), (90, 7), *[(7,)] * 4),
    "minikws.nn.fast.update.descend": lambda: (*_activations(2), np.float32(0.1)),
    "minikws.nn.fast.update.nesterov": lambda: (*_activations(3), *np.float32([0.1, 0.9])),
    "minikws.nn.fast.update.rmsprop": lambda: (
        *map(np.abs, _activations(3)),
        *np.float32([0.1, 0.9, 0.1, 1e-7]),
    ),
    "minikws.nn.fast.update.adam": lambda: (
        *map(np.abs, _activations(4)),
        *np.float32([0.1, 0.1, 0.001, 1e-7]),
    ),
    "minikws.nn.fast.elementwise.keep_by_bits": lambda: (
        *_activations(1),
        RNG.integers(0, 2**32, 32, dtype=np.uint32),
        1.25,
    ),
}

TWINS = [k for k in REGISTRY if k.loops is not None and k.__module__.startswith("minikws")]


@pytest.mark.skipif(not ENABLED, reason="compiled twins are off: MINIKWS_JIT=0 or no Numba")
@pytest.mark.parametrize("twin", TWINS, ids=[f"{k.__module__}.{k.__name__}" for k in TWINS])
def test_twin_equals_reference(twin: Kernel[Any, Any]) -> None:
    name = f"{twin.__module__}.{twin.__name__}"
    assert name in EXAMPLES, f"no example inputs for {name} in tests/test_kernels.py"
    arguments = EXAMPLES[name]()
    # some kernels work in place
    expected = twin.reference(*copy.deepcopy(arguments))
    found = twin.compiled()(*copy.deepcopy(arguments))
    expected_all = expected if isinstance(expected, tuple) else (expected,)
    found_all = found if isinstance(found, tuple) else (found,)
    for one, other in zip(expected_all, found_all, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert one.dtype == other.dtype
        if one.dtype.kind == "f":
            # Reductions add in another order: design.md section 8.
            scale = max(1.0, float(np.abs(one).max()))
            np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-6 * scale)
        else:
            np.testing.assert_array_equal(other, one)


def test_a_kernel_without_twin_runs_its_reference() -> None:
    plain = kernel(lambda x: x + 1)
    assert plain(1) == 2
    REGISTRY.remove(plain)


def test_little_work_runs_the_reference_until_numba_is_loaded() -> None:
    import subprocess
    import sys

    statement = (
        "import sys, numpy as np; from minikws.data.batches import mix;"
        "assert mix.for_work(1, at_least=8) is mix.reference;"
        "assert mix.for_work(8, at_least=8) is mix;"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", statement], check=True)
