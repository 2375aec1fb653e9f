"""Whole models on recorded speech: every tensor equals TFLite Micro's, integer by integer.

Every architecture in its full size, exported to int8, and the models that others published, each
with the features it is meant for. A clip is a test clip of the speech commands; a model with a
memory starts each clip anew. Two clips a model in a usual run, 200 in the deep one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from minikws import models
from minikws.data.corpus import Corpus
from minikws.fixedpoint import quantize
from minikws.frontend import make_frontend
from minikws.graph import Graph
from minikws.quant import convert
from minikws.runs import build_network
from minikws.runtime import Interpreter, plan
from minikws.settings import CorpusSettings
from minikws.tflite import read_model, write_model
from parity_tests.litert import LiteRT
from parity_tests.tflm_child import TFLiteMicro
from tests.networks import spread_weights

pytest.importorskip("tflite_micro", reason="oracle absent: pip install 'minikws[parity]'")

N_CLIPS = 200 if settings().max_examples > 100 else 2
N_CALIBRATION = 40
AT_ONCE = 10  # clips that one process of the oracle answers; it returns every tensor of each
MICRO = {"kind": "micro"}
MFCC = {"kind": "mfcc", "window_ms": 40.0, "hop_ms": 20.0, "n_mfcc": 10}
PUBLISHED = {
    "micro_speech_quantized": MICRO,
    "mlperf_tiny_kws_ref_model": MFCC,
    "mww_okay_nabu_v2": MICRO,
    "audio_preprocessor_int8": None,
    "audio_preprocessor_float": None,
}


@pytest.fixture(scope="module")
def corpus(shared_data: Path) -> Corpus:
    settings = CorpusSettings(wanted_words=("yes", "no"), silence_pct=10, unknown_pct=200)
    return Corpus(shared_data / "speech_commands", settings, 16_000, 16_000)


@pytest.fixture(scope="module")
def clips(corpus: Corpus) -> np.ndarray:
    """Test clips of all words, (N_CLIPS, 16000) int16."""
    testing = corpus.partitions["testing"]
    order = np.random.default_rng(59185).permutation(len(testing))
    return corpus.clean([testing[i] for i in order[:N_CLIPS]])


@pytest.fixture(scope="module")
def calibration(corpus: Corpus) -> np.ndarray:
    return corpus.clean(corpus.partitions["training"][:N_CALIBRATION])


def inputs_of(graph: Graph, features: np.ndarray) -> list[np.ndarray]:
    """Return what goes into the model, run after run, for one clip's features or samples."""
    (index,) = graph.main.inputs
    tensor = graph.main.tensors[index]
    n_runs = features.size // int(np.prod(tensor.shape))
    used = features.ravel()[: n_runs * int(np.prod(tensor.shape))]
    if tensor.scale:
        used = quantize(used, tensor.scale[0], tensor.zero_point[0], tensor.dtype)
    return list(used.astype(tensor.dtype).reshape(n_runs, *tensor.shape))


def written_parts(graph: Graph) -> dict[int, slice]:
    """Return tensor -> the values that TFLite Micro writes: SignalEnergy leaves some bins alone."""
    parts: dict[int, slice] = {}
    for op in graph.main.ops:
        if op.name == "SignalEnergy":
            parts[op.outputs[0]] = slice(op.options["start_index"], op.options["end_index"])
        elif op.name == "CAST" and op.inputs[0] in parts:
            parts[op.outputs[0]] = parts[op.inputs[0]]
    return parts


def assert_every_tensor(
    model: bytes, clips: Sequence[list[np.ndarray]], oracle: TFLiteMicro
) -> int:
    """Compare every computed tensor of every run; return how many values were compared."""
    ours = Interpreter(model)
    tensors, parts = ours.graph.main.tensors, written_parts(ours.graph)
    computed = [i for i, t in enumerate(tensors) if t.data is None and t.dtype != "resource"]
    n_values = 0
    for start in range(0, len(clips), AT_ONCE):
        inputs = [x for clip in clips[start : start + AT_ONCE] for x in (None, *clip)]
        replies = oracle.run(model, inputs, tensors=computed)
        for x, reply in zip(inputs, replies, strict=True):
            if x is None:
                ours.reset()
                continue
            ours.invoke(x)
            for index, expected in zip(computed, reply[1:], strict=True):
                part = parts.get(index, slice(None))
                found = ours.tensor(index).ravel()[part]
                np.testing.assert_array_equal(
                    found, expected.ravel()[part], err_msg=tensors[index].name
                )
                n_values += found.size
    return n_values


@pytest.mark.parametrize("name", sorted(models.ARCHITECTURES))
def test_every_architecture(
    name: str, clips: np.ndarray, calibration: np.ndarray, oracle: TFLiteMicro
) -> None:
    entry = models.ARCHITECTURES[name]
    frontend = make_frontend(entry.recipe.frontend)
    features = frontend.extract(calibration)
    rng = np.random.default_rng(7)
    network = build_network(
        entry,
        input_shape=features.shape[1:],
        n_labels=12,
        rng=rng,
        dropout_rate=0.0,
        options=entry.options,
    )
    spread_weights(network, rng)
    graph = convert(network, features, input_quantization=frontend.quantization)
    model = write_model(graph)
    runs = [inputs_of(graph, clip) for clip in frontend.extract(clips)]
    n_values = assert_every_tensor(model, runs, oracle)
    assert oracle.head_bytes(model) == plan(graph).arena_bytes
    print(f"{name}: {len(runs)} clips, {n_values} values equal")


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_model(
    name: str, tflm: Path, clips: np.ndarray, oracle: TFLiteMicro
) -> None:
    model = (tflm / f"{name}.tflite").read_bytes()
    graph = read_model(model)
    frontend = PUBLISHED[name]
    features = clips if frontend is None else make_frontend(frontend).extract(clips)
    runs = [inputs_of(graph, clip) for clip in features]
    n_values = assert_every_tensor(model, runs, oracle)
    assert oracle.head_bytes(model) == plan(graph).arena_bytes
    print(f"{name}: {len(runs)} clips, {n_values} values equal")


def test_the_uint8_model_in_litert(tflm: Path, clips: np.ndarray) -> None:
    # TFLite Micro refuses uint8: LiteRT's reference kernels are the oracle.
    model = (tflm / "tiny_conv_simple_uint8.tflite").read_bytes()
    ours, theirs = Interpreter(model), LiteRT(model)
    computed = [i for i, t in enumerate(ours.graph.main.tensors) if t.data is None]
    for clip in make_frontend(MICRO).extract(clips):
        (x,) = inputs_of(ours.graph, np.resize(clip, ours.inputs[0].shape))
        ours.invoke(x)
        theirs.run(x)
        for index in computed:
            np.testing.assert_array_equal(ours.tensor(index).ravel(), theirs.tensor(index).ravel())
