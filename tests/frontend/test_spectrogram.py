"""The spectrogram frontend, and what it shares with all that have no memory between frames."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.errors import AudioError, SettingsError, ShapeError
from minikws.frontend import Average, Mfcc, Raw, Spectrogram, make_frontend
from minikws.settings import ClipSettings, SpectrogramSettings

RNG = np.random.default_rng(0)
CLIPS = RNG.integers(-32768, 32768, (3, 4000)).astype(np.int16)
SMALL = {"sample_rate_hz": 8000, "clip_ms": 500.0, "window_ms": 16.0}
FRONTENDS = [
    Spectrogram(SpectrogramSettings(**SMALL)),
    make_frontend({"kind": "mfcc", "n_mels": 20, "n_mfcc": 13, **SMALL}),
    make_frontend({"kind": "average", "feature_bin_count": 20, **SMALL}),
    make_frontend({"kind": "average", "arithmetic": "device_fixed", "hop_ms": 40.0, **SMALL}),
    make_frontend({"kind": "raw", "sample_rate_hz": 8000}),
    make_frontend({"kind": "average", "hop_ms": 33.0, **SMALL}),  # the hop exceeds the window
]
NAMES = ["spectrogram", "mfcc", "average", "average on a device", "raw", "average with gaps"]
EACH = pytest.mark.parametrize("frontend", FRONTENDS, ids=NAMES)


@EACH
@given(cuts=st.lists(st.integers(0, 4000), max_size=12))
def test_any_chunks_give_the_whole_clips_features(frontend: Any, cuts: list[int]) -> None:
    whole = frontend.extract(CLIPS[0])
    stream = frontend.stream()
    for _ in range(2):
        ends = [0, *sorted(cuts), 4000]
        pieces = [stream.push(CLIPS[0, a:b]) for a, b in pairwise(ends)]
        np.testing.assert_array_equal(np.concatenate(pieces), whole)
        stream.reset()


@EACH
def test_a_batch_is_its_clips(frontend: Any) -> None:
    together = frontend.extract(CLIPS)
    for clip, features in zip(CLIPS, together, strict=True):
        np.testing.assert_array_equal(frontend.extract(clip), features)
    assert together.dtype == np.float32
    assert together.shape[2] == frontend.settings.n_features


@EACH
def test_how_the_array_lies_in_memory_is_all_the_same(frontend: Any) -> None:
    expected = frontend.extract(CLIPS)
    np.testing.assert_array_equal(frontend.extract(np.asfortranarray(CLIPS)), expected)
    read_only = CLIPS.copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(frontend.extract(read_only), expected)
    np.testing.assert_array_equal(frontend.extract(np.repeat(CLIPS, 2, axis=1)[:, ::2]), expected)


@EACH
@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (np.full(4000, np.nan, np.float32), AudioError, "float32 with NaN"),
        (np.zeros(4000, np.float64), AudioError, "found float64; multiply sound"),
        (np.zeros(4000, np.int32), AudioError, "found int32"),
        (np.zeros((2, 2, 4000), np.int16), ShapeError, r"found the shape \(2, 2, 4000\)"),
        (np.zeros(0, np.int16), ShapeError, r"one window, found the shape \(0,\)"),
        (np.zeros(79, np.int16), ShapeError, r"pad the clip with zeros"),
    ],
)
def test_bad_clips_are_refused(frontend: Any, given: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        frontend.extract(given)


@EACH
def test_a_refused_push_leaves_the_stream_as_it_was(frontend: Any) -> None:
    stream = frontend.stream()
    first = stream.push(CLIPS[0, :1001])
    with pytest.raises(ShapeError, match="expected one row of samples"):
        stream.push(CLIPS[:, :500])
    with pytest.raises(AudioError, match="expected int16 samples, found float64"):
        stream.push(np.full(500, np.nan))
    assert stream.push(CLIPS[0, :0]).shape == (0, frontend.settings.n_features)
    rest = stream.push(CLIPS[0, 1001:])
    np.testing.assert_array_equal(np.concatenate((first, rest)), frontend.extract(CLIPS[0]))


@pytest.mark.parametrize(
    ("frontend", "shape"),
    # design.md section 3: the defaults of one second at 16 kHz.
    [(Spectrogram(), (98, 257)), (Mfcc(), (98, 40)), (Average(), (98, 43)), (Raw(), (100, 160))],
)
def test_shapes_of_the_defaults(frontend: Any, shape: tuple[int, int]) -> None:
    settings: ClipSettings = frontend.settings
    assert (settings.n_frames, settings.n_features) == shape
    features = frontend.extract(np.zeros(16000, np.int16))
    assert features.shape == shape
    assert frontend.settings.kind in repr(type(frontend)).lower()
    assert repr(settings) in repr(frontend)


def test_magnitudes_are_roots_of_powers() -> None:
    power = Spectrogram().extract(CLIPS)
    magnitude = Spectrogram(SpectrogramSettings(magnitude_squared=False)).extract(CLIPS)
    np.testing.assert_array_equal(magnitude, np.sqrt(power))
    assert Spectrogram().quantization is None
    assert Spectrogram().centers_hz[[0, 32, 256]].tolist() == [0, 1000, 8000]


def test_a_tone_stands_in_its_bin() -> None:
    tone = np.rint(8000 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)).astype(np.int16)
    assert (Spectrogram().extract(tone).argmax(axis=1) == 32).all()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"magnitude_squared": 2}, "magnitude_squared=2 is not a yes or no"),
        ({"window_ms": 2000.0}, "window of 2000 ms is longer than the clip of 1000 ms"),
        ({"hop_ms": 0.03}, "shorter than one sample at 16000 Hz"),
        ({"n_mels": 40}, "spectrogram has no setting 'n_mels'"),
    ],
)
def test_settings_that_cannot_work(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        SpectrogramSettings.from_json(given)


def test_the_window_decides_how_many_features_there_are() -> None:
    assert SpectrogramSettings.feature_count(None) == {}
    with pytest.raises(SettingsError, match="no number of features to choose, found 40; change"):
        SpectrogramSettings.feature_count(40)
