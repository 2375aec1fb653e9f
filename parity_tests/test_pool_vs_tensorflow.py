"""Pools forward and backward against TensorFlow's (design.md section 8), equal numbers included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.nn import AveragePool2D, GlobalAveragePool, GlobalMaxPool, MaxPool2D

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")

from parity_tests.tf_compare import compare  # noqa: E402  (needs the oracle)

dtypes = st.sampled_from([np.float32, np.float64])
pooled = given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 12), st.integers(1, 12), st.integers(1, 20)),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    strides=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.sampled_from(["SAME", "VALID"]),
    n_values=st.sampled_from([1, 2, 4, 10**6]),
    dtype=dtypes,
)


def numbers(shape, n_values, dtype):
    """Draw from few or many different numbers: few are equal in most windows."""
    values = np.random.default_rng(0).integers(0, n_values, shape)
    return (values - n_values / 2).astype(dtype)


def fitting(size, shape, padding):
    return size if padding == "SAME" else (min(size[0], shape[1]), min(size[1], shape[2]))


@pooled
def test_max_pool(shape, size, strides, padding, n_values, dtype):
    size = fitting(size, shape, padding)
    compare(
        MaxPool2D(size, strides=strides, padding=padding),
        lambda x: tf.nn.max_pool2d(x, size, strides, padding),
        numbers(shape, n_values, dtype),
        [],
        np.random.default_rng(1),
    )


@pooled
def test_average_pool(shape, size, strides, padding, n_values, dtype):
    size = fitting(size, shape, padding)
    compare(
        AveragePool2D(size, strides=strides, padding=padding),
        lambda x: tf.nn.avg_pool2d(x, size, strides, padding),
        numbers(shape, n_values, dtype),
        [],
        np.random.default_rng(1),
    )


shapes = st.lists(st.integers(1, 9), min_size=3, max_size=4).map(tuple)


@given(shape=shapes, dtype=dtypes)
def test_global_average_pool(shape, dtype):
    axes = range(1, len(shape) - 1)
    compare(
        GlobalAveragePool(),
        lambda x: tf.reduce_mean(x, axes),
        numbers(shape, 10**6, dtype),
        [],
        np.random.default_rng(1),
    )


@given(shape=shapes, n_values=st.sampled_from([1, 3, 10**6]), dtype=dtypes)
def test_global_max_pool(shape, n_values, dtype):
    axes = range(1, len(shape) - 1)
    compare(
        GlobalMaxPool(),
        lambda x: tf.reduce_max(x, axes),
        numbers(shape, n_values, dtype),
        [],
        np.random.default_rng(1),
    )
