"""Micro features of a batch: minikws, TensorFlow's op and pymicro-features in turn.

    python benchmarks/frontend.py [--clips 100] [--rounds 20] [--threads 2] [--pause-ms 0]

Reasons to doubt the figures: the machine is shared; TensorFlow's op takes one clip at a time, so it
is timed both called from Python and as one graph of all clips on as many threads as minikws has
(the faster one makes the ratio); pymicro-features has a hop of 10 ms only, so it is compared with
minikws at that hop; clips are noise with speech's loudness, not speech.
"""

from __future__ import annotations

import os
import platform

from turns import median_ms, noise_clips, read_arguments


def main() -> None:
    args = read_arguments(__doc__)

    import numba
    import numpy as np
    import pymicro_features
    import tensorflow as tf
    from tensorflow.lite.experimental.microfrontend.python.ops import audio_microfrontend_op

    from minikws.frontend import Micro
    from minikws.settings import MicroSettings

    tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    tf.config.threading.set_intra_op_parallelism_threads(1)

    clips = noise_clips(args.clips)

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
