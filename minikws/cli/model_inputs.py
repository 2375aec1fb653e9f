"""What `diff` and `bench` feed a model with: a clip, stored features, or chance.

Out come the integers (or floats) of the model's inputs, one list a run, so that every runtime is
given the same. A clip longer than the model's is cut into several runs, and so is one for a model
that takes a few frames at a time.
"""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minikws._typing import Array, Features, Samples
from minikws.audio import read_clip
from minikws.cli.output import Output
from minikws.errors import ModelFileError, SettingsError, ShapeError, nearest
from minikws.fixedpoint import quantize
from minikws.frontend import FRONTENDS, Frontend, make_frontend
from minikws.frontend.micro import to_features
from minikws.tflite import info_of

if TYPE_CHECKING:
    from minikws.graph import Graph, Tensor

RANDOM = "random"


@dataclass(frozen=True)
class Given:
    """What a model is fed with.

    rounds : for each run the arrays of the model's inputs.
    what : in words, for the answer.
    clip, frontend : the sound and what made its features, where it was a sound.
    """

    rounds: list[list[Array]]
    what: str
    clip: Samples | None = None
    frontend: Frontend | None = field(default=None, repr=False)


def frontend_of(graph: Graph, kind: str | None, variant: str | None = None) -> Frontend | None:
    """Return the frontend that a file names, or `kind` at its defaults; None where neither says.

    Raises
    ------
    SettingsError : an unknown kind, another than the file's, or a variant for another than micro.
    """
    stored = (info_of(graph) or {}).get("frontend")
    if kind is not None and kind not in FRONTENDS:
        raise SettingsError(f"unknown frontend {kind!r}; {nearest(kind, FRONTENDS)}")
    if stored is not None and kind not in (None, stored["kind"]):
        raise SettingsError(
            f"the model was trained on the {stored['kind']} frontend, not on {kind}; "
            "leave --frontend out, it comes from the file"
        )
    if stored is None:
        if kind is None:
            return None
        stored = {"kind": kind}
    if variant is not None:
        if stored["kind"] != "micro":
            raise SettingsError(
                f"the {stored['kind']} frontend has no variants, found --micro-variant {variant}; "
                "leave it out"
            )
        stored = {**stored, "variant": variant}
    return make_frontend(stored)


def given_inputs(
    graph: Graph, frontend: Frontend | None, args: argparse.Namespace, out: Output
) -> Given:
    """Return what `--input` asks for.

    Raises
    ------
    MinikwsError : a file that cannot be read, or does not fit the model.
    """
    if args.input in (None, RANDOM):
        return random_inputs(graph, args.count, args.seed)
    if args.input.endswith(".npz"):
        arrays = read_arrays(args.input)
        given = stored_inputs(graph, arrays, frontend, args.input)
        if given is None:
            raise SettingsError(
                f"{args.input} holds {', '.join(arrays) or 'nothing'}, expected the model's input "
                f"as {' or '.join(input_names(graph))}; store it under one of these"
            )
        return given
    return clip_inputs(graph, args.input, frontend, args.model, out.say)


def random_inputs(graph: Graph, count: int, seed: int) -> Given:
    """Draw inputs over the whole range of their types; floats from the normal distribution."""
    rng = np.random.default_rng(seed)
    rounds = [[_draw(graph.main.tensors[i], rng) for i in graph.main.inputs] for _ in range(count)]
    return Given(rounds, f"{count} random input{'s' * (count > 1)} (seed {seed})")


def clip_inputs(
    graph: Graph,
    path: str,
    frontend: Frontend | None,
    model: str,
    on_message: Callable[[str], None],
) -> Given:
    """Turn a WAV file into the model's inputs, by its own frontend.

    Raises
    ------
    ModelFileError : no frontend is known, or the model takes several inputs.
    ShapeError : the features do not fill the input.
    """
    if frontend is None:
        raise ModelFileError(
            f"{model} does not say which frontend it was trained with; "
            f"give it, as --frontend {'|'.join(FRONTENDS)}"
        )
    settings = frontend.settings
    clip = read_clip(path, sample_rate_hz=settings.sample_rate_hz, on_message=on_message)
    if len(clip) < settings.clip_samples:
        clip = np.concatenate([clip, np.zeros(settings.clip_samples - len(clip), np.int16)])
    values = to_input(graph, frontend.extract(clip), frontend)
    rounds = cut(graph, values, settings.n_features)
    runs = f", {len(rounds)} runs" if len(rounds) > 1 else ""
    return Given(rounds, f"{path}{runs}", clip, frontend)


def read_arrays(path: str) -> dict[str, Array]:
    """Read every array of an NPZ file.

    Raises
    ------
    SettingsError : not an NPZ, or one with other things than arrays of numbers.
    """
    if not Path(path).is_file():
        raise SettingsError(f"{path} is not there; give an NPZ that numpy.savez wrote")
    if not zipfile.is_zipfile(path):
        raise SettingsError(f"{path} is not an NPZ file; write it with numpy.savez")
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: np.asarray(stored[name]) for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SettingsError(
            f"{path} cannot be read as an NPZ of numbers ({error}); write it with numpy.savez"
        ) from error
    for name, array in arrays.items():
        if array.dtype.kind not in "iufb":
            raise SettingsError(
                f"{name} in {path} is {array.dtype}, expected numbers; leave it out"
            )
    return arrays


def stored_inputs(
    graph: Graph, arrays: Mapping[str, Array], frontend: Frontend | None, path: str
) -> Given | None:
    """Take the input from stored arrays, by its name or as `features`; None where it is not there.

    Raises
    ------
    ShapeError : its values do not fill the input.
    """
    if len(graph.main.inputs) != 1:
        names = [graph.main.tensors[i].name for i in graph.main.inputs]
        if not all(name in arrays for name in names):
            return None
        stored = [
            cut_one(graph, i, arrays[name])
            for i, name in zip(graph.main.inputs, names, strict=True)
        ]
        return Given([list(arrays) for arrays in zip(*stored, strict=True)], path)
    keys = [key for key in input_names(graph) if key in arrays]
    if not keys:
        return None
    values = to_input(graph, arrays[keys[0]], frontend)
    width = values.shape[-1] if values.ndim > 1 else 0
    rounds = cut(graph, values, width)
    return Given(rounds, f"{keys[0]} of {path}")


def input_names(graph: Graph) -> list[str]:
    """Return the names under which the one input may be stored."""
    index = graph.main.inputs[0]
    signature = [n for n, i in (graph.signature or {}).get("inputs", {}).items() if i == index]
    name = graph.main.tensors[index].name
    return list(dict.fromkeys((name, plain(name), *signature, "features", "input")))


def plain(name: str) -> str:
    """Return a tensor's name as a C program or a file system can hold it."""
    return "".join(c if c.isalnum() else "_" for c in name)


def to_input(
    graph: Graph, values: Array, frontend: Frontend | None, *, lenient: bool = False
) -> Array:
    """Return features in the input's type: real ones are quantised as the firmware does.

    Whole numbers beyond a byte are the micro frontend's own uint16 values, as C code has them.
    """
    tensor = graph.main.tensors[graph.main.inputs[0]]
    is_micro = frontend is not None and frontend.settings.kind == "micro"
    beyond = values.dtype.kind in "iu" and values.max(initial=0) > 255
    if is_micro and tensor.dtype == "int8" and beyond:
        values = to_features(values.astype(np.uint16))
    fixed = frontend.quantization if frontend else None
    return as_tensor(tensor, values, fixed, lenient=lenient)


def as_tensor(
    tensor: Tensor,
    values: Array,
    fixed: tuple[float, int] | None = None,
    *,
    lenient: bool = False,
) -> Array:
    """Return values in a tensor's type.

    Parameters
    ----------
    values : integers are taken as they are, and so are whole numbers that were stored as floats;
        other floats are real and quantised.
    fixed : scale and zero point to quantise with, instead of the tensor's.
    lenient : values beyond the type stay as they are, to be compared and not to be run.

    Raises
    ------
    ShapeError : values beyond the type.
    SettingsError : values that are not finite, for integers.
    """
    if tensor.dtype in ("float32", "bool"):
        return values.astype(tensor.dtype)
    if not np.isfinite(values).all():
        raise SettingsError(
            f"{tensor.name} is {tensor.dtype}, the stored values are not all finite; dump it again"
        )
    if values.dtype.kind == "f" and tensor.scale:
        whole = bool(np.all(values == np.rint(values)) and np.abs(values).max(initial=0) > 1)
        if not whole:
            scale, zero_point = fixed or (tensor.scale[0], tensor.zero_point[0])
            return quantize(values, scale, zero_point, tensor.dtype)
    limits = np.iinfo(tensor.dtype)
    if values.size and not limits.min <= values.min() <= values.max() <= limits.max:
        if lenient:
            return values.astype(np.int64)
        raise ShapeError(
            f"{tensor.name} is {tensor.dtype}, the stored values reach from {values.min()} to "
            f"{values.max()}; store them as {tensor.dtype}, or in real units as float"
        )
    return values.astype(tensor.dtype)


def cut(graph: Graph, values: Array, n_features: int) -> list[list[Array]]:
    """Cut features (T, F) into runs of the model's one input.

    Raises
    ------
    ModelFileError : several inputs.
    ShapeError : the values do not fill whole inputs.
    """
    if len(graph.main.inputs) != 1:
        raise ModelFileError(
            f"the model has {len(graph.main.inputs)} inputs, features fill one; "
            "use --input random, or an NPZ with every input by its name"
        )
    return [[part] for part in cut_one(graph, graph.main.inputs[0], values, n_features)]


def cut_one(graph: Graph, index: int, values: Array, n_features: int = 0) -> list[Array]:
    """Cut stored values into runs of one tensor; the last, incomplete frames are dropped."""
    tensor = graph.main.tensors[index]
    size = int(np.prod(tensor.shape))
    n_runs, rest = divmod(values.size, size)
    if n_runs < 1 or (rest and (n_features == 0 or size % n_features)):
        raise ShapeError(
            f"the model's input {tensor.name} is {tensor.shape}, the features are {values.shape}; "
            "use the frontend it was trained with"
        )
    return list(values.reshape(-1)[: n_runs * size].reshape(n_runs, *tensor.shape))


def _draw(tensor: Tensor, rng: np.random.Generator) -> Array:
    if tensor.dtype == "float32":
        return np.asarray(rng.normal(size=tensor.shape).astype(np.float32))
    if tensor.dtype == "bool":
        return np.asarray(rng.integers(0, 2, tensor.shape).astype(np.bool_))
    limits = np.iinfo(tensor.dtype)
    return rng.integers(limits.min, limits.max, tensor.shape, tensor.dtype, endpoint=True)


def features_of(given: Given) -> Features | None:
    """Return the features (T, F) in real units of a clip, None where it was none."""
    if given.clip is None or given.frontend is None:
        return None
    return given.frontend.extract(given.clip)
