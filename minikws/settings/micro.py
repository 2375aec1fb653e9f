"""The settings of the fixed-point micro frontend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from minikws.errors import nearest
from minikws.settings._require import require
from minikws.settings.clip import ClipSettings

MicroVariant = Literal["tensorflow", "preprocessor", "pymicro"]
MICRO_VARIANTS: tuple[MicroVariant, ...] = ("tensorflow", "preprocessor", "pymicro")


@dataclass(frozen=True, kw_only=True)
class MicroSettings(ClipSettings):
    """The fixed-point micro frontend, as micro_speech runs it on a microcontroller.

    Source: tensorflow/lite/experimental/microfrontend, audio_microfrontend wrapper.
    """

    kind: ClassVar[str] = "micro"
    feature_count_field: ClassVar[str | None] = "n_mels"

    hop_ms: float = 20.0
    n_mels: int = 40
    lower_hz: float = 125.0
    upper_hz: float = 7500.0
    smoothing_bits: int = 10
    even_smoothing: float = 0.025
    odd_smoothing: float = 0.06
    min_signal_remaining: float = 0.05
    enable_pcan: bool = True
    pcan_strength: float = 0.95
    pcan_offset: float = 80.0
    gain_bits: int = 21
    enable_log: bool = True
    scale_shift: int = 6
    variant: MicroVariant = "tensorflow"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.variant in MICRO_VARIANTS,
            f"unknown micro variant {self.variant!r}; {nearest(str(self.variant), MICRO_VARIANTS)}",
        )
        require(
            1 <= self.n_mels <= 1000,
            f"n_mels={self.n_mels} is not a whole number from 1 to 1000; 40 is usual",
        )
        nyquist = self.sample_rate_hz / 2
        require(
            0 <= self.lower_hz < self.upper_hz <= nyquist,
            f"the band {self.lower_hz:g} to {self.upper_hz:g} Hz does not fit into 0 to "
            f"{nyquist:g} Hz, half the sample rate; move lower_hz or upper_hz",
        )
        for name in ("even_smoothing", "odd_smoothing", "min_signal_remaining"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"{name}={value:g} is not between 0 and 1; give a share")
        for name, low, high in (
            ("smoothing_bits", 0, 22),
            ("gain_bits", 0, 30),
            ("scale_shift", 0, 15),
        ):
            value = getattr(self, name)
            require(
                low <= value <= high,
                f"{name}={value} is not a whole number from {low} to {high}; see MicroSettings",
            )
        for name, largest in (("pcan_strength", 10.0), ("pcan_offset", 1e9)):
            value = getattr(self, name)
            require(
                0 <= value <= largest,
                f"{name}={value:g} is not between 0 and {largest:g}; see MicroSettings",
            )
        require(
            self.fft_size >= 4,
            f"window_ms={self.window_ms:g} holds {self.window_samples} samples at "
            f"{self.sample_rate_hz} Hz, the micro frontend needs 3; give milliseconds, such as 30",
        )
        if self.enable_pcan:
            needs = {"smoothing_bits": self.correction_bits, "gain_bits": self.correction_bits + 12}
            for name, low in needs.items():
                value = getattr(self, name)
                require(
                    value >= low,
                    f"{name}={value} is below {low}, what PCAN needs with an FFT of "
                    f"{self.fft_size}; raise it or switch PCAN off",
                )

    @property
    def n_features(self) -> int:
        """Features F of one frame: the mel channels."""
        return self.n_mels

    @property
    def correction_bits(self) -> int:
        """Left shift that makes up for the FFT's scaling: log2(fft_size) - 6."""
        return self.fft_size.bit_length() - 1 - 6
