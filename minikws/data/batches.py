"""Training batches: clips drawn with replacement, shifted in time, mixed with noise.

In: a `Corpus`, the augmentation's settings, the run's generator. Out: int16 samples and label
indices. Source of the rules and their order: input_data.py, AudioProcessor.get_data.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minikws._jit import kernel, prange
from minikws._typing import Float32, Int16, Int64
from minikws.data.corpus import Clip, Corpus
from minikws.settings import AugmentSettings


@kernel
def mix(words: Int16, shifts: Int64, noise: Int16, volumes: Float32) -> Int16:
    """Shift words in time and lay noise over them.

    Parameters
    ----------
    words, noise : (B, N) int16.
    shifts : (B,) int64 samples; above 0 the word comes later; zeros fill the gap.
    volumes : (B,) float32, 0 to 1.

    Returns
    -------
    (B, N) int16: word + noise * volume in float32, clamped, truncated.
    """
    n_samples = words.shape[1]
    out = np.empty_like(words)
    for row, word, shift, hiss, volume in zip(out, words, shifts, noise, volumes, strict=True):
        shifted = np.zeros(n_samples, np.float32)
        first, last = max(0, shift), min(n_samples, n_samples + shift)
        shifted[first:last] = word[first - shift : last - shift]
        # Samples are not divided by 32768 here: a power of two changes no rounding.
        mixed = hiss.astype(np.float32) * volume + shifted
        row[:] = np.clip(mixed, -32768, 32767)
    return out


@mix.jit(parallel=True)
def _(words: Int16, shifts: Int64, noise: Int16, volumes: Float32) -> Int16:
    n_clips, n_samples = words.shape
    out = np.empty_like(words)
    for b in prange(n_clips):
        shift, volume = shifts[b], volumes[b]
        for i in range(n_samples):
            word = np.float32(0)
            if 0 <= i - shift < n_samples:
                word = np.float32(words[b, i - shift])
            mixed = np.float32(noise[b, i]) * volume + word
            out[b, i] = np.int16(min(max(mixed, np.float32(-32768)), np.float32(32767)))
    return out


class TrainingBatches:
    """Draws training batches from a corpus; all randomness comes from the generator handed in.

    Parameters
    ----------
    extra, extra_share : clips beside the corpus, and how much of each batch is drawn from them,
        rounded to whole clips.
    """

    def __init__(
        self,
        corpus: Corpus,
        settings: AugmentSettings,
        *,
        extra: Sequence[Clip] = (),
        extra_share: float = 0.0,
    ) -> None:
        self.corpus = corpus
        self.settings = settings
        self.clips = (*corpus.partitions["training"], *extra)
        self._n_extra, self._extra_share = len(extra), extra_share if extra else 0.0
        self._labels = corpus.label_indices(self.clips)
        self._is_silence = np.array([clip.path is None for clip in self.clips])
        self._shift_samples = int(settings.time_shift_ms * corpus.sample_rate_hz / 1000)
        self._volume = settings.background_volume if corpus.background_paths else 0.0

    def draw(self, n_clips: int, rng: np.random.Generator) -> tuple[Int16, Int64]:
        """Return the samples (B, N) int16 and labels (B,) of `n_clips` random training clips."""
        corpus, settings = self.corpus, self.settings
        chosen = self._choose(n_clips, rng)
        shifts = np.zeros(n_clips, np.int64)
        if self._shift_samples > 0:
            shifts = rng.integers(-self._shift_samples, self._shift_samples, size=n_clips)
        is_silence = self._is_silence[chosen]
        volumes = rng.uniform(0, 1, n_clips)
        is_noisy = rng.uniform(0, 1, n_clips) < settings.background_frequency
        volumes = np.where(is_silence, volumes, volumes * self._volume * is_noisy)
        words = np.zeros((n_clips, corpus.clip_samples), np.int16)
        noise = np.zeros_like(words)
        for row, index in zip(words, chosen, strict=True):
            path = self.clips[index].path
            if path is not None:
                row[:] = corpus.samples(path)
        if corpus.background_paths:
            which = rng.integers(len(corpus.background), size=n_clips)
            position = rng.uniform(0, 1, n_clips)
            for row, file, share in zip(noise, which, position, strict=True):
                sound = corpus.background[file]
                start = int(share * (len(sound) - corpus.clip_samples))
                row[:] = sound[start : start + corpus.clip_samples]
        return mix(words, shifts, noise, volumes.astype(np.float32)), self._labels[chosen]

    def _choose(self, n_clips: int, rng: np.random.Generator) -> Int64:
        """Return indices (n_clips,) into `clips`: the corpus's own first, then the extra ones."""
        n_extra = round(n_clips * self._extra_share)
        n_own = len(self.clips) - self._n_extra
        own = rng.integers(n_own, size=n_clips - n_extra)
        if n_extra == 0:
            return own
        return np.concatenate([own, rng.integers(n_own, len(self.clips), size=n_extra)])
