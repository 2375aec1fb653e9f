"""Many clips at once: files come in and are read by the batch, features and their files go out.

What takes how long was measured on two cores: drawing 150 ms a clip, writing numbers 3 ms (most of
them the disk's), reading 0.2 ms, micro features 0.1 ms in batches and 2 ms one clip at a time in
plain NumPy. So clips go through a frontend together, whose kernels use all cores, and pictures
alone are worth processes of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from minikws._typing import Features, Samples
from minikws.audio import read_clip
from minikws.cli.feature_files import ClipFeatures, Wanted, write_features
from minikws.errors import AudioError, import_extra
from minikws.frontend import Frontend

Clip = tuple[Path, Path, Samples]  # the file, its results' path without an ending, its sound

BATCH_SAMPLES = 2_000_000  # about 125 clips of a second
MANY_PICTURES = 20  # below, starting the processes takes longer than they save


def read_batches(
    clips: Sequence[tuple[Path, Path]],
    frontends: Sequence[Frontend],
    *,
    crop: bool,
    say: Callable[[str], None],
) -> Iterator[list[Clip]]:
    """Read clips, as many together as `BATCH_SAMPLES` allow.

    Parameters
    ----------
    clips : each file, and its results' path without an ending.
    frontends : they hear the same sound: the first one's rate, and its length where `crop`.
    say : is told of each file that was resampled.

    Raises
    ------
    AudioError, MissingExtraError : as `read_clip`; or shorter than a frontend's window.
    """
    settings = frontends[0].settings
    n_samples = settings.clip_samples if crop else None
    shortest = max(frontend.settings.window_samples for frontend in frontends)
    batch: list[Clip] = []
    n_read = 0
    for path, target in clips:
        samples = read_clip(
            path, sample_rate_hz=settings.sample_rate_hz, n_samples=n_samples, on_message=say
        )
        if len(samples) < shortest:
            raise AudioError(
                f"{path} holds {len(samples)} samples, shorter than a window of {shortest}; "
                "pad it with --clip-duration-ms 1000"
            )
        batch.append((path, target, samples))
        n_read += len(samples)
        if n_read >= BATCH_SAMPLES:
            yield batch
            batch, n_read = [], 0
    if batch:
        yield batch


def extract_batch(frontend: Frontend, batch: Sequence[Clip]) -> list[Features]:
    """Return each clip's features; clips of one length are computed together."""
    lengths = [len(samples) for _, _, samples in batch]
    features: dict[int, Features] = {}
    for length in set(lengths):
        places = [place for place, found in enumerate(lengths) if found == length]
        together = frontend.extract(np.stack([batch[place][2] for place in places]))
        features.update(zip(places, together, strict=True))
    return [features[place] for place in range(len(batch))]


@contextmanager
def writers(
    wanted: Wanted, n_clips: int, n_threads: int | None
) -> Iterator[Callable[[list[ClipFeatures]], Iterable[list[Path]]]]:
    """Give what writes clips' files, in order: many pictures by a process a core, with joblib."""
    if not wanted.png or n_clips < MANY_PICTURES or not find_spec("joblib"):
        yield lambda clips: (write_features(wanted, found) for found in clips)
        return
    joblib = import_extra("joblib", extra="scale", purpose="drawing on all cores")
    write = joblib.delayed(write_features)
    with joblib.Parallel(n_jobs=n_threads or -1, return_as="generator") as pool:
        yield lambda clips: pool(write(wanted, found) for found in clips)
