"""The raw frontend: samples come in, the same samples go out, in [-1, 1) and cut into slices."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from minikws._typing import Features, Samples
from minikws.dsp.framing import frame
from minikws.frontend.windowed import Windowed
from minikws.settings import RawSettings

FULL_SCALE = 32768


class Raw(Windowed):
    """The samples as TensorFlow's DecodeWav scales them, T slices of one hop each.

    What does not fill a slice at the end of a clip is dropped. A model that takes the waveform in
    one piece reshapes (T, F) to (T * F,): the slices lie end to end.

    Parameters
    ----------
    settings : every number; the defaults give 100 slices of 160 for a second.

    >>> Raw().extract(np.zeros(16000, np.int16)).shape
    (100, 160)
    """

    settings_class: ClassVar = RawSettings

    def __init__(self, settings: RawSettings | None = None) -> None:
        self.settings: RawSettings = settings or RawSettings()

    def _run(self, clips: Samples) -> Features:
        hop = self.settings.hop_samples
        slices = frame(clips, window_samples=hop, hop_samples=hop)
        return slices.astype(np.float32) / np.float32(FULL_SCALE)
