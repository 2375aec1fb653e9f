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

import inspect
import os
from collections.abc import Callable
from ctypes import CDLL, PYFUNCTYPE, c_char, c_int, c_ssize_t, c_void_p
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar, overload

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")

ENABLED = os.environ.get("MINIKWS_JIT", "1") != "0" and all(
    find_spec(name) is not None
    for name in ("numba", "scipy")  # Numba takes BLAS from SciPy
)

prange = range  # a twin's parallel loop; becomes numba.prange when the twin is compiled


def matmul(a: Any, b: Any, out: Any, add: bool) -> None:
    """Set out = a @ b, or add to it: a twin's matrix product without copies.

    Rows, or columns, of each matrix must be contiguous; they may stand apart (slices, transposes).
    Becomes one BLAS call when the twin is compiled, which needs SciPy, as `np.dot` there does.
    """
    if add:
        out += a @ b
    else:
        out[...] = a @ b


REGISTRY: list[Kernel[Any, Any]] = []


class Part(Generic[P, R]):
    """A piece of a twin's loops, written once and compiled into each twin of its file."""

    def __init__(self, loops: Callable[P, R]) -> None:
        self.loops = loops
        self.__name__ = loops.__name__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.loops(*args, **kwargs)


class Code(Generic[P]):
    """A piece of a twin that no loop compiles to: a plain form, and LLVM's instructions for it.

    Takes contiguous arrays and whole numbers, returns nothing.
    """

    def __init__(self, plain: Callable[P, None], emit: Callable[..., None]) -> None:
        self.plain = plain
        self.emit = emit  # (builder, the processor's features, each array's address or number)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        self.plain(*args, **kwargs)


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

            _keep_blas_on_one_thread()

            assert self.loops is not None
            _make_ready(self.loops.__globals__)
            self._compiled = numba.njit(cache=True, **self._options)(self.loops)
        return self._compiled

    def for_work(self, n_items: int, *, at_least: int) -> Callable[P, R]:
        """Pick the form for `n_items`: below `at_least` compiling does not pay.

        Once compiled the twin wins there too, on one thread: waking a second one takes 0.1 ms.
        All forms give the same numbers.
        """
        if n_items >= at_least:
            return self
        if n_items == 0 or self._compiled is None:
            return self.reference
        return self._on_one_thread

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


@cache
def _keep_blas_on_one_thread() -> None:
    """Set the BLAS that twins call, SciPy's own, to one thread: their loops are the parallel ones.

    Two threads in BLAS inside two parallel threads wait for each other: a step of `conv` took 12 s
    instead of 0.3. NumPy's BLAS is another library and stays as it is.
    """
    scipy = import_module("scipy")
    folder = Path(scipy.__path__[0]).parent
    for pattern in ("scipy.libs/*openblas*", "scipy/.dylibs/*openblas*"):  # as wheels carry it
        for path in folder.glob(pattern):
            library = CDLL(str(path))
            for name in ("scipy_openblas_set_num_threads", "openblas_set_num_threads"):
                if hasattr(library, name):
                    getattr(library, name)(1)
                    return


def _make_ready(names: dict[str, Any]) -> None:
    """Replace what a twin's module uses of this one by its compiled form."""
    import numba

    if names.get("prange") is range:
        names["prange"] = numba.prange
    if names.get("matmul") is matmul and not getattr(numba.config, "DISABLE_JIT", 0):
        names["matmul"] = _compiled_matmul()
    for name, value in list(names.items()):
        if isinstance(value, Part):
            names[name] = numba.njit(cache=True)(value.loops)
        if isinstance(value, Code) and not getattr(numba.config, "DISABLE_JIT", 0):
            names[name] = _compiled_code(value)


def _compiled_code(code: Code[Any]) -> Any:
    """Return a piece's instructions as a function that twins can call."""
    import numba

    def typing(context: Any, *kinds: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            values = [
                context.make_array(kind)(context, builder, value).data
                if isinstance(kind, numba.types.Array)
                else value
                for kind, value in zip(signature.args, args, strict=True)
            ]
            features = context.codegen().magic_tuple()[2]  # as "+avx2,-avx512f,..."
            code.emit(builder, features.split(","), *values)
            return context.get_dummy_value()

        return numba.types.none(*kinds), generate

    # Numba wants to see one parameter for each argument.
    parameters = inspect.signature(code.plain).parameters
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    typing.__signature__ = inspect.Signature([context, *parameters.values()])  # type: ignore[attr-defined]
    return numba.extending.intrinsic(typing)


@cache
def _compiled_matmul() -> Any:
    """Return `matmul` as a call of the gemm that Numba itself uses for `np.dot`.

    Numba has no public way to give BLAS leading dimensions or to add to a result; its symbol
    numba_xxgemm is private, and this is the only place that names it.
    """
    import numba
    from numba import types

    # untyped libraries
    ir: Any = import_module("llvmlite.ir")
    tools: Any = import_module("numba.core.cgutils")
    symbols: Any = import_module("numba._helperlib").c_helpers
    size, octet, word = ir.IntType(64), ir.IntType(8), ir.IntType(32)
    pointer = octet.as_pointer()

    def matrix(builder: Any, context: Any, of: Any, value: Any) -> tuple[Any, ...]:
        """Return "n" or (transposed) "t", the leading dimension, the data, and the shape."""
        array = context.make_array(of)(context, builder, value)
        itemsize = ir.Constant(size, of.dtype.bitwidth // 8)
        n_rows, n_columns = tools.unpack_tuple(builder, array.shape, 2)
        down, along = tools.unpack_tuple(builder, array.strides, 2)
        in_rows = builder.or_(
            builder.icmp_signed("==", along, itemsize),
            builder.icmp_signed("==", n_columns, ir.Constant(size, 1)),
        )
        step = builder.sdiv(builder.select(in_rows, down, along), itemsize)
        least = builder.select(in_rows, n_columns, n_rows)  # a single row may have any stride
        step = builder.select(builder.icmp_signed(">", step, least), step, least)
        flag = builder.select(in_rows, *(ir.Constant(octet, ord(f)) for f in "nt"))
        return flag, step, builder.bitcast(array.data, pointer), n_rows, n_columns

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        operands = zip(signature.args[:3], args[:3], strict=True)
        left, right, out = (matrix(builder, context, of, value) for of, value in operands)
        a_flag, a_step, a, m, k = left
        b_flag, b_step, b, _, n = right
        real = signature.args[0].dtype
        one, zero = (ir.Constant(context.get_value_type(real), v) for v in (1.0, 0.0))
        alpha = tools.alloca_once_value(builder, one)
        beta = tools.alloca_once_value(builder, zero)
        builder.store(builder.select(args[3], one, zero), beta)
        alpha, beta = builder.bitcast(alpha, pointer), builder.bitcast(beta, pointer)
        kinds = [octet] * 3 + [size] * 3 + [pointer, pointer, size, pointer, size, pointer, pointer]
        function = tools.get_or_insert_function(
            builder.module, ir.FunctionType(word, [*kinds, size]), "numba_xxgemm"
        )
        kind = ir.Constant(octet, ord("s" if real.bitwidth == 32 else "d"))
        # BLAS counts columns first: the transposed product, operands exchanged.
        flags_and_sizes = [kind, b_flag, a_flag, n, m, k]
        matrices = [alpha, b, b_step, a, a_step, beta, out[2], out[1]]
        builder.call(function, flags_and_sizes + matrices)
        return context.get_dummy_value()

    def gemm(typing: Any, a: Any, b: Any, out: Any, add: Any) -> Any:
        return types.none(a, b, out, types.boolean), generate

    call: Any = numba.extending.intrinsic(gemm)

    @numba.njit
    def compiled(a, b, out, add):  # type: ignore[no-untyped-def]
        call(a, b, out, bool(add))

    # It looks BLAS up at its first call, under Python's lock, which a parallel loop would hold.
    kinds: list[Any] = [c_char] * 3 + [c_ssize_t] * 3 + [c_void_p, c_void_p, c_ssize_t]
    kinds += [c_void_p, c_ssize_t, c_void_p, c_void_p, c_ssize_t]
    number = np.ones(1, np.float32)
    at = number.ctypes.data
    first_call = PYFUNCTYPE(c_int, *kinds)(symbols["xxgemm"])
    first_call(b"s", b"n", b"n", 1, 1, 1, at, at, 1, at, 1, at, at, 1)
    return compiled


def kernel(reference: Callable[P, R]) -> Kernel[P, R]:
    """Make a function a `Kernel`; its twin follows with ``@name.jit``."""
    return Kernel(reference)
