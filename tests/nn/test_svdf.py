"""SVDF: the stream gives what whole clips give, in any chunks; sizes and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws.errors import SettingsError, ShapeError
from minikws.nn import SVDF, gradient_errors
from minikws.nn import functional as fn


def svdf(*, n_features=4, n_units=3, memory=5, rank=2, sequence=False, dtype=np.float64) -> SVDF:
    rng = np.random.default_rng(7)
    options = {"rank": rank, "sequence": sequence, "dtype": dtype}
    layer = SVDF(n_features, n_units, memory, rng=rng, sigma=1.0, **options)
    layer.params["bias"][:] = rng.normal(size=n_units)
    return layer


def test_one_unit_by_hand():
    layer = svdf(n_features=2, n_units=1, memory=2, rank=2)
    layer.params["weights_frequency"][:] = [[1, 0], [0, 1]]  # filter 0 sees feature 0, 1 feature 1
    layer.params["weights_time"][:] = [[1, 10], [100, 1000]]  # of each filter, oldest frame first
    layer.params["bias"][:] = 0.5
    clip = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    assert layer.forward(clip).tolist() == [[1 * 1 + 10 * 3 + 100 * 2 + 1000 * 4 + 0.5]]


def test_ranks_of_a_unit_are_consecutive_filters():
    layer = svdf(n_features=1, n_units=3, memory=1, rank=2)
    layer.params["weights_frequency"][:] = [[1, 2, 4, 8, 16, 32]]
    layer.params["weights_time"][:] = 1
    layer.params["bias"][:] = 0
    assert layer.forward(np.ones((1, 1, 1))).tolist() == [[3, 12, 48]]


@given(
    sizes=st.tuples(*[st.integers(1, 6)] * 4),
    chunks=st.lists(st.integers(0, 7), max_size=8),
    seed=st.integers(0, 99),
)
def test_a_stream_in_any_chunks_equals_every_stretch_of_the_clip(sizes, chunks, seed):
    n_features, n_units, memory, rank = sizes
    layer = svdf(n_features=n_features, n_units=n_units, memory=memory, rank=rank)
    frames = np.random.default_rng(seed).normal(size=(sum(chunks), n_features))
    stream = layer.stream()
    pairs = zip(chunks, np.cumsum(chunks), strict=True)
    found = [stream.push(frames[end - n : end]) for n, end in pairs]
    found = np.concatenate([np.empty((0, n_units)), *found])
    stretches = [
        layer.forward(frames[None, i : i + memory]) for i in range(len(frames) - memory + 1)
    ]
    expected = np.concatenate([np.empty((0, n_units)), *stretches])
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    at_once = layer.stream()
    np.testing.assert_array_equal(at_once.push(frames), found)  # the same sums in the same order


def test_reset_forgets():
    layer = svdf()
    stream = layer.stream()
    frames = np.random.default_rng(1).normal(size=(9, 4))
    first = stream.push(frames)
    assert first.shape == (5, 3)
    stream.reset()
    np.testing.assert_array_equal(stream.push(frames), first)


def test_a_stream_follows_the_layers_weights():
    layer = svdf()
    stream = layer.stream()
    layer.params["bias"] += 1
    frames = np.random.default_rng(1).normal(size=(5, 4))
    np.testing.assert_allclose(stream.push(frames), layer.forward(frames[None]), rtol=1e-12)


def test_layers_on_layers_stream_alike():
    below, above = svdf(memory=3, sequence=True), svdf(n_features=3, memory=4)
    clip = np.random.default_rng(2).normal(size=(6, 4))
    whole = above.forward(below.forward(clip[None]))
    lower, upper = below.stream(), above.stream()
    outputs = [upper.push(lower.push(clip[i : i + 1])) for i in range(6)]
    assert [len(y) for y in outputs] == [0, 0, 0, 0, 0, 1]
    np.testing.assert_allclose(outputs[-1], whole, rtol=1e-12)


def test_a_sequence_has_the_true_gradients():
    layer = svdf(memory=3, sequence=True)
    x = np.random.default_rng(3).normal(size=(2, 7, 4))
    assert max(gradient_errors(layer, x).values()) < 1e-6


def test_multiply_adds_are_those_of_the_tables():
    rng = np.random.default_rng(0)
    layer = SVDF(40, 1280, 98, rng=rng)  # speech_commands.md 4.7, default size
    assert layer.multiply_adds((98, 40)) == 98 * 40 * 2560 + 2560 * 98
    assert layer.n_parameters == 102400 + 250880 + 1280
    assert repr(layer) == "SVDF(40 -> 1280, rank 2, memory 98)"
    assert repr(svdf(sequence=True)).endswith("memory 5, sequence)")


def test_backward_returns_all_gradients_at_once():
    layer = svdf()
    x = np.random.default_rng(4).normal(size=(2, 5, 4))
    _, cache = fn.svdf(x, *layer.params.values())
    dy = np.ones((2, 1, 3))
    dx, *dparams = fn.svdf_backward(dy, cache)
    np.testing.assert_array_equal(dx, fn.svdf_backward_input(dy, cache))
    for one, other in zip(dparams, fn.svdf_backward_params(dy, cache), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (svdf(), (5, 3), r"takes \(T, 4\), found \(5, 3\)"),
        (svdf(), (20,), r"takes \(T, 4\), found \(20,\)"),
        (svdf(), (6, 4), "looks at 5 frames, found 6; .* sequence=True"),
        (svdf(sequence=True), (4, 4), "looks at 5 frames, found 4; .* or less"),
    ],
)
def test_shapes_that_do_not_fit(layer, shape, words):
    with pytest.raises(ShapeError, match=words):
        layer.output_shape(shape)


def test_sizes_below_1_and_frames_of_another_size():
    with pytest.raises(SettingsError, match="memory 0"):
        svdf(memory=0)
    with pytest.raises(ShapeError, match="push one row a frame"):
        svdf().stream().push(np.ones(4))
