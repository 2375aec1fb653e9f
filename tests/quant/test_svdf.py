"""SVDF layers in a file: one frame at a time, the state in the graph; what cannot be so is named.

Values are held against the layer's own sums here, and against TFLite Micro in parity_tests/.
"""

from __future__ import annotations

import numpy as np
import pytest

from minikws import models
from minikws.errors import SettingsError
from minikws.nn import Network, softmax
from minikws.nn.layers import SVDF, BatchNorm, Dense, Dropout, HardSwish, Layer, ReLU
from minikws.quant import convert, to_float_graph
from minikws.quant.noise import Noise
from minikws.runtime import Interpreter

SHAPE = (13, 10)


def rng() -> np.random.Generator:
    return np.random.default_rng(6)


def features(n_clips: int = 30) -> np.ndarray:
    return rng().uniform(0, 26, (n_clips, *SHAPE)).astype(np.float32)


def lively(name: str, **options: int) -> Network:
    network = models.build(name, input_shape=SHAPE, n_labels=3, rng=rng(), **options)
    weights = network.weights()
    for array in weights.values():
        spread = 0.2 if array.ndim == 1 else np.sqrt(2 / array[..., 0].size)
        array[...] = rng().normal(0, spread, array.shape)
    network.load_weights(weights)
    return network


def chain(*layers: Layer, input_shape: tuple[int, ...] = SHAPE) -> Network:
    return Network([(f"layer_{i}", x) for i, x in enumerate(layers)], input_shape=input_shape)


def test_the_graph_takes_a_frame_and_keeps_its_state():
    network = lively("svdf_stream", num_units=8, rank=2)
    graph = convert(network, features())
    main = graph.main
    assert [op.name for op in main.ops] == ["SVDF"] * 3 + ["FULLY_CONNECTED", "SOFTMAX"]
    assert main.tensors[main.inputs[0]].shape == (1, 10)
    memories = [layer.memory for _, layer in network.layers if isinstance(layer, SVDF)]
    for op, memory in zip(main.ops, memories, strict=False):
        assert op.options == {"rank": 2, "fused_activation_function": "RELU"}
        x, frequency, time, bias, state = (main.tensors[i] for i in op.inputs)
        assert (frequency.dtype, time.dtype, bias.dtype) == ("int8", "int16", "int32")
        assert (frequency.shape, time.shape) == ((16, x.shape[1]), (16, memory))
        assert (state.dtype, state.shape, state.zero_point) == ("int16", (1, 16 * memory), (0,))
        assert state.is_variable and state.data is None
        assert bias.scale[0] == pytest.approx(state.scale[0] * time.scale[0], rel=1e-6)
        assert main.tensors[op.outputs[0]].zero_point == (-128,)  # the ReLU


@pytest.mark.parametrize("name", ["svdf_stream", "low_latency_svdf"])
def test_frame_by_frame_is_the_whole_clip(name):
    network = lively(name, num_units=16)
    clips = features()
    exact = network.predict(clips)
    floats, integers = Interpreter(to_float_graph(network)), Interpreter(convert(network, clips))
    noise = Noise()
    for clip, logits in zip(clips, exact, strict=True):  # no reset: a clip fills the memory
        np.testing.assert_allclose(floats.invoke(clip)[-1], softmax(logits[None])[0], atol=1e-5)
        integers.invoke(clip)
        (stored,) = (t for t in integers.graph.main.tensors if t.name == "final_fc")
        found = stored.scale[0] * (integers.tensor("final_fc")[0] - float(stored.zero_point[0]))
        noise.add(logits, found)
    assert noise.db is not None and noise.db > 30


def test_no_input_overflows_state_or_sums():
    network = lively("low_latency_svdf", num_units=4)
    ours = Interpreter(convert(network, features()))
    main = ours.graph.main
    _, frequency, time, bias, _ = (main.tensors[i] for i in main.ops[0].inputs)
    largest = np.abs(time.data.astype(np.int64)).reshape(4, -1).sum(1) * 2**15 + np.abs(bias.data)
    assert largest.max() < 2**31  # what TFLite Micro adds in
    assert np.abs(time.data).max() >= 256  # and yet more bits than the weights of int8
    for sign in (1, -1):  # the input that each filter likes best, and least
        for weights in frequency.data:
            x = np.where(sign * weights > 0, 127, -128).astype(np.int8)
            ours.invoke(x[None])
            assert np.abs(ours.tensor(main.ops[0].inputs[4]).astype(int)).max() <= 32767
    newest = ours.tensor(main.ops[0].inputs[4]).reshape(time.shape)
    # the state's scale is that of the largest sum: someone comes near, nobody is cut
    assert 30_000 < np.abs(newest.astype(int)).max() <= 32_767


@pytest.mark.parametrize("size", [0.0, 1e-30])
def test_silent_weights_have_a_scale_all_the_same(size):
    layer = SVDF(10, 2, 13, rng=rng())
    for weights in layer.params.values():
        weights[...] = size
    layer.params["bias"][...] = 0.5, -0.25
    graph = convert(chain(layer, Dense(2, 2, rng=rng())), features())
    assert all(s > 0 for t in graph.main.tensors for s in t.scale)
    ours = Interpreter(graph)
    ours.invoke(features()[0])
    y = ours.graph.main.tensors[ours.graph.main.ops[0].outputs[0]]
    real = y.scale[0] * (ours.tensor(y.name)[0].astype(float) - y.zero_point[0])
    np.testing.assert_allclose(real, [0.5, -0.25], atol=y.scale[0])  # the bias alone


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (
            lambda: [BatchNorm(10), SVDF(10, 4, 13, rng=rng()), Dense(4, 2, rng=rng())],
            r"layer_0 is BatchNorm.*put the SVDF layers first",
        ),
        (
            lambda: [
                SVDF(10, 4, 5, sequence=True, rng=rng()),
                Dense(4, 4, rng=rng()),
                SVDF(4, 4, 9, rng=rng()),
                Dense(4, 2, rng=rng()),
            ],
            r"layer_1 is Dense.*nothing but activations and dropout between",
        ),
        (
            lambda: [SVDF(10, 4, 13, sequence=True, rng=rng()), Dense(4, 2, rng=rng())],
            r"gives several outputs.*leave sequence out",
        ),
    ],
)
def test_what_needs_a_whole_clip_is_named(layers, words):
    network = lively("svdf_stream", num_units=4)
    network.layers = [(f"layer_{i}", x) for i, x in enumerate(layers())]
    with pytest.raises(SettingsError, match=words):
        to_float_graph(network)


def test_a_memory_beyond_all_bits_is_refused():
    layer = SVDF(1, 1, 70_000, rng=rng())
    network = chain(layer, Dense(1, 2, rng=rng()), input_shape=(70_000, 1))
    with pytest.raises(SettingsError, match=r"sums 140000 values a unit.*shorter memory"):
        convert(network, np.ones((1, 70_000, 1), np.float32))


def test_activations_between_and_without_a_relu():
    layers = [
        SVDF(10, 4, 5, sequence=True, rng=rng(), sigma=None),
        HardSwish(),
        Dropout(0.5, rng=rng()),
        SVDF(4, 4, 9, rng=rng(), sigma=None),
        ReLU(),
        Dense(4, 2, rng=rng(), sigma=None),
    ]
    network = chain(*layers)
    graph = convert(network, features())
    assert [op.options.get("fused_activation_function") for op in graph.main.ops[:3]] == [
        "NONE",
        None,
        "RELU",
    ]
    exact = softmax(network.predict(features()))
    ours = Interpreter(graph)
    found = np.array([ours.invoke(clip)[-1] for clip in features()]).astype(np.float64)
    np.testing.assert_allclose((found + 128) / 256, exact, atol=0.05)
