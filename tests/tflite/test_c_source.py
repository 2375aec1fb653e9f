"""C source of arrays: literals that a compiler reads as the same numbers; names of methods."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from minikws.errors import SettingsError
from minikws.graph import Graph, Op, Subgraph, Tensor
from minikws.runtime.ops import OPS
from minikws.tflite import read_model
from minikws.tflite.c_source import c_array, c_header, c_source, c_string, c_type, comment, linkage
from minikws.tflite.resolver import resolver_of
from minikws.tflite.schema import CUSTOM_OPTIONS

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


def compiled(source: str, folder: Path) -> str:
    """Compile a program as strict C99, run it, and return what it prints."""
    (folder / "program.c").write_text(source)
    program = folder / "program"
    strict = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
    subprocess.run(["gcc", *strict, "-o", program, folder / "program.c"], check=True)
    return subprocess.run([program], capture_output=True, check=True).stdout.decode()


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("int8", "int8_t"),
        ("uint8", "uint8_t"),
        ("bool", "uint8_t"),
        ("int16", "int16_t"),
        ("uint64", "uint64_t"),
        ("float16", "float"),
        ("float32", "float"),
        ("float64", "double"),
    ],
)
def test_types(dtype: str, expected: str) -> None:
    assert c_type(np.dtype(dtype)) == expected


@needs_gcc
@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32"]
)
def test_a_compiler_reads_the_same_bytes(dtype: str, tmp_path: Path) -> None:
    if dtype == "float32":
        values = np.array([0.0, -0.0, 0.1, 1e-45, 3.4028235e38, np.inf, -np.inf, -7.0], np.float32)
    else:
        limits = np.iinfo(dtype)
        values = np.array([limits.min, limits.max, 0, 1, limits.max // 3], dtype)
    program = (
        "#include <math.h>\n#include <stdint.h>\n#include <stdio.h>\n"
        f"{c_array('values', values)}"
        "int main(void) {\n  unsigned i;\n  for (i = 0; i < sizeof(values); i++) {\n"
        '    printf("%02x", ((const unsigned char *)values)[i]);\n  }\n  return 0;\n}\n'
    )
    assert bytes.fromhex(compiled(program, tmp_path)) == values.tobytes()


def test_no_number_is_the_macro() -> None:
    assert "NAN" in c_array("x", np.array([np.nan], np.float32))


@needs_gcc
def test_strings(tmp_path: Path) -> None:
    text = 'a"b\\c é 漢 ??/ \t1'
    program = (
        f"#include <stdio.h>\nint main(void) {{ fputs({c_string(text)}, stdout); return 0; }}\n"
    )
    assert compiled(program, tmp_path) == text


def test_a_comment_cannot_end_early() -> None:
    assert comment("a*/b/*c") == "a* /b/ *c"
    files = c_source("g_model", b"TFL3", made_from="odd*/name.tflite")
    for text in files.values():
        assert text.count("*/") == text.count("/*")


def test_headers_are_guarded_and_have_c_linkage() -> None:
    text = c_header("kws-labels", "about", linkage("int x;\n"))
    assert text.startswith("/* about */\n#ifndef KWS_LABELS_H_\n#define KWS_LABELS_H_\n")
    assert text.count("#if") == text.count("#endif") == 3


@pytest.mark.parametrize("name", ["7up", "a b", "", "ä", "a-b"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(SettingsError, match="is not a C identifier"):
        c_source(name, b"", made_from="m.tflite")


def graph_of(*ops: Op) -> Graph:
    return Graph((Subgraph((), ops, (), ()),))


@pytest.mark.parametrize(
    ("op", "method"),
    [
        ("AVERAGE_POOL_2D", "AddAveragePool2D"),
        ("BATCH_MATMUL", "AddBatchMatMul"),
        ("CONV_2D", "AddConv2D"),
        ("CUMSUM", "AddCumSum"),
        ("DEPTHWISE_CONV_2D", "AddDepthwiseConv2D"),
        ("L2_NORMALIZATION", "AddL2Normalization"),
        ("PADV2", "AddPadV2"),
        ("RELU6", "AddRelu6"),
        ("SPLIT_V", "AddSplitV"),
        ("SVDF", "AddSvdf"),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", "AddUnidirectionalSequenceLSTM"),
    ],
)
def test_methods_are_spelt_as_in_the_header(op: str, method: str) -> None:
    assert resolver_of(graph_of(Op(op, (), ()))).methods == (method,)


@pytest.mark.parametrize("op", OPS)
def test_what_minikws_runs_tflite_micro_has(op: str) -> None:
    assert resolver_of(graph_of(Op(op, (), (), custom=op in CUSTOM_OPTIONS))).missing == ()


def test_what_tflite_micro_lacks_is_named() -> None:
    resolver = resolver_of(
        graph_of(Op("LSTM", (), ()), Op("Mine", (), (), custom=True), Op("ADD", (), ()))
    )
    assert resolver.missing == ("LSTM", "Mine")
    assert (resolver.methods, resolver.size) == (("AddAdd",), 3)


def test_what_tflite_micro_does_not_run_in_uint8_is_named() -> None:
    tensors = tuple(Tensor(dtype, (1, 4), dtype) for dtype in ("float32", "uint8", "int8"))
    ops = (
        *(Op("QUANTIZE", (0,), (1,)), Op("RESHAPE", (1,), (1,)), Op("LSTM", (1,), (1,))),
        *(Op("SOFTMAX", (1, -1), (1,)), Op("QUANTIZE", (1,), (2,)), Op("SOFTMAX", (2,), (2,))),
    )
    refused = [resolver_of(Graph((Subgraph(tensors, (op,), (), ()),))).refused for op in ops]
    assert refused == [("QUANTIZE",), (), (), ("SOFTMAX",), (), ()]


def test_the_preprocessors_operators(tflm: Path) -> None:
    resolver = resolver_of(read_model(tflm / "audio_preprocessor_int8.tflite"))
    # As micro_speech_test.cc of TFLite Micro registers them: 18 operators.
    assert set(resolver.methods) == {
        *("AddReshape", "AddCast", "AddStridedSlice", "AddConcatenation", "AddMul", "AddAdd"),
        *("AddDiv", "AddMinimum", "AddMaximum", "AddWindow", "AddFftAutoScale", "AddRfft"),
        *("AddEnergy", "AddFilterBank", "AddFilterBankSquareRoot", "AddPCAN"),
        *("AddFilterBankSpectralSubtraction", "AddFilterBankLog"),
    }
    assert (resolver.size, resolver.missing, resolver.resource_variables) == (18, (), 0)


def test_a_streaming_models_variables(tflm: Path) -> None:
    resolver = resolver_of(read_model(tflm / "mww_okay_nabu_v2.tflite"))
    assert resolver.resource_variables == 6
    assert {"AddCallOnce", "AddVarHandle", "AddReadVariable", "AddAssignVariable"} < set(
        resolver.methods
    )
    assert resolver.size == 13
