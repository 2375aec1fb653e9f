"""Files of our writer in LiteRT, and what the `tflite` package finds in them.

LiteRT is no bit oracle for int8 (its default kernels round differently); it must take the
files, and the float kernels must agree to 1e-6.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minikws.graph import Graph
from minikws.runtime import Interpreter
from minikws.tflite import attach, read_model, write_model
from tests.tflite import tiny

litert = pytest.importorskip(
    "ai_edge_litert.interpreter", reason="oracle absent: pip install 'minikws[parity]'"
)
tflite = pytest.importorskip("tflite", reason="oracle absent: pip install 'minikws[parity]'")

INFO = {"labels": ["_silence_", "yes", "nö"], "sample_rate_hz": 16000}


def run_litert(model: bytes, x: np.ndarray) -> np.ndarray:
    interpreter = litert.Interpreter(
        model_content=model,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize(
    "graph",
    [
        tiny.conv(dtype="float32", channels=3, outputs=5, stride=(2, 1), fused="RELU6"),
        tiny.conv(dtype="float32", padding="VALID", dilation=(2, 1), fused="RELU_N1_TO_1"),
        tiny.conv(dtype="float32", depthwise=True, channels=3, outputs=2, stride=(2, 2)),
        tiny.dense(dtype="float32", depth=100, rows=2, fused="RELU"),
        tiny.softmax((3, 7), beta=1.5, dtype="float32"),
        tiny.keyword_model(dtype="float32"),
    ],
    ids=["conv", "conv-valid", "depthwise", "dense", "softmax", "model"],
)
def test_float_models_agree(graph: Graph) -> None:
    model = write_model(graph)
    x = graph.main.tensors[graph.main.inputs[0]]
    values = np.random.default_rng(7).normal(size=x.shape).astype(np.float32)
    expected = run_litert(model, values)
    # float32 sums in another order: a few units of 1.2e-7 relative
    np.testing.assert_allclose(Interpreter(model).invoke(values), expected, rtol=1e-6, atol=1e-6)


def test_int8_models_are_taken_and_agree_within_a_step() -> None:
    model = write_model(attach(tiny.keyword_model(), INFO))
    x = np.random.default_rng(7).integers(-128, 128, (1, 60), np.int8)
    found, expected = Interpreter(model).invoke(x), run_litert(model, x)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_the_signature_has_our_names() -> None:
    interpreter = litert.Interpreter(model_content=write_model(tiny.keyword_model()))
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["features"], "outputs": ["scores"]}
    }


def test_the_tflite_package_reads_our_files() -> None:
    graph = attach(tiny.keyword_model(), INFO)
    data = write_model(graph)
    model = tflite.Model.GetRootAs(data, 0)
    assert model.Version() == 3
    assert model.BuffersLength() > 0 and model.Buffers(0).DataLength() == 0
    for i in range(model.BuffersLength()):
        buffer = model.Buffers(i)
        if buffer.DataLength():
            start = data.find(buffer.DataAsNumpy().tobytes())
            at = buffer._tab.Vector(buffer._tab.Offset(4))
            assert start >= 0 and at % 16 == 0
    subgraph = model.Subgraphs(0)
    names = [subgraph.Tensors(i).Name().decode() for i in range(subgraph.TensorsLength())]
    assert names == [tensor.name for tensor in graph.main.tensors]
    for i, op in enumerate(graph.main.ops):
        code = model.OperatorCodes(subgraph.Operators(i).OpcodeIndex())
        assert code.BuiltinCode() == code.DeprecatedBuiltinCode()
        assert code.BuiltinCode() == getattr(tflite.BuiltinOperator, op.name)
        assert code.Version() == op.version
    metadata = {
        model.Metadata(i).Name().decode(): model.Buffers(model.Metadata(i).Buffer())
        for i in range(model.MetadataLength())
    }
    assert set(metadata) == {"min_runtime_version", "minikws", "TFLITE_METADATA"}


def test_the_appended_labels_are_a_zip(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "model.tflite"
    path.write_bytes(write_model(attach(tiny.keyword_model(), INFO)))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.read("labels.txt").decode() == "_silence_\nyes\nnö\n"
    assert read_model(path).files["labels.txt"].decode().split() == INFO["labels"]


def test_custom_options_as_the_usual_encoder_writes_them() -> None:
    flexbuffers = pytest.importorskip(
        "flatbuffers.flexbuffers", reason="oracle absent: pip install 'minikws[parity]'"
    )
    from minikws.tflite import flexbuffer

    rng = np.random.default_rng(3)
    for _ in range(200):
        options = {
            "".join(rng.choice(list("abcdefg_"), rng.integers(1, 40))): (
                int(rng.integers(-(2**40), 2**40)) >> int(rng.integers(0, 40)),
                bool(rng.integers(0, 2)),
                float(rng.normal()),
            )[rng.integers(0, 3)]
            for _ in range(rng.integers(0, 9))
        }
        encoded = flexbuffers.Dumps(options)
        assert flexbuffer.dumps(options) == encoded
        assert flexbuffer.loads(encoded) == options
