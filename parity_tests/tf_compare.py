"""Compare a layer with the same operation in TensorFlow: output and gradients, both forms.

float32: abs(a - b) <= 1e-5 * max(abs(b)) + 1e-6, gradients 1e-4 (design.md section 8); float64 far
below either.
"""

from __future__ import annotations

import numpy as np
import pytest

from minikws import _jit
from minikws.nn import functional as fn

FORMS = [False, True] if _jit.ENABLED else [False]


def agree(found, expected, share=1e-5):
    """Assert that shapes and dtypes are equal, and numbers within a share of the largest."""
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    absolute = 1e-6
    if found.dtype == np.float64:
        share, absolute = 1e-12, 1e-15
    largest = np.abs(expected).max(initial=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=share * largest + absolute)


def memory_orders(x):
    """Return x clip first and batch last in memory."""
    return [np.ascontiguousarray(x), np.moveaxis(fn.batch_last(x), -1, 0)]


def compare(ours, theirs, x, parameters, rng, *, training=False):
    """Compare y, dx and parameter gradients; `theirs` maps (x, *parameters) to y."""
    import tensorflow as tf

    tensors = [tf.constant(x), *(tf.constant(p) for p in parameters)]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        expected = theirs(*tensors)
    dy = rng.normal(size=expected.shape).astype(x.dtype)
    gradients = tape.gradient(expected, tensors, output_gradients=tf.constant(dy))
    for compiled in FORMS:
        for ordered in memory_orders(x):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(_jit, "ENABLED", compiled)
                agree(ours.forward(ordered, training=training), expected)
                found = [ours.backward(dy), *ours.grads.values()]
            for one, other in zip(found, gradients, strict=True):
                agree(one, other, 1e-4)
