"""Comparing runs and files: what differs, where first, by which rounding rule."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minikws.errors import MissingExtraError, SettingsError, ShapeError
from minikws.fixedpoint import quantize_multiplier
from minikws.graph import Graph, Op, Tensor
from minikws.runtime import Interpreter
from minikws.runtime.compare import (
    Difference,
    compare,
    compare_runs,
    computed_tensors,
    first_of,
    join,
    record,
)
from minikws.runtime.compare_graphs import pair_graphs
from minikws.runtime.judge import judge_operators
from minikws.runtime.measure import Spread, peak_memory_bytes, take_turns
from minikws.runtime.node import Node
from minikws.runtime.ops import OPS
from minikws.runtime.references import Reference, Refused, arena_for, installed_references
from minikws.runtime.rounding import RULES, Scaling, with_rule
from minikws.tflite import write_model
from tests.tflite import tiny


def test_the_first_integer_that_differs() -> None:
    expected = np.array([[1, 2], [3, 4]], np.int8)
    found = np.array([1, 2, -128, 5], np.int8)
    assert compare("t", expected, found, run=7) == Difference(
        "t", 4, 2, 131, run=7, index=(1, 0), expected=3, found=-128
    )
    assert compare("t", expected, expected.astype(np.int64)) == Difference("t", 4)


def test_floats_have_a_tolerance_and_nan_equals_nan() -> None:
    expected = np.array([100.0, 0.0, np.nan, np.inf], np.float32)
    found = np.array([100.0009, 0.0009, np.nan, np.inf], np.float32)  # 1e-5 of 100, and 1e-6
    assert compare("t", expected, found).differing == 0
    assert compare("t", expected, found, tolerance=0).differing == 2
    wrong = compare("t", expected, np.array([100, 0, 1, np.inf], np.float32))
    assert (wrong.index, wrong.found, wrong.max_difference) == ((2,), 1, np.inf)


def test_another_number_of_values_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"t has 3 values \(3,\), the model computes 4 .*; dump"):
        compare("t", np.zeros((2, 2), np.int8), np.zeros(3, np.int8))


def test_several_inputs_are_summed_up() -> None:
    a, b = np.zeros(3, np.int8), np.array([0, 2, -5], np.int8)
    parts = [compare("t", a, a), compare("t", a, b, run=1), compare("t", a, b[::-1], run=2)]
    assert join(parts) == Difference("t", 9, 4, 5, run=1, index=(1,), expected=0, found=2)


def random_inputs(graph: Graph, count: int = 3) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(5)
    shape = graph.main.tensors[graph.main.inputs[0]].shape
    return [[rng.integers(-128, 128, shape, np.int8)] for _ in range(count)]


def test_the_earliest_input_comes_before_the_earliest_tensor() -> None:
    graph = tiny.keyword_model()
    expected = record(Interpreter(graph), random_inputs(graph))
    found = [{i: values.copy() for i, values in run.items()} for run in expected]
    assert list(computed_tensors(graph)) == [0, 2, 4, 6, 8, 9]
    found[2][2][0, 1, 1, 0] += 1
    found[1][8][0, 2] += 1
    differences = compare_runs(graph, expected, found)
    assert first_of(differences) == 8
    assert differences[8].run == 1
    assert first_of(compare_runs(graph, expected, expected)) is None


def dense_585() -> Graph:
    """The sum and scales of tensorflow/tensorflow#102943: what is 585 in int8?"""
    scales = 0.05296124517917633, 0.024093778803944588, 0.11484327912330627
    x, w, y = (tiny.float32(scale) for scale in scales)
    tensors = [
        Tensor("x", (1, 5), "int8", (x,), (0,)),
        tiny.constant("w", np.full((1, 5), 117), "int8", (w,)),
        Tensor("y", (1, 1), "int8", (y,), (-126,)),
    ]
    return tiny.graph_of(tensors, [Op("FULLY_CONNECTED", (0, 1), (2,), {}, 4)], (0,), (2,))


def test_the_reported_sum_rounds_up_in_integers_and_down_in_float32() -> None:
    graph = dense_585()
    ones = np.ones((1, 5), np.int8)
    assert Interpreter(graph).invoke(ones).item() == -119
    expected = record(Interpreter(graph), [[ones]])
    found = [{**expected[0], 2: np.array([[-120]], np.int8)}]
    judged = judge_operators(graph, expected, found)
    assert (judged.at_fault, judged.rules, judged.judged) == ((0,), {0: ("float32",)}, 1)


def test_one_rounding_and_two_part_at_a_tie() -> None:
    # 5 * 0.5 = 2.5 goes up to 3 in the first rounding, 3 / 2 to 2 in the second; 5 / 4 goes to 1.
    multiplier, shift = quantize_multiplier(0.25)
    acc = np.array([[5]], np.int64)
    quarter = np.array([[0.25]])
    moved = np.array([[multiplier]], np.int64), np.array([[shift]], np.int64)
    scaling = Scaling(*moved, quarter, quarter.astype(np.float32))
    results = {name: int(rule(acc, scaling)[0, 0]) for name, rule in RULES.items()}
    assert results == {"double": 2, "single": 1, "float32": 1, "float64": 1}
    # 6 / 4 = 1.5: up, to even, away from zero; -6 / 4: up, to even, away from zero
    results = {n: rule(np.array([[6, -6]]), scaling)[0].tolist() for n, rule in RULES.items()}
    assert results == {
        "double": [2, -2],
        "single": [2, -1],
        "float32": [2, -2],
        "float64": [2, -2],
    }


@pytest.mark.parametrize("rule", ["single", "float32", "float64"])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_rule_is_recognised_in_every_operator(rule: str, groups: int) -> None:
    graph = tiny.conv(channels=4, outputs=4, hw=(30, 20)) if groups == 2 else tiny.keyword_model()
    rounds = random_inputs(graph, 20)
    expected = record(Interpreter(graph), rounds)
    found = []
    for (x,) in rounds:
        values = {graph.main.inputs[0]: x}
        for number, op in enumerate(graph.main.ops):
            kernel, node = OPS[op.name], Node.of(graph.main, number, "the model")
            state = kernel.prepare(node)
            state = with_rule(node, state, RULES[rule]) or state
            inputs = [values.get(i, graph.main.tensors[i].data) for i in op.inputs]
            values[op.outputs[0]] = kernel.evaluate(state, inputs)[0]
        found.append(values)
    judged = judge_operators(graph, expected, found)
    assert judged.judged == len(graph.main.ops)
    assert judged.at_fault
    assert all(rule in names for names in judged.rules.values())
    assert set(judged.at_fault) == set(judged.rules)


def test_what_only_moves_values_need_not_be_dumped() -> None:
    graph = tiny.keyword_model()
    expected = record(Interpreter(graph), random_inputs(graph, 1))
    dump = {i: v for i, v in expected[0].items() if i != 2}  # the RESHAPE's output
    dump[4] = dump[4].copy()
    dump[4][0, 0, 0, 0] += 1
    judged = judge_operators(graph, expected, [dump])
    assert judged.at_fault == (1, 2)  # and the next one's output no longer fits its input
    assert judged.rules[1] == ()


def changed(graph: Graph, index: int, **fields: object) -> Graph:
    tensors = list(graph.main.tensors)
    tensors[index] = replace(tensors[index], **fields)
    return replace(graph, subgraphs=(replace(graph.main, tensors=tuple(tensors)),))


def test_files_are_compared_part_by_part() -> None:
    graph = tiny.keyword_model()
    assert pair_graphs(graph, graph).differences == ()
    weights = graph.main.tensors[3].data.copy()
    weights[0, 1, 2, 3] += 1
    pairing = pair_graphs(graph, changed(graph, 3, data=weights))
    assert pairing.constants[3].index == (0, 1, 2, 3)
    assert [d.kind for d in pairing.differences] == ["weights"]
    assert "op 2 of 5 (DEPTHWISE_CONV_2D)" in pairing.differences[0].where
    pairing = pair_graphs(graph, changed(graph, 6, scale=(0.5,), zero_point=(3,)))
    assert [d.kind for d in pairing.differences] == ["scale", "zero_point"]
    ops = list(graph.main.ops)
    ops[2] = replace(ops[2], version=9, options={**ops[2].options, "stride_h": 1})
    other = replace(graph, subgraphs=(replace(graph.main, ops=tuple(ops)),))
    found = pair_graphs(graph, other).differences
    assert [(d.kind, d.expected, d.found, d.matters) for d in found] == [
        ("options", 2, 1, True),
        ("version", 3, 9, False),
    ]


def test_what_an_operator_reads_is_compared() -> None:
    graph = tiny.keyword_model()

    def with_inputs(number: int, inputs: tuple[int, ...]) -> Graph:
        ops = list(graph.main.ops)
        ops[number] = replace(ops[number], inputs=inputs)
        return replace(graph, subgraphs=(replace(graph.main, ops=tuple(ops)),))

    (found,) = pair_graphs(graph, with_inputs(2, (4, 5))).differences  # without its bias
    assert (found.kind, found.expected, found.found) == ("graph", 3, 2)
    (found,) = pair_graphs(graph, with_inputs(4, (6,))).differences
    assert (found.where, found.expected, found.found) == (
        "what op 5 of 5 (SOFTMAX) reads",
        "logits",
        "second",
    )


def test_other_operators_are_paired_by_name() -> None:
    graph = tiny.keyword_model()
    shorter = replace(
        graph, subgraphs=(replace(graph.main, ops=graph.main.ops[:-1], outputs=(8,)),)
    )
    pairing = pair_graphs(graph, shorter)
    assert not pairing.same_operators
    assert pairing.differences[0].kind == "graph"
    assert (pairing.differences[0].expected, pairing.differences[0].found) == (
        "SOFTMAX",
        "nothing",
    )
    assert pairing.tensors[4] == 4


def test_the_first_values_of_variables_are_compared() -> None:
    graph = tiny.keyword_model()
    start = replace(graph.main, ops=(), outputs=(), inputs=())
    tensors = list(start.tensors)
    tensors[3] = tiny.constant("w1", np.zeros((1, 4, 3, 4)), "int8", tensors[3].scale, 3)
    whole = replace(graph, subgraphs=(graph.main, start))
    other = replace(graph, subgraphs=(graph.main, replace(start, tensors=tuple(tensors))))
    (difference,) = pair_graphs(whole, other).differences
    assert (difference.kind, difference.where) == ("constant", "w1 of subgraph 1")
    assert [d.kind for d in pair_graphs(graph, whole).differences] == ["graph"]


def test_turns_and_spread() -> None:
    assert Spread.of([1.0, 2.0, 3.0]).p50_s == 2.0
    order: list[str] = []

    def contestant(name: str):
        def run(runs: int) -> list[float]:
            order.append(name)
            return [9.0] + [1.0] * (runs - 1)  # the first run of a turn does not count

        return run

    spreads = take_turns({"a": contestant("a"), "b": contestant("b")}, rounds=4)
    assert order == ["a", "b"] * 5
    assert (spreads["a"].mean_s, spreads["a"].count) == (1.0, 12)
    assert take_turns({"a": contestant("a")}, rounds=100, at_most_s=0)["a"].count == 9
    peak = peak_memory_bytes()
    assert peak is None or peak > 1e6


STUB = """
import os, time
import numpy as np

class OpResolverType:
    AUTO = BUILTIN_REF = 0

class Interpreter:
    def __init__(self, model_content, **settings):
        self.model = model_content
    def allocate_tensors(self):
        if self.model == b"refuse": raise RuntimeError("no such op")
    def get_input_details(self): return [{"index": 0}]
    get_output_details = get_input_details
    def set_tensor(self, index, array): self.array = array
    def get_tensor(self, index): return self.array
    def reset_all_variables(self): self.array = None
    def invoke(self):
        if self.model == b"die":
            os.write(2, b"arena is too small\\n"); os._exit(139)
        if self.model == b"hang": time.sleep(60)
"""


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in the place of ai-edge-litert, for the child alone."""
    package = tmp_path / "ai_edge_litert"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "interpreter.py").write_text(STUB)
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)
    return package


@pytest.mark.children
def test_a_reference_answers_refuses_dies_and_is_started_again(stub: Path) -> None:
    x = np.arange(3, dtype=np.int8)
    with Reference("litert-reference", timeout_s=20) as reference:
        reference.load(b"good")
        assert reference.run([[x], None], tensors=[0])[1] == ([], {})
        ((outputs, tensors),) = reference.run([[x]], tensors=[0])
        np.testing.assert_array_equal(outputs[0], x)
        np.testing.assert_array_equal(tensors[0], x)
        assert len(reference.seconds([x], 4)) == 4
        with pytest.raises(Refused, match=r"LiteRT's .* will not run .*no such op"):
            reference.load(b"refuse")
        reference.load(b"die")
        with pytest.raises(Refused, match=r"died of it \(exit code 139\); .*arena is too small"):
            reference.run([[x]])
        reference.load(b"good")
        assert len(reference.run([[x]])) == 1


@pytest.mark.children
def test_a_reference_that_hangs_is_ended(stub: Path) -> None:
    with Reference("litert", timeout_s=20) as reference:
        reference.load(b"hang")
        reference._timeout_s = 0.2
        with pytest.raises(Refused, match=r"gave no answer within 0\.2 s"):
            reference.run([[np.zeros(1, np.int8)]])


@pytest.mark.children
def test_a_reference_that_is_not_installed(stub: Path) -> None:
    (stub / "interpreter.py").write_text("raise ImportError('absent')")
    with (
        Reference("litert") as reference,
        pytest.raises(MissingExtraError, match=r"LiteRT needs the package ai_edge_litert"),
    ):
        reference.load(b"good")


def test_an_unknown_reference_is_refused() -> None:
    with pytest.raises(SettingsError, match="unknown reference 'litter'; did you mean litert"):
        Reference("litter")
    assert set(installed_references()) <= {"tflm", "litert", "litert-reference", "tensorflow"}


def test_an_arena_for_every_tensor() -> None:
    graph = tiny.keyword_model()
    n_bytes = sum(
        values.nbytes for values in record(Interpreter(graph), random_inputs(graph))[0].values()
    )
    assert arena_for(graph, len(write_model(graph))) > 200_000 + n_bytes
