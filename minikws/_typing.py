"""Array aliases. Shapes are in docstrings: B clips, N samples, T frames, F features, C channels."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.int16]  # (N,) or (B, N), 16-bit PCM
Features: TypeAlias = NDArray[np.float32]  # (T, F) or (B, T, F), real units
Float: TypeAlias = NDArray[np.floating[Any]]  # float32 or float64, as the caller chose
Float32: TypeAlias = NDArray[np.float32]
Float64: TypeAlias = NDArray[np.float64]
Int8: TypeAlias = NDArray[np.int8]
Int16: TypeAlias = NDArray[np.int16]
Int32: TypeAlias = NDArray[np.int32]
Int64: TypeAlias = NDArray[np.int64]
Array: TypeAlias = NDArray[Any]
