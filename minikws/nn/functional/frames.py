"""Overlapping frames of a waveform, as a layer's pair; `dsp.framing` does it for frontends."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minikws._typing import Float
from minikws.nn.functional.window import window

FramesCache = tuple[int, int]  # samples of a clip, hop


def frames(x: Float, *, size: int, hop: int) -> tuple[Float, FramesCache]:
    """Cut clips into frames of `size` samples, one every `hop`, zeros at both ends.

    y[b, t, i] = x[b, t * hop + i - before]; T = ceil(N / hop), the zeros placed as SAME does.

    Parameters
    ----------
    x : (B, N).

    Returns
    -------
    y : (B, T, size), and the cache.
    """
    place = window(x.shape[1], size, hop, "SAME")
    padded = np.pad(x, ((0, 0), (place.before, place.after)))
    y = sliding_window_view(padded, size, axis=1)[:, ::hop][:, : place.n_out]
    return np.ascontiguousarray(y), (x.shape[1], hop)


def frames_backward(dy: Float, cache: FramesCache) -> Float:
    """Return dx (B, N): each sample gets the sum of what the frames that hold it send back."""
    n_samples, hop = cache
    n_clips, n_frames, size = dy.shape
    place = window(n_samples, size, hop, "SAME")
    n_padded = max((n_frames - 1) * hop + size, place.before + n_samples)
    dx = np.zeros((n_clips, n_padded), dy.dtype)
    for i in range(size):
        dx[:, i : i + hop * n_frames : hop] += dy[:, :, i]
    return dx[:, place.before : place.before + n_samples]
