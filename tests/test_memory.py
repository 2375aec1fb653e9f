"""A model that remembers earlier frames: a clip frame by frame, a stream without a second look."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from minikws.cli.main import main
from minikws.errors import ShapeError
from minikws.frontend import Frontend, make_frontend
from minikws.models import build
from minikws.nn import softmax
from minikws.pipeline import Model, load
from minikws.quant import convert, to_float_graph
from minikws.runtime import Interpreter
from minikws.settings import MicroSettings
from minikws.tflite.metadata import attach
from minikws.tflite.writer import write_model

SETTINGS = MicroSettings(clip_ms=250, n_mels=16)
LABELS = ["_silence_", "_unknown_", "low", "high"]


@pytest.fixture(scope="module")
def frontend() -> Frontend:
    return make_frontend(SETTINGS)


@pytest.fixture(scope="module")
def network():
    """Untrained, but for weights that make its scores differ from clip to clip."""
    rng = np.random.default_rng(0)
    shape = (SETTINGS.n_frames, SETTINGS.n_features)
    network = build("svdf_stream", input_shape=shape, n_labels=4, rng=rng, num_units=8)
    weights = network.weights()
    weights["final_fc.w"][...] = rng.normal(0, 0.3, weights["final_fc.w"].shape)
    network.load_weights(weights)
    return network


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """Two seconds of noise that swells and fades."""
    rng = np.random.default_rng(1)
    loud = np.abs(np.sin(np.arange(32_000) / 3000)) * 8000
    return (rng.normal(size=32_000) * loud).clip(-32768, 32767).astype(np.int16)


@pytest.fixture(scope="module")
def model_file(network, frontend, sound, tmp_path_factory: pytest.TempPathFactory) -> Path:
    features = frontend.extract(sound.reshape(-1, 4000))
    graph = convert(network, features, input_quantization=frontend.quantization)
    info = {"labels": LABELS, "frontend": SETTINGS.to_json()}
    folder = tmp_path_factory.mktemp("memory")
    (folder / "float.tflite").write_bytes(write_model(attach(to_float_graph(network), info)))
    path = folder / "model.tflite"
    path.write_bytes(write_model(attach(graph, info)))
    return path


def test_a_clip_is_shown_frame_by_frame_from_an_empty_memory(model_file, network, frontend, sound):
    model = load(model_file.with_name("float.tflite"))
    assert model.has_memory and model.frames_per_run == 1
    clips = sound.reshape(-1, 4000)
    exact = softmax(network.predict(frontend.extract(clips)))
    assert exact.std(0).max() > 0.01
    np.testing.assert_allclose(model.outputs(clips), exact, atol=1e-5)
    integers = load(model_file)
    together = integers.outputs(clips)
    for clip, row in zip(clips[::-1], together[::-1], strict=True):  # nothing of the one before
        np.testing.assert_array_equal(integers.outputs(clip[None])[0], row)
        scores = dict(integers.label(clip))
        assert [scores[label] for label in LABELS] == integers.probabilities(row).tolist()


def test_a_stream_gives_the_scores_of_its_windows(model_file, frontend, sound):
    model = load(model_file)
    stream = model.stream(every_ms=20)
    due = stream.push(sound[:5000]) + stream.push(sound[5000:])
    assert len(due) > 80
    frames = frontend.stream().push(sound)
    first = SETTINGS.n_frames
    for i, (_, scores) in enumerate(due):
        window = frames[i : i + first]
        np.testing.assert_array_equal(
            scores, model.probabilities(model.run_features(window[None]))[0]
        )


def test_label_and_info_know_it(model_file, sound, tmp_path, capsys):
    from minikws.audio import write_wav

    clip = write_wav(tmp_path / "clip.wav", sound[:4000], 16_000)
    assert main(["label", str(model_file), str(clip), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["clips"]
    np.testing.assert_array_equal(found["output"], load(model_file).outputs(sound[None, :4000])[0])
    assert main(["info", str(model_file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs_per_clip"] == SETTINGS.n_frames
    assert main(["info", str(model_file)]) == 0
    assert f"memory   of earlier frames: {SETTINGS.n_frames} runs a clip" in capsys.readouterr().out


def test_frames_of_another_frontend_are_refused(model_file):
    other = make_frontend(MicroSettings(clip_ms=250, n_mels=20))
    with pytest.raises(ShapeError, match=r"is \(1, 16\), some frames of a stream, the micro"):
        Model(Interpreter(model_file), other, LABELS)
