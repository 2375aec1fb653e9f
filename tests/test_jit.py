"""A twin's matrix product: every order in memory, slices, sums onto what is there."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minikws import _jit


@pytest.fixture
def compiled():
    if not _jit.ENABLED:
        pytest.skip("compiled twins are off: MINIKWS_JIT=0 or no Numba")
    import numba

    product = _jit._compiled_matmul()
    return numba.njit(lambda a, b, out, add: product(a, b, out, add))


def matrix(shape, dtype, order):
    """Return a matrix of small integers that is a slice of a larger one, rows or columns apart."""
    n, m = shape if order == "rows" else shape[::-1]
    values = np.random.default_rng(n).integers(-4, 5, (n + 1, m + 3)).astype(dtype)
    return values[:n, :m] if order == "rows" else values[:n, :m].T


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("add", [False, True])
def test_matmul_takes_slices_and_transposes(compiled, dtype, add):
    orders = itertools.product(["rows", "columns"], repeat=2)
    sizes = [(3, 4, 5), (1, 4, 5), (3, 1, 5), (3, 4, 1), (1, 1, 1)]
    for (n, k, m), (left, right) in itertools.product(sizes, orders):
        a, b = matrix((n, k), dtype, left), matrix((k, m), dtype, right)
        expected, found = np.ones((n, m), dtype), np.ones((2 * n, m + 2), dtype)
        _jit.matmul(a, b, expected, add)
        compiled(a, b, found[:n, :m], add)
        np.testing.assert_array_equal(found[:n, :m], expected)  # integers: exact in any order
        assert (found[n:] == 1).all() and (found[:, m:] == 1).all()


def test_plain_matmul_is_the_product():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(3.0).reshape(3, 1)
    out = np.ones((2, 1))
    _jit.matmul(a, b, out, True)
    np.testing.assert_array_equal(out, [[6.0], [15.0]])


def _put(out, at, value):
    out[at] = value


def _emit_put(builder, features, out, at, value):
    assert all(word[0] in "+-" for word in features)
    builder.store(value, builder.gep(out, [at]))


put = _jit.Code(_put, _emit_put)


@_jit.kernel
def evens(n):
    return 2 * np.arange(n)


@evens.jit
def _(n):
    out = np.empty(n, np.int64)
    for i in range(n):
        put(out, i, 2 * i)
    return out


def test_code_of_ones_own_in_a_twin():
    np.testing.assert_array_equal(evens.loops(5), [0, 2, 4, 6, 8])  # by its plain form
    np.testing.assert_array_equal(evens(5), [0, 2, 4, 6, 8])
