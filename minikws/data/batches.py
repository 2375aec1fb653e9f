"""Training batches: clips drawn with replacement, shifted in time, mixed with noise.

In: a `Corpus`, the augmentation's settings, the run's generator. Out: int16 samples and label
indices. Source of the rules and their order: input_data.py, AudioProcessor.get_data.

The lead-in is ours. The noise begins before the clip, and a word that is shifted to the left
reaches into it instead of losing its beginning::

    without                |  word  |        with     |nnnnnnnn|  word  |
    noise                  |nnnnnnnn|                 |nnnnnnnn|nnnnnnnn|
    features               |--------|                          |--------|

Only a frontend that remembers hears the difference (`micro` estimates the noise). The other clips
have silence before them, from which such a frontend learns nothing: they sound as without.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minikws._jit import kernel, prange
from minikws._typing import Float32, Int16, Int64
from minikws.data.corpus import Clip, Corpus
from minikws.errors import CorpusError, SettingsError
from minikws.settings import AugmentSettings, ClipSettings


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
        shift = min(max(shift, -n_samples), n_samples)  # further than its length: nothing is left
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
    lead_in_samples : noise before each clip, from the settings by `lead_in_samples`.

    Raises
    ------
    CorpusError : a lead-in for which a background recording is too short.
    """

    def __init__(
        self,
        corpus: Corpus,
        settings: AugmentSettings,
        *,
        extra: Sequence[Clip] = (),
        extra_share: float = 0.0,
        lead_in_samples: int = 0,
    ) -> None:
        self.corpus = corpus
        self.settings = settings
        self.clips = (*corpus.partitions["training"], *extra)
        self._n_extra, self._extra_share = len(extra), extra_share if extra else 0.0
        self._labels = corpus.label_indices(self.clips)
        self._is_silence = np.array([clip.path is None for clip in self.clips])
        self._shift_samples = int(settings.time_shift_ms * corpus.sample_rate_hz / 1000)
        self._volume = settings.background_volume if corpus.background_paths else 0.0
        self._lead_in_samples = lead_in_samples
        if lead_in_samples:
            _need_long_background(corpus, lead_in_samples)

    def draw(self, n_clips: int, rng: np.random.Generator) -> tuple[Int16, Int64]:
        """Return the samples (B, M + N) int16 and labels (B,) of `n_clips` random training clips.

        The first M samples are the lead-in, silence for the clips that get none. It changes no
        other draw.
        """
        corpus, settings = self.corpus, self.settings
        lead_in, n_samples = self._lead_in_samples, self._lead_in_samples + corpus.clip_samples
        chosen = self._choose(n_clips, rng)
        shifts = np.zeros(n_clips, np.int64)
        if self._shift_samples > 0:
            shifts = rng.integers(-self._shift_samples, self._shift_samples, size=n_clips)
        is_silence = self._is_silence[chosen]
        volumes = rng.uniform(0, 1, n_clips)
        is_noisy = rng.uniform(0, 1, n_clips) < settings.background_frequency
        volumes = np.where(is_silence, volumes, volumes * self._volume * is_noisy)
        words = np.zeros((n_clips, n_samples), np.int16)
        noise = np.zeros_like(words)
        for row, index in zip(words, chosen, strict=True):
            path = self.clips[index].path
            if path is not None:
                row[lead_in:] = corpus.samples(path)
        if corpus.background_paths:
            which = rng.integers(len(corpus.background), size=n_clips)
            position = rng.uniform(0, 1, n_clips)
            for row, file, share in zip(noise, which, position, strict=True):
                sound = corpus.background[file]
                start = int(share * (len(sound) - n_samples))
                row[:] = sound[start : start + n_samples]
        samples = mix(words, shifts, noise, volumes.astype(np.float32))
        if lead_in:
            samples[rng.uniform(0, 1, n_clips) >= settings.lead_in_share, :lead_in] = 0
        return samples, self._labels[chosen]

    def _choose(self, n_clips: int, rng: np.random.Generator) -> Int64:
        """Return indices (n_clips,) into `clips`: the corpus's own first, then the extra ones."""
        n_extra = round(n_clips * self._extra_share)
        n_own = len(self.clips) - self._n_extra
        own = rng.integers(n_own, size=n_clips - n_extra)
        if n_extra == 0:
            return own
        return np.concatenate([own, rng.integers(n_own, len(self.clips), size=n_extra)])


def lead_in_samples(settings: AugmentSettings, frontend: ClipSettings) -> int:
    """Return the length of the lead-in: whole hops, so that the clip's frames lie where they were.

    Raises
    ------
    SettingsError : it is no whole number of hops, or the frontend would not hear it.
    """
    if settings.lead_in_ms == 0:
        return 0
    if frontend.kind != "micro":
        raise SettingsError(
            f"a lead-in changes nothing for {frontend.kind} features, of which no frame knows "
            "what came before; leave lead_in_ms out, or take the micro frontend"
        )
    n_samples = settings.lead_in_ms * frontend.sample_rate_hz / 1000
    n_hops = max(1, round(n_samples / frontend.hop_samples))
    if abs(n_samples - n_hops * frontend.hop_samples) > 1e-6:
        nearest_ms = n_hops * frontend.hop_samples * 1000 / frontend.sample_rate_hz
        raise SettingsError(
            f"lead_in_ms={settings.lead_in_ms:g} is not a multiple of the hop of "
            f"{frontend.hop_ms:g} ms; the nearest is {nearest_ms:g}"
        )
    return n_hops * frontend.hop_samples


def _need_long_background(corpus: Corpus, lead_in: int) -> None:
    """Raise CorpusError where a background recording does not hold a lead-in and a clip."""
    needed = lead_in + corpus.clip_samples
    for path, sound in zip(corpus.background_paths, corpus.background, strict=True):
        if len(sound) < needed:
            rate = corpus.sample_rate_hz
            longest_ms = (min(map(len, corpus.background)) - corpus.clip_samples) * 1000 / rate
            raise CorpusError(
                f"{path} lasts {1000 * len(sound) / rate:.0f} ms, the clip with its lead-in "
                f"{1000 * needed / rate:.0f}; give a lead-in of at most {longest_ms:.0f} ms, or "
                "lengthen the recording"
            )
