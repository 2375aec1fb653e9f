"""Micro features of a batch: minikws, TensorFlow's op and pymicro-features in turn.

    python benchmarks/frontend.py [--clips 100] [--rounds 20] [--threads 2] [--pause-ms 0]

Reasons to doubt the figures: the machine is shared; TensorFlow's op takes one clip at a time, so it
is timed both called from Python and as one graph of all clips on as many threads as minikws has
(the faster one makes the ratio); pymicro-features has a hop of 10 ms only, so it is compared with
minikws at that hop; clips are noise with speech's loudness, not speech.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable


def median_ms(
    contestants: dict[str, Callable[[], object]], *, rounds: int, pause_ms: float
) -> dict[str, float]:
    """Run all in turn, `rounds` times after a warm-up; return the median of each."""
    for run in contestants.values():
        run()
        run()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            time.sleep(pause_ms / 1000)
            start = time.perf_counter()
            run()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pause-ms", type=float, default=0.0)
    args = parser.parse_args()

    os.environ["OMP_WAIT_POLICY"] = "passive"  # a spinning worker would slow the references
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(args.threads)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    import numba
    import numpy as np
    import pymicro_features
    import tensorflow as tf
    from tensorflow.lite.experimental.microfrontend.python.ops import audio_microfrontend_op

    from minikws.frontend import Micro
    from minikws.settings import MicroSettings

    tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    tf.config.threading.set_intra_op_parallelism_threads(1)

    rng = np.random.default_rng(0)
    loudness = np.abs(np.sin(np.linspace(0, 9, 16000)))
    clips = np.clip(rng.normal(0, 2000, (args.clips, 16000)) * loudness, -32768, 32767)
    clips = clips.astype(np.int16)

    def op(clip: tf.Tensor) -> tf.Tensor:
        return audio_microfrontend_op.audio_microfrontend(
            clip, window_size=30, window_step=20, num_channels=40, enable_pcan=True
        )

    @tf.function(jit_compile=False)
    def graph(batch: tf.Tensor) -> tf.Tensor:
        return tf.stack([op(clip) for clip in tf.unstack(batch, args.clips)])

    tensor = tf.constant(clips)
    rows = [tf.constant(clip) for clip in clips]

    chunks = [[clip[i : i + 160].tobytes() for i in range(0, 16000, 160)] for clip in clips]

    def pymicro() -> None:
        for clip in chunks:
            frontend = pymicro_features.MicroFrontend()
            for chunk in clip:
                frontend.process_samples(chunk)

    micro, fine = Micro(), Micro(MicroSettings(hop_ms=10.0, variant="pymicro"))
    assert np.array_equal(micro.extract_raw(clips), graph(tensor).numpy())
    found = median_ms(
        {
            "minikws, hop 20 ms": lambda: micro.extract(clips),
            "TensorFlow's op, called": lambda: [op(clip) for clip in rows],
            "TensorFlow's op, one graph": lambda: graph(tensor),
            "minikws, hop 10 ms": lambda: fine.extract(clips),
            "pymicro-features": pymicro,
        },
        rounds=args.rounds,
        pause_ms=args.pause_ms,
    )
    ours, fine_ms = found["minikws, hop 20 ms"], found["minikws, hop 10 ms"]
    reference = min(found["TensorFlow's op, called"], found["TensorFlow's op, one graph"])
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, {args.threads} threads "
        f"({numba.threading_layer()}), NumPy {np.__version__}, Numba {numba.__version__}, "
        f"TensorFlow {tf.__version__}; {args.clips} clips of 1 s, medians of {args.rounds}"
    )
    for name, value in found.items():
        print(f"{name:28s} {value:9.2f} ms")
    print(f"TensorFlow / minikws         {reference / ours:9.2f}")
    print(f"pymicro-features / minikws   {found['pymicro-features'] / fine_ms:9.2f}")

    stream = micro.stream()
    stream.push(clips[0, :400])
    hop = clips[0, 400:720]
    one = median_ms({"hop": lambda: stream.push(hop)}, rounds=2000, pause_ms=0.0)["hop"]
    print(f"one hop of 20 ms, streaming  {1000 * one:9.1f} us")


if __name__ == "__main__":
    main()
