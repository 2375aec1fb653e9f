"""Every architecture as a TensorFlow function of variables that are named as our weights.

`GRAPHS[name](run, features, **options)` gives the logits. `run` holds the variables and says what
training does: dropout is a function, so that a test can hand over our masks and a benchmark
TensorFlow's own; batch norm takes the batch's statistics, and moves the moving ones, or takes the
moving ones. Strides, paddings and constants stand here a second time, from the published tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(kw_only=True)
class Run:
    """One way through a graph.

    variables : by the names of `Network.weights`.
    training : batch norm takes the statistics of the batch.
    dropout : applied wherever the architecture silences units; it is called in their order.
    fused : batch norm by TensorFlow's fused operator, which knows float32 alone.
    """

    variables: Mapping[str, tf.Variable]
    training: bool = False
    dropout: Callable[[tf.Tensor], tf.Tensor] = tf.identity
    fused: bool = False

    def conv(self, x, name, strides=(1, 1), padding="SAME"):
        """Convolve (B, T, F, C), with a bias where there is one."""
        return self._biased(tf.nn.conv2d(x, self[f"{name}.w"], (1, *strides, 1), padding), name)

    def depthwise(self, x, name, strides=(1, 1)):
        """Convolve each channel of (B, T, F, C) with its own pattern."""
        y = tf.nn.depthwise_conv2d(x, self[f"{name}.w"], (1, *strides, 1), "SAME")
        return self._biased(y, name)

    def conv1d(self, x, name, stride=1, padding="SAME"):
        """Convolve (B, T, C) along time."""
        return self._biased(tf.nn.conv1d(x, self[f"{name}.w"], stride, padding), name)

    def depthwise1d(self, x, name, stride=1, padding="SAME"):
        """Convolve each channel of (B, T, C) with its own pattern, as Keras does: as a picture."""
        w = self[f"{name}.w"][:, tf.newaxis]
        y = tf.nn.depthwise_conv2d(x[:, :, tf.newaxis], w, (1, stride, stride, 1), padding)
        return self._biased(y[:, :, 0], name)

    def batch_norm(self, x, name, *, decay, epsilon=1e-3):
        """Normalise each channel (last axis); in training the moving statistics move."""
        gamma, beta = (self.variables.get(f"{name}.{key}") for key in ("gamma", "beta"))
        mean, variance = self[f"{name}.mean"], self[f"{name}.variance"]
        if self.training:
            moving = mean, variance
            if self.fused:
                y, *batch = self._fused(x, gamma, beta, epsilon)
            else:
                batch = tf.nn.moments(x, list(range(len(x.shape) - 1)))
                y = tf.nn.batch_normalization(x, *batch, beta, gamma, epsilon)
            for old, new in zip(moving, batch, strict=True):
                old.assign_sub((old - new) * tf.constant(1 - decay, old.dtype))
            return y
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)

    def _fused(self, x, gamma, beta, epsilon):
        ones, zeros = tf.ones(x.shape[-1]), tf.zeros(x.shape[-1])
        wide = x if len(x.shape) == 4 else x[:, :, tf.newaxis]
        y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            wide,
            ones if gamma is None else gamma,
            zeros if beta is None else beta,
            epsilon=epsilon,
        )
        return tf.reshape(y, tf.shape(x)), mean, variance

    def dense(self, x, name):
        """Mix all numbers of a clip."""
        return self._biased(tf.reshape(x, (tf.shape(x)[0], -1)) @ self[f"{name}.w"], name)

    def _biased(self, y, name):
        bias = self.variables.get(f"{name}.b")
        return y if bias is None else y + bias

    def __getitem__(self, name: str) -> tf.Variable:
        return self.variables[name]


def variables(weights: Mapping[str, Any]) -> dict[str, tf.Variable]:
    """Return our weights and buffers as TensorFlow's variables."""
    return {name: tf.Variable(array) for name, array in weights.items()}


def pictures(x):
    """Give features (B, T, F) a channel."""
    return x[..., tf.newaxis]


def single_fc(run, x):
    return run.dense(x, "final_fc")


def conv(run, x):
    h = run.dropout(tf.nn.relu(run.conv(pictures(x), "first_conv")))
    h = tf.nn.max_pool2d(h, 2, 2, "SAME")
    h = run.dropout(tf.nn.relu(run.conv(h, "second_conv")))
    return run.dense(h, "final_fc")


def low_latency_conv(run, x):
    h = run.dropout(tf.nn.relu(run.conv(pictures(x), "first_conv", padding="VALID")))
    return dense_layers(run, h)


def low_latency_svdf(run, x, rank=2):
    """Filter in frequency, in time, add the ranks of a unit: models.py's training form."""
    n_frames, n_features = x.shape[1:]
    by_frequency = run["svdf.weights_frequency"]  # (F, N)
    n_filters = by_frequency.shape[1]
    h = tf.nn.conv1d(
        tf.reshape(x, (-1, n_frames * n_features, 1)),
        tf.reshape(by_frequency, (n_features, 1, n_filters)),
        stride=n_features,
        padding="VALID",
    )  # (B, T, N)
    h = tf.matmul(
        tf.transpose(h, (2, 0, 1)),  # (N, B, T)
        run["svdf.weights_time"][..., tf.newaxis],  # (N, T, 1)
    )
    h = tf.reshape(tf.transpose(h[..., 0]), (-1, n_filters // rank, rank))
    h = run.dropout(tf.nn.relu(tf.reduce_sum(h, 2) + run["svdf.bias"]))
    return dense_layers(run, h)


def dense_layers(run, h):
    h = run.dropout(run.dense(h, "first_fc"))
    h = run.dropout(run.dense(h, "second_fc"))
    return run.dense(h, "final_fc")


def tiny_conv(run, x):
    h = run.dropout(tf.nn.relu(run.conv(pictures(x), "first_conv", (2, 2))))
    return run.dense(h, "final_fc")


def tiny_embedding_conv(run, x):
    h = run.dropout(tf.nn.relu(run.conv(pictures(x), "first_conv", (2, 2))))
    h = run.dropout(tf.nn.relu(run.conv(h, "second_conv", (8, 8))))
    return run.dense(h, "final_fc")


def ds_cnn(run, x, size="S"):
    first, block = {"S": ((2, 2), (1, 1)), "M": ((2, 1), (2, 2)), "L": ((2, 1), (2, 2))}[size]

    def norm(h, name):
        return tf.nn.relu(run.batch_norm(h, f"{name}_norm", decay=0.96))

    h = norm(run.conv(pictures(x), "conv_1", first), "conv_1")
    for number in range(1, 6 if size == "L" else 5):
        name = f"ds_{number}"
        h = norm(run.depthwise(h, f"{name}_dw", block if number == 1 else (1, 1)), f"{name}_dw")
        h = norm(run.conv(h, f"{name}_pw"), f"{name}_pw")
    return run.dense(tf.reduce_mean(h, (1, 2)), "final_fc")


def tc_resnet(run, x, depth=8):
    def conv_and_norm(h, name, stride=1):
        h = run.conv1d(h, f"{name}.conv", stride)
        return run.batch_norm(h, f"{name}.norm", decay=0.997)

    h = tf.nn.relu(conv_and_norm(x, "first"))
    for number in range(1, {8: 4, 14: 7}[depth]):
        name = f"block_{number}"
        changes = f"{name}.shortcut.conv.w" in run.variables
        stride = 2 if changes else 1
        main = tf.nn.relu(conv_and_norm(h, f"{name}.main.first", stride))
        main = conv_and_norm(main, f"{name}.main.second")
        if changes:
            h = tf.nn.relu(conv_and_norm(h, f"{name}.shortcut", stride))
        h = tf.nn.relu(main + h)
    return run.dense(run.dropout(tf.reduce_mean(h, 1)), "final_fc")


def raw_ds_conv(run, x):
    def norm(h, name):
        return tf.nn.relu6(run.batch_norm(h, f"{name}_norm", decay=0.99))

    def separable(h, name, stride=1, padding="VALID"):
        h = run.depthwise1d(h, f"{name}_dw", stride, padding)
        return norm(run.conv1d(h, f"{name}_pw"), name)

    samples = tf.reshape(x, (-1, x.shape[1] * x.shape[2]))
    slices = tf.signal.frame(tf.pad(samples, ((0, 0), (10, 10))), 40, 20)
    h = norm(run.conv1d(slices, "first", 2, "VALID"), "first")
    for number in range(1, 6):
        h = separable(h, f"context_{number}")
        h = separable(h, f"reduce_{number}", 2, "SAME")
    h = separable(h, "context_6")
    seen = run.dropout(tf.reshape(h, (-1, h.shape[1] * h.shape[2])))
    gate = tf.nn.softmax(run.dense(seen, "attention"))[..., tf.newaxis]
    pooled = tf.concat([tf.reduce_max(h * gate, 1), tf.reduce_mean(h, 1)], 1)
    return run.dense(run.dropout(pooled), "final_fc")


def svdf_stream(run, x, rank=1):
    """Convolve each filter's frames with its weights in time, one position a full memory."""
    h = x
    for number in (1, 2, 3):
        by_frequency = run[f"svdf_{number}.weights_frequency"]  # (F, N)
        in_time = run[f"svdf_{number}.weights_time"]  # (N, M)
        filtered = tf.einsum("btf,fn->btn", h, by_frequency)
        filtered = tf.nn.depthwise_conv2d(
            filtered[:, :, tf.newaxis],
            tf.transpose(in_time)[:, tf.newaxis, :, tf.newaxis],
            (1, 1, 1, 1),
            "VALID",
        )[:, :, 0]
        ranks = tf.reshape(filtered, (-1, filtered.shape[1], filtered.shape[2] // rank, rank))
        h = tf.nn.relu(tf.reduce_sum(ranks, 3) + run[f"svdf_{number}.bias"])
        h = run.dropout(h if number < 3 else h[:, 0])
    return run.dense(h, "final_fc")


GRAPHS: dict[str, Callable[..., Any]] = {
    graph.__name__: graph
    for graph in (
        single_fc,
        conv,
        low_latency_conv,
        low_latency_svdf,
        tiny_conv,
        tiny_embedding_conv,
        ds_cnn,
        tc_resnet,
        raw_ds_conv,
        svdf_stream,
    )
}
