"""Formulas against plain loops, and both forms (NumPy, compiled) against each other."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws import _jit
from minikws.nn import functional as fn

BOTH_FORMS = pytest.mark.parametrize(
    "compiled",
    [
        False,
        pytest.param(
            True, marks=pytest.mark.skipif(not _jit.ENABLED, reason="MINIKWS_JIT=0 or no Numba")
        ),
    ],
)


@pytest.fixture(autouse=True)
def form(request, monkeypatch):
    """Switch to the form that a test asks for by its parameter `compiled`."""
    if "compiled" in getattr(request.node, "fixturenames", ()):
        monkeypatch.setattr(_jit, "ENABLED", request.node.callspec.params["compiled"])


def loops(x, w, b, strides, padding):
    """The definition, one number at a time."""
    kt, kf, _, n_out = w.shape
    time = fn.window(x.shape[1], kt, strides[0], padding)
    freq = fn.window(x.shape[2], kf, strides[1], padding)
    y = np.zeros((len(x), time.n_out, freq.n_out, n_out))
    for t, f, m, n in np.ndindex(time.n_out, freq.n_out, kt, kf):
        i = t * strides[0] + m - time.before
        j = f * strides[1] + n - freq.before
        if 0 <= i < x.shape[1] and 0 <= j < x.shape[2]:
            y[:, t, f] += x[:, i, j] @ w[m, n]
    return y + b


@pytest.mark.parametrize(
    ("n_in", "size", "stride", "before", "after", "n_out"),
    [
        # speech_commands.md 4.2, 4.5, 4.6: TensorFlow's SAME pads of the published models
        (49, 10, 2, 4, 5, 25),
        (40, 8, 2, 3, 3, 20),
        (98, 10, 2, 4, 4, 49),
        (43, 8, 2, 3, 4, 22),
        (25, 10, 8, 4, 5, 4),
        (20, 8, 8, 2, 2, 3),
        (98, 20, 1, 9, 10, 98),
    ],
)
def test_same_padding_of_the_published_models(n_in, size, stride, before, after, n_out):
    found = fn.window(n_in, size, stride, "SAME")
    assert (found.before, found.after, found.n_out) == (before, after, n_out)


@pytest.mark.parametrize("compiled", [True] if _jit.ENABLED else [False])
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.sampled_from(["SAME", "VALID"]),
)
def test_convolution_is_its_definition(compiled, shape, kernel, strides, padding):
    kt, kf, n_out = kernel
    if padding == "VALID":
        kt, kf = min(kt, shape[1]), min(kf, shape[2])
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s) for s in (shape, (kt, kf, shape[3], n_out), (n_out,)))
    expected = loops(x, w, b, strides, padding)
    gradients = []
    for enabled in {compiled, False}:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_jit, "ENABLED", enabled)
            y, cache = fn.conv2d(x, w, b, strides=strides, padding=padding)
            np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
            gradients.append(fn.conv2d_backward(np.cos(np.arange(y.size)).reshape(y.shape), cache))
    for ours, theirs in zip(gradients[0], gradients[-1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)


@BOTH_FORMS
def test_valid_padding_leaves_an_unread_tail_without_gradient(compiled):
    x = np.ones((1, 5, 5, 1))
    y, cache = fn.conv2d(x, np.ones((2, 2, 1, 1)), np.zeros(1), strides=(3, 3), padding="VALID")
    dx, _, _ = fn.conv2d_backward(np.ones_like(y), cache)
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dx[0, :, :, 0].sum(0), [4, 4, 0, 4, 4])


@BOTH_FORMS
@pytest.mark.parametrize("n_out", [1, 4, 5, 40])
def test_dense_is_a_matrix_product(compiled, n_out):
    rng = np.random.default_rng(1)
    x, w, b = rng.normal(size=(7, 50)), rng.normal(size=(50, n_out)), rng.normal(size=n_out)
    y, cache = fn.dense(x, w, b)
    np.testing.assert_allclose(y, x @ w + b, rtol=1e-12)
    dx, dw, db = fn.dense_backward(y, cache)
    np.testing.assert_allclose(dx, y @ w.T, rtol=1e-12)
    np.testing.assert_allclose(dw, x.T @ y, rtol=1e-10)
    np.testing.assert_allclose(db, y.sum(0), rtol=1e-12)


@pytest.mark.parametrize("rate", [0.5, 0.25])
def test_dropout_keeps_its_share_and_its_mean(rate):
    x = np.ones((100, 50, 20), np.float32)
    y, mask = fn.dropout(x, rate=rate, rng=np.random.default_rng(3))
    kept = fn.dropout_mask(mask)
    assert abs(kept.mean() - (1 - rate)) < 0.005  # 3 sigma of 100,000 coins
    np.testing.assert_allclose(y, kept / np.float32(1 - rate), rtol=1e-6)
    np.testing.assert_array_equal(fn.dropout_backward(x, mask), y)


@pytest.mark.parametrize("rate", [0.5, 0.25])
def test_dropout_keeps_the_order_in_memory(rate):
    memory = np.ones((4, 5, 6), np.float32)
    x = np.moveaxis(memory, -1, 0)
    y, mask = fn.dropout(x, rate=rate, rng=np.random.default_rng(3))
    assert np.moveaxis(y, 0, -1).flags.c_contiguous
    other, _ = fn.dropout(memory, rate=rate, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(np.moveaxis(y, 0, -1), other)
    np.testing.assert_array_equal(fn.dropout_backward(np.ones_like(y, order="C"), mask), y)
    different, _ = fn.dropout(memory, rate=rate, rng=np.random.default_rng(4))
    assert (different != other).any()


def test_batch_last_costs_no_copy_where_it_is_so_already():
    memory = np.zeros((5, 6, 3, 4))
    assert np.shares_memory(fn.batch_last(np.moveaxis(memory, -1, 0)), memory)


_STEP = """
import hashlib, numpy as np
from minikws import models, nn
rng = np.random.default_rng(7)
x, y = rng.uniform(0, 26, (20, 49, 40)).astype(np.float32), rng.integers(0, 4, 20)
network = models.build("tiny_conv", input_shape=(49, 40), n_labels=4, rng=rng)
optimizer = nn.Momentum(network.layers)
for _ in range(3):
    loss, dlogits = nn.softmax_cross_entropy(network.forward(x, training=True), y)
    network.backward(dlogits)
    optimizer.step(0.01)
print(hashlib.sha1(b"".join(w.tobytes() for w in network.weights().values())).hexdigest())
"""


@pytest.mark.slow
@pytest.mark.skipif(not _jit.ENABLED, reason="MINIKWS_JIT=0 or no Numba")
def test_the_number_of_threads_changes_no_bit():
    def digest(n_threads: int) -> bytes:
        threads = {"NUMBA_NUM_THREADS": str(n_threads), "OPENBLAS_NUM_THREADS": str(n_threads)}
        return subprocess.run(
            [sys.executable, "-c", _STEP],
            env={**os.environ, **threads},
            check=True,
            capture_output=True,
        ).stdout

    assert digest(1) == digest(2)
