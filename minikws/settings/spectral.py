"""The settings of the float frontends: spectrogram, MFCC, average, and the samples themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from minikws.errors import nearest
from minikws.settings._require import require
from minikws.settings.clip import ClipSettings

AverageArithmetic = Literal["training", "device_float", "device_fixed"]
AVERAGE_ARITHMETICS: tuple[AverageArithmetic, ...] = ("training", "device_float", "device_fixed")


@dataclass(frozen=True, kw_only=True)
class SpectrogramSettings(ClipSettings):
    """The spectrogram itself, fft_size / 2 + 1 bins a frame.

    magnitude_squared : powers, as every model's features begin; else magnitudes, as in pictures.
    """

    kind: ClassVar[str] = "spectrogram"

    magnitude_squared: bool = True

    @property
    def n_bins(self) -> int:
        """FFT bins of a frame."""
        return self.fft_size // 2 + 1

    @property
    def n_features(self) -> int:
        """Features F of one frame: the FFT bins."""
        return self.n_bins


@dataclass(frozen=True, kw_only=True)
class MfccSettings(ClipSettings):
    """Mel-frequency cepstral coefficients, as the tutorial's default models hear.

    n_mels : triangles of the filterbank.
    n_mfcc : coefficients of their cosine transform that are kept.
    lower_hz, upper_hz : edges of the filterbank.
    """

    kind: ClassVar[str] = "mfcc"
    feature_count_field: ClassVar[str | None] = "n_mfcc"

    n_mels: int = 40
    n_mfcc: int = 40
    lower_hz: float = 20.0
    upper_hz: float = 4000.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_mels", "n_mfcc"):
            value = getattr(self, name)
            require(
                1 <= value <= 1000,
                f"{name}={value} is not a whole number from 1 to 1000; 40 is usual",
            )
        require(
            self.n_mfcc <= self.n_mels,
            f"n_mfcc={self.n_mfcc} coefficients are more than the n_mels={self.n_mels} channels "
            f"they come from; ask for {self.n_mels}, or raise n_mels",
        )
        nyquist = self.sample_rate_hz / 2
        require(
            0 <= self.lower_hz < self.upper_hz <= nyquist,
            f"the band {self.lower_hz:g} to {self.upper_hz:g} Hz does not fit into 0 to "
            f"{nyquist:g} Hz, half the sample rate; move lower_hz or upper_hz to at most "
            f"{nyquist:g}",
        )

    @property
    def n_features(self) -> int:
        """Features F of one frame: the coefficients."""
        return self.n_mfcc


@dataclass(frozen=True, kw_only=True)
class AverageSettings(ClipSettings):
    """The averaged spectrogram, 43 buckets a frame at the defaults.

    feature_bin_count : how many buckets are asked for; their width is rounded down to whole FFT
        bins, so that there are some more: 257 bins by 40 are 6 a bucket, 43 buckets.
    arithmetic : "training", as TensorFlow trains, or what a microcontroller computes of it:
        "device_float", "device_fixed".
    """

    kind: ClassVar[str] = "average"
    feature_count_field: ClassVar[str | None] = "feature_bin_count"

    feature_bin_count: int = 40
    arithmetic: AverageArithmetic = "training"

    def __post_init__(self) -> None:
        super().__post_init__()
        count = self.feature_bin_count
        require(
            1 <= count <= self.n_bins,
            f"feature_bin_count={count} is not a whole number from 1 to {self.n_bins}, the FFT "
            f"bins of a window of {self.window_samples} samples; {min(40, self.n_bins)} works",
        )
        arithmetic = str(self.arithmetic)
        require(
            arithmetic in AVERAGE_ARITHMETICS,
            f"unknown arithmetic {arithmetic!r}; {nearest(arithmetic, AVERAGE_ARITHMETICS)}",
        )

    @property
    def n_bins(self) -> int:
        """FFT bins of a frame."""
        return self.fft_size // 2 + 1

    @property
    def bucket_bins(self) -> int:
        """FFT bins of one bucket, `average_window_width` in TensorFlow."""
        return self.n_bins // self.feature_bin_count

    @property
    def n_features(self) -> int:
        """Features F of one frame: the buckets; the devices leave the last bin out."""
        used = self.n_bins - (self.arithmetic != "training")
        return -(-used // self.bucket_bins)


@dataclass(frozen=True, kw_only=True)
class RawSettings(ClipSettings):
    """The samples themselves, cut into slices of one hop, end to end.

    window_ms : left out, it is hop_ms; a slice is exactly a hop long.
    """

    kind: ClassVar[str] = "raw"

    window_ms: float = 0.0

    def __post_init__(self) -> None:
        if self.window_ms == 0:
            object.__setattr__(self, "window_ms", self.hop_ms)
        super().__post_init__()
        require(
            self.window_ms == self.hop_ms,
            f"raw slices lie end to end, found window_ms={self.window_ms:g} and "
            f"hop_ms={self.hop_ms:g}; leave window_ms out",
        )

    @property
    def n_features(self) -> int:
        """Features F of one frame: the samples of a slice."""
        return self.hop_samples
