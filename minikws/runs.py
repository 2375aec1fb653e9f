"""From a run's folder or configuration to its parts: frontend, network, corpus, calibration.

`train` builds them anew, `eval` and `export` load what was trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from minikws import checkpoint, models
from minikws._typing import Array, Features
from minikws.checkpoint import Checkpoint, RunConfig
from minikws.data.corpus import Corpus
from minikws.errors import RunError
from minikws.files import write_file
from minikws.frontend import Frontend, make_frontend
from minikws.models.own import build_own, is_own, own_architecture
from minikws.models.registry import Architecture
from minikws.nn import Network
from minikws.quant import quantization_aware

CALIBRATION = "calibration.npz"
OWN_MODEL = "model.py"  # the copy of one's own architecture in a run's folder


def find_architecture(model: str, *, source: Path | None = None) -> Architecture:
    """Return what a model's name stands for: an entry of the table, or a function in a file.

    Parameters
    ----------
    source : where that file is a run's copy.

    Raises
    ------
    SettingsError : no such architecture, file or function.
    """
    return own_architecture(model, source=source) if is_own(model) else models.architecture(model)


def build_network(
    entry: Architecture,
    *,
    input_shape: tuple[int, int],
    n_labels: int,
    rng: np.random.Generator,
    dropout_rate: float,
    options: Mapping[str, Any],
) -> Network:
    """Build an architecture of the table or of one's own, with fresh weights."""
    arguments: dict[str, Any] = {
        "input_shape": input_shape,
        "n_labels": n_labels,
        "rng": rng,
        "dropout_rate": dropout_rate,
    }
    if is_own(entry.name):
        return build_own(entry, **arguments, options=options)
    return models.build(entry.name, **arguments, **options)


def build(
    config: RunConfig, rng: np.random.Generator, *, source: Path | None = None
) -> tuple[Frontend, Network]:
    """Make the frontend and the untrained network that a configuration asks for.

    Parameters
    ----------
    source : the run's copy of one's own architecture, where it has one.
    """
    frontend = make_frontend(config.frontend)
    settings = frontend.settings
    network = build_network(
        find_architecture(config.model, source=source),
        input_shape=(settings.n_frames, settings.n_features),
        n_labels=len(config.labels),
        rng=rng,
        dropout_rate=config.train.dropout_rate,
        options=config.model_options,
    )
    if config.train.quantize:
        network = quantization_aware(network, frontend.quantization)
    return frontend, network


def run_folder(path: str | Path) -> Path:
    """Return the folder of a run: the path itself, or where the checkpoint file belongs."""
    path = Path(path)
    return path if path.is_dir() else path.parent.parent


def load_network(path: str | Path) -> tuple[Checkpoint, Frontend, Network]:
    """Read a run's folder or a checkpoint file: its state, its frontend, its trained network.

    Raises
    ------
    RunError : nothing there, or damaged.
    """
    found = checkpoint.load(path)
    source = own_source(found.config, run_folder(path))
    frontend, network = build(found.config, np.random.default_rng(0), source=source)
    network.load_weights(found.weights)
    return found, frontend, network


def own_source(config: RunConfig, folder: Path) -> Path | None:
    """Return a run's copy of its own architecture's file, None for one of the table.

    Raises
    ------
    RunError : the copy is not there.
    """
    if not is_own(config.model):
        return None
    if not (folder / OWN_MODEL).is_file():
        raise RunError(
            f"{folder / OWN_MODEL} is missing, the copy of {config.model} that the run was "
            "trained with; put that file back under this name"
        )
    return folder / OWN_MODEL


def open_corpus(config: RunConfig, on_message: Callable[[str], None] | None = None) -> Corpus:
    """Open the corpus that a configuration names, as this run used it."""
    settings = make_frontend(config.frontend).settings
    return Corpus(
        Path(config.data_dir),
        config.corpus,
        settings.sample_rate_hz,
        settings.clip_samples,
        on_message,
    )


def start_from(network: Network, path: str | Path) -> tuple[str, ...]:
    """Load the weights of a run or checkpoint where name and shape agree; return what is left.

    Returns
    -------
    A sentence's part for each weight that keeps its fresh values, such as
    "final_fc.w (4000, 4), there (4000, 12)".

    Raises
    ------
    RunError : nothing there, damaged, or no weight agrees.
    """
    found, mine = checkpoint.load(path).weights, network.weights()
    fitting = {n: w for n, w in found.items() if n in mine and mine[n].shape == w.shape}
    if not fitting:
        raise RunError(
            f"no weight of {path} has the name and shape of one of this network's "
            f"({', '.join(sorted(mine))}); start from a run of the same architecture"
        )
    network.load_weights(mine | fitting)
    return tuple(
        f"{name} {mine[name].shape}, there {found[name].shape if name in found else 'none'}"
        for name in sorted(mine.keys() - fitting.keys())
    )


def write_calibration(run_dir: Path, features: Features) -> None:
    """Keep features (n, T, F) in a run's folder.

    Raises
    ------
    RunError : the file cannot be written.
    """

    def write(file: BinaryIO) -> None:
        np.savez_compressed(file, features=features)

    write_file(run_dir / CALIBRATION, write)


def read_calibration(run_or_checkpoint: str | Path) -> Features:
    """Return the features (n, T, F) that a run kept for the int8 export.

    Raises
    ------
    RunError : the run's folder has no usable calibration.npz.
    """
    folder = run_folder(run_or_checkpoint)
    try:
        with np.load(folder / CALIBRATION, allow_pickle=False) as stored:
            features = cast(Array, stored["features"])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise RunError(
            f"{folder / CALIBRATION} is missing or damaged ({error}); export from a run's "
            "folder as minikws train wrote it"
        ) from error
    return features
