"""One training step of tiny_conv (forward, loss, backward, update), minikws beside TensorFlow.

Reasons to doubt the figures: other work on the machine; the processor's clock; a batch that
stays in cache. Both sides run in turn in this process on the same batch, dropout on, momentum.

    python benchmarks/training.py --rounds 200
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # idle workers that spin slow the other side


def minikws_step(features, labels, rate: float) -> Callable[[], float]:
    import numpy as np

    from minikws import models, nn

    network = models.build(
        "tiny_conv",
        input_shape=features.shape[1:],
        n_labels=4,
        rng=np.random.default_rng(0),
    )
    optimizer = nn.Momentum(network.layers)

    def step() -> float:
        logits = network.forward(features, training=True)
        loss, dlogits = nn.softmax_cross_entropy(logits, labels)
        network.backward(dlogits)
        optimizer.step(rate)
        return loss

    return step


def tensorflow_step(features, labels, rate: float) -> Callable[[], float]:
    import tensorflow as tf

    n_frames, n_features = features.shape[1:]
    n_flat = -(-n_frames // 2) * -(-n_features // 2) * 8
    variables = [
        tf.Variable(tf.random.truncated_normal((10, 8, 1, 8), stddev=0.01)),
        tf.Variable(tf.zeros(8)),
        tf.Variable(tf.random.truncated_normal((n_flat, 4), stddev=0.01)),
        tf.Variable(tf.zeros(4)),
    ]
    slots = [tf.Variable(tf.zeros_like(v)) for v in variables]

    @tf.function
    def step(x, y):
        w, b, fc_w, fc_b = variables
        with tf.GradientTape() as tape:
            pictures = tf.reshape(x, (-1, n_frames, n_features, 1))
            h = tf.nn.relu(tf.nn.conv2d(pictures, w, 2, "SAME") + b)
            h = tf.nn.dropout(h, rate=0.5)
            logits = tf.reshape(h, (-1, n_flat)) @ fc_w + fc_b
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
            )
        for v, a, g in zip(variables, slots, tape.gradient(loss, variables), strict=True):
            tf.raw_ops.ResourceApplyMomentum(
                var=v.handle, accum=a.handle, lr=rate, grad=g, momentum=0.9, use_nesterov=True
            )
        return loss

    x, y = tf.constant(features), tf.constant(labels)
    return lambda: float(step(x, y))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pause-ms", type=float, default=0.0, help="between two steps")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ[name] = str(options.threads)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(0)
    features = rng.uniform(0, 26, (options.batch, 49, 40)).astype(np.float32)
    labels = rng.integers(0, 4, options.batch)
    steps = {
        "minikws": minikws_step(features, labels, 0.001),
        "tensorflow": tensorflow_step(features, labels, 0.001),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(options.rounds + 20):
        for name, step in steps.items():
            time.sleep(options.pause_ms / 1000)
            start = time.perf_counter()
            step()
            if round_ >= 20:
                times[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(t)) * 1000 for name, t in times.items()}
    print(f"NumPy {np.__version__}, TensorFlow {tf.__version__}, {options.threads} threads")
    for name, median in medians.items():
        low, high = np.percentile(times[name], [10, 90]) * 1000
        print(f"{name:11} {median:7.3f} ms a step (10 to 90 %: {low:.3f} to {high:.3f})")
    print(f"ratio {medians['tensorflow'] / medians['minikws']:.2f} (above 1: minikws is faster)")


if __name__ == "__main__":
    main()
