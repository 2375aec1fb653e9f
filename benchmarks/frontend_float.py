"""MFCC and averaged spectrograms of a batch: minikws, TensorFlow's audio ops and tf.signal in turn.

    python benchmarks/frontend_float.py [--clips 100] [--rounds 20] [--threads 2] [--pause-ms 0]

Reasons to doubt the figures: the machine is shared; TensorFlow's ops take one clip at a time, so
they are timed both called from Python and as one graph of all clips (and the spectrogram of all
clips as channels of one sound), and the fastest makes the ratio; tf.signal computes in float32 and
by matrix products, so its numbers differ; clips are noise with speech's loudness, not speech.
Memory is the process's peak over a first call, its output and machine code included.
"""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Callable

from turns import median_ms, noise_clips, read_arguments


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    args = read_arguments(__doc__)

    import numpy as np

    from minikws.dsp.spectrum import spectral_features
    from minikws.frontend import Average, Mfcc

    clips = noise_clips(args.clips)

    mfcc, average = Mfcc(), Average()
    start = time.perf_counter()
    mfcc.extract(np.tile(clips[:1], (12, 1)))
    first_call_s = time.perf_counter() - start
    before = peak_mb()
    output = mfcc.extract(clips)
    memory_mb = peak_mb() - before

    import numba
    import tensorflow as tf

    tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    sound = (clips / 32768).astype(np.float32)
    tensor = tf.constant(sound)
    rows = [tf.constant(clip[:, None]) for clip in sound]
    channels = tf.constant(np.ascontiguousarray(sound.T))

    def power(clip: tf.Tensor) -> tf.Tensor:
        return tf.raw_ops.AudioSpectrogram(
            input=clip, window_size=480, stride=160, magnitude_squared=True
        )

    def cepstrum(spectrogram: tf.Tensor) -> tf.Tensor:
        return tf.raw_ops.Mfcc(spectrogram=spectrogram, sample_rate=16000, dct_coefficient_count=40)

    def pooled(spectrogram: tf.Tensor) -> tf.Tensor:
        return tf.nn.pool(spectrogram[..., None], [1, 6], "AVG", [1, 6], "SAME")[..., 0]

    def graph(last: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
        return tf.function(
            lambda batch: tf.concat(
                [last(power(clip[:, None])) for clip in tf.unstack(batch, args.clips)], 0
            )
        )

    weights = tf.signal.linear_to_mel_weight_matrix(40, 257, 16000, 20.0, 4000.0)

    @tf.function
    def signal(batch: tf.Tensor) -> tf.Tensor:
        spectrogram = tf.abs(tf.signal.stft(batch, 480, 160, 512))
        logarithm = tf.math.log(tf.tensordot(spectrogram, weights, 1) + 1e-12)
        return tf.signal.mfccs_from_log_mel_spectrograms(logarithm)

    mfcc_graph, average_graph = graph(cepstrum), graph(pooled)
    assert np.array_equal(average.extract(clips), average_graph(tensor).numpy())
    assert np.array_equal(mfcc.extract(clips), mfcc_graph(tensor).numpy())
    found = median_ms(
        {
            "mfcc: minikws": lambda: mfcc.extract(clips),
            "mfcc: TF ops, called": lambda: [cepstrum(power(clip)) for clip in rows],
            "mfcc: TF ops, one graph": lambda: mfcc_graph(tensor),
            "mfcc: TF ops, as channels": lambda: cepstrum(power(channels)),
            "mfcc: tf.signal": lambda: signal(tensor),
            "average: minikws": lambda: average.extract(clips),
            "average: TF ops, called": lambda: [pooled(power(clip)) for clip in rows],
            "average: TF ops, one graph": lambda: average_graph(tensor),
            "average: TF ops, as channels": lambda: pooled(power(channels)),
        },
        rounds=args.rounds,
        pause_ms=args.pause_ms,
    )
    kernel_settings = mfcc._kernel_settings
    plain = median_ms(
        {"plain": lambda: spectral_features.reference(clips[:10], kernel_settings, output[:10])},
        rounds=5,
        pause_ms=0.0,
    )["plain"]

    print(
        f"{platform.machine()}, {os.cpu_count()} cores, {args.threads} threads, "
        f"NumPy {np.__version__}, Numba {numba.__version__}, "
        f"TensorFlow {tf.__version__}; {args.clips} clips of 1 s, medians of {args.rounds}"
    )
    for name, value in found.items():
        print(f"{name:32s} {value:9.2f} ms")

    def best(kind: str) -> float:
        return min(value for name, value in found.items() if name.startswith(f"{kind}: TF"))

    ours = found["mfcc: minikws"]
    print(f"{'mfcc: TF ops / minikws':32s} {best('mfcc') / ours:9.2f}")
    print(f"{'mfcc: tf.signal / minikws':32s} {found['mfcc: tf.signal'] / ours:9.2f}")
    ratio = best("average") / found["average: minikws"]
    print(f"{'average: TF ops / minikws':32s} {ratio:9.2f}")
    print(f"mfcc, NumPy alone, a clip        {plain / 10:9.2f} ms")
    print(f"first call, compiling or loading {first_call_s:9.2f} s")
    print(f"memory of the batch              {memory_mb:9.1f} MB, output {output.nbytes / 1e6:.1f}")
    stream = mfcc.stream()
    stream.push(clips[0, :480])
    hop = clips[0, 480:640]
    one = median_ms({"hop": lambda: stream.push(hop)}, rounds=1000, pause_ms=0.0)["hop"]
    print(f"one hop of 10 ms, streaming      {1000 * one:9.1f} us")


if __name__ == "__main__":
    main()
