"""The micro frontend: what a microcontroller computes in integers, to the last bit.

Samples come in, 40 values a frame go out: the logarithm of each mel channel, after noise reduction
and gain control (`minikws.dsp.micro_stages` holds the stages). A value v, 0 to about 670, is the
feature v * 10 / 256, and on the device the int8 ((v * 256 + 333) // 666) - 128.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from minikws._jit import ENABLED
from minikws._typing import Array, Features, Float64, Int8, Samples
from minikws.dsp.fft import fft_tables
from minikws.dsp.mel import mel_of_hz, micro_filterbank
from minikws.dsp.micro_stages import (
    LOG_TABLE,
    NOISE_BITS,
    CompressSettings,
    LevelSettings,
    NoiseSettings,
    UInt16,
    UInt32,
    compress,
    gain_table,
    levels,
)
from minikws.dsp.micro_trace import trace
from minikws.dsp.windows import micro_window
from minikws.errors import ShapeError
from minikws.frontend.windowed import WindowedStream, checked_samples
from minikws.settings import MicroSettings

FEATURE_STEP = 10 / 256  # one unit of a value, in real units; a power of two times 5: exact
INT8_SCALE = 666 / (256 * 25.6)  # 666 = round(25.6 * 26): the int8 range spans 26 units
INT8_ZERO_POINT = -128

JIT_FRAMES = 1000  # below, loading Numba takes longer than it saves
BLOCK_FRAMES = 1000  # that the plain form takes at once: with many more it leaves the cache


class Micro:
    """The fixed-point micro frontend.

    Parameters
    ----------
    settings : every number; the defaults are micro_speech's, 49 frames of 40 for a second.

    Raises
    ------
    SettingsError : an upper limit that reaches the last FFT bin.

    Source: tensorflow/lite/experimental/microfrontend (variant "tensorflow", the default);
    tflite-micro's audio_preprocessor model ("preprocessor"); pymicro-features 2.0.2 ("pymicro").

    >>> Micro().extract(np.zeros(16000, np.int16)).shape
    (49, 40)
    """

    settings_class: ClassVar = MicroSettings

    def __init__(self, settings: MicroSettings | None = None) -> None:
        self.settings = s = settings or MicroSettings()
        self._levels = LevelSettings(
            s.hop_samples,
            micro_window(s.window_samples, single_precision=s.variant == "pymicro"),
            fft_tables(s.fft_size),
            micro_filterbank(
                sample_rate_hz=s.sample_rate_hz,
                fft_size=s.fft_size,
                n_mels=s.n_mels,
                lower_hz=s.lower_hz,
                upper_hz=s.upper_hz,
                variant=s.variant,
            ),
            s.variant == "preprocessor",
        )
        one = np.float32(1 << NOISE_BITS)
        self._compress = CompressSettings(
            NoiseSettings(
                s.smoothing_bits,
                int(np.float32(s.even_smoothing) * one),
                int(np.float32(s.odd_smoothing) * one),
                int(np.float32(s.min_signal_remaining) * one),
            ),
            s.enable_pcan,
            gain_table(
                strength=s.pcan_strength,
                offset=s.pcan_offset,
                gain_bits=s.gain_bits,
                smoothing_bits=s.smoothing_bits,
                correction_bits=s.correction_bits,
            ),
            s.gain_bits,
            s.correction_bits,
            s.enable_log,
            LOG_TABLE,
            s.scale_shift,
            32767 if s.variant == "preprocessor" else 65535,
        )

    def __repr__(self) -> str:
        return f"Micro({self.settings!r})"

    @property
    def quantization(self) -> tuple[float, int]:
        """Scale and zero point with which float features quantize to the device's int8."""
        return INT8_SCALE, INT8_ZERO_POINT

    @property
    def centers_hz(self) -> Float64:
        """(F,) the frequency at which each channel's triangle peaks."""
        s = self.settings
        low, high = mel_of_hz(np.array([s.lower_hz, s.upper_hz], np.float32)).astype(np.float64)
        mels = low + (high - low) / (s.n_mels + 1) * np.arange(1, s.n_mels + 1)
        return np.asarray(700.0 * np.expm1(mels / 1127.0), np.float64)

    def extract(self, clips: Samples) -> Features:
        """Return the features in real units.

        Parameters
        ----------
        clips : (B, N) or (N,) int16, N >= one window.

        Returns
        -------
        (B, T, F) or (T, F) float32, each clip from a fresh state.

        Raises
        ------
        AudioError : not int16.
        ShapeError : another shape, or shorter than a window.
        """
        return to_features(self.extract_raw(clips))

    def extract_int8(self, clips: Samples) -> Int8:
        """Return the features as the device quantizes them; otherwise as `extract`."""
        return to_int8(self.extract_raw(clips))

    def extract_raw(self, clips: Samples) -> UInt16:
        """Return the features as the C library's uint16; otherwise as `extract`."""
        clips = checked_samples(clips)
        if clips.ndim not in (1, 2) or clips.shape[-1] < self.settings.window_samples:
            raise ShapeError(
                f"expected clips (B, N) or (N,) with N at least {self.settings.window_samples} "
                f"samples, one window, found the shape {clips.shape}; pad the clip with zeros"
            )
        batch = clips[None] if clips.ndim == 1 else clips
        estimate = np.zeros((len(batch), self.settings.n_mels), np.uint32)
        values, _ = self._run(batch, estimate)
        return values[0] if clips.ndim == 1 else values

    def stages(self, clip: Samples) -> dict[str, Array]:
        """Return every stage of one clip, (N,) int16, to hold a board against.

        By name, in the order of the data; `minikws.dsp.micro_trace.trace` lists them.

        Raises
        ------
        AudioError, ShapeError : as `extract`, or several clips.
        """
        clip = checked_samples(clip)
        if clip.ndim != 1 or len(clip) < self.settings.window_samples:
            raise ShapeError(
                f"expected one clip (N,) of at least {self.settings.window_samples} samples, one "
                f"window, found the shape {clip.shape}; give one clip at a time"
            )
        return trace(clip, self._levels, self._compress)

    def stream(self) -> MicroStream:
        """Start a stream, with nothing heard so far."""
        return MicroStream(self)

    def _run(self, clips: Samples, estimate: UInt32) -> tuple[UInt16, UInt32]:
        """Return the values (B, T, F) and the noise estimates (B, F) after them."""
        s = self.settings
        n_frames = 1 + (clips.shape[1] - s.window_samples) // s.hop_samples
        at_once = max(1, len(clips) if ENABLED else BLOCK_FRAMES // n_frames)
        blocks = [np.s_[i : i + at_once] for i in range(0, max(1, len(clips)), at_once)]
        parts = [self._run_block(clips[b], estimate[b], n_frames) for b in blocks]
        if len(parts) == 1:
            return parts[0]
        values, estimates = zip(*parts, strict=True)
        return np.concatenate(values), np.concatenate(estimates)

    def _run_block(self, clips: Samples, estimate: UInt32, n_frames: int) -> tuple[UInt16, UInt32]:
        work = len(clips) * n_frames
        clips = np.require(clips, requirements=["C", "W"])  # other forms would be compiled anew
        loud = levels.for_work(work, at_least=JIT_FRAMES)(clips, self._levels)
        return compress.for_work(work, at_least=JIT_FRAMES)(loud, estimate, self._compress)


class MicroStream(WindowedStream):
    """A running clip with its noise estimate; `Micro.stream` makes it."""

    def __init__(self, frontend: Micro) -> None:
        self._frontend = frontend
        super().__init__(frontend.settings, self._with_estimate)

    def reset(self) -> None:
        """Forget everything heard: the next sample is the first, and no noise is known."""
        super().reset()
        self._estimate = np.zeros((1, self._settings.n_features), np.uint32)

    def _with_estimate(self, sound: Samples) -> Features:
        values, self._estimate = self._frontend._run(sound, self._estimate)
        return to_features(values)


def to_features(values: UInt16) -> Features:
    """Return values in real units, v * 10 / 256."""
    return values.astype(np.float32) * np.float32(FEATURE_STEP)


def to_int8(values: UInt16) -> Int8:
    """Quantize values as the device does, ((v * 256 + 333) // 666) - 128, clamped.

    Source: tflite-micro, micro_features_generator.cc, GenerateMicroFeatures.
    """
    quantized = (values.astype(np.int64) * 256 + 333) // 666 + INT8_ZERO_POINT
    return np.clip(quantized, -128, 127).astype(np.int8)
