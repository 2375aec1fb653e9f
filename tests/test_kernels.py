"""Every compiled twin gives the numbers of its reference.

A kernel without example inputs here fails the test: add them beside it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minikws
from minikws._jit import ENABLED, REGISTRY, Kernel, kernel
from minikws.frontend import Micro

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


def _thin(*shapes: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(RNG.normal(size=shape).astype(np.float32) for shape in shapes)


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


# Name of each kernel with a twin -> example arguments.
EXAMPLES: dict[str, Callable[[], tuple[Any, ...]]] = {
    "minikws.dsp.micro_stages.levels": _micro_levels,
    "minikws.dsp.micro_stages.compress": _micro_compress,
    "minikws.data.batches.mix": _mix,
    "minikws.dsp.spectrum.spectral_features": _spectral_features,
    "minikws.nn.fast.conv.pack": _pack,
    "minikws.nn.fast.conv.correlate": _correlate,
    "minikws.nn.fast.conv.correlate_params": _correlate_params,
    "minikws.nn.fast.dense.mix": lambda: _thin((70, 9), (70, 4)),
    "minikws.nn.fast.dense.mix_params": lambda: _thin((70, 9), (4, 9)),
    "minikws.nn.fast.dense.mix_input": lambda: _thin((70, 4), (4, 9)),
    "minikws.nn.fast.elementwise.relu": lambda: tuple(_activations(1)),
    "minikws.nn.fast.elementwise.relu_backward": lambda: tuple(_activations(2)),
    "minikws.nn.fast.elementwise.keep_by_bits": lambda: (
        *_activations(1),
        RNG.integers(0, 2**32, 32, dtype=np.uint32),
    ),
}

TWINS = [k for k in REGISTRY if k.loops is not None and k.__module__.startswith("minikws")]


@pytest.mark.skipif(not ENABLED, reason="compiled twins are off: MINIKWS_JIT=0 or no Numba")
@pytest.mark.parametrize("twin", TWINS, ids=[f"{k.__module__}.{k.__name__}" for k in TWINS])
def test_twin_equals_reference(twin: Kernel[Any, Any]) -> None:
    name = f"{twin.__module__}.{twin.__name__}"
    assert name in EXAMPLES, f"no example inputs for {name} in tests/test_kernels.py"
    arguments = EXAMPLES[name]()
    expected = twin.reference(*arguments)
    found = twin.compiled()(*arguments)
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
