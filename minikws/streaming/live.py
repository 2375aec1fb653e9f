"""From sound that never ends to words: the one path of `listen` and `stream eval`.

::

    samples, any number at a time
      -> frontend.stream()   features, each frame computed once, the state goes on
      -> RingBuffer          the last clip's frames
      -> the model           every 100 ms, on a view of them
      -> Recognizer          words with their times

A model with a memory of its own gets its frames one by one instead of a window; its scores are
taken at the same times. The same sound gives the same words at the same times, however it is cut
into pieces. Needs NumPy alone, and knows nothing of files: `minikws.streaming.sources` reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from minikws._typing import Array, Features, Float64, Samples
from minikws.errors import SettingsError
from minikws.frontend import Frontend
from minikws.streaming.recognize import Command, Recognizer, Result
from minikws.streaming.ring_buffer import RingBuffer

STRIDE_MS = 100.0  # between two looks at the sound, where nothing else is asked for
BLOCK_FRAMES = 64  # frames that are computed at once: bounds the memory of a long push
BATCH_WINDOWS = 32  # fresh windows that go through frontend and model at once


class Spotter(Protocol):
    """What `minikws.pipeline.Model` offers: labels, a frontend, and a graph to run.

    has_memory : the graph remembers earlier frames itself.
    frames_per_run : frames that one run takes; all of a clip where it has no memory.
    """

    labels: tuple[str, ...]
    frontend: Frontend
    has_memory: bool
    frames_per_run: int

    def run_features(self, features: Features) -> Array:
        """Run whole clips (B, T, F), each from an empty memory; return raw outputs (B, L)."""
        ...

    def run_frames(self, frames: Features) -> Array:
        """Run frames (t, F) through a memory that goes on; return raw outputs, one row a run."""
        ...

    def probabilities(self, outputs: Array) -> Float64:
        """Return raw outputs as real numbers."""
        ...

    def forget(self) -> None:
        """Empty the memory."""
        ...


@dataclass(frozen=True, eq=False)
class Window:
    """A stretch of the sound, by its first sample and the one after its last, and its scores (L,).

    Samples count from the stream's beginning.
    """

    start: int
    end: int
    sample_rate_hz: int
    scores: Float64

    @property
    def time_ms(self) -> int:
        """When the stretch begins, cut to whole ms: the published tools' time of a result."""
        return self.start * 1000 // self.sample_rate_hz

    @property
    def end_ms(self) -> float:
        """When its last sample was heard: the earliest moment at which its scores can be known."""
        return self.end * 1000 / self.sample_rate_hz


class WindowSource(Protocol):
    """Samples in, windows with scores out: `ScoreStream` or `FreshWindows`."""

    spotter: Spotter
    stride_ms: float

    def push(self, samples: Samples) -> list[Window]:
        """Take (n,) int16 samples; return the windows that they complete."""
        ...

    def reset(self) -> None:
        """Forget all sound."""
        ...


class ScoreStream:
    """Scores at a steady pace, from features that are computed once.

    Parameters
    ----------
    spotter : the model. One with a memory must be this stream's alone.
    stride_ms : between two scores, a multiple of the frontend's hop; None: the multiple that is
        nearest to 100.

    Raises
    ------
    SettingsError : no such multiple.
    """

    def __init__(self, spotter: Spotter, stride_ms: float | None = None) -> None:
        self.spotter = spotter
        self._settings = settings = spotter.frontend.settings
        self._every_frames = frames_between(stride_ms, settings.hop_ms)
        self.stride_ms = self._every_frames * settings.hop_ms
        self._frames = spotter.frontend.stream()
        self._recent = RingBuffer(settings.n_frames, settings.n_features)
        self.reset()

    def reset(self) -> None:
        """Forget all sound: the next sample is the first."""
        self._n_samples = 0
        self.skip(0)

    def skip(self, n_samples: int) -> None:
        """Count samples that nobody heard: what comes now does not follow on what was before.

        The next scores come when a whole window is full again.
        """
        self._n_samples += n_samples
        self._first = self._n_samples  # of the sound in one piece
        self._frames.reset()
        self._recent.clear()
        self._n_frames = 0
        if self.spotter.has_memory:
            self.spotter.forget()
            self._waiting = np.zeros((0, self._settings.n_features), np.float32)
            self._newest: Array | None = None  # raw output of the last run

    def push(self, samples: Samples) -> list[Window]:
        """Take (n,) int16 samples, n >= 0; return the windows that they complete, with scores.

        The first comes when a whole window is full of real sound.

        Raises
        ------
        AudioError, ShapeError : not int16, not one row.
        """
        samples = np.asarray(samples)
        if samples.ndim != 1:
            return self._scored(self._frames.push(samples))  # which says what is wrong
        self._n_samples += len(samples)
        size = BLOCK_FRAMES * self._settings.hop_samples
        return [
            window
            for start in range(0, max(len(samples), 1), size)
            for window in self._scored(self._frames.push(samples[start : start + size]))
        ]

    def _scored(self, frames: Features) -> list[Window]:
        """Take (t, F) new frames; return the windows that end with some of them."""
        first = self._n_frames
        self._n_frames += len(frames)
        due = [n for n in range(first + 1, self._n_frames + 1) if self._is_due(n)]
        if self.spotter.has_memory:
            outputs = self._remembered(frames, first, due)
        else:
            outputs = self._windowed(frames, first, due)
        if not due:
            return []
        scores = self.spotter.probabilities(np.stack(outputs))
        return [self._window(n, row) for n, row in zip(due, scores, strict=True)]

    def _is_due(self, n: int) -> bool:
        """Whether scores are wanted when n frames have been heard."""
        waited = n - self._settings.n_frames
        return waited >= 0 and waited % self._every_frames == 0

    def _windowed(self, frames: Features, first: int, due: Sequence[int]) -> Sequence[Array]:
        """Return the raw outputs (L,) of the windows that end after `due` frames."""
        windows = []
        for n, frame in enumerate(frames, first + 1):
            self._recent.append(frame)
            if n in due:
                windows.append(self._recent.window().copy())  # the next frames change the view
        return list(self.spotter.run_features(np.stack(windows))) if windows else []

    def _remembered(self, frames: Features, first: int, due: Sequence[int]) -> Sequence[Array]:
        """Show the frames to a model with a memory; return its raw outputs after `due` frames."""
        n_each = self.spotter.frames_per_run
        waiting = np.concatenate((self._waiting, frames))
        n_now = len(waiting) // n_each * n_each
        self._waiting = waiting[n_now:]
        runs_before = first // n_each
        outputs = [] if n_now == 0 else list(self.spotter.run_frames(waiting[:n_now]))
        # What is newest after n frames: a run takes several frames, and may have to wait for more.
        newest = [self._newest, *outputs]
        self._newest = newest[-1]
        return [out for n in due if (out := newest[n // n_each - runs_before]) is not None]

    def _window(self, n: int, scores: Float64) -> Window:
        """Return the window that ends with the n-th frame since sound was missed last."""
        s = self._settings
        start = self._first + (n - s.n_frames) * s.hop_samples
        end = self._first + (n - 1) * s.hop_samples + s.window_samples
        return Window(start, end, s.sample_rate_hz, scores)


class FreshWindows:
    """Scores of windows that are cut from the sound and computed from nothing, each by itself.

    As the published tool runs a model over a recording. It costs more, and where the frontend has
    a state (`micro`) the scores are others: no window knows what was heard before it.

    Parameters
    ----------
    stride_ms : between two windows; any.

    Attributes
    ----------
    stride_samples : the same in samples.

    Source: tensorflow/examples/speech_commands/test_streaming_accuracy.cc: windows begin at
    multiples of the stride, and the one that ends exactly with the sound is not run.
    """

    def __init__(self, spotter: Spotter, stride_ms: float | None = None) -> None:
        self.spotter = spotter
        self.stride_ms = STRIDE_MS if stride_ms is None else stride_ms
        self._settings = settings = spotter.frontend.settings
        self.stride_samples = int(self.stride_ms * settings.sample_rate_hz / 1000)
        if self.stride_samples < 1:
            raise SettingsError(
                f"a window every {self.stride_ms:g} ms is less than a sample; 100 is usual"
            )
        self.reset()

    def reset(self) -> None:
        """Forget all sound: the next sample is the first."""
        self._sound = np.zeros(0, np.int16)
        self._start = 0  # of the next window
        self._dropped = 0  # samples before the first that is kept

    def push(self, samples: Samples) -> list[Window]:
        """Take (n,) int16 samples, n >= 0; return the windows that they complete, with scores."""
        n_clip, rate = self._settings.clip_samples, self._settings.sample_rate_hz
        self._sound = np.concatenate((self._sound, samples))
        heard = self._dropped + len(self._sound)
        starts = range(self._start, heard - n_clip, self.stride_samples)
        found = []
        for i in range(0, len(starts), BATCH_WINDOWS):
            some = starts[i : i + BATCH_WINDOWS]
            clips = np.stack([self._sound[s - self._dropped :][:n_clip] for s in some])
            outputs = self.spotter.run_features(self.spotter.frontend.extract(clips))
            rows = self.spotter.probabilities(outputs)
            found += [Window(s, s + n_clip, rate, row) for s, row in zip(some, rows, strict=True)]
        self._start += len(starts) * self.stride_samples
        done = min(self._start, heard) - self._dropped
        self._sound, self._dropped = self._sound[done:], self._dropped + done
        return found


@dataclass(frozen=True, eq=False)
class Step:
    """One look at the sound: its window, what the recogniser says, and the command if one is new.

    The command's `time_ms` is the window's.
    """

    window: Window
    result: Result
    command: Command | None


class Listener:
    """Words from a sound that never ends.

    Parameters
    ----------
    source : makes windows with scores.
    recognizer : makes commands of them; its labels are the model's.

    Raises
    ------
    SettingsError : the recogniser would never have results enough at the source's pace.
    """

    def __init__(self, source: WindowSource, recognizer: Recognizer) -> None:
        recognizer.expect_stride(source.stride_ms)
        self.source = source
        self.recognizer = recognizer

    def push(self, samples: Samples) -> list[Step]:
        """Take (n,) int16 samples, n >= 0; return a step for each window that they complete."""
        return list(self.decide(self.source.push(samples)))

    def decide(self, windows: Iterable[Window]) -> Iterable[Step]:
        """Yield a step for each window."""
        for window in windows:
            result = self.recognizer.process(window.scores, window.time_ms)
            yield Step(window, result, self.recognizer.command(result, window.time_ms))

    def reset(self) -> None:
        """Forget all sound and the last command."""
        self.source.reset()
        self.recognizer.reset()


def frames_between(stride_ms: float | None, hop_ms: float) -> int:
    """Return how many hops a stride is; for None, the stride that is nearest to 100 ms.

    Raises
    ------
    SettingsError : it is not a multiple of the hop.

    >>> frames_between(100, 20)
    5
    """
    n_hops = (STRIDE_MS if stride_ms is None else stride_ms) / hop_ms
    nearest = max(1, round(n_hops))
    if stride_ms is not None and not abs(n_hops - nearest) < 1e-6:
        raise SettingsError(
            f"every_ms={stride_ms:g} is not a multiple of the hop of {hop_ms:g} ms; "
            f"the nearest is {nearest * hop_ms:g}"
        )
    return nearest
