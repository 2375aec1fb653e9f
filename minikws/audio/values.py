"""16-bit samples to real values in [-1, 1) and back, as TensorFlow's DecodeWav and EncodeWav."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minikws._typing import Float32, Samples

FULL_SCALE = 32768  # what 1.0 is in 16 bits


def to_float(samples: Samples) -> Float32:
    """Return 16-bit samples as float32 in [-1, 1): exactly value / 32768.

    Source: DecodeWav, tensorflow/core/lib/wav/wav_io.cc, Int16SampleToFloat.

    >>> to_float(np.array([-32768, 16384], np.int16)).tolist()
    [-1.0, 0.5]
    """
    return samples.astype(np.float32) * np.float32(1 / FULL_SCALE)


def from_float(values: ArrayLike) -> Samples:
    """Return real values as 16-bit samples: times 32768, rounded, clamped; NaN becomes 0.

    Halves go away from zero. Computed in float64, because in float32 the largest value below
    0.5 would round up twice.

    Source: EncodeWav, tensorflow/core/lib/wav/wav_io.cc, FloatToInt16Sample.

    >>> from_float([0.5 / 32768, -0.5 / 32768, 1.0, -2.0]).tolist()
    [1, -1, 32767, -32768]
    """
    scaled = np.asarray(values, np.float64) * FULL_SCALE
    rounded = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled)
    clamped = np.clip(rounded, -FULL_SCALE, FULL_SCALE - 1)
    return np.where(np.isnan(clamped), 0.0, clamped).astype(np.int16)
