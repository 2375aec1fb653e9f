"""The fresh windows of one long recording, by stretches, in as many processes as are wanted.

A fresh window knows nothing of what came before it, so that a recording can be cut anywhere: each
stretch brings the sound of its windows, and only their scores meet again, in order. The stretches
are the same for any number of jobs, and so is every score.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from uuid import uuid4

import numpy as np

from minikws._typing import Samples
from minikws.cli.stream_options import open_model, stride_for
from minikws.streaming.live import BATCH_WINDOWS, FreshWindows, Window
from minikws.workers import Workers, kept, run_in_order

STRETCH = 10 * BATCH_WINDOWS  # windows of a piece of work: half a minute at 100 ms

Work = tuple[str, argparse.Namespace, str, int, Samples]


def score_fresh(
    args: argparse.Namespace,
    model_file: str,
    windows: FreshWindows,
    blocks: Iterable[Samples],
    workers: Workers,
) -> Iterator[tuple[Samples, list[Window]]]:
    """Yield more sound, and the windows with scores that it completes.

    Parameters
    ----------
    args, model_file : what another process opens the model by.
    windows : of that model, to be used here.
    """
    name = uuid4().hex
    kept(name, lambda: windows)
    n_clip = windows.spotter.frontend.settings.clip_samples
    work: Iterator[Work] = (
        (name, args, model_file, start, sound)
        for start, sound in stretches(blocks, STRETCH * windows.stride_samples, n_clip)
    )
    n_known = 0  # samples of a stretch that the one before it had too
    for sound, found in run_in_order(score_stretch, work, workers):
        yield sound[n_known:], found
        n_known = n_clip


def score_stretch(work: Work) -> tuple[Samples, list[Window]]:
    """Return a stretch and its windows, whose samples count from the recording's beginning."""
    name, args, model_file, start, sound = work

    def make() -> FreshWindows:
        model = open_model(args, model_file)
        return FreshWindows(model, stride_for(args, model))

    windows = kept(name, make)
    windows.reset()
    found = windows.push(sound)
    return sound, [replace(w, start=start + w.start, end=start + w.end) for w in found]


def stretches(blocks: Iterable[Samples], n_step: int, n_more: int) -> Iterator[tuple[int, Samples]]:
    """Cut a sound into stretches that begin every `n_step` samples and overlap by `n_more`.

    Yields
    ------
    (first sample, the stretch); the last is shorter, and adds a sample at least.

    >>> sound = [np.arange(5), np.arange(5, 9)]
    >>> [(start, stretch.tolist()) for start, stretch in stretches(sound, 3, 2)]
    [(0, [0, 1, 2, 3, 4]), (3, [3, 4, 5, 6, 7]), (6, [6, 7, 8])]
    """
    start, sound = 0, np.zeros(0, np.int16)
    for block in blocks:
        sound = np.concatenate((sound, block))
        while len(sound) >= n_step + n_more:
            yield start, sound[: n_step + n_more]
            start, sound = start + n_step, sound[n_step:]
    if start == 0 or len(sound) > n_more:
        yield start, sound
