"""What the frontends share: checked samples, whole clips, and a stream of any cuts.

A stream keeps the samples that its next frame needs. The frames of most frontends depend on
nothing else; `micro` adds its noise estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minikws._typing import Array, Features, Samples
from minikws.errors import AudioError, ShapeError
from minikws.settings import ClipSettings


class Windowed:
    """Base of the frontends whose frames are independent; a subclass computes `_run`."""

    settings: ClipSettings

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings!r})"

    @property
    def quantization(self) -> tuple[float, int] | None:
        """None: the int8 form is calibrated on training features."""
        return None

    def extract(self, clips: Samples) -> Features:
        """Return the features in real units.

        Parameters
        ----------
        clips : (B, N) or (N,) int16, N >= one window.

        Returns
        -------
        (B, T, F) or (T, F) float32.

        Raises
        ------
        AudioError : not int16.
        ShapeError : another shape, or shorter than a window.
        """
        batch, single = self._batch(clips)
        features = self._run(batch)
        return features[0] if single else features

    def stream(self) -> WindowedStream:
        """Start a stream, with nothing heard so far."""
        return WindowedStream(self.settings, self._run)

    def _batch(self, given: Any) -> tuple[Samples, bool]:
        """Return the clips as (B, N), and whether they were a single one, (N,)."""
        clips = checked_samples(given)
        if clips.ndim not in (1, 2) or clips.shape[-1] < self.settings.window_samples:
            raise ShapeError(
                f"expected clips (B, N) or (N,) with N at least {self.settings.window_samples} "
                f"samples, one window, found the shape {clips.shape}; pad the clip with zeros"
            )
        # One kind of array only: a compiled kernel is made anew for another one.
        clips = np.require(clips, requirements=["C", "W"])
        return (clips[None], True) if clips.ndim == 1 else (clips, False)

    def _run(self, clips: Samples) -> Features:
        """Return the features of (B, N) clips, (B, T, F) float32."""
        raise NotImplementedError


class WindowedStream:
    """A running clip; `stream()` makes it. Any cuts give the numbers of the whole clip."""

    def __init__(self, settings: ClipSettings, compute: Callable[[Samples], Features]) -> None:
        self._settings = settings
        self._compute = compute
        self.reset()

    def reset(self) -> None:
        """Forget everything heard: the next sample is the first."""
        self._pending = np.zeros(0, np.int16)  # from the next window's first sample on
        self._skip = 0  # samples still to come before it, where the hop exceeds the window

    def push(self, samples: Samples) -> Features:
        """Take (n,) int16 samples, n >= 0, and return the (t, F) float32 frames they complete.

        Raises
        ------
        AudioError, ShapeError : not int16, not one row; the stream stays as it was.
        """
        samples = checked_samples(samples)
        if samples.ndim != 1:
            raise ShapeError(
                f"expected one row of samples (n,), found the shape {samples.shape}; "
                "push each clip into a stream of its own"
            )
        s = self._settings
        sound = np.concatenate((self._pending, samples[self._skip :]))
        skip = max(self._skip - len(samples), 0)
        n_frames = max(0, 1 + (len(sound) - s.window_samples) // s.hop_samples)
        if n_frames == 0:
            self._pending, self._skip = sound, skip
            return np.zeros((0, s.n_features), np.float32)
        features = self._compute(sound[None])
        done = n_frames * s.hop_samples
        self._pending, self._skip = sound[done:], max(done - len(sound), 0)
        first: Features = features[0]
        return first


def checked_samples(given: Any) -> Samples:
    """Return samples as an int16 array, or say what else was given."""
    samples: Array = np.asarray(given)
    if samples.dtype == np.int16:
        return samples
    if samples.dtype.kind == "f":
        found = " with NaN" if np.isnan(samples).any() else ""
        raise AudioError(
            f"expected int16 samples, found {samples.dtype}{found}; multiply sound in -1 to 1 by "
            "32768, round, clip to -32768 … 32767 and convert with .astype(np.int16)"
        )
    raise AudioError(
        f"expected int16 samples, found {samples.dtype}; convert them with .astype(np.int16)"
    )
