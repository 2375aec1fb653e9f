"""From a trained run to words: the exported file, loaded again, with NumPy alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minikws.audio import read_clip, write_wav
from minikws.errors import AudioError, ModelFileError, SettingsError, ShapeError
from minikws.fixedpoint import quantize
from minikws.frontend import make_frontend
from minikws.models import build
from minikws.pipeline import Model, label_clips, load
from minikws.quant.convert import convert, to_float_graph
from minikws.runtime import Interpreter
from minikws.settings import MicroSettings
from minikws.tflite.metadata import attach, info_of
from minikws.tflite.reader import read_model
from minikws.tflite.writer import write_model

SETTINGS = MicroSettings(clip_ms=250, n_mels=16)
LABELS = ["_silence_", "_unknown_", "low", "high"]


@pytest.fixture(scope="module")
def model_file(tone_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network as an int8 file: its words are nonsense, its arithmetic is not."""
    frontend = make_frontend(SETTINGS)
    network = build(
        "tiny_conv",
        input_shape=(SETTINGS.n_frames, SETTINGS.n_features),
        n_labels=4,
        rng=np.random.default_rng(0),
    )
    clips = [read_clip(p, sample_rate_hz=16_000) for p in sorted((tone_corpus / "low").iterdir())]
    features = frontend.extract(np.stack(clips))
    graph = convert(network, features, input_quantization=frontend.quantization)
    info = {"labels": LABELS, "frontend": SETTINGS.to_json(), "training": {"seed": 0}}
    path = tmp_path_factory.mktemp("models") / "tones.tflite"
    path.write_bytes(write_model(attach(graph, info)))
    (path.parent / "bare.tflite").write_bytes(write_model(graph))
    (path.parent / "float.tflite").write_bytes(write_model(attach(to_float_graph(network), info)))
    return path


@pytest.fixture
def clip(tone_corpus: Path) -> Path:
    return sorted((tone_corpus / "high").iterdir())[0]


def test_three_lines(model_file: Path, clip: Path) -> None:
    model = load(model_file)
    scores = model.label(clip)
    assert {label for label, _ in scores} == set(LABELS)
    values = [score for _, score in scores]
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1, abs=0.05)


def test_the_input_holds_the_devices_integers(model_file: Path, clip: Path) -> None:
    model = load(model_file)
    samples = read_clip(clip, sample_rate_hz=16_000)
    raw = model.features(clip) * np.float32(25.6)
    device = np.clip((raw.astype(np.int64) * 256 + 333) // 666 - 128, -128, 127).astype(np.int8)
    expected = Interpreter(model_file).invoke(device.reshape(1, -1))
    np.testing.assert_array_equal(model.outputs(samples[None]), expected)


def test_samples_or_a_file_give_the_same(model_file: Path, clip: Path) -> None:
    model = load(model_file)
    assert model.label(clip) == model.label(read_clip(clip, sample_rate_hz=16_000))


def test_a_float_file_runs_too(model_file: Path, clip: Path) -> None:
    floats = load(model_file.parent / "float.tflite").label(clip)
    integers = dict(load(model_file).label(clip))
    for label, score in floats:
        assert score == pytest.approx(integers[label], abs=0.05)


def test_a_long_clip_is_labelled_in_stretches(model_file: Path, tmp_path: Path) -> None:
    sound = np.random.default_rng(0).normal(0, 3000, 4000 * 2 + 2500).astype(np.int16)
    path = write_wav(tmp_path / "long.wav", sound, 16_000)
    model = load(model_file)
    windows = model.label_windows(path)
    assert [start for start, _ in windows] == [0, 250, 500]
    assert windows[1][1] == model.label(sound[4000:8000])
    assert windows[2][1] == model.label(sound[8000:])
    with pytest.raises(ShapeError, match=r"10500 samples, the model takes 4000.*label_windows"):
        model.label(path)
    said: list[str] = []
    records = label_clips(model, [path], said.append)
    assert [r["start_ms"] for r in records] == [0, 250, 500]
    assert "labelled in 3 stretches" in said[0]


def test_a_short_clip_is_padded_and_said(model_file: Path, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "short.wav", np.ones(1000, np.int16), 16_000)
    said: list[str] = []
    (record,) = label_clips(load(model_file), [path], said.append)
    assert len(record["scores"]) == len(record["output"]) == 4
    assert "has 1000 samples, padded to 4000" in said[0]


@pytest.mark.parametrize("chunk", [1, 17, 320, 509, 100_000])
def test_the_stream_gives_the_same_scores_for_any_chunks(model_file: Path, chunk: int) -> None:
    sound = np.random.default_rng(1).normal(0, 3000, 9000).astype(np.int16)
    model = load(model_file)
    whole = model.stream(every_ms=40).push(sound)
    stream = model.stream(every_ms=40)
    pieces = [
        due for start in range(0, len(sound), chunk) for due in stream.push(sound[start:][:chunk])
    ]
    assert [t for t, _ in pieces] == [t for t, _ in whole]
    for (_, one), (_, other) in zip(pieces, whole, strict=True):
        np.testing.assert_array_equal(one, other)
    # The first result comes when the first window of 12 frames (4000 samples) is full.
    assert whole[0][0] == pytest.approx(250)
    np.testing.assert_array_equal(
        whole[0][1], model.probabilities(model.outputs(sound[None, :4000])[0])
    )
    assert whole[1][0] == pytest.approx(290)


def test_a_stream_that_is_reset_begins_anew(model_file: Path) -> None:
    sound = np.random.default_rng(2).normal(0, 3000, 4500).astype(np.int16)
    stream = load(model_file).stream()
    first = stream.push(sound)
    stream.reset()
    again = stream.push(sound)
    np.testing.assert_array_equal(first[0][1], again[0][1])


def test_scores_come_near_a_tenth_of_a_second_where_nothing_else_is_asked(
    model_file: Path,
) -> None:
    sound = np.random.default_rng(2).normal(0, 3000, 9000).astype(np.int16)
    times = [time for time, _ in load(model_file).stream().push(sound)]
    assert times == pytest.approx([250, 350, 450, 550])


def test_a_file_may_say_how_it_listens(model_file: Path, tmp_path: Path) -> None:
    assert load(model_file).recognizer == {}
    graph = read_model(model_file)
    info = info_of(graph) or {}
    path = tmp_path / "tuned.tflite"
    path.write_bytes(write_model(attach(graph, {**info, "recognizer": {"minimum_count": 2}})))
    assert load(path).recognizer == {"minimum_count": 2}
    with pytest.raises(ModelFileError, match="expected recognizer as an object, found 'loud'"):
        attach(graph, {**info, "recognizer": "loud"})


def test_what_a_stream_cannot_do(model_file: Path) -> None:
    with pytest.raises(SettingsError, match=r"every_ms=50 is not a multiple .* nearest is 40"):
        load(model_file).stream(every_ms=50)


def test_a_file_without_labels_or_frontend(model_file: Path, clip: Path) -> None:
    bare = model_file.parent / "bare.tflite"
    with pytest.raises(ModelFileError, match=r"bare\.tflite names no labels.*--labels"):
        load(bare)
    with pytest.raises(ModelFileError, match=r"bare\.tflite does not say which frontend.*micro"):
        load(bare, labels=LABELS)
    with pytest.raises(ShapeError, match=r"\(49, 40\) features from 1000 ms"):
        load(bare, labels=LABELS, frontend="micro")
    with pytest.raises(SettingsError, match=r"unknown frontend 'mikro'; did you mean micro"):
        load(bare, labels=LABELS, frontend="mikro")
    model = Model(Interpreter(bare), make_frontend(SETTINGS), LABELS)
    assert model.label(clip) == load(model_file).label(clip)


def test_labels_and_frontend_that_contradict_the_file(model_file: Path) -> None:
    with pytest.raises(SettingsError, match=r"4 outputs and 2 labels were given"):
        load(model_file, labels=["a", "b"])
    with pytest.raises(SettingsError, match=r"labels='a,b' is one text, .* write \['a', 'b'\]"):
        load(model_file, labels="a,b")
    with pytest.raises(SettingsError, match=r"trained on the micro frontend, not on mfcc"):
        load(model_file, frontend="mfcc")


@pytest.mark.parametrize(
    "samples",
    [np.zeros(4000), np.zeros((2, 4000), np.int16), np.zeros(0, np.int16)],
    ids=["float", "two clips", "empty"],
)
def test_samples_that_are_none(model_file: Path, samples: np.ndarray) -> None:
    with pytest.raises(ShapeError, match=r"expected samples \(N,\) int16"):
        load(model_file).label(samples)


def test_features_that_are_none(model_file: Path) -> None:
    model = load(model_file)
    n_frames, n_features = SETTINGS.n_frames, SETTINGS.n_features
    for shape in ((n_frames, n_features), (1, n_features, n_frames), (1, n_frames, n_features + 1)):
        with pytest.raises(ShapeError, match=rf"expected features \(B, {n_frames}, {n_features}\)"):
            model.run_features(np.zeros(shape, np.float32))
    with pytest.raises(SettingsError, match="a value that is not finite"):
        model.run_features(np.full((1, n_frames, n_features), np.nan, np.float32))


def test_files_that_are_not_there(model_file: Path) -> None:
    with pytest.raises(AudioError, match=r"nowhere\.wav does not exist"):
        load(model_file).label("nowhere.wav")
    with pytest.raises(ModelFileError, match=r"nowhere\.tflite"):
        load("nowhere.tflite")


def test_the_reference_models_four_results(tflm: Path) -> None:
    """micro_speech.md section 6: outputs, labels silence, unknown, yes, no."""
    model = load(
        tflm / "micro_speech_quantized.tflite",
        labels=["silence", "unknown", "yes", "no"],
        frontend="micro",
    )
    # The published arrays (variant M) give the same outputs for yes and no.
    expected = {"yes": [-128, -128, 127, -128], "no": [-128, -114, -128, 114]}
    for word, output in expected.items():
        samples = read_clip(tflm / f"{word}_1000ms.wav", sample_rate_hz=16_000)
        assert model.outputs(samples[None])[0].tolist() == output
    for word in ("noise", "silence"):
        assert model.label(tflm / f"{word}_1000ms.wav")[0][0] == "silence"


def test_the_preprocessors_variant_gives_its_published_outputs(tflm: Path) -> None:
    """The same section's table, whose features come from the preprocessor model (variant G)."""
    interpreter = Interpreter(tflm / "micro_speech_quantized.tflite")
    frontend = make_frontend(MicroSettings(variant="preprocessor"))
    expected = {
        "yes": [-128, -128, 127, -128],
        "no": [-128, -114, -128, 114],
        "noise": [120, -125, -126, -125],
        "silence": [-42, -68, -68, -78],
    }
    assert frontend.quantization is not None
    for word, output in expected.items():
        samples = read_clip(tflm / f"{word}_1000ms.wav", sample_rate_hz=16_000)
        features = quantize(frontend.extract(samples), *frontend.quantization)
        assert interpreter.invoke(features.reshape(1, -1))[0].tolist() == output
