"""The windows of one long recording with their scores, continuous or fresh.

Continuous ones are computed as `listen` does it, from the beginning to the end. A fresh window
knows nothing of what came before it, so that a recording can be cut anywhere: each stretch brings
the sound of its windows, in as many processes as are wanted, and only their scores meet again, in
order. The stretches are the same for any number of jobs, and so is every score.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from uuid import uuid4

import numpy as np

from minikws._typing import Samples
from minikws.cli.output import Output
from minikws.cli.stream_options import open_stream_model, stride_for
from minikws.cli.worker_options import workers_from
from minikws.pipeline import Model
from minikws.streaming.live import BATCH_WINDOWS, FreshWindows, ScoreStream, Window
from minikws.workers import Workers, kept, run_in_order

STRETCH = 10 * BATCH_WINDOWS  # windows of a piece of work: half a minute at 100 ms

Work = tuple[str, argparse.Namespace, str, int, Samples]


def workers_of_one(args: argparse.Namespace, out: Output) -> Workers:
    """Return who hears one recording; more jobs need fresh windows."""
    workers = workers_from(args)
    if workers.are_others and not args.fresh_windows:
        out.say(
            "one recording is heard by one job: the frontend's state goes on from its beginning "
            "to its end; jobs share several recordings or models, or --fresh-windows"
        )
    return workers


def open_windows(args: argparse.Namespace, model: Model) -> FreshWindows | ScoreStream:
    """Return what makes windows, as the options ask for them."""
    kind = FreshWindows if args.fresh_windows else ScoreStream
    return kind(model, stride_for(args, model))


def score(
    args: argparse.Namespace,
    model_file: str,
    windows: FreshWindows | ScoreStream,
    blocks: Iterable[Samples],
    workers: Workers,
) -> Iterator[tuple[Samples, list[Window]]]:
    """Yield more sound, and the windows with scores that it completes.

    Parameters
    ----------
    args, model_file : what another process opens the model by.
    windows : of that model, to be used here.
    workers : who scores fresh windows.
    """
    if isinstance(windows, FreshWindows):
        yield from score_fresh(args, model_file, windows, blocks, workers)
    else:
        for block in blocks:
            yield block, windows.push(block)


def score_fresh(
    args: argparse.Namespace,
    model_file: str,
    windows: FreshWindows,
    blocks: Iterable[Samples],
    workers: Workers,
) -> Iterator[tuple[Samples, list[Window]]]:
    """Yield as `score`, from stretches that anybody may compute."""
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
        model = open_stream_model(args, model_file)
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
