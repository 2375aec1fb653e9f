"""The whole path on real speech: train, export, and hold every clip against the runtimes.

On 200 recorded test clips every int8 output and every tensor's bytes equal TFLite Micro's, the
features equal TensorFlow's op, and LiteRT takes the file.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from minikws.cli.main import main
from minikws.data.corpus import Corpus
from minikws.pipeline import load
from minikws.settings import CorpusSettings
from parity_tests.tflm_child import TFLiteMicro

pytest.importorskip("tflite_micro", reason="oracle absent: pip install 'minikws[parity]'")
litert = pytest.importorskip(
    "ai_edge_litert.interpreter", reason="oracle absent: pip install 'minikws[parity]'"
)

N_CLIPS = 200


@pytest.fixture(scope="module")
def model_file(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("speech") / "run"
    data_dir = str(shared_data / "speech_commands")
    argv = ["train", "--data-dir", data_dir, "--wanted-words", "yes,no", "--run-dir", str(run_dir)]
    argv += ["--silence-percentage", "25", "--unknown-percentage", "25", "--quiet"]
    assert main([*argv, "--steps", "300", "--learning-rate", "0.001"]) == 0
    path = run_dir / "model.tflite"
    assert main(["export", str(run_dir), "--out", str(path), "--quiet"]) == 0
    return path


@pytest.fixture(scope="module")
def clips(shared_data: Path) -> np.ndarray:
    settings = CorpusSettings(wanted_words=("yes", "no"), silence_pct=25, unknown_pct=25)
    corpus = Corpus(shared_data / "speech_commands", settings, 16_000, 16_000)
    testing = corpus.partitions["testing"]
    chosen = [testing[i] for i in np.random.default_rng(0).permutation(len(testing))[:N_CLIPS]]
    return corpus.clean(chosen)


def test_it_learns_speech_and_int8_keeps_it(
    model_file: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["eval", str(model_file), "--data-dir", str(shared_data / "speech_commands"), "--json"]
    assert main(argv) == 0
    found = json.loads(capsys.readouterr().out)
    report = json.loads((model_file.parent / "report.json").read_text())
    assert found["count"] == report["test_count"] == 396
    assert found["accuracy"] > 0.6  # 300 steps; four labels, the largest is a third
    assert abs(found["accuracy"] - report["test_accuracy"]) < 0.01


@pytest.fixture(scope="module")
def int8_features(model_file: Path, clips: np.ndarray) -> np.ndarray:
    """What the device computes and copies into the input tensor, (B, 1, T*F)."""
    raw = load(model_file).frontend.extract(clips) * np.float32(25.6)
    device = np.clip((raw.astype(np.int64) * 256 + 333) // 666 - 128, -128, 127)
    return device.astype(np.int8).reshape(len(clips), 1, -1)


def test_every_tensor_of_every_clip_equals_tflite_micros(
    model_file: Path, clips: np.ndarray, int8_features: np.ndarray
) -> None:
    model = load(model_file)
    tensors = model.interpreter.graph.main.tensors
    child = TFLiteMicro()
    answers = child.run(model_file.read_bytes(), list(int8_features), tensors=len(tensors))
    child.close()
    for clip, (output, *expected) in zip(clips, answers, strict=True):
        np.testing.assert_array_equal(model.outputs(clip[None])[0], output.reshape(-1))
        for index, values in enumerate(expected):
            if tensors[index].data is None:
                found = model.interpreter.tensor(index)
                np.testing.assert_array_equal(found.ravel(), values.ravel())


def test_features_equal_tensorflows_op(model_file: Path, clips: np.ndarray) -> None:
    tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")
    from tensorflow.lite.experimental.microfrontend.python.ops import (
        audio_microfrontend_op as frontend_op,
    )

    features = load(model_file).frontend.extract(clips)
    for clip, found in zip(clips[:50], features, strict=False):
        op = frontend_op.audio_microfrontend(
            tf.constant(clip),
            sample_rate=16_000,
            window_size=30,
            window_step=20,
            num_channels=40,
            out_scale=1,
            out_type=tf.float32,
        )
        np.testing.assert_array_equal(found, op.numpy() * np.float32(10 / 256))


def test_litert_runs_the_file(
    model_file: Path, clips: np.ndarray, int8_features: np.ndarray
) -> None:
    # Its default kernels (XNNPACK) scale sums in float32, and its reference kernels, too, differ
    # from TFLite Micro's in 2 of 2400 outputs of a DS-CNN. A logit one integer off moves a share p
    # of 256 by p (1 - p) times the logit's scale: TFLite Micro is the reference for every bit.
    model = load(model_file)
    graph = model.interpreter.graph.main
    (logit_scale,) = graph.tensors[graph.ops[-1].inputs[0]].scale
    shares = model.probabilities(model.outputs(clips))
    allowed = 1 + 256 * logit_scale * 2 * (shares * (1 - shares)).max(1, keepdims=True)
    for kind in (litert.OpResolverType.AUTO, litert.OpResolverType.BUILTIN_REF):
        interpreter = litert.Interpreter(
            model_content=model_file.read_bytes(), experimental_op_resolver_type=kind
        )
        runner = interpreter.get_signature_runner("serving_default")
        scores = np.concatenate([runner(features=x)["scores"] for x in int8_features])
        difference = np.abs(scores.astype(np.int64) - model.outputs(clips))
        assert (difference <= allowed).all()
        assert (difference == 0).mean() > 0.95
