"""minikws features: pictures, exact numbers, C source; where they go and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from minikws.cli.main import main
from minikws.frontend import Micro
from minikws.settings import MicroSettings


def make_wav(path: Path, samples: np.ndarray, rate: int = 16000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def sound(n: int = 3000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2000, n).astype(np.int16)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_wav(tmp_path / "in" / "left.wav", sound())


def answer(capsys: pytest.CaptureFixture[str], *argv: object, code: int = 0) -> dict:
    assert main(["features", *map(str, argv), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_exact_numbers(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    found = answer(capsys, clip, "--csv", "--npz", "--out", out)
    expected = Micro().extract(sound())
    assert found["frontend"] == MicroSettings().to_json()
    assert found["clips"] == [
        {
            "file": str(clip),
            "shape": [8, 40],
            "dtype": "float32",
            "written": [str(out / "left.csv"), str(out / "left.npz")],
        }
    ]
    np.testing.assert_array_equal(np.loadtxt(out / "left.csv", delimiter=","), expected)
    stored = np.load(out / "left.npz")
    assert list(stored) == ["features"]
    assert stored["features"].dtype == np.float32
    np.testing.assert_array_equal(stored["features"], expected)


def test_picture(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="needs pip install 'minikws[plots]'")
    answer(capsys, clip, "--png", "--out", tmp_path)
    assert (tmp_path / "left.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_keeps_its_words_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k, name in enumerate(("yes/a.wav", "yes/b.WAV", "no/a.wav")):
        make_wav(tmp_path / "corpus" / name, sound(seed=k))
    (tmp_path / "corpus" / "README.md").write_text("not a sound")
    found = answer(capsys, tmp_path / "corpus", "--npz", "--out", tmp_path / "out")
    written = [file for record in found["clips"] for file in record["written"]]
    assert written == [str(tmp_path / "out" / f"{p}.npz") for p in ("no/a", "yes/a", "yes/b")]
    one = answer(capsys, tmp_path / "corpus" / "yes", "--npz", "--out", tmp_path / "one")
    assert one["clips"][0]["written"] == [str(tmp_path / "one" / "yes" / "a.npz")]


def test_a_summary_without_files(
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["features", str(clip)]) == 0
    shown = capsys.readouterr().out
    assert "left.wav: 8 frames of 40, " in shown
    assert "wrote" not in shown
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]


def test_settings_and_their_tutorial_spellings(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(
        capsys,
        clip,
        "--preprocess=micro",
        "--micro_variant=preprocessor",
        "--window_size_ms=25",
        "--window_stride=10",
        "--feature_bin_count=20",
        "--clip_duration_ms=500",
        "--upper-hz=7000",
    )
    wanted = {
        "variant": "preprocessor",
        "window_ms": 25.0,
        "hop_ms": 10.0,
        "n_mels": 20,
        "clip_ms": 500.0,
        "upper_hz": 7000.0,
    }
    assert wanted.items() <= found["frontend"].items()
    assert found["clips"][0]["shape"] == [48, 20]  # padded to 8000 samples


C_PROGRAM = """
#include <stdio.h>
#include "left.h"
int main(void) {
  int i;
  printf("%d %d", G_LEFT_FRAMES, G_LEFT_CHANNELS);
  for (i = 0; i < G_LEFT_FRAMES * G_LEFT_CHANNELS; ++i) printf(" %d", g_left[i]);
  return 0;
}
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_c_source_compiles_to_the_devices_numbers(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "c"
    assert main(["features", str(clip), "--c-array", "g_left", "--out", str(out)]) == 0
    (out / "main.c").write_text(C_PROGRAM)
    command = ["gcc", "-Wall", "-Wextra", "-Werror", "-std=c99", "main.c", "left.c", "-o", "show"]
    subprocess.run(command, cwd=out, check=True)
    printed = subprocess.run([out / "show"], capture_output=True, text=True, check=True).stdout
    numbers = [int(word) for word in printed.split()]
    assert numbers[:2] == [8, 40]
    np.testing.assert_array_equal(numbers[2:], Micro().extract_int8(sound()).ravel())


def test_several_clips_get_names_of_their_own(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_wav(tmp_path / "in" / "a-b.wav", sound(seed=1))
    answer(capsys, clip, other, "--c-array", "g", "--out", tmp_path)
    assert "g_a_b[320] = {" in (tmp_path / "a-b.c").read_text()
    assert "g_left[320] = {" in (tmp_path / "left.c").read_text()


def test_the_tutorials_command(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "yes.c"
    argv = [
        f"--input_wav={clip}",
        f"--output_c_file={target}",
        "--quantize=1",
        "--preprocess=micro",
    ]
    assert main(["wav_to_features", *argv]) == 0
    assert "const signed char g_left[320]" in target.read_text()
    assert "--quantize has no meaning here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "no clip to compute features of; name a WAV"),
        (["CLIP", "--frontend", "micr"], "did you mean micro"),
        (["CLIP", "--micro-variant", "pymcro"], "did you mean pymicro"),
        (["CLIP", "--window-ms", "0"], "window_ms=0 is shorter than one sample"),
        (["CLIP", "--sample-rate", "8000"], "half the sample rate"),
        (["SHORT"], "short.wav holds 300 samples, shorter than a window of 480; pad it"),
        (["EMPTY"], "empty holds no .wav file"),
        (["CLIP", "CLIP"], "would both be written as left"),
        (["CLIP", "--c-array", "2x"], "'2x' is not a C identifier"),
        (["CLIP", "SHORT", "--output-c-file", "x.c"], "names one file, found 2 clips"),
        (["absent.wav"], "absent.wav"),
        (["CLIP", "--csv", "--out", "CLIP"], "cannot be written"),
    ],
)
def test_bad_requests_are_refused(
    argv: list[str], words: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    names = {
        "CLIP": str(clip),
        "SHORT": str(make_wav(tmp_path / "short.wav", sound(300))),
        "EMPTY": str(tmp_path / "empty"),
    }
    assert main(["features", *(names.get(word, word) for word in argv)]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("minikws: error: ")
    assert words in shown


def test_numbers_alone_load_nothing_heavy(clip: Path, tmp_path: Path) -> None:
    statement = (
        "import sys; from minikws.cli.main import main;"
        f"assert main(['features', {str(clip)!r}, '--csv', '--out', {str(tmp_path)!r}]) == 0;"
        "assert not {'numba', 'scipy', 'matplotlib', 'soxr'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", statement], check=True, capture_output=True)
