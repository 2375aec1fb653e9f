"""Layers forward and backward against the same operation in TensorFlow (design.md section 8).

float32: abs(a - b) <= 1e-5 * max(abs(b)) + 1e-6, gradients 1e-4; float64 far below either.
Both forms run, NumPy and compiled.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.nn import Dense
from minikws.nn import functional as fn

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")

from parity_tests.tf_compare import compare  # noqa: E402  (needs the oracle)

dtypes = st.sampled_from([np.float32, np.float64])


@given(n_clips=st.integers(1, 6), n_in=st.integers(1, 40), n_out=st.integers(1, 20), dtype=dtypes)
def test_dense(n_clips, n_in, n_out, dtype):
    rng = np.random.default_rng(1)
    layer = Dense(n_in, n_out, rng=rng, sigma=1.0, dtype=dtype)
    x = rng.normal(size=(n_clips, n_in)).astype(dtype)
    compare(layer, lambda x, w, b: x @ w + b, x, layer.params.values(), rng)


@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_dropout_scales_as_tensorflow(rate):
    x = np.random.default_rng(4).normal(size=(50, 40)).astype(np.float32)
    y, mask = fn.dropout(x, rate=rate, rng=np.random.default_rng(5))
    kept = fn.dropout_mask(mask)
    expected = np.asarray(tf.nn.dropout(tf.constant(x), rate))
    in_both = kept & (expected != 0)
    np.testing.assert_array_equal(y[in_both], expected[in_both])
