"""From a model file to words: frontend, interpreter and labels put together.

A file takes the features of a whole clip, or, with a memory of its own, those of one frame (or a
few) at a time. A clip is then shown to it frame by frame from an empty memory, and the scores after
its last frame count; on a stream each frame is computed once.

Composition only: the numbers are made in `frontend` and `runtime`. Needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from minikws._typing import Array, Features, Float64, Samples
from minikws.audio import read_clip
from minikws.errors import ModelFileError, SettingsError, ShapeError
from minikws.fixedpoint import quantize
from minikws.frontend import FRONTENDS, Frontend, make_frontend
from minikws.frontend.spelled import settings_from_text
from minikws.runtime import Interpreter
from minikws.streaming.live import ScoreStream
from minikws.tflite.metadata import info_of, labels_of
from minikws.tflite.reader import read_model
from minikws.tta import make_copy

Scores = list[tuple[str, float]]


def load(
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    frontend: str | None = None,
) -> Model:
    """Load a ``.tflite`` model with its labels and its frontend.

    Parameters
    ----------
    path : the file. One that minikws wrote holds labels and frontend itself.
    labels : in the order of the outputs, for a file without any.
    frontend : for a file without any: a name of `FRONTENDS` at its defaults, but for settings
        that may follow it, as "average,hop_ms=20".

    Raises
    ------
    ModelFileError : damaged, not a model, or without labels or frontend and none given.
    SettingsError : another frontend than the file's, unknown, or a wrong number of labels.
    """
    path = Path(path)
    if isinstance(labels, str):
        raise SettingsError(
            f"labels={labels!r} is one text, expected a list; write {labels.split(',')}"
        )
    graph = read_model(path)
    info = info_of(graph) or {}
    stored_labels = info.get("labels") or labels_of(path)
    stored_frontend = info.get("frontend")
    names = labels or stored_labels
    if not names:
        raise ModelFileError(
            f"{path} names no labels; give them in the order of its outputs, "
            "as --labels FILE_OR_COMMA_LIST"
        )
    given = settings_from_text(frontend) if frontend else None
    if given and stored_frontend and given != {"kind": stored_frontend["kind"]}:
        raise SettingsError(
            f"{path} was trained on the {stored_frontend['kind']} frontend, not on {frontend}; "
            "leave the frontend out, it comes from the file"
        )
    if not stored_frontend and not given:
        raise ModelFileError(
            f"{path} does not say which frontend it was trained with; "
            f"give it, as --frontend {'|'.join(FRONTENDS)}"
        )
    return Model(
        Interpreter(graph),
        make_frontend(stored_frontend or given or {}),
        names,
        training=info.get("training") or {},
        recognizer=info.get("recognizer") or {},
    )


class Model:
    """A runnable file: samples in, words with scores out.

    Parameters
    ----------
    interpreter : the loaded graph, one input (features) and one output (scores).
    frontend : makes its features.
    labels : in the order of its outputs.
    training : what the file says of its training (seed, steps, corpus, accuracy).
    recognizer : what it says of its use on a stream: parameters of `streaming.Recognizer`.

    Attributes
    ----------
    has_memory : whether the file keeps what it needs of earlier frames itself.
    frames_per_run : frames that one run of the graph takes; all of a clip without a memory.

    Raises
    ------
    SettingsError : the number of labels is not the number of outputs.
    ShapeError : the frontend's features do not fill the model's input.
    """

    def __init__(
        self,
        interpreter: Interpreter,
        frontend: Frontend,
        labels: Sequence[str],
        training: Mapping[str, Any] = MappingProxyType({}),
        recognizer: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        if len(interpreter.inputs) != 1 or len(interpreter.outputs) != 1:
            raise ModelFileError(
                f"the model has {len(interpreter.inputs)} inputs and {len(interpreter.outputs)} "
                "outputs, a keyword spotter has one of each; run it with minikws.Interpreter"
            )
        self.interpreter = interpreter
        self.frontend = frontend
        self.labels = tuple(labels)
        self.training = dict(training)
        self.recognizer = dict(recognizer)
        self._input, self._output = interpreter.inputs[0], interpreter.outputs[0]
        self.has_memory = interpreter.has_memory
        settings = frontend.settings
        self.frames_per_run, rest = divmod(int(np.prod(self._input.shape)), settings.n_features)
        fits = self.frames_per_run == settings.n_frames
        if self.has_memory:
            fits = 1 <= self.frames_per_run <= settings.n_frames
        if rest or not fits:
            raise ShapeError(
                f"the model's input {self._input.name} is {self._input.shape}"
                f"{', some frames of a stream' if self.has_memory else ''}, the "
                f"{settings.kind} frontend makes ({settings.n_frames}, {settings.n_features}) "
                f"features from {settings.clip_ms:g} ms; use the frontend it was trained with, its "
                "settings after its name, as average,hop_ms=20"
            )
        n_outputs = int(np.prod(self._output.shape))
        if n_outputs != len(self.labels):
            raise SettingsError(
                f"the model has {n_outputs} outputs and {len(self.labels)} labels were given; "
                "name one label an output, in their order"
            )

    def __repr__(self) -> str:
        return f"Model({', '.join(self.labels)}; {self.frontend.settings.kind} frontend)"

    @property
    def sample_rate_hz(self) -> int:
        """Samples a second of the sound the model was trained on."""
        return self.frontend.settings.sample_rate_hz

    @property
    def clip_samples(self) -> int:
        """Samples of one model input."""
        return self.frontend.settings.clip_samples

    def features(self, clip: str | Path | Samples) -> Features:
        """Return the features (T, F) of a clip, in real units."""
        return self.frontend.extract(self._samples(clip))

    def outputs(self, clips: Samples) -> Array:
        """Run samples (B, N) through frontend and graph; return the raw outputs (B, L).

        See `run_features` for how they are quantised.
        """
        return self.run_features(self.frontend.extract(clips))

    def run_features(self, features: Features) -> Array:
        """Run features (B, T, F) through the graph; return the raw outputs (B, L).

        A frontend with a fixed int8 form (`micro`) is quantised by its own scale, which gives the
        integers that the firmware copies into the input tensor; others by the file's scale. A graph
        with a memory is reset before each clip, and its scores after the last frame are returned.

        Raises
        ------
        ShapeError : other features than the frontend makes.
        SettingsError : a feature that is no number.
        """
        settings = self.frontend.settings
        n_frames, n_features = settings.n_frames, settings.n_features
        # A memory takes clips of any length.
        ends = (n_features,) if self.has_memory else (n_frames, n_features)
        if features.ndim != 3 or features.shape[-len(ends) :] != ends:
            raise ShapeError(
                f"expected features (B, {n_frames}, {n_features}), found the shape "
                f"{features.shape}; extract makes them from samples (B, {self.clip_samples})"
            )
        if not np.isfinite(features).all():
            raise SettingsError(
                "the features hold a value that is not finite; look at where they come from"
            )
        if not self.has_memory:
            return self._run(features)
        outputs = []
        for clip in features:
            self.interpreter.reset()
            outputs.append(self.run_frames(clip[len(clip) % self.frames_per_run :])[-1])
        return np.stack(outputs)

    def run_frames(self, frames: Features) -> Array:
        """Run more frames (t, F) of a stream through a graph with a memory, which goes on.

        Parameters
        ----------
        frames : t a multiple of `frames_per_run`.

        Returns
        -------
        the raw outputs (t // frames_per_run, L), one row a run.
        """
        return self._run(frames.reshape(-1, self.frames_per_run, frames.shape[-1]))

    def _run(self, features: Features) -> Array:
        """Run the graph once for each of (B, …); return its raw outputs (B, L)."""
        x: Array = features.reshape(len(features), *self._input.shape[1:])
        if self._input.dtype == "int8" and self.frontend.quantization is not None:
            x = quantize(x, *self.frontend.quantization)
        return self.interpreter.invoke(x).reshape(len(features), -1)

    def probabilities(self, outputs: Array) -> Float64:
        """Return raw outputs as real numbers, by the file's scale and zero point."""
        if not self._output.scale:
            return outputs.astype(np.float64)
        scale, zero_point = self._output.scale[0], self._output.zero_point[0]
        return scale * (outputs.astype(np.float64) - zero_point)

    def label(self, clip: str | Path | Samples) -> Scores:
        """Return (label, score) pairs of a clip, the highest score first.

        Parameters
        ----------
        clip : a WAV file, or samples (N,) int16 at `sample_rate_hz`. A shorter one is padded with
            zeros.

        Raises
        ------
        ShapeError : longer than the model's clip; `label_windows` takes any length.
        """
        samples = self._samples(clip)
        if len(samples) > self.clip_samples:
            raise ShapeError(
                f"the clip has {len(samples)} samples, the model takes {self.clip_samples}; "
                "call label_windows for a longer one"
            )
        return self.rank(self.outputs(self._windows(samples))[0])

    def rank(self, output: Array) -> Scores:
        """Return (label, score) pairs of one raw output (L,), the highest score first."""
        return self.rank_probabilities(self.probabilities(output))

    def rank_probabilities(self, probabilities: Float64) -> Scores:
        """Return (label, score) pairs of probabilities (L,), the highest score first."""
        scores = probabilities.tolist()
        order = sorted(range(len(scores)), key=lambda i: -scores[i])
        return [(self.labels[i], scores[i]) for i in order]

    def label_windows(self, clip: str | Path | Samples) -> list[tuple[int, Scores]]:
        """Return (start in ms, label's scores) for each stretch of the model's length.

        The last stretch is padded with zeros; a rest below half a stretch is left out.
        """
        outputs = self.outputs(self._windows(self._samples(clip)))
        return [(self._start_ms(i), self.rank(row)) for i, row in enumerate(outputs)]

    def stream(self, *, every_ms: float | None = None) -> Stream:
        """Return a stream: push samples as they come, get scores at a steady pace.

        Parameters
        ----------
        every_ms : a multiple of the frontend's hop; None: the one that is nearest to 100.

        Raises
        ------
        SettingsError : `every_ms` is no such multiple.
        """
        return Stream(self.apart(), every_ms)

    def apart(self) -> Model:
        """Return the model with a memory of its own, which other sounds do not enter.

        It is the model itself where the graph has no memory.
        """
        if not self.has_memory:
            return self
        own = Interpreter(self.interpreter.graph)
        return Model(own, self.frontend, self.labels, self.training, self.recognizer)

    def forget(self) -> None:
        """Empty the graph's memory: the next frame is the first."""
        self.interpreter.reset()

    def _start_ms(self, window: int) -> int:
        return round(1000 * window * self.clip_samples / self.sample_rate_hz)

    def _windows(self, samples: Samples) -> Samples:
        """Cut samples (N,) into (B, clip_samples), B at least 1."""
        n = self.clip_samples
        n_windows = max(1, (len(samples) + n // 2) // n)
        padded = np.zeros(n_windows * n, np.int16)
        kept = samples[: len(padded)]
        padded[: len(kept)] = kept
        return padded.reshape(n_windows, n)

    def _samples(self, clip: str | Path | Samples) -> Samples:
        if isinstance(clip, (str, Path)):
            return read_clip(clip, sample_rate_hz=self.sample_rate_hz)
        samples = np.asarray(clip)
        if samples.dtype != np.int16 or samples.ndim != 1 or len(samples) == 0:
            raise ShapeError(
                f"expected samples (N,) int16, found {samples.shape} {samples.dtype}; "
                "read_wav gives such samples"
            )
        return samples


class Stream:
    """Scores from a sound that never ends, at a steady pace; features are computed once."""

    def __init__(self, model: Model, every_ms: float | None) -> None:
        self._windows = ScoreStream(model, every_ms)

    def reset(self) -> None:
        """Forget all sound, as at the start."""
        self._windows.reset()

    def push(self, samples: Samples) -> list[tuple[float, Float64]]:
        """Take any number of samples; return (end of the window in ms, scores (L,)) that are due.

        Nothing is returned before the first window is full of real sound.
        """
        return [(window.end_ms, window.scores) for window in self._windows.push(samples)]


def label_clips(
    model: Model,
    paths: Sequence[Path],
    on_message: Callable[[str], None],
    *,
    tta: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Label files; return a record for each stretch of each: file, scores, raw output.

    A file longer than the model's clip gives several records, each with its `start_ms`; a shorter
    one is padded. Both are said through `on_message`. With `tta`, names of `copies.COPIES`, the
    scores are means over the stretch and its copies; the raw output is the stretch's own.
    """
    records = []
    for path in paths:
        samples = read_clip(path, sample_rate_hz=model.sample_rate_hz, on_message=on_message)
        windows = model._windows(samples)
        if len(samples) < model.clip_samples:
            on_message(f"{path} has {len(samples)} samples, padded to {model.clip_samples}")
        elif len(samples) > model.clip_samples:
            on_message(
                f"{path} has {len(samples)} samples, labelled in {len(windows)} stretches of "
                f"{model.clip_samples}"
            )
        outputs = model.outputs(windows)
        copies = [make_copy(windows, name, sample_rate_hz=model.sample_rate_hz) for name in tta]
        answers = [outputs, *map(model.outputs, copies)]
        probabilities = np.mean([model.probabilities(answer) for answer in answers], axis=0)
        for i, (output, row) in enumerate(zip(outputs, probabilities, strict=True)):
            scores = model.rank_probabilities(row)
            record: dict[str, Any] = {
                "file": str(path),
                "scores": [{"label": label, "score": score} for label, score in scores],
                "output": output.tolist(),
            }
            if len(windows) > 1:
                record["start_ms"] = model._start_ms(i)
            records.append(record)
    return records
