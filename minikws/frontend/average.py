"""The average frontend: samples come in, the power of neighboring FFT bins, averaged, goes out.

TensorFlow's `--preprocess=average`, and with a 20 ms hop the 49 x 43 input of the first
micro_speech. A feature of 0 to 127.5 is the uint8 0 to 255 in steps of 0.5, and the int8 128 less.

Three arithmetics make the uint8. "training" is TensorFlow's pipeline; the other two imitate it on
the device, in floats and in fixed point (`minikws.dsp.device_average`, which tells where they
differ), and have no values between the steps. The version for CMSIS cannot be reproduced.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from minikws._typing import Features, Float64, Int8, Samples
from minikws.dsp.device_average import UInt8, average_fixed, average_float
from minikws.dsp.framing import frame
from minikws.dsp.mfcc import NO_BANK, NO_DCT
from minikws.dsp.ordered_fft import fft_plan
from minikws.dsp.spectrum import SpectralSettings, batch_features, bucket_edges, hann_window
from minikws.frontend.windowed import Windowed
from minikws.settings import AverageSettings

SCALE = 0.5
INT8_ZERO_POINT = -128
LARGEST = 127.5


class Average(Windowed):
    """The averaged power spectrum.

    Parameters
    ----------
    settings : every number; the defaults give 98 frames of 43 for a second.

    Source: tensorflow/examples/speech_commands, input_data.py (average) and
    wav_to_features.py (uint8).

    >>> Average().extract(np.zeros(16000, np.int16)).shape
    (98, 43)
    """

    settings_class: ClassVar = AverageSettings

    def __init__(self, settings: AverageSettings | None = None) -> None:
        self.settings: AverageSettings = settings or AverageSettings()
        s = self.settings
        self._edges = bucket_edges(s.n_bins, s.bucket_bins)
        self._kernel_settings = SpectralSettings(
            s.hop_samples,
            hann_window(s.window_samples),
            fft_plan(s.fft_size),
            False,
            self._edges,
            NO_BANK,
            NO_DCT,
        )

    @property
    def quantization(self) -> tuple[float, int]:
        """Scale and zero point of the int8 form; as uint8 the zero point is 0."""
        return SCALE, INT8_ZERO_POINT

    @property
    def centers_hz(self) -> Float64:
        """(F,) the middle of each bucket."""
        s = self.settings
        middles = ((self._edges[:-1] + self._edges[1:] - 1) / 2)[: s.n_features]
        return np.asarray(middles * (s.sample_rate_hz / s.fft_size), np.float64)

    def extract_uint8(self, clips: Samples) -> UInt8:
        """Return the features as the first micro_speech takes them; otherwise as `extract`.

        Source: wav_to_features.py: round(255 v / 127.5), halves to even, clamped.
        """
        return to_uint8(self.extract(clips))

    def extract_int8(self, clips: Samples) -> Int8:
        """Return the uint8 features less 128; otherwise as `extract`."""
        return (to_uint8(self.extract(clips)).astype(np.int16) + INT8_ZERO_POINT).astype(np.int8)

    def _run(self, clips: Samples) -> Features:
        s = self.settings
        if s.arithmetic == "training":
            return batch_features(clips, self._kernel_settings)
        average = average_float if s.arithmetic == "device_float" else average_fixed
        frames = frame(clips, window_samples=s.window_samples, hop_samples=s.hop_samples)
        features = [
            average(frames_of_clip, fft_size=s.fft_size, bucket_bins=s.bucket_bins)
            for frames_of_clip in frames
        ]
        return np.stack(features).astype(np.float32) * np.float32(SCALE)


def to_uint8(features: Features) -> UInt8:
    """Quantize features to steps of 0.5, 0 to 127.5."""
    steps = np.float32(255) * features / np.float32(LARGEST)
    return np.asarray(np.clip(np.rint(steps), 0, 255), np.uint8)
