"""How a clip is cut into windows: the part that every frontend's settings share.

Milliseconds are what people say, samples are what code needs: the records hold the first and
derive the second, truncating as TensorFlow's ``prepare_model_settings`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, TypeVar

from minikws.errors import nearest
from minikws.settings._require import require, settle_types

S = TypeVar("S", bound="ClipSettings")

LONGEST_MS = 1e7  # some hours


@dataclass(frozen=True, kw_only=True)
class ClipSettings:
    """How a clip is cut into windows; the part every frontend shares.

    sample_rate_hz : samples a second.
    clip_ms : length of one model input.
    window_ms : stretch of sound that one FFT sees.
    hop_ms : distance between window starts ("window stride" in TensorFlow).
    """

    kind: ClassVar[str] = "clip"
    # Which setting TensorFlow's feature_bin_count is; None where the window decides.
    feature_count_field: ClassVar[str | None] = None

    sample_rate_hz: int = 16_000
    clip_ms: float = 1000.0
    window_ms: float = 30.0
    hop_ms: float = 10.0

    def __post_init__(self) -> None:
        settle_types(self)
        rate = self.sample_rate_hz
        require(
            1000 <= rate <= 384_000,
            f"sample_rate_hz={rate} is not a whole number from 1000 to 384000; give the rate in Hz",
        )
        for name, usual in (("window_ms", 30), ("hop_ms", 10), ("clip_ms", 1000)):
            value = getattr(self, name)
            fault = ""
            if not value < LONGEST_MS:
                fault = f"not below {LONGEST_MS:g}"
            elif rate * value / 1000 < 1:
                fault = f"shorter than one sample at {rate} Hz"
            require(not fault, f"{name}={value:g} is {fault}; give milliseconds, such as {usual}")
        require(
            self.window_samples >= 2,
            f"window_ms={self.window_ms:g} holds a single sample at {rate} Hz; "
            "give milliseconds, such as 30",
        )
        require(
            self.window_samples <= self.clip_samples,
            f"the window of {self.window_ms:g} ms is longer than the clip of {self.clip_ms:g} ms; "
            "shorten window_ms or lengthen clip_ms",
        )

    @property
    def clip_samples(self) -> int:
        """Length of one model input, in samples."""
        return int(self.sample_rate_hz * self.clip_ms / 1000)

    @property
    def window_samples(self) -> int:
        """Length of one window, in samples."""
        return int(self.sample_rate_hz * self.window_ms / 1000)

    @property
    def hop_samples(self) -> int:
        """Distance between window starts, in samples."""
        return int(self.sample_rate_hz * self.hop_ms / 1000)

    @property
    def fft_size(self) -> int:
        """First power of two that is not below the window's samples."""
        return 1 << (self.window_samples - 1).bit_length()

    @property
    def n_frames(self) -> int:
        """Frames T of a clip: 1 + (clip - window) // hop, a tail shorter than a window dropped."""
        return 1 + (self.clip_samples - self.window_samples) // self.hop_samples

    @property
    def n_features(self) -> int:
        """Features F of one frame."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Return {"kind": …, every setting}: what a model file stores."""
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def feature_count(cls, count: int | None) -> dict[str, int]:
        """Return the setting that TensorFlow's feature_bin_count stands for, {} for None.

        Raises
        ------
        SettingsError : the frontend has no such setting.
        """
        if count is None:
            return {}
        require(
            cls.feature_count_field is not None,
            f"the {cls.kind} frontend has no number of features to choose, found {count}; "
            "change its window or its hop instead",
        )
        return {str(cls.feature_count_field): count}

    @classmethod
    def from_json(cls: type[S], stored: Mapping[str, Any]) -> S:
        """Build the settings from `to_json`'s form; missing ones take their defaults.

        Raises
        ------
        SettingsError : an unknown name, or a value that cannot work.
        """
        known = {f.name for f in fields(cls)}
        values = {name: value for name, value in stored.items() if name != "kind"}
        for name in values:
            require(
                name in known, f"{cls.kind} has no setting {name!r}; {nearest(name, sorted(known))}"
            )
        return cls(**values)
