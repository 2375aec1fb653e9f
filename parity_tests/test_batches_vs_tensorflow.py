"""Time shift, noise and clamp as TensorFlow's input_data.py computes them, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from minikws.data.batches import mix

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")


def tensorflow_mix(word: np.ndarray, shift: int, noise: np.ndarray, volume: float) -> np.ndarray:
    """speech_commands.md 2.7, steps 3 to 5, then 3.7's cast to int16 (saturating +1.0)."""
    sound = tf.constant(word.astype(np.float32) / 32768)
    if shift > 0:
        padded = tf.pad(sound, [[shift, 0]])
        shifted = tf.slice(padded, [0], [len(word)])
    else:
        padded = tf.pad(sound, [[0, -shift]])
        shifted = tf.slice(padded, [-shift], [len(word)])
    background = tf.constant(noise.astype(np.float32) / 32768)
    mixed = tf.add(tf.multiply(background, np.float32(volume)), shifted)
    clamped = tf.clip_by_value(mixed, -1.0, 1.0) * 32768
    return tf.cast(tf.minimum(clamped, 32767), tf.int16).numpy()


@pytest.mark.parametrize("form", [mix, mix.reference], ids=["called", "reference"])
def test_random_clips(form: object) -> None:
    rng = np.random.default_rng(0)
    n_clips, n_samples = 60, 1600
    words = rng.integers(-32768, 32768, (n_clips, n_samples)).astype(np.int16)
    noise = rng.integers(-32768, 32768, (n_clips, n_samples)).astype(np.int16)
    words[::3] //= 50
    noise[::4] //= 50
    shifts = rng.integers(-1600, 1600, n_clips)
    shifts[:3] = (0, 1, -1)
    volumes = rng.uniform(0, 1, n_clips).astype(np.float32)
    volumes[:2] = (0, 1)
    found = form(words, shifts, noise, volumes)  # type: ignore[operator]
    for b in range(n_clips):
        expected = tensorflow_mix(words[b], int(shifts[b]), noise[b], float(volumes[b]))
        np.testing.assert_array_equal(found[b], expected)
