"""One name, two forms: a readable NumPy reference and, sometimes, a compiled twin.

The only file that imports Numba, and only at a kernel's first compiled call: importing
minikws stays light, and a machine without Numba (a Raspberry Pi) runs the references.
``MINIKWS_JIT=0`` runs the references everywhere.

>>> @kernel
... def double(x):
...     return 2 * x
>>> @double.jit
... def _(x):
...     out = np.empty_like(x)
...     for i in range(x.size):
...         out[i] = 2 * x[i]
...     return out
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Generic, ParamSpec, TypeVar, overload

P = ParamSpec("P")
R = TypeVar("R")

ENABLED = os.environ.get("MINIKWS_JIT", "1") != "0" and find_spec("numba") is not None

prange = range  # a twin's parallel loop; becomes numba.prange when the twin is compiled

REGISTRY: list[Kernel[Any, Any]] = []


class Kernel(Generic[P, R]):
    """A function with a readable reference and, sometimes, a compiled twin.

    Calling it runs the twin where Numba is installed and enabled, else the reference.
    """

    def __init__(self, reference: Callable[P, R]) -> None:
        self.reference = reference
        self.loops: Callable[P, R] | None = None
        self._options: dict[str, Any] = {}
        self._compiled: Callable[P, R] | None = None
        self.__name__ = reference.__name__
        self.__doc__ = reference.__doc__
        self.__module__ = reference.__module__
        REGISTRY.append(self)

    def __repr__(self) -> str:
        return f"<kernel {self.__module__}.{self.__name__}>"

    @overload
    def jit(self, loops: Callable[P, R]) -> Callable[P, R]: ...

    @overload
    def jit(self, **options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]: ...

    def jit(self, loops: Callable[P, R] | None = None, **options: Any) -> Any:
        """Register the twin: ``@name.jit``, or ``@name.jit(parallel=True)`` (numba's options)."""
        if loops is None:

            def register(function: Callable[P, R]) -> Callable[P, R]:
                self.loops, self._options = function, options
                return function

            return register
        self.loops = loops
        return loops

    def compiled(self) -> Callable[P, R]:
        """Return the compiled twin, compiling (or loading from Numba's cache) at the first call."""
        if self._compiled is None:
            # Waiting threads sleep: spinning ones take the core from whoever has work.
            os.environ.setdefault("OMP_WAIT_POLICY", "passive")
            import numba

            assert self.loops is not None
            names = self.loops.__globals__
            if names.get("prange") is range:
                names["prange"] = numba.prange
            self._compiled = numba.njit(cache=True, **self._options)(self.loops)
        return self._compiled

    def for_work(self, n_items: int, *, at_least: int) -> Callable[P, R]:
        """Pick the form for `n_items`: below `at_least` compiling does not pay.

        Once compiled the twin wins there too, on one thread: waking a second one takes 0.1 ms.
        All forms give the same numbers.
        """
        if n_items >= at_least:
            return self
        return self.reference if self._compiled is None else self._on_one_thread

    def _on_one_thread(self, *args: P.args, **kwargs: P.kwargs) -> R:
        import numba

        n_threads = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            return self.compiled()(*args, **kwargs)
        finally:
            numba.set_num_threads(n_threads)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if ENABLED and self.loops is not None:
            return self.compiled()(*args, **kwargs)
        return self.reference(*args, **kwargs)


def kernel(reference: Callable[P, R]) -> Kernel[P, R]:
    """Make a function a `Kernel`; its twin follows with ``@name.jit``."""
    return Kernel(reference)
