"""Every default number, once: frozen records that check themselves when they are built.

Milliseconds are what people say, samples are what code needs: the records hold the first and
derive the second, truncating as TensorFlow's ``prepare_model_settings`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal, TypeVar

from minikws.errors import SettingsError, nearest

DEFAULT_SEED = 59185  # input_data.py, RANDOM_SEED
MicroVariant = Literal["tensorflow", "preprocessor", "pymicro"]
MICRO_VARIANTS: tuple[MicroVariant, ...] = ("tensorflow", "preprocessor", "pymicro")
AverageArithmetic = Literal["training", "device_float", "device_fixed"]
AVERAGE_ARITHMETICS: tuple[AverageArithmetic, ...] = ("training", "device_float", "device_fixed")

S = TypeVar("S", bound="ClipSettings")


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise SettingsError(sentence)


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
        rate = self.sample_rate_hz
        _require(
            isinstance(rate, int) and 1000 <= rate <= 384_000,
            f"sample_rate_hz={rate} is not a whole number from 1000 to 384000; give the rate in Hz",
        )
        for name in ("window_ms", "hop_ms", "clip_ms"):
            value = getattr(self, name)
            _require(
                0 < value < 1e7 and int(rate * value / 1000) >= 1,
                f"{name}={value:g} is shorter than one sample at {rate} Hz"
                f"; give milliseconds, such as {10 if name == 'hop_ms' else 30}",
            )
        _require(
            self.window_samples >= 2,
            f"window_ms={self.window_ms:g} holds a single sample at {rate} Hz; "
            "give milliseconds, such as 30",
        )
        _require(
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
        _require(
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
            _require(
                name in known, f"{cls.kind} has no setting {name!r}; {nearest(name, sorted(known))}"
            )
        try:
            return cls(**values)
        except TypeError as error:
            raise SettingsError(
                f"the {cls.kind} frontend's settings hold a value of a wrong type ({error}); "
                "numbers are expected"
            ) from error


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
        _require(
            self.variant in MICRO_VARIANTS,
            f"unknown micro variant {self.variant!r}; {nearest(str(self.variant), MICRO_VARIANTS)}",
        )
        _require(
            isinstance(self.n_mels, int) and 1 <= self.n_mels <= 1000,
            f"n_mels={self.n_mels} is not a whole number from 1 to 1000; 40 is usual",
        )
        nyquist = self.sample_rate_hz / 2
        _require(
            0 <= self.lower_hz < self.upper_hz <= nyquist,
            f"the band {self.lower_hz:g} to {self.upper_hz:g} Hz does not fit into 0 to "
            f"{nyquist:g} Hz, half the sample rate; move lower_hz or upper_hz",
        )
        for name in ("even_smoothing", "odd_smoothing", "min_signal_remaining"):
            value = getattr(self, name)
            _require(0 <= value <= 1, f"{name}={value:g} is not between 0 and 1; give a share")
        for name, low, high in (
            ("smoothing_bits", 0, 22),
            ("gain_bits", 0, 30),
            ("scale_shift", 0, 15),
        ):
            value = getattr(self, name)
            _require(
                isinstance(value, int) and low <= value <= high,
                f"{name}={value} is not a whole number from {low} to {high}; see MicroSettings",
            )
        for name, largest in (("pcan_strength", 10.0), ("pcan_offset", 1e9)):
            value = getattr(self, name)
            _require(
                0 <= value <= largest,
                f"{name}={value:g} is not between 0 and {largest:g}; see MicroSettings",
            )
        for name in ("enable_pcan", "enable_log"):
            value = getattr(self, name)
            _require(isinstance(value, bool), f"{name}={value!r} is not a yes or no; give a bool")
        _require(
            self.fft_size >= 4,
            f"window_ms={self.window_ms:g} holds {self.window_samples} samples at "
            f"{self.sample_rate_hz} Hz, the micro frontend needs 3; give milliseconds, such as 30",
        )
        if self.enable_pcan:
            needs = {"smoothing_bits": self.correction_bits, "gain_bits": self.correction_bits + 12}
            for name, low in needs.items():
                value = getattr(self, name)
                _require(
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


@dataclass(frozen=True, kw_only=True)
class SpectrogramSettings(ClipSettings):
    """The spectrogram itself, fft_size / 2 + 1 bins a frame.

    magnitude_squared : powers, as every model's features begin; else magnitudes, as in pictures.
    """

    kind: ClassVar[str] = "spectrogram"

    magnitude_squared: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        value = self.magnitude_squared
        _require(
            isinstance(value, bool), f"magnitude_squared={value!r} is not a yes or no; give a bool"
        )

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
            _require(
                isinstance(value, int) and 1 <= value <= 1000,
                f"{name}={value} is not a whole number from 1 to 1000; 40 is usual",
            )
        _require(
            self.n_mfcc <= self.n_mels,
            f"n_mfcc={self.n_mfcc} coefficients are more than the n_mels={self.n_mels} channels "
            f"they come from; ask for {self.n_mels}, or raise n_mels",
        )
        nyquist = self.sample_rate_hz / 2
        _require(
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
        _require(
            isinstance(count, int) and 1 <= count <= self.n_bins,
            f"feature_bin_count={count} is not a whole number from 1 to {self.n_bins}, the FFT "
            f"bins of a window of {self.window_samples} samples; {min(40, self.n_bins)} works",
        )
        arithmetic = str(self.arithmetic)
        _require(
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
        _require(
            self.window_ms == self.hop_ms,
            f"raw slices lie end to end, found window_ms={self.window_ms:g} and "
            f"hop_ms={self.hop_ms:g}; leave window_ms out",
        )

    @property
    def n_features(self) -> int:
        """Features F of one frame: the samples of a slice."""
        return self.hop_samples


@dataclass(frozen=True, kw_only=True)
class CorpusSettings:
    """Which clips are used, and as what: the rules of TensorFlow's input_data.py.

    wanted_words : folder names, in label order.
    silence, unknown : whether the labels `_silence_` and `_unknown_` exist.
    silence_pct, unknown_pct : size of those two, in percent of the wanted words' clips.
    validation_pct, testing_pct : size of the partitions, by the hash of the speaker's name.
    """

    wanted_words: tuple[str, ...]
    silence: bool = True
    unknown: bool = True
    silence_pct: float = 10.0
    unknown_pct: float = 10.0
    validation_pct: float = 10.0
    testing_pct: float = 10.0

    def __post_init__(self) -> None:
        _require(len(self.wanted_words) > 0, "no wanted word; name one or more, such as yes,no")
        for name in ("silence_pct", "unknown_pct"):
            value = getattr(self, name)
            _require(0 <= value <= 10_000, f"{name}={value:g} is not a percentage; 10 is usual")
        held_out = self.validation_pct + self.testing_pct
        _require(
            self.validation_pct >= 0 and self.testing_pct >= 0 and held_out < 100,
            f"validation {self.validation_pct:g} % and testing {self.testing_pct:g} % leave "
            "nothing to train on; 10 and 10 are usual",
        )


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """What happens to a training clip before its features are computed.

    background_volume : upper end of the uniform volume of mixed-in noise, 0 to 1.
    background_frequency : share of the training clips that get noise, 0 to 1.
    time_shift_ms : clips are shifted by up to this much, either way, zeros filled in.
    """

    background_volume: float = 0.1
    background_frequency: float = 0.8
    time_shift_ms: float = 100.0

    def __post_init__(self) -> None:
        for name in ("background_volume", "background_frequency"):
            value = getattr(self, name)
            _require(0 <= value <= 1, f"{name}={value:g} is not between 0 and 1; give a share")
        _require(
            0 <= self.time_shift_ms < 1e6,
            f"time_shift_ms={self.time_shift_ms:g} is not a positive time; 100 is usual",
        )


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How long, how fast and how a network is trained: phases of steps, each with its rate.

    steps, learning_rates : one of each a phase, "15000,3000" at "0.001,0.0001".
    optimizer : a name of `minikws.nn.OPTIMIZERS`.
    eval_interval, save_interval : steps between validations and between checkpoints.
    """

    steps: tuple[int, ...]
    learning_rates: tuple[float, ...]
    optimizer: str = "momentum"
    batch_size: int = 100
    dropout_rate: float = 0.5
    eval_interval: int = 400
    save_interval: int = 400
    seed: int = DEFAULT_SEED

    def __post_init__(self) -> None:
        _require(
            len(self.steps) == len(self.learning_rates),
            f"steps names {len(self.steps)} phases and learning_rate {len(self.learning_rates)}; "
            "give lists of equal length",
        )
        _require(
            len(self.steps) > 0 and min(self.steps) >= 0 and sum(self.steps) >= 1,
            f"steps={self.steps} holds no step; give whole numbers above 0, such as 15000,3000",
        )
        _require(
            all(0 < rate < 1e6 for rate in self.learning_rates),
            f"learning_rate={self.learning_rates} holds a rate that is not between 0 and 1e6; "
            "0.001 is a usual one",
        )
        _require(
            0 <= self.dropout_rate < 1,
            f"dropout_rate={self.dropout_rate:g} is not in 0 to 1; 0.5 is usual",
        )
        for name in ("batch_size", "eval_interval", "save_interval"):
            value = getattr(self, name)
            _require(value >= 1, f"{name}={value} is below 1; give a whole number above 0")
        _require(self.seed >= 0, f"seed={self.seed} is negative; give 0 or more")

    @property
    def total_steps(self) -> int:
        """Steps of all phases together."""
        return sum(self.steps)

    def rate_at(self, step: int) -> float:
        """Return the learning rate of `step` (counted from 1): of the first phase it lies in."""
        end = 0
        for n_steps, rate in zip(self.steps, self.learning_rates, strict=True):
            end += n_steps
            if step <= end:
                return rate
        return self.learning_rates[-1]
