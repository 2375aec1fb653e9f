"""Window functions: a length comes in, the coefficients that fade a frame in and out go out."""

from __future__ import annotations

import numpy as np

from minikws._typing import Int16

WINDOW_BITS = 12  # the micro window's 1.0 is 4096


def micro_window(window_samples: int, *, single_precision: bool = False) -> Int16:
    """Return the micro frontend's Hann window, round(4096 (0.5 - 0.5 cos(2 pi (i + 0.5) / n))).

    The float widths of each step are the C library's: its compilers' choices decide the few
    coefficients that lie near a half. TensorFlow's build calls the double cosine, pymicro-features'
    the float one (`single_precision`), and so index 17 of a window of 480 is 53 in the first and
    54 in the second (exactly: 53.49994).

    Returns
    -------
    (window_samples,) int16, 0 to 4096.

    Source: tensorflow/lite/experimental/microfrontend/lib/window_util.c, WindowPopulateState.

    >>> micro_window(4).tolist()
    [600, 3496, 3496, 600]
    """
    position = np.arange(window_samples, dtype=np.float32) + np.float32(0.5)
    if single_precision:
        step = np.float32(2 * np.pi) / np.float32(window_samples)
        cosine = np.cos((position * step).astype(np.float64)).astype(np.float32)
        share = np.float32(0.5) - cosine * np.float32(0.5)
        scaled = (share * np.float32(1 << WINDOW_BITS) + np.float32(0.5)).astype(np.float64)
    else:
        step = np.float32(2 * np.pi / window_samples)
        cosine = np.cos(position.astype(np.float64) * np.float64(step))
        share = (0.5 - 0.5 * cosine).astype(np.float32)
        scaled = share.astype(np.float64) * (1 << WINDOW_BITS) + 0.5
    return np.floor(scaled).astype(np.int16)
