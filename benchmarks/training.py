"""One training step (forward, loss, backward, update), minikws beside TensorFlow.

Reasons to doubt the figures: other work on the machine; the processor's clock; a batch that stays
in cache; TensorFlow's choice of kernels in this build. Both sides run in turn in this process on
the same batch, with the recipe's dropout and momentum, TensorFlow as a `tf.function` of the same
graph (parity_tests/tf_graphs.py) with its fused batch norm.

The memory is the peak of resident memory in five steps above what was resident before them, each
side in a process of its own, after a step with two clips that loads every kernel (Linux alone).

    python benchmarks/training.py --rounds 50
    python benchmarks/training.py --architecture conv tiny_conv
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # idle workers that spin slow the other side
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# What is compared by default: how many times faster minikws must be, and should be.
GOALS = {
    "conv": (1.8, 2.5),
    "tiny_conv": (2.0, 3.0),
    "tiny_embedding_conv": (2.0, 3.0),
    "low_latency_svdf": (3.0, 4.5),
    "ds_cnn": (1.2, 1.5),
    "raw_ds_conv": (1.2, 1.5),
    "low_latency_conv": (1.0, 1.3),
    "single_fc": (1.4, 2.0),
}
RATE = 0.001

Step = Callable[[Any, Any], float]


def network_of(name: str, n_labels: int) -> Any:
    """Build the architecture for the features that it is meant for."""
    import numpy as np

    from minikws import models
    from minikws.frontend import make_frontend

    settings = make_frontend(models.architecture(name).recipe.frontend).settings
    return models.build(
        name,
        input_shape=(settings.n_frames, settings.n_features),
        n_labels=n_labels,
        rng=np.random.default_rng(0),
    )


def batch_for(network: Any, n_clips: int) -> tuple[Any, Any]:
    """Return features (B, T, F) and labels (B,)."""
    import numpy as np

    rng = np.random.default_rng(0)
    features = rng.normal(size=(n_clips, *network.input_shape)).astype(np.float32)
    return features, rng.integers(0, network.output_shape[0], n_clips)


def minikws_step(network: Any, name: str) -> Step:
    from minikws import nn

    optimizer = nn.Momentum(network.layers)

    def step(features: Any, labels: Any) -> float:
        logits = network.forward(features, training=True)
        loss, dlogits = nn.softmax_cross_entropy(logits, labels)
        network.backward(dlogits)
        optimizer.step(RATE)
        return loss

    return step


def tensorflow_step(network: Any, name: str) -> Step:
    import tensorflow as tf

    from minikws import models
    from parity_tests import tf_graphs

    dropout_rate = models.architecture(name).recipe.dropout_rate
    variables = tf_graphs.variables(network.weights())
    trained = [f"{layer}.{key}" for layer, part in network.layers for key in part.params]
    slots = {key: tf.Variable(tf.zeros_like(variables[key])) for key in trained}

    @tf.function
    def step(x, y):
        run = tf_graphs.Run(
            variables=variables,
            training=True,
            dropout=lambda h: tf.nn.dropout(h, dropout_rate),
            fused=True,
        )
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(
                    labels=y, logits=tf_graphs.GRAPHS[name](run, x)
                )
            )
        for key, g in tape.gradient(loss, {key: variables[key] for key in trained}).items():
            tf.raw_ops.ResourceApplyMomentum(
                var=variables[key].handle,
                accum=slots[key].handle,
                lr=RATE,
                grad=g,
                momentum=0.9,
                use_nesterov=True,
            )
        return loss

    constants: dict[int, tuple[Any, Any]] = {}

    def on_constants(features: Any, labels: Any) -> float:
        x, y = constants.setdefault(len(labels), (tf.constant(features), tf.constant(labels)))
        return float(step(x, y))

    return on_constants


SIDES = {"minikws": minikws_step, "tensorflow": tensorflow_step}


def times_ms(name: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Run both sides in turn; return the times of each."""
    network = network_of(name, options.labels)
    batch = batch_for(network, options.batch)
    steps = {side: make(network, name) for side, make in SIDES.items()}
    times: dict[str, list[float]] = {side: [] for side in steps}
    n_warm = max(3, options.rounds // 10)
    for round_ in range(options.rounds + n_warm):
        for side, step in steps.items():
            time.sleep(options.pause_ms / 1000)
            start = time.perf_counter()
            step(*batch)
            if round_ >= n_warm:
                times[side].append(1000 * (time.perf_counter() - start))
    return times


def resident(field: str) -> float:
    """Return VmRSS (now) or VmHWM (the peak) of this process, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def print_peak_mb(name: str, side: str, options: argparse.Namespace) -> None:
    """Print by how many MB five steps raise the memory of this process."""
    network = network_of(name, options.labels)
    step = SIDES[side](network, name)
    step(*batch_for(network, 2))
    batch = batch_for(network, options.batch)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    for _ in range(5):
        step(*batch)
    print(resident("VmHWM") - before)


def peak_mb(name: str, side: str) -> float:
    """Run `print_peak_mb` in a process of its own."""
    argv = [sys.executable, __file__, *sys.argv[1:], "--peak-of", name, side]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the {side} side of {name} failed:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", nargs="+", default=list(GOALS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--labels", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pause-ms", type=float, default=0.0, help="between two steps")
    parser.add_argument("--no-memory", action="store_true", help="times alone")
    parser.add_argument("--peak-of", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ[name] = str(options.threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if options.peak_of:
        print_peak_mb(*options.peak_of, options)
        return

    import numpy as np
    import tensorflow as tf

    print(f"NumPy {np.__version__}, TensorFlow {tf.__version__}, {options.threads} threads each,")
    print(f"batch {options.batch}, {options.rounds} rounds; ms a step: median (10 to 90 %)")
    print(f"{'architecture':20}{'minikws':>26}{'TensorFlow':>26}{'ratio':>7}{'goal':>10}  MB")
    for name in options.architecture:
        times = times_ms(name, options)
        median = {side: float(np.median(t)) for side, t in times.items()}
        cells = []
        for side, values in times.items():
            low, high = np.percentile(values, [10, 90])
            cells.append(f"{median[side]:.2f} ({low:.2f} to {high:.2f})")
        least, goal = GOALS.get(name, ("-", "-"))
        memory = "" if options.no_memory else " ".join(f"{peak_mb(name, s):.0f}" for s in SIDES)
        print(
            f"{name:20}{cells[0]:>26}{cells[1]:>26}"
            f"{median['tensorflow'] / median['minikws']:>7.2f}{f'{least}, {goal}':>10}  {memory}",
            flush=True,
        )
    print("ratio above 1: minikws is faster; goal: at least, hoped for; MB: minikws, TensorFlow")


if __name__ == "__main__":
    main()
