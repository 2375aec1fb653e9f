"""The MFCC frontend: samples come in, mel-frequency cepstral coefficients go out.

Equal to TensorFlow's AudioSpectrogram and Mfcc in a row; `minikws.dsp.mfcc` holds the formulas.
"""

from __future__ import annotations

from typing import ClassVar

from minikws._typing import Features, Samples
from minikws.dsp.mfcc import dct_matrix, empty_channels, mel_bank
from minikws.dsp.ordered_fft import fft_plan
from minikws.dsp.spectrum import SpectralSettings, batch_features, bucket_edges, hann_window
from minikws.errors import SettingsError
from minikws.frontend.windowed import Windowed
from minikws.settings import MfccSettings


class Mfcc(Windowed):
    """Mel-frequency cepstral coefficients.

    Parameters
    ----------
    settings : every number; the defaults give 98 frames of 40 for a second.

    Raises
    ------
    SettingsError : a mel channel so narrow that no FFT bin feeds it.

    Source: AudioSpectrogram and Mfcc, tensorflow/core/kernels/spectrogram_op.cc and mfcc_op.cc.

    >>> import numpy as np
    >>> Mfcc().extract(np.zeros(16000, np.int16)).shape
    (98, 40)
    """

    settings_class: ClassVar = MfccSettings

    def __init__(self, settings: MfccSettings | None = None) -> None:
        self.settings: MfccSettings = settings or MfccSettings()
        s = self.settings
        bank = mel_bank(
            sample_rate_hz=s.sample_rate_hz,
            n_bins=s.fft_size // 2 + 1,
            n_mels=s.n_mels,
            lower_hz=s.lower_hz,
            upper_hz=s.upper_hz,
        )
        if empty_channels(bank):
            raise SettingsError(_empty_sentence(s, empty_channels(bank)))
        self._kernel_settings = SpectralSettings(
            s.hop_samples,
            hann_window(s.window_samples),
            fft_plan(s.fft_size),
            False,
            bucket_edges(s.fft_size // 2 + 1, 1),
            bank,
            dct_matrix(s.n_mels, s.n_mfcc),
        )

    def _run(self, clips: Samples) -> Features:
        return batch_features(clips, self._kernel_settings)


def _empty_sentence(s: MfccSettings, empty: list[int]) -> str:
    """Say which channels are empty and the nearest number of channels without one."""

    def works(n_mels: int) -> bool:
        return not empty_channels(
            mel_bank(
                sample_rate_hz=s.sample_rate_hz,
                n_bins=s.fft_size // 2 + 1,
                n_mels=n_mels,
                lower_hz=s.lower_hz,
                upper_hz=s.upper_hz,
            )
        )

    fewer = next((n for n in range(s.n_mels - 1, 0, -1) if works(n)), None)
    spacing = s.sample_rate_hz / s.fft_size
    return (
        f"mel channel {empty[0]} of n_mels={s.n_mels} between {s.lower_hz:g} and {s.upper_hz:g} Hz "
        f"lies between two FFT bins, {spacing:g} Hz apart with window_ms={s.window_ms:g}; "
        + (f"n_mels={fewer} works, or a longer window" if fewer else "lengthen the window")
    )
