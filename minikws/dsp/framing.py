"""Cut sound into overlapping windows: samples come in, a view of frames goes out."""

from __future__ import annotations

import numpy as np

from minikws._typing import Array
from minikws.errors import ShapeError


def frame(samples: Array, *, window_samples: int, hop_samples: int) -> Array:
    """Cut clips into overlapping windows, without copying.

    Parameters
    ----------
    samples : (..., N) any dtype
    window_samples : length of each window, in samples; 1 <= window_samples <= N.
    hop_samples : distance between window starts, in samples; >= 1.

    Returns
    -------
    (..., T, window_samples) read-only view, T = 1 + (N - window_samples) // hop_samples.
        A tail shorter than one window is dropped, as in TensorFlow.

    Raises
    ------
    ShapeError : the clip is shorter than one window.

    Source: AudioSpectrogram op, tensorflow/core/kernels/spectrogram.cc.

    >>> frame(np.arange(6), window_samples=3, hop_samples=2).tolist()
    [[0, 1, 2], [2, 3, 4]]
    """
    if samples.ndim == 0 or samples.shape[-1] < window_samples:
        found = samples.shape[-1] if samples.ndim else "a single number"
        raise ShapeError(
            f"expected at least one window of {window_samples} samples, found {found}; "
            "give a longer clip or a shorter window"
        )
    if samples.shape[-1] < window_samples + hop_samples:  # one frame: slicing is ten times faster
        only: Array = samples[..., None, :window_samples]
        only.flags.writeable = False
        return only
    windows = np.lib.stride_tricks.sliding_window_view(samples, window_samples, axis=-1)
    return windows[..., ::hop_samples, :]
