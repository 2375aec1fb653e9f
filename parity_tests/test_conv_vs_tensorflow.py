"""Convolutions forward and backward against TensorFlow's (design.md section 8).

TensorFlow's processors refuse some gradients of dilated kernels and depthwise strides that differ;
the same sum is then written with what they do take: the kernel with zeros between its taps, or
each channel's own convolution.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.nn import Conv1D, Conv2D, DepthwiseConv1D, DepthwiseConv2D

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")

from parity_tests.tf_compare import agree, compare  # noqa: E402  (needs the oracle)

paddings = st.sampled_from(["SAME", "VALID"])
dtypes = st.sampled_from([np.float32, np.float64])
pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


def fitting(kernel, dilations, shape, padding):
    """Return the kernel, cut so that VALID finds a place for it."""
    if padding == "SAME":
        return kernel
    return tuple(min(k, (n - 1) // d + 1) for k, d, n in zip(kernel, dilations, shape, strict=True))


def layer_of(make, rng, *, bias, dtype):
    layer = make(bias=bias, rng=rng, sigma=1.0, dtype=dtype)
    if bias:
        layer.params["b"][:] = rng.normal(size=layer.params["b"].shape)
    return layer


def spread(w, dilations):
    """Put zeros between the taps of w (kt, kf, …), in TensorFlow so that gradients flow."""
    for axis, d in enumerate(dilations):
        taps = tf.unstack(w, axis=axis)
        gaps = [tf.zeros_like(taps[0])] * (d - 1)
        w = tf.stack([taps[0], *(x for tap in taps[1:] for x in (*gaps, tap))], axis=axis)
    return w


def depthwise(x, w, strides, padding):
    """Convolve each channel by itself."""
    channels = [
        tf.nn.conv2d(x[..., c : c + 1], w[:, :, c : c + 1], strides, padding)
        for c in range(w.shape[2])
    ]
    return tf.concat(channels, axis=3)


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 14), st.integers(1, 12), st.integers(1, 3)),
    kernel=st.tuples(st.integers(1, 10), st.integers(1, 8)),
    n_out=st.integers(1, 9),
    strides=pairs,
    padding=paddings,
    bias=st.booleans(),
    dtype=dtypes,
)
def test_conv2d(shape, kernel, n_out, strides, padding, bias, dtype):
    rng = np.random.default_rng(0)
    kernel = fitting(kernel, (1, 1), shape[1:3], padding)
    layer = layer_of(
        lambda **more: Conv2D(shape[3], n_out, kernel, strides=strides, padding=padding, **more),
        rng,
        bias=bias,
        dtype=dtype,
    )
    compare(
        layer,
        lambda x, w, b=0: tf.nn.conv2d(x, w, (1, *strides, 1), padding) + b,
        rng.normal(size=shape).astype(dtype),
        layer.params.values(),
        rng,
    )


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 14), st.integers(1, 8), st.integers(1, 20)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    n_out=st.integers(1, 30),
    strides=pairs,
    dilations=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=paddings,
    dtype=dtypes,
)
def test_conv2d_of_many_channels_and_dilations(
    shape, kernel, n_out, strides, dilations, padding, dtype
):
    rng = np.random.default_rng(0)
    kernel = fitting(kernel, dilations, shape[1:3], padding)
    layer = layer_of(
        lambda **more: Conv2D(
            shape[3],
            n_out,
            kernel,
            strides=strides,
            padding=padding,
            dilations=dilations,
            **more,
        ),
        rng,
        bias=True,
        dtype=dtype,
    )
    x = rng.normal(size=shape).astype(dtype)
    compare(
        layer,
        lambda x, w, b: tf.nn.conv2d(x, spread(w, dilations), (1, *strides, 1), padding) + b,
        x,
        layer.params.values(),
        rng,
    )
    w, b = layer.params.values()
    agree(layer.forward(x), tf.nn.conv2d(x, w, strides, padding, dilations=dilations) + b)


def test_conv2d_of_tiny_conv():
    rng = np.random.default_rng(0)
    layer = Conv2D(1, 8, (10, 8), strides=(2, 2), rng=rng)
    x = rng.uniform(0, 26, (20, 49, 40, 1)).astype(np.float32)
    compare(layer, lambda x, w, b: tf.nn.conv2d(x, w, 2, "SAME") + b, x, layer.params.values(), rng)


@pytest.mark.parametrize(("kernel", "strides"), [((3, 3), (1, 1)), ((1, 1), (1, 1)), ((4, 3), 2)])
def test_conv2d_in_more_than_one_block(kernel, strides):
    rng = np.random.default_rng(0)
    strides = (strides, strides) if isinstance(strides, int) else strides
    layer = Conv2D(64, 40, kernel, strides=strides, rng=rng, sigma=0.1)
    x = rng.normal(size=(21, 49, 10, 64)).astype(np.float32)
    compare(
        layer,
        lambda x, w, b: tf.nn.conv2d(x, w, strides, "SAME") + b,
        x,
        layer.params.values(),
        rng,
    )


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 14), st.integers(1, 8), st.integers(1, 5)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    multiplier=st.integers(1, 3),
    strides=pairs,
    dilations=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=paddings,
    bias=st.booleans(),
    dtype=dtypes,
)
def test_depthwise_conv2d(shape, kernel, multiplier, strides, dilations, padding, bias, dtype):
    rng = np.random.default_rng(0)
    kernel = fitting(kernel, dilations, shape[1:3], padding)
    layer = layer_of(
        lambda **more: DepthwiseConv2D(
            shape[3],
            kernel,
            multiplier=multiplier,
            strides=strides,
            padding=padding,
            dilations=dilations,
            **more,
        ),
        rng,
        bias=bias,
        dtype=dtype,
    )
    x = rng.normal(size=shape).astype(dtype)
    compare(
        layer,
        lambda x, w, b=0: depthwise(x, spread(w, dilations), (1, *strides, 1), padding) + b,
        x,
        layer.params.values(),
        rng,
    )


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 14), st.integers(1, 8), st.integers(1, 5)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    multiplier=st.integers(1, 3),
    stride=st.integers(1, 4),
    padding=paddings,
    dtype=dtypes,
)
def test_depthwise_conv2d_with_equal_strides(shape, kernel, multiplier, stride, padding, dtype):
    rng = np.random.default_rng(0)
    kernel = fitting(kernel, (1, 1), shape[1:3], padding)
    layer = DepthwiseConv2D(
        shape[3],
        kernel,
        multiplier=multiplier,
        strides=(stride, stride),
        padding=padding,
        bias=False,
        rng=rng,
        sigma=1.0,
        dtype=dtype,
    )
    compare(
        layer,
        lambda x, w: tf.nn.depthwise_conv2d(x, w, (1, stride, stride, 1), padding),
        rng.normal(size=shape).astype(dtype),
        layer.params.values(),
        rng,
    )


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 12)),
    kernel=st.integers(1, 9),
    n_out=st.integers(1, 20),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 4),
    padding=paddings,
    dtype=dtypes,
)
def test_conv1d(shape, kernel, n_out, stride, dilation, padding, dtype):
    rng = np.random.default_rng(0)
    (kernel,) = fitting((kernel,), (dilation,), shape[1:2], padding)
    layer = layer_of(
        lambda **more: Conv1D(
            shape[2], n_out, kernel, stride=stride, dilation=dilation, padding=padding, **more
        ),
        rng,
        bias=True,
        dtype=dtype,
    )
    compare(
        layer,
        lambda x, w, b: tf.nn.conv1d(x, spread(w, (dilation,)), stride, padding) + b,
        rng.normal(size=shape).astype(dtype),
        layer.params.values(),
        rng,
    )


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 12)),
    kernel=st.integers(1, 9),
    multiplier=st.integers(1, 3),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 4),
    padding=paddings,
    dtype=dtypes,
)
def test_depthwise_conv1d(shape, kernel, multiplier, stride, dilation, padding, dtype):
    rng = np.random.default_rng(0)
    (kernel,) = fitting((kernel,), (dilation,), shape[1:2], padding)
    layer = layer_of(
        lambda **more: DepthwiseConv1D(
            shape[2],
            kernel,
            multiplier=multiplier,
            stride=stride,
            dilation=dilation,
            padding=padding,
            **more,
        ),
        rng,
        bias=True,
        dtype=dtype,
    )

    def theirs(x, w, b):
        wide = spread(w, (dilation,))[:, None]
        return depthwise(x[:, :, None], wide, (1, stride, 1, 1), padding)[:, :, 0] + b

    compare(layer, theirs, rng.normal(size=shape).astype(dtype), layer.params.values(), rng)
