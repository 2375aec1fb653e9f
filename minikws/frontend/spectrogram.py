"""The spectrogram frontend: samples come in, each frame's FFT bins go out.

Equal to TensorFlow's AudioSpectrogram in every bit; `minikws.dsp.spectrum` holds the formulas.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from minikws._typing import Features, Float64, Samples
from minikws.dsp.mfcc import NO_BANK, NO_DCT
from minikws.dsp.ordered_fft import fft_plan
from minikws.dsp.spectrum import SpectralSettings, batch_features, bucket_edges, hann_window
from minikws.frontend.windowed import Windowed
from minikws.settings import SpectrogramSettings


class Spectrogram(Windowed):
    """The squared magnitude of each FFT bin, or the magnitude itself.

    Parameters
    ----------
    settings : every number; the defaults give 98 frames of 257 for a second.

    Source: AudioSpectrogram, tensorflow/core/kernels/spectrogram_op.cc.

    >>> Spectrogram().extract(np.zeros(16000, np.int16)).shape
    (98, 257)
    """

    settings_class: ClassVar = SpectrogramSettings

    def __init__(self, settings: SpectrogramSettings | None = None) -> None:
        self.settings: SpectrogramSettings = settings or SpectrogramSettings()
        s = self.settings
        self._kernel_settings = SpectralSettings(
            s.hop_samples,
            hann_window(s.window_samples),
            fft_plan(s.fft_size),
            not s.magnitude_squared,
            bucket_edges(s.n_bins, 1),
            NO_BANK,
            NO_DCT,
        )

    @property
    def centers_hz(self) -> Float64:
        """(F,) the frequency of each bin."""
        s = self.settings
        return np.arange(s.n_bins, dtype=np.float64) * (s.sample_rate_hz / s.fft_size)

    def _run(self, clips: Samples) -> Features:
        return batch_features(clips, self._kernel_settings)
