"""The library in ten tests: follow a sound from its file to its word. Read this file first."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import minikws
from minikws.data.batches import TrainingBatches
from minikws.data.corpus import Corpus
from minikws.data.evaluate import evaluate
from minikws.dsp.framing import frame
from minikws.fixedpoint import dequantize, quantize
from minikws.frontend import Micro
from minikws.metrics import accuracy
from minikws.models import build
from minikws.nn import Momentum, Network, softmax, softmax_cross_entropy
from minikws.nn.functional import conv2d, dense, dense_backward
from minikws.settings import AugmentSettings, CorpusSettings, MicroSettings
from minikws.tflite import attach, read_model, write_model


def test_1_a_sound_is_a_row_of_samples(tone_corpus: Path) -> None:
    # A microphone measures air pressure 16,000 times a second; a WAV file keeps the numbers.
    wav = minikws.read_wav(min((tone_corpus / "high").glob("*.wav")))
    assert wav.sample_rate_hz == 16_000
    assert wav.samples.dtype == np.int16  # whole numbers from -32768 to 32767
    assert wav.samples.shape == (4000, 1)  # 250 ms of one channel


def test_2_windows_overlap() -> None:
    # Pitch needs a stretch of sound, not one sample: a window of 3 is laid on every 2 samples.
    windows = frame(np.arange(6), window_samples=3, hop_samples=2)
    assert windows.tolist() == [[0, 1, 2], [2, 3, 4]]  # sample 5 does not fill a window: dropped

    # T = 1 + (N - window) // hop. For a second, in windows of 30 ms every 20 ms:
    assert MicroSettings().n_frames == 1 + (16_000 - 480) // 320 == 49


def test_3_features_say_which_pitch_is_loud_when() -> None:
    frontend = Micro()
    time_s = np.arange(16_000) / 16_000
    tone = 10_000 * np.sin(2 * np.pi * 1000 * time_s) * (time_s > 0.5)  # silence, then 1000 Hz
    features = frontend.extract(tone.astype(np.int16))

    assert features.shape == (49, 40)  # time frames, pitch bands
    t, channel = np.unravel_index(features.argmax(), features.shape)
    assert 460 <= 20 * t <= 520  # in ms: loudest when it begins, what stays is taken for noise
    assert channel == np.abs(frontend.centers_hz - 1000).argmin()  # the band nearest to 1000 Hz


def test_4_a_convolution_lays_a_pattern_everywhere() -> None:
    # The pattern is placed on the picture, multiplied cell by cell, summed, and moved on.
    picture = np.array([[1.0, 2, 0], [0, 1, 3], [2, 0, 1]])
    pattern = np.array([[1.0, 0], [0, -1]])
    y, _ = conv2d(
        picture[None, :, :, None], pattern[:, :, None, None], np.zeros(1), padding="VALID"
    )
    assert y[0, :, :, 0].tolist() == [
        [1 * 1 - 1 * 1, 2 * 1 - 3 * 1],
        [0 * 1 - 0 * 1, 1 * 1 - 1 * 1],
    ]


def test_5_a_gradient_says_what_a_wiggle_would_do() -> None:
    # Backward promises how the loss moves with a weight. Move the weight and look.
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), np.zeros(4)
    labels = np.array([1, 3])

    def loss_with(weights: np.ndarray) -> float:
        return softmax_cross_entropy(dense(x, weights, b)[0], labels)[0]

    logits, cache = dense(x, w, b)
    _, dlogits = softmax_cross_entropy(logits, labels)
    _, dw, _ = dense_backward(dlogits, cache)  # one number for each weight
    promised = dw[2, 1]

    wiggle = np.zeros_like(w)
    wiggle[2, 1] = 1e-5
    seen = (loss_with(w + wiggle) - loss_with(w - wiggle)) / 2e-5
    assert seen == pytest.approx(promised, rel=1e-6)


class Learned(NamedTuple):
    """What test 6 looks at, and the tests after it use."""

    corpus: Corpus
    frontend: Micro
    features: np.ndarray
    network: Network
    losses: list[float]


@pytest.fixture(scope="module")
def learned(tone_corpus: Path) -> Learned:
    """Train on two words that are tones. This is all of training; `minikws.train` adds files."""
    rng = np.random.default_rng(0)
    frontend = Micro(MicroSettings(clip_ms=250, n_mels=16))
    words = CorpusSettings(
        wanted_words=("low", "high"), silence_pct=25, unknown_pct=25, testing_pct=25
    )
    corpus = Corpus(tone_corpus, words, 16_000, 4000)
    samples, labels = TrainingBatches(corpus, AugmentSettings(time_shift_ms=20)).draw(400, rng)
    features = frontend.extract(samples)
    network = build("tiny_conv", input_shape=features.shape[1:], n_labels=4, rng=rng)
    optimizer = Momentum(network.layers)
    losses = []
    for _ in range(150):
        batch = rng.integers(len(features), size=20)
        logits = network.forward(features[batch], training=True)
        loss, dlogits = softmax_cross_entropy(logits, labels[batch])
        network.backward(dlogits)  # which way should each weight move?
        optimizer.step(0.005)  # move it a little
        losses.append(loss)
    return Learned(corpus, frontend, features, network, losses)


def test_6_training_learns(learned: Learned) -> None:
    corpus, frontend, _, network, losses = learned
    assert corpus.labels == ("_silence_", "_unknown_", "low", "high")
    # Who knows nothing gives each of 4 labels a share of 1/4, and the loss is -ln(1/4).
    assert losses[0] == pytest.approx(np.log(4), abs=0.2)
    assert np.mean(losses[-20:]) < 0.5
    # What counts is sound that was not in the training.
    matrix = evaluate(
        lambda samples: network.predict(frontend.extract(samples)),
        corpus,
        corpus.partitions["testing"],
    )
    assert accuracy(matrix) > 0.9


def test_7_a_quantized_number_is_a_step_on_a_ruler() -> None:
    # real = scale * (integer - zero_point): here steps of 0.1, and 0.0 lies on the integer 3.
    integers = quantize([-1.0, 0.0, 0.06, 99.0], 0.1, 3)
    assert integers.tolist() == [-7, 3, 4, 127]  # 99 lies beyond the ruler and becomes its end
    real = dequantize(integers, 0.1, 3)
    assert real[:3].tolist() == pytest.approx([-1.0, 0.0, 0.1])  # at most half a step away


@pytest.fixture(scope="module")
def model_file(learned: Learned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the trained network as int8, with what a listener needs to know beside it."""
    graph = minikws.convert(
        learned.network, learned.features, input_quantization=learned.frontend.quantization
    )
    info = {"labels": list(learned.corpus.labels), "frontend": learned.frontend.settings.to_json()}
    path = tmp_path_factory.mktemp("tiny") / "tones.tflite"
    path.write_bytes(write_model(attach(graph, info)))
    return path


def test_8_a_model_file_is_tensors_and_operators(model_file: Path) -> None:
    assert model_file.read_bytes()[4:8] == b"TFL3"  # how every .tflite file begins
    main = read_model(model_file).main
    assert [op.name for op in main.ops] == ["RESHAPE", "CONV_2D", "FULLY_CONNECTED", "SOFTMAX"]
    weights = main.tensors[main.ops[1].inputs[1]]
    assert (weights.dtype, weights.shape) == ("int8", (8, 10, 8, 1))  # 8 patterns of 10 x 8
    assert len(weights.scale) == 8  # each pattern is stored on a ruler of its own


def test_9_one_pass_through_the_integers(model_file: Path, learned: Learned) -> None:
    interpreter = minikws.Interpreter(model_file)
    features = learned.features[:1]
    scores = interpreter.invoke(features.reshape(1, -1))
    assert scores.dtype == np.int8
    assert interpreter.tensors()["scores"].tolist() == scores.tolist()  # every stage can be seen

    # An int8 score counts 256ths from -128. The float network gives nearly the same shares.
    shares = dequantize(scores, 1 / 256, -128)
    assert shares.sum() == pytest.approx(1, abs=4 * 0.5 / 256)  # each rounded by half a step
    np.testing.assert_allclose(shares, softmax(learned.network.predict(features)), atol=0.1)


def test_10_the_word(model_file: Path, learned: Learned) -> None:
    # The three lines that most people need. Labels and frontend come out of the file.
    model = minikws.load(model_file)
    for word in ("low", "high"):
        clip = next(c for c in learned.corpus.partitions["testing"] if c.word == word)
        assert clip.path is not None
        best, score = model.label(clip.path)[0]
        assert best == word
        assert score > 0.5
