"""Many clips at once: blocks of clips go to whatever process, their files come out of it.

What takes how long was measured on two cores: drawing 150 ms a clip, writing numbers 3 ms (most of
them the disk's), reading 0.2 ms, micro features 0.1 ms in batches and 2 ms one clip at a time in
plain NumPy. So a block's clips go through a frontend together, whose kernels use all cores, and
pictures alone are worth processes of their own unasked.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from minikws._typing import Features, Samples
from minikws.audio import read_clip
from minikws.cli.feature_files import ClipFeatures, Wanted, write_features
from minikws.errors import AudioError
from minikws.frontend import Frontend

BLOCK_BYTES = 4_000_000  # about 125 clips of a second
BLOCK_PICTURES = 10
MANY_PICTURES = 20  # below, starting the processes takes longer than they save


@dataclass(frozen=True)
class ClipWork:
    """A clip to work on: its file, its results' path without an ending, its C array's name."""

    clip: Path
    target: Path
    array_name: str


@dataclass(frozen=True, eq=False)
class Block:
    """Clips that are worked on together, and how.

    frontends : they hear the same sound: the first one's rate, and its length where `crop`.
    """

    clips: Sequence[ClipWork]
    frontends: Sequence[Frontend]
    wanted: Wanted
    crop: bool


@dataclass(frozen=True)
class BlockDone:
    """What is told of a block: a record and a line a clip, and what was done to the sound."""

    records: list[dict[str, Any]]
    lines: list[str]
    messages: list[str]


def blocks(
    clips: Sequence[ClipWork], frontends: Sequence[Frontend], wanted: Wanted, *, crop: bool
) -> list[Block]:
    """Cut clips into blocks that hold few bytes, or few pictures: the same for any number of jobs.

    Parameters are those of `Block`.
    """
    groups: list[list[ClipWork]] = [[]]
    n_bytes = 0
    for work in clips:
        if n_bytes >= BLOCK_BYTES or (wanted.png and len(groups[-1]) == BLOCK_PICTURES):
            groups.append([])
            n_bytes = 0
        groups[-1].append(work)
        n_bytes += work.clip.stat().st_size if work.clip.is_file() else 0
    return [Block(group, frontends, wanted, crop) for group in groups]


def usual_jobs(wanted: Wanted, n_clips: int, n_threads: int | None) -> int:
    """Return how many jobs there are where none were asked for: more than one for many pictures."""
    many = wanted.png and n_clips >= MANY_PICTURES and find_spec("joblib")
    return n_threads or os.cpu_count() or 1 if many else 1


def do_block(block: Block) -> BlockDone:
    """Read a block's clips, compute their features, write their files.

    Raises
    ------
    AudioError, MissingExtraError : as `read_clip`; or shorter than a frontend's window.
    MinikwsError : as `write_features`.
    """
    messages: list[str] = []
    settings = block.frontends[0].settings
    shortest = max(frontend.settings.window_samples for frontend in block.frontends)
    sounds = []
    for work in block.clips:
        samples = read_clip(
            work.clip,
            sample_rate_hz=settings.sample_rate_hz,
            n_samples=settings.clip_samples if block.crop else None,
            on_message=messages.append,
        )
        if len(samples) < shortest:
            raise AudioError(
                f"{work.clip} holds {len(samples)} samples, shorter than a window of {shortest}; "
                "pad it with --clip-duration-ms 1000"
            )
        sounds.append(samples)
    features = [extract_all(frontend, sounds) for frontend in block.frontends]
    done = BlockDone([], [], messages)
    for work, samples, *values in zip(block.clips, sounds, *features, strict=True):
        found = ClipFeatures(
            work.clip, samples, work.target, work.array_name, block.frontends, values
        )
        files = write_features(block.wanted, found)
        done.records.append(_record(found, files))
        done.lines.append(_line(found, files))
    return done


def extract_all(frontend: Frontend, sounds: Sequence[Samples]) -> list[Features]:
    """Return each sound's features; those of one length are computed together."""
    lengths = list(map(len, sounds))
    features: dict[int, Features] = {}
    for length in set(lengths):
        places = [place for place, found in enumerate(lengths) if found == length]
        together = frontend.extract(np.stack([sounds[place] for place in places]))
        features.update(zip(places, together, strict=True))
    return [features[place] for place in range(len(sounds))]


def _record(found: ClipFeatures, files: Sequence[Path]) -> dict[str, Any]:
    """Return what --json tells of a clip."""
    shapes = [list(features.shape) for features in found.features]
    return {
        "file": str(found.clip),
        "shape": shapes[0],
        **({"shapes": shapes} if len(shapes) > 1 else {}),
        "dtype": str(found.features[0].dtype),
        "written": [str(file) for file in files],
    }


def _line(found: ClipFeatures, files: Sequence[Path]) -> str:
    """Return what is said of a clip."""
    parts = []
    for frontend, features in zip(found.frontends, found.features, strict=True):
        kind = f"{frontend.settings.kind} " if len(found.frontends) > 1 else ""
        n_frames, n_features = features.shape
        parts.append(
            f"{kind}{n_frames} frames of {n_features}, {features.min():g} to "
            f"{features.max():g}, mean {features.mean():.3f}"
        )
    if files:
        parts.append(f"wrote {', '.join(map(str, files))}")
    return f"{found.clip}: {'; '.join(parts)}"
