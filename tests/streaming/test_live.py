"""One path from samples to words: the same for any cuts, each frame computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws._typing import Array, Features, Float64, Samples
from minikws.audio import read_clip
from minikws.errors import AudioError, SettingsError, ShapeError
from minikws.frontend import Frontend, make_frontend
from minikws.models import build
from minikws.pipeline import load
from minikws.quant.convert import convert
from minikws.runtime import Interpreter
from minikws.settings import MfccSettings, MicroSettings
from minikws.streaming.live import (
    FreshWindows,
    Listener,
    ScoreStream,
    Step,
    Window,
    WindowSource,
    frames_between,
)
from minikws.streaming.recognize import Recognizer
from minikws.tflite import attach, write_model

LABELS = ("_silence_", "low", "high")
MICRO = MicroSettings(clip_ms=250, n_mels=8)  # 12 frames of 20 ms
MFCC = MfccSettings(clip_ms=250, n_mels=10, n_mfcc=6)  # 23 frames of 10 ms


class Plain:
    """A model without a memory: one weight for each value of its window."""

    has_memory = False

    def __init__(self, frontend: Frontend) -> None:
        self.frontend = frontend
        self.labels = LABELS
        s = frontend.settings
        self.frames_per_run = s.n_frames
        self.weights = np.random.default_rng(5).normal(0, 0.3, (s.n_frames * s.n_features, 3))
        self.n_runs = 0

    def run_features(self, features: Features) -> Array:
        self.n_runs += len(features)
        # One at a time: the sums of a batch may be added in another order.
        logits = np.stack([clip.ravel().astype(np.float64) @ self.weights for clip in features])
        powers = np.exp(logits - logits.max(1, keepdims=True))
        shares: Array = powers / powers.sum(1, keepdims=True)
        return shares

    def run_frames(self, frames: Features) -> Array:
        raise NotImplementedError

    def probabilities(self, outputs: Array) -> Float64:
        return outputs

    def forget(self) -> None:
        raise NotImplementedError


class Remembering(Plain):
    """The same model, which keeps the window itself and takes a few frames at a time."""

    has_memory = True

    def __init__(self, frontend: Frontend, frames_per_run: int) -> None:
        super().__init__(frontend)
        self.frames_per_run = frames_per_run
        self.forget()

    def run_frames(self, frames: Features) -> Array:
        assert len(frames) % self.frames_per_run == 0
        outputs = []
        for start in range(0, len(frames), self.frames_per_run):
            some = frames[start : start + self.frames_per_run]
            self.memory = np.concatenate((self.memory, some))[-len(self.memory) :]
            outputs.append(self.run_features(self.memory[None])[0])
        return np.stack(outputs)

    def forget(self) -> None:
        s = self.frontend.settings
        self.memory = np.zeros((s.n_frames, s.n_features), np.float32)


def noise(n: int, seed: int = 3) -> Samples:
    rng = np.random.default_rng(seed)
    envelope = np.repeat(rng.uniform(0, 6000, n // 800 + 1), 800)[:n]
    return (rng.normal(0, 1, n) * envelope).astype(np.int16)


def in_pieces(source: WindowSource, sound: Samples, cuts: list[int]) -> list[Window]:
    found: list[Window] = []
    for piece in np.split(sound, sorted(min(cut, len(sound)) for cut in cuts)):
        found += source.push(piece)
    return found


def assert_same(found: list[Window], expected: list[Window]) -> None:
    assert [(w.start, w.end) for w in found] == [(w.start, w.end) for w in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)


@given(
    cuts=st.lists(st.integers(0, 12_000), max_size=30),
    settings=st.sampled_from([MICRO, MFCC]),
    kind=st.sampled_from(["plain", "remembering", "fresh"]),
)
def test_any_cuts_give_the_same_windows(
    cuts: list[int], settings: MicroSettings | MfccSettings, kind: str
) -> None:
    sound = noise(12_000)
    frontend = make_frontend(settings)

    def source() -> WindowSource:
        if kind == "fresh":
            return FreshWindows(Plain(frontend), 70)
        return ScoreStream(Remembering(frontend, 3) if kind == "remembering" else Plain(frontend))

    whole = source().push(sound)
    assert len(whole) >= 5
    assert_same(in_pieces(source(), sound, cuts), whole)


def test_one_sample_at_a_time() -> None:
    sound = noise(8000)
    whole = ScoreStream(Plain(make_frontend(MICRO)), 40).push(sound)
    stream = ScoreStream(Plain(make_frontend(MICRO)), 40)
    assert_same([w for sample in sound for w in stream.push(sample[None])], whole)


def test_windows_are_those_of_the_whole_sound() -> None:
    sound = noise(40_000)
    frontend = make_frontend(MICRO)
    model = Plain(frontend)
    windows = ScoreStream(model, 60).push(sound)
    features = frontend.extract(sound)  # one state from the first sample on
    assert len(windows) == 1 + (len(features) - 12) // 3
    for i, window in enumerate(windows):
        assert window.start == i * 3 * 320
        assert window.end == window.start + 11 * 320 + 480
        assert window.time_ms == i * 60
        assert window.end_ms == i * 60 + 250
        expected = model.run_features(features[3 * i : 3 * i + 12][None])[0]
        np.testing.assert_array_equal(window.scores, expected)


@pytest.mark.parametrize("frames_per_run", [1, 3, 5])
def test_a_model_with_a_memory_hears_each_frame_once(frames_per_run: int) -> None:
    sound = noise(40_000)
    frontend = make_frontend(MICRO)
    plain = ScoreStream(Plain(frontend), 100).push(sound)
    model = Remembering(frontend, frames_per_run)
    windows = ScoreStream(model, 100).push(sound)
    assert [w.time_ms for w in windows] == [w.time_ms for w in plain]
    assert model.n_runs == frontend.extract(sound).shape[0] // frames_per_run
    if frames_per_run == 1:
        assert_same(windows, plain)
    # Its scores are those of the newest complete run.
    features = frontend.extract(sound)
    for window in windows:
        n_heard = window.start // 320 + 12
        n_run = n_heard // frames_per_run * frames_per_run
        padded = np.concatenate((np.zeros((12, 8), np.float32), features[:n_run]))[-12:]
        expected = Plain(frontend).run_features(padded[None])[0]
        np.testing.assert_array_equal(window.scores, expected)


@pytest.mark.parametrize("frames_per_run", [0, 1])
def test_missed_sound_counts_and_nothing_reaches_over_it(frames_per_run: int) -> None:
    frontend = make_frontend(MICRO)
    spotter = Remembering(frontend, frames_per_run) if frames_per_run else Plain(frontend)
    before, after = noise(7001), noise(9000, seed=4)
    alone = ScoreStream(spotter).push(after)
    stream = ScoreStream(spotter)
    stream.push(before)
    stream.skip(50_000)
    expected = [Window(w.start + 57_001, w.end + 57_001, w.sample_rate_hz, w.scores) for w in alone]
    assert_same(in_pieces(stream, after, [300, 5000]), expected)
    stream.reset()
    assert_same(stream.push(after), alone)


def test_fresh_windows_begin_from_nothing() -> None:
    sound = noise(12_000)
    frontend = make_frontend(MICRO)
    model = Plain(frontend)
    windows = FreshWindows(model, 30).push(sound)
    # Offsets below samples - clip, as published: what ends exactly with the sound is not run.
    assert [w.start for w in windows] == list(range(0, 8000, 480))
    for window in windows:
        clip = sound[window.start : window.start + 4000]
        expected = model.run_features(frontend.extract(clip)[None])[0]
        np.testing.assert_array_equal(window.scores, expected)
    assert FreshWindows(model, 30).push(sound[:4000]) == []
    assert len(FreshWindows(model, 30).push(sound[:4001])) == 1


def test_fresh_windows_may_lie_far_apart() -> None:
    windows = FreshWindows(Plain(make_frontend(MICRO)), 700)
    starts = [w.start for i in range(0, 64_000, 900) for w in windows.push(noise(64_000)[i:][:900])]
    assert starts == list(range(0, 64_000 - 4000, 11_200))


def test_with_a_state_the_two_differ_and_without_they_agree() -> None:
    sound = noise(12_000)
    for settings, same in ((MFCC, True), (MICRO, False)):
        model = Plain(make_frontend(settings))
        live, fresh = ScoreStream(model, 40).push(sound), FreshWindows(model, 40).push(sound)
        pairs = list(zip(live, fresh, strict=False))
        equal = [np.array_equal(a.scores, b.scores) for a, b in pairs]
        assert equal[0]  # the first window's state is fresh either way
        assert all(equal) == same


def test_words_and_their_times_do_not_depend_on_the_cuts() -> None:
    sound = noise(80_000)

    def listener() -> Listener:
        recognizer = Recognizer(LABELS, 120, 0.4, 100, 2)
        return Listener(ScoreStream(Plain(make_frontend(MICRO)), 40), recognizer)

    def words(steps: list[Step]) -> list[tuple[float, str, float]]:
        commands = [step.command for step in steps if step.command]
        return [(c.time_ms, c.label, c.score) for c in commands]

    whole = words(listener().push(sound))
    assert len(whole) > 3
    for chunk in (160, 509, 4096):
        one = listener()
        pieces = [sound[i : i + chunk] for i in range(0, len(sound), chunk)]
        assert words([step for piece in pieces for step in one.push(piece)]) == whole
    one.reset()
    assert words(one.push(sound)) == whole


def test_a_step_shows_what_the_recogniser_thinks() -> None:
    listener = Listener(
        ScoreStream(Plain(make_frontend(MICRO)), 40), Recognizer(LABELS, 120, 0.99, 100, 2)
    )
    steps = listener.push(noise(8000))
    assert [step.window.time_ms for step in steps] == list(range(0, 260, 40))
    assert steps[0].result.score == 0  # too few results
    assert all(0 < step.result.score <= 1 for step in steps[1:])
    assert all(step.result.label in LABELS for step in steps)


@pytest.mark.parametrize(
    ("stride_ms", "hop_ms", "expected"),
    [(100, 20, 5), (None, 20, 5), (None, 10, 10), (None, 30, 3), (None, 500, 1), (0.3, 0.1, 3)],
)
def test_strides_in_hops(stride_ms: float | None, hop_ms: float, expected: int) -> None:
    assert frames_between(stride_ms, hop_ms) == expected


@pytest.mark.parametrize(("stride_ms", "nearest"), [(50, 40), (30, 40), (3, 20), (-100, 20)])
def test_a_stride_that_is_no_multiple_names_the_nearest(stride_ms: float, nearest: int) -> None:
    sentence = rf"every_ms={stride_ms} is not a multiple of the hop of 20 ms; .* {nearest}$"
    with pytest.raises(SettingsError, match=sentence):
        ScoreStream(Plain(make_frontend(MICRO)), stride_ms)


def test_what_a_stream_refuses() -> None:
    stream = ScoreStream(Plain(make_frontend(MICRO)))
    with pytest.raises(AudioError, match="expected int16 samples, found float32"):
        stream.push(np.zeros(100, np.float32))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="expected one row"):
        stream.push(np.zeros((2, 100), np.int16))
    with pytest.raises(SettingsError, match=r"every 0\.01 ms is less than a sample"):
        FreshWindows(Plain(make_frontend(MICRO)), 0.01)
    with pytest.raises(SettingsError, match="nothing would ever be heard"):
        Listener(stream, Recognizer(LABELS, average_window_ms=150, minimum_count=3))


def test_our_own_model_with_a_memory(tmp_path: Path) -> None:
    """svdf_stream in int8: its scores on a stream are those of the last clip of frames."""
    settings = MicroSettings(clip_ms=410, n_mels=8)  # 20 frames
    frontend = make_frontend(settings)
    network = build("svdf_stream", input_shape=(20, 8), n_labels=3, rng=np.random.default_rng(0))
    features = frontend.extract(noise(6560 * 20).reshape(20, 6560))
    graph = convert(network, features, input_quantization=frontend.quantization)
    path = tmp_path / "svdf.tflite"
    path.write_bytes(write_model(attach(graph, {"labels": LABELS, "frontend": settings.to_json()})))
    model = load(path)
    assert (model.has_memory, model.frames_per_run) == (True, 1)
    sound = noise(32_000)
    windows = ScoreStream(model.apart()).push(sound)
    features = frontend.extract(sound)
    assert [w.time_ms for w in windows] == list(range(0, 1600, 100))
    for window in windows:
        first = window.start // 320
        outputs = model.run_features(features[first : first + 20][None])
        np.testing.assert_array_equal(window.scores, model.probabilities(outputs)[0])


def test_a_public_wake_word_model_gets_three_frames_at_a_time(tflm: Path) -> None:
    path = tflm / "mww_okay_nabu_v2.tflite"
    model = load(path, labels=["okay_nabu"], frontend="micro,hop_ms=10,variant=pymicro").apart()
    assert (model.has_memory, model.frames_per_run) == (True, 3)
    sound = np.concatenate([read_clip(tflm / f"{w}_1000ms.wav", sample_rate_hz=16_000)
                            for w in ("yes", "no")])  # fmt: skip
    windows = ScoreStream(model).push(sound)
    values = model.frontend.extract(sound) * np.float32(25.6)  # the C library's integers
    device = np.clip((values.astype(np.int64) * 256 + 333) // 666 - 128, -128, 127)
    alone = Interpreter(path)
    raw = [
        alone.invoke(device[i : i + 3].astype(np.int8)[None])[0, 0]
        for i in range(0, len(device) // 3 * 3, 3)
    ]
    n_heard = [98 + 10 * i for i in range(len(windows))]
    assert [w.end_ms for w in windows] == [1000 + 100 * i for i in range(len(windows))]
    expected = [raw[n // 3 - 1] / 256 for n in n_heard]
    assert [float(w.scores[0]) for w in windows] == expected
    again = ScoreStream(model)  # the memory is emptied
    assert_same(in_pieces(again, sound, [100, 5000, 5001, 20_000]), windows)


def test_the_published_model_hears_the_published_clips(tflm: Path) -> None:
    """yes and no in micro_speech's own clips, by its own model and the device's rules."""
    path = tflm / "micro_speech_quantized.tflite"
    model = load(path, labels=["silence", "unknown", "yes", "no"], frontend="micro")
    rng = np.random.default_rng(0)

    def quiet(seconds: int) -> Samples:
        return rng.normal(0, 5, 16_000 * seconds).astype(np.int16)

    said = ["yes", "no", "yes", "no"]
    clips = [read_clip(tflm / f"{word}_1000ms.wav", sample_rate_hz=16_000) for word in said]
    sound = np.concatenate([part for clip in clips for part in (quiet(3), clip)] + [quiet(2)])
    listener = Listener(ScoreStream(model), Recognizer(model.labels, behaviour="device"))
    heard = [step for step in listener.push(sound) if step.command]
    assert [step.command.label for step in heard if step.command] == said
    for number, step in enumerate(heard):
        begins_ms = 3000 + 4000 * number
        assert begins_ms < step.window.end_ms < begins_ms + 2000
