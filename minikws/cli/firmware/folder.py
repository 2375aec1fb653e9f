"""Write the folder of `minikws export --firmware DIR`: a model as C for TFLite Micro, with tests.

In come the bytes of a model file, and a clip where one is at hand; out come C sources, headers and
a README. The modules beside this one hold the texts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minikws._typing import Array, Samples
from minikws.cli.firmware.headers import (
    Firmware,
    labels_files,
    resolver_header,
    settings_header,
)
from minikws.cli.firmware.readme import readme
from minikws.cli.firmware.self_test import SELF_TEST_HEADER, SELF_TEST_SOURCE
from minikws.cli.firmware.test_vectors import vectors_files
from minikws.errors import ModelFileError, SettingsError
from minikws.files import write_file
from minikws.fixedpoint import quantize
from minikws.frontend import FRONTENDS
from minikws.pipeline import Model, load
from minikws.runtime import Interpreter, plan
from minikws.runtime.tail import tail_bytes
from minikws.runtime.vectors import RunVectors, record_runs
from minikws.tflite.c_source import c_source
from minikws.tflite.metadata import info_of, labels_of
from minikws.tflite.reader import read_model
from minikws.tflite.resolver import resolver_of

if TYPE_CHECKING:
    from minikws.cli.output import Output

ARRAY_NAME = "g_kws_model"
SEED = 59185
MEMORY_RUNS = 8  # of a model with a memory whose frontend is not known


def write_firmware(
    folder: str | Path,
    model_file: Path,
    out: Output,
    *,
    clip: str | None = None,
    labels: Sequence[str] | None = None,
    frontend: str | None = None,
    found_clip: tuple[str, Samples] | None = None,
) -> list[str]:
    """Write a model as C source, with everything a firmware needs around it; return the files.

    Parameters
    ----------
    clip : a WAV file for the test vectors; without it `found_clip`, else a sound from a seed.
    labels, frontend : for a file that holds none. Without a frontend the vectors start at the
        model's input, with random values.
    found_clip : a clip's name and its samples.

    Raises
    ------
    ModelFileError : an operator or a tensor that minikws does not run.
    SettingsError : a clip for a model whose frontend is not known, or another number of labels
        than of outputs.
    """
    graph = read_model(model_file)
    labels = labels or (info_of(graph) or {}).get("labels") or labels_of(model_file) or ()
    has_frontend = bool(frontend or (info_of(graph) or {}).get("frontend"))
    if clip and not has_frontend:
        raise SettingsError(
            f"{model_file} does not say which frontend makes its features of {clip}; "
            f"give it, as --frontend {'|'.join(FRONTENDS)}"
        )
    interpreter = Interpreter(graph)
    _check_ends(interpreter, labels)
    samples, features = np.zeros(0, np.int16), np.zeros((0, 0), np.int8)
    model = None
    if has_frontend:
        names = labels or [str(i) for i in range(math.prod(interpreter.outputs[0].shape))]
        model = load(model_file, labels=names, frontend=frontend)
        what, samples = _clip(model, clip, found_clip, out)
        features, vectors = _vectors_of_clip(model, samples)
    else:
        what, vectors = _vectors_of_noise(interpreter)
    firmware = Firmware(
        model_name=model_file.name,
        input=interpreter.inputs[0],
        output=interpreter.outputs[0],
        labels=tuple(labels),
        frontend=model.frontend if model else None,
        recognizer=model.recognizer if model else {},
        planned=plan(graph, str(model_file)),
        tail_bytes=tail_bytes(graph),
        resolver=resolver_of(graph),
        clip=what,
        samples=samples,
        features=features,
        vectors=vectors,
    )
    _warn(firmware, out)
    texts = _texts(firmware, model_file.read_bytes())
    return [str(write_file(Path(folder) / name, text)) for name, text in texts.items()]


def _texts(firmware: Firmware, blob: bytes) -> dict[str, str]:
    model = c_source(ARRAY_NAME, blob, made_from=firmware.model_name)
    texts = {
        "kws_model.h": model[".h"],
        "kws_model.c": model[".c"],
        "kws_settings.h": settings_header(firmware),
        "kws_op_resolver.h": resolver_header(firmware.resolver),
        **vectors_files(firmware),
        "kws_self_test.h": SELF_TEST_HEADER,
        "kws_self_test.cc": SELF_TEST_SOURCE,
    }
    if firmware.labels:
        texts |= labels_files(firmware)
    return texts | {"README.txt": readme(firmware, n_bytes=len(blob))}


def _check_ends(interpreter: Interpreter, labels: Sequence[str]) -> None:
    """Refuse a model with several inputs or outputs, and labels that do not fit."""
    if len(interpreter.inputs) != 1 or len(interpreter.outputs) != 1:
        raise ModelFileError(
            f"the model has {len(interpreter.inputs)} inputs and {len(interpreter.outputs)} "
            "outputs, a keyword spotter has one of each; split the model"
        )
    n_outputs = math.prod(interpreter.outputs[0].shape)
    if labels and len(labels) != n_outputs:
        raise SettingsError(
            f"the model has {n_outputs} outputs and {len(labels)} labels were given; "
            "name one label an output, in their order"
        )


def _warn(firmware: Firmware, out: Output) -> None:
    if firmware.resolver.refused:
        names = ", ".join(firmware.resolver.refused)
        out.warn(f"TFLite Micro refuses uint8 tensors in {names}; export int8 for a board")
    if firmware.frontend is None:
        out.say("no frontend known: the test vectors start at the model's input, without samples")
    if not firmware.labels:
        out.say("no labels known: there is no kws_labels.c; give them with --labels")


def _clip(
    model: Model,
    clip: str | None,
    found_clip: tuple[str, Samples] | None,
    out: Output,
) -> tuple[str, Samples]:
    """Return what the clip is and its samples, as many as the model takes."""
    from minikws.audio import read_clip

    if clip:
        samples = read_clip(
            clip,
            sample_rate_hz=model.sample_rate_hz,
            n_samples=model.clip_samples,
            on_message=out.say,
        )
        return Path(clip).name, samples
    if found_clip is not None:
        return found_clip
    return "a rising tone in noise, made from a seed", synthetic_clip(model)


def synthetic_clip(model: Model) -> Samples:
    """Return a tone that rises through the frontend's band, in a little noise; from a seed."""
    rng = np.random.default_rng(SEED)
    n, rate = model.clip_samples, model.sample_rate_hz
    times = np.arange(n, dtype=np.float64) / n
    cycles = n / rate * (200 * times + (0.35 * rate - 200) * times**2 / 2)
    loud = 8000 * np.sin(np.pi * times) ** 2
    sound = loud * np.sin(2 * np.pi * cycles) + rng.normal(0, 100, n)
    return np.round(sound).astype(np.int16)


def _vectors_of_clip(model: Model, samples: Samples) -> tuple[Array, RunVectors]:
    """Return a clip's features as the board computes them, and what the model makes of them."""
    features = model.frontend.extract(samples)
    step = model.frames_per_run
    # A model with a memory takes the last whole runs of a clip, as `Model.run_features` does.
    frames = features[len(features) % step :]
    run = model.run_frames if model.has_memory else lambda part: model.run_features(part[None])
    vectors = record_runs(
        model.interpreter,
        lambda number: run(frames[number * step : (number + 1) * step]),
        n_runs=len(frames) // step,
    )
    fixed = model.frontend.quantization
    if fixed is not None and vectors.inputs.dtype == np.int8:
        return quantize(features, *fixed), vectors
    return features, vectors


def _vectors_of_noise(interpreter: Interpreter) -> tuple[str, RunVectors]:
    """Return the runs of a model on random inputs, values of the whole range of its type."""
    tensor = interpreter.inputs[0]
    rng = np.random.default_rng(SEED)

    def draw() -> Array:
        if tensor.dtype == "float32":
            return rng.normal(size=tensor.shape).astype(np.float32)
        limits = np.iinfo(tensor.dtype)
        return rng.integers(limits.min, limits.max, tensor.shape, tensor.dtype, endpoint=True)

    n_runs = MEMORY_RUNS if interpreter.has_memory else 1
    vectors = record_runs(interpreter, lambda _: interpreter.invoke(draw()), n_runs=n_runs)
    return "random input values", vectors
