"""minikws export --firmware: what is in the folder, that compilers take it, what its test says.

TFLite Micro itself is not compiled here: a stand-in with its names plays the recorded tensors back,
so that the self-test's own code runs.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikws.audio import write_wav
from minikws.cli.main import main
from minikws.graph import Graph, Op, Tensor
from minikws.settings import MicroSettings
from minikws.tflite import attach, write_model
from tests.tflite import tiny

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
needs_gxx = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic")
FILES = {
    *("README.txt", "kws_model.c", "kws_model.h", "kws_settings.h", "kws_op_resolver.h"),
    *("kws_test_vectors.c", "kws_test_vectors.h", "kws_self_test.cc", "kws_self_test.h"),
}
LABELS = ["_silence_", 'the "word"', "é/* */"]


def model_file(path: Path, *, dtype: str = "int8", with_info: bool = True) -> Path:
    """A model of 60 features, 10 frames of 6 channels."""
    graph = tiny.keyword_model(dtype=dtype)
    if with_info:
        # 10 frames: 480 samples and nine hops of 320.
        settings = MicroSettings(n_mels=6, clip_ms=210.0)
        graph = attach(graph, {"labels": LABELS, "frontend": settings.to_json()})
    path.write_bytes(write_model(graph))
    return path


def export(source: Path, folder: Path, *options: str) -> Path:
    assert main(["export", str(source), "--firmware", str(folder), "--quiet", *options]) == 0
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("firmware")
    return export(model_file(base / "m.tflite"), base / "out")


def defines(folder: Path) -> dict[str, str]:
    text = (folder / "kws_settings.h").read_text() + (folder / "kws_test_vectors.h").read_text()
    return {
        name: value.partition(" /*")[0]
        for name, value in re.findall(r"^#define (KWS_\w+) (.*)$", text, re.MULTILINE)
    }


def numbers(folder: Path, name: str) -> list[int]:
    text = (folder / "kws_test_vectors.c").read_text()
    found = re.search(rf"const \w+ {name}\[\d+\] = \{{\n(.*?)\n\}};", text, re.DOTALL)
    assert found is not None
    return [int(number) for number in found[1].replace(",", " ").split()]


def test_what_is_written(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == FILES | {"kws_labels.c", "kws_labels.h"}
    readme = (folder / "README.txt").read_text()
    for words in ("m.tflite", "kws::SelfTest", "5 operators", "micro: 6 of a window of 480"):
        assert words in readme


def test_the_settings(folder: Path) -> None:
    found = defines(folder)
    expected = {
        "KWS_INPUT_SIZE": "60",
        "KWS_INPUT_ZERO_POINT": "(-128)",
        "KWS_OUTPUT_SIZE": "3",
        "KWS_OUTPUT_SCALE": "0.00390625f",
        "KWS_LABEL_COUNT": "3",
        "KWS_FRONTEND": '"micro"',
        "KWS_FRAMES": "10",
        "KWS_FEATURES": "6",
        "KWS_WINDOW_SAMPLES": "480",
        "KWS_HOP_SAMPLES": "320",
        "KWS_N_MELS": "6",
        "KWS_ENABLE_PCAN": "1",
        "KWS_EVEN_SMOOTHING": "0.025",
        "KWS_RESOURCE_VARIABLES": "0",
        "KWS_TEST_SAMPLES": "3360",
        "KWS_TEST_FRAMES": "10",
        "KWS_TEST_RUNS": "1",
        "KWS_TEST_TENSORS": "6",
    }
    assert {name: found[name] for name in expected} == expected
    # first (60) and image (64 bytes each) and the 4 x 15 values that the convolution makes
    assert int(found["KWS_ARENA_HEAD_BYTES"]) == 128
    needed = int(found["KWS_ARENA_HEAD_BYTES"]) + int(found["KWS_ARENA_TAIL_BYTES"])
    assert needed * 9 / 8 <= int(found["KWS_ARENA_BYTES"]) <= needed * 9 / 8 + 1024


def test_the_resolver_names_each_operator_once(folder: Path) -> None:
    text = (folder / "kws_op_resolver.h").read_text()
    assert "MicroMutableOpResolver<5>" in text
    assert re.findall(r"resolver\.(\w+)\(\)", text) == [
        *("AddReshape", "AddDepthwiseConv2D", "AddConv2D", "AddFullyConnected", "AddSoftmax")
    ]


def test_the_features_are_the_models_input(folder: Path) -> None:
    assert numbers(folder, "kws_test_features") == numbers(folder, "kws_test_inputs")
    assert len(set(numbers(folder, "kws_test_features"))) > 20  # the sound is no silence


def test_a_clip_of_ones_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    clip = tmp_path / "left.wav"
    sound = rng.integers(-3000, 3000, 3000, np.int16)
    write_wav(clip, sound, 16_000)
    found = export(
        model_file(tmp_path / "m.tflite"), tmp_path / "out", "--firmware-clip", str(clip)
    )
    assert numbers(found, "kws_test_samples") == [*sound.tolist(), *[0] * 360]
    assert "left.wav" in (found / "kws_test_vectors.h").read_text()


def test_the_same_model_gives_the_same_folder(folder: Path, tmp_path: Path) -> None:
    again = export(model_file(tmp_path / "m.tflite"), tmp_path / "out")
    for path in folder.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_json_names_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = model_file(tmp_path / "m.tflite")
    argv = ["export", str(source), "--firmware", str(tmp_path / "out"), "--c-array", "g_model"]
    assert main([*argv, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["file"] == str(source)
    assert record["bytes"] == source.stat().st_size
    assert {Path(name).name for name in record["written"]} >= FILES | {"m.c", "m.h"}
    assert all(Path(name).is_file() for name in record["written"])


def test_a_model_that_says_nothing_starts_at_its_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = model_file(tmp_path / "m.tflite", with_info=False)
    assert main(["export", str(source), "--firmware", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert "without samples" in said and "no kws_labels.c" in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert defines(tmp_path / "out")["KWS_TEST_SAMPLES"] == "0"
    assert len(set(numbers(tmp_path / "out", "kws_test_inputs"))) > 20


def test_labels_and_frontend_may_be_given(tmp_path: Path) -> None:
    graph = tiny.operator(
        "SOFTMAX",
        [tiny.activation("x", (1, 1960), 0.1, -128)],
        tiny.activation("y", (1, 1960), 1 / 256, -128),
        {"beta": 1.0},
    )
    source = tmp_path / "m.tflite"
    source.write_bytes(write_model(graph))
    names = ",".join(f"w{i}" for i in range(1960))
    found = export(source, tmp_path / "out", "--frontend", "micro", "--labels", names)
    assert defines(found)["KWS_LABEL_COUNT"] == "1960"
    assert defines(found)["KWS_TEST_SAMPLES"] == "16000"


def model_with_a_memory() -> Graph:
    """y = the input before: a variable that is read, then written."""
    x, y = tiny.activation("x", (1, 6), 0.1, -128), tiny.activation("y", (1, 6), 0.1, -128)
    ops = [
        Op("VAR_HANDLE", (), (1,), {"shared_name": "last"}),
        Op("READ_VARIABLE", (1,), (2,)),
        Op("ASSIGN_VARIABLE", (1, 0), ()),
    ]
    return tiny.graph_of([x, Tensor("handle", (), "resource"), y], ops, (0,), (2,))


@pytest.mark.parametrize("knows_frontend", [True, False])
def test_a_model_with_a_memory_runs_several_times(tmp_path: Path, knows_frontend: bool) -> None:
    source = tmp_path / "m.tflite"
    graph = model_with_a_memory()
    if knows_frontend:
        settings = MicroSettings(n_mels=6, clip_ms=210.0).to_json()
        graph = attach(graph, {"labels": list("abcdef"), "frontend": settings})
    source.write_bytes(write_model(graph))
    found = export(source, tmp_path / "out")
    settings = defines(found)
    assert settings["KWS_RESOURCE_VARIABLES"] == "1"
    assert settings["KWS_TEST_RUNS"] == ("10" if knows_frontend else "8")
    # From an empty memory, which holds the zero point: a run behind.
    inputs, outputs = numbers(found, "kws_test_inputs"), numbers(found, "kws_test_outputs")
    assert outputs == [-128] * 6 + inputs[:-6]
    assert "MicroResourceVariables::Create" in (found / "README.txt").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "give --firmware DIR or --c-array NAME"),
        (["--firmware", "OUT", "--float"], "--float converts a run"),
        (["--firmware", "OUT", "--out", "x.tflite"], "--out converts a run"),
        (["--firmware", "OUT", "--frontend", "mfcc"], "was trained on the micro frontend"),
        (["--firmware", "OUT", "--labels", "a,b"], "3 outputs and 2 labels"),
        (["--firmware", "OUT", "--firmware-clip", "no.wav"], "no.wav"),
        (["--c-array", "7 bad"], "'7 bad' is not a C identifier"),
        (["--c-array", "g_model", "--firmware-clip", "a.wav"], "give --firmware DIR too"),
    ],
)
def test_what_it_refuses(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = model_file(tmp_path / "m.tflite")
    options = [str(tmp_path / "out") if option == "OUT" else option for option in options]
    assert main(["export", str(source), *options]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_clip_needs_a_frontend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = model_file(tmp_path / "m.tflite", with_info=False)
    argv = ["export", str(source), "--firmware", str(tmp_path / "out"), "--firmware-clip", "a.wav"]
    assert main(argv) == 1
    assert "give it, as --frontend" in capsys.readouterr().err


def test_labels_fit_a_model_without_a_frontend_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = model_file(tmp_path / "m.tflite", with_info=False)
    argv = ["export", str(source), "--firmware", str(tmp_path / "out"), "--labels", "a,b"]
    assert main(argv) == 1
    assert "3 outputs and 2 labels" in capsys.readouterr().err


def test_what_the_file_says_of_streams_is_told(tmp_path: Path) -> None:
    settings = MicroSettings(n_mels=6, clip_ms=210.0).to_json()
    recognizer = {"behaviour": "device", "detection_threshold": 0.8, "minimum_count": 3}
    info = {"labels": LABELS, "frontend": settings, "recognizer": recognizer}
    source = tmp_path / "m.tflite"
    source.write_bytes(write_model(attach(tiny.keyword_model(), info)))
    found = defines(export(source, tmp_path / "out"))
    assert found["KWS_RECOGNIZER_BEHAVIOUR"] == '"device"'
    assert found["KWS_RECOGNIZER_DETECTION_THRESHOLD"] == "0.8"
    assert found["KWS_RECOGNIZER_MINIMUM_COUNT"] == "3"


def test_a_model_of_floats_takes_the_real_features(tmp_path: Path) -> None:
    found = export(model_file(tmp_path / "m.tflite", dtype="float32"), tmp_path / "out")
    assert "KWS_FEATURE_INT8" not in (found / "kws_settings.h").read_text()
    assert "KWS_FEATURE_INT8" not in (found / "README.txt").read_text()
    assert "const float kws_test_features[60]" in (found / "kws_test_vectors.h").read_text()
    assert defines(found)["KWS_OUTPUT_IS_EXACT"] == "0"


def test_two_inputs_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = [tiny.activation(name, (1, 4), 0.1, 0) for name in "ab"]
    source = tmp_path / "m.tflite"
    source.write_bytes(
        write_model(tiny.operator("MINIMUM", pair, tiny.activation("y", (1, 4), 0.1, 0)))
    )
    assert main(["export", str(source), "--firmware", str(tmp_path / "out")]) == 1
    assert "2 inputs and 1 outputs" in capsys.readouterr().err


@needs_gcc
@pytest.mark.parametrize("macro", [(), ("-DKWS_TEST_CRC_ONLY",)])
@pytest.mark.parametrize("language", [("c", "-std=c99"), ("c++", "-std=c++11")])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_compilers_take_it_without_a_warning(
    dtype: str, language: tuple[str, str], macro: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    if dtype == "float32":
        folder = export(model_file(tmp_path / "m.tflite", dtype=dtype), tmp_path / "out")
    if language[0] == "c++" and shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    kind, standard = language
    for source in sorted(folder.glob("*.c")):
        subprocess.run(
            ["gcc", "-x", kind, standard, *STRICT, *macro, "-c", source, "-o", tmp_path / "o.o"],
            check=True,
        )


CHECK = r"""
#include <stdio.h>
#include <string.h>
#include "kws_labels.h"
#include "kws_model.h"
#include "kws_settings.h"
#include "kws_test_vectors.h"

int main(void) {
  static double values[8192]; /* aligned for every type */
  int i;
  printf("%u %u\n", g_kws_model_len, (unsigned)((size_t)g_kws_model % 16));
  for (i = 0; i < KWS_LABEL_COUNT; i++) printf("%s\n", kws_labels[i]);
  for (i = 0; i < KWS_TEST_TENSORS; i++) {
    const kws_test_tensor_t *tensor = &kws_test_tensors[i];
    const size_t size = tensor->type == KWS_FLOAT ? 4 : 1;
    memcpy(values, tensor->values, size * tensor->count);
    printf("%s %d", tensor->name, (int)kws_test_first_difference(tensor, values));
    ((char *)values)[size * (tensor->count - 1) + size - 1] ^= 64;
    printf(" %d %u", (int)kws_test_first_difference(tensor, values), (unsigned)tensor->count);
    printf(" %d\n", kws_test_crc32(tensor->values, (uint32_t)(size * tensor->count)) ==
                        tensor->crc32);
  }
#ifdef KWS_FEATURE_INT8
  printf("%d %d %d\n", KWS_FEATURE_INT8(0), KWS_FEATURE_INT8(333), KWS_FEATURE_INT8(670));
#endif
  return 0;
}
"""


@needs_gcc
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_its_functions_find_the_difference(dtype: str, tmp_path: Path) -> None:
    source = model_file(tmp_path / "m.tflite", dtype=dtype)
    folder = export(source, tmp_path / "out")
    (folder / "check.c").write_text(CHECK)
    program = tmp_path / "check"
    subprocess.run(
        ["gcc", "-std=c99", *STRICT, *sorted(folder.glob("*.c")), "-o", program, "-lm"], check=True
    )
    shown = subprocess.run([program], capture_output=True, check=True).stdout.decode()
    first, *lines = shown.splitlines()
    assert first == f"{source.stat().st_size} 0"
    assert lines[:3] == LABELS
    names = ["features", "image", "first", "second", "logits", "scores"]
    counts = [60, 60, 60, 36, 3, 3]
    assert lines[3:9] == [
        f"{name} -1 {count - 1} {count} 1" for name, count in zip(names, counts, strict=True)
    ]
    # (0 + 333) // 666 - 128, (85248 + 333) // 666 - 128, clamped
    assert lines[9:] == (["-128 0 127"] if dtype == "int8" else [])


# What kws_self_test.cc uses of TFLite Micro, playing the recorded tensors back.
STAND_IN = r"""
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include "kws_settings.h"
#include "kws_test_vectors.h"
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
union TfLitePtrUnion { void* data; char* raw; };
struct TfLiteTensor { TfLitePtrUnion data; size_t bytes; };
struct TfLiteEvalTensor { TfLitePtrUnion data; };
#define MicroPrintf(...) (std::printf(__VA_ARGS__), std::printf("\n"))
namespace tflite {
struct Model {};
inline const Model* GetModel(const void*) { static Model model; return &model; }
enum class MemoryPlannerType { kGreedy, kLinear };
struct MicroAllocator {
  static MicroAllocator* Create(uint8_t*, size_t, MemoryPlannerType) {
    static MicroAllocator one; return &one;
  }
};
struct MicroResourceVariables {
  static MicroResourceVariables* Create(MicroAllocator*, int) { return nullptr; }
};
template <unsigned int n> struct MicroMutableOpResolver {
  unsigned int count = 0;
  TfLiteStatus Add() { return ++count <= n ? kTfLiteOk : kTfLiteError; }
METHODS
};
struct MicroInterpreter {
  template <class R>
  MicroInterpreter(const Model*, const R&, MicroAllocator*, MicroResourceVariables*) {}
  TfLiteStatus AllocateTensors() { return kTfLiteOk; }
  TfLiteTensor* input(int) { return &in_; }
  TfLiteTensor* output(int) { return &out_; }
  TfLiteStatus Invoke() {
    const size_t bytes = sizeof(kws_test_outputs) / KWS_TEST_RUNS;
    const char* recorded = reinterpret_cast<const char*>(kws_test_outputs);
    out_.data.raw = const_cast<char*>(recorded + bytes * run_++);
    return kTfLiteOk;
  }
  TfLiteEvalTensor* GetTensor(int index) {
    for (const kws_test_tensor_t& tensor : kws_test_tensors) {
      if (tensor.index == index) {
        found_.data.data = const_cast<void*>(tensor.values);
        if (index == WRONG) found_.data.data = const_cast<uint8_t*>(wrong_);
      }
    }
    return &found_;
  }
  uint8_t buffer_[65536];
  uint8_t wrong_[65536] = {};
  int run_ = 0;
  TfLiteTensor in_ = {{buffer_}, sizeof(buffer_)};
  TfLiteTensor out_ = {{nullptr}, 0};
  TfLiteEvalTensor found_ = {{nullptr}};
};
}  // namespace tflite
"""
HEADERS = (
    *("micro/micro_interpreter.h", "micro/micro_log.h", "micro/micro_mutable_op_resolver.h"),
    *("micro/micro_resource_variable.h", "schema/schema_generated.h"),
)


def write_stand_in(folder: Path, resolver: str) -> None:
    methods = "\n".join(
        f"  TfLiteStatus {name}() {{ return Add(); }}"
        for name in re.findall(r"resolver\.(\w+)\(", resolver)
    )
    for name in HEADERS:
        path = folder / "tensorflow" / "lite" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('#include "stand_in.h"\n')
    (folder / "stand_in.h").write_text(STAND_IN.replace("METHODS", methods))


@needs_gxx
@pytest.mark.parametrize(
    ("wrong", "code", "said"),
    [(-1, 0, ""), (4, 1, "op 2: tensor 4 (first) differs, first at value 0\n")],
)
def test_the_self_test(wrong: int, code: int, said: str, folder: Path, tmp_path: Path) -> None:
    write_stand_in(tmp_path, (folder / "kws_op_resolver.h").read_text())
    (tmp_path / "main.cc").write_text(
        '#include "kws_self_test.h"\nint main() { return kws::SelfTest(); }\n'
    )
    program = tmp_path / "program"
    sources: list[Any] = [
        *("-x", "c++", tmp_path / "main.cc", folder / "kws_self_test.cc"),
        *("-x", "c", folder / "kws_model.c", folder / "kws_test_vectors.c"),
    ]
    subprocess.run(
        [
            "g++",
            *STRICT,
            f"-DWRONG={wrong}",
            f"-I{folder}",
            f"-I{tmp_path}",
            "-o",
            program,
            *sources,
        ],
        check=True,
    )
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, said)
