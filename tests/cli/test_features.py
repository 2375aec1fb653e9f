"""minikws features: pictures, exact numbers, C source; where they go and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from minikws.cli import feature_batches
from minikws.cli.main import main
from minikws.frontend import FRONTENDS, Micro
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


@dataclass(frozen=True, kw_only=True)
class WideSettings(MicroSettings):
    """Stands for a second frontend, of another length and number of features."""

    kind: ClassVar[str] = "wide"

    window_ms: float = 60.0
    n_mels: int = 20


class Wide(Micro):
    settings_class = WideSettings


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FRONTENDS, "wide", Wide)


@pytest.mark.usefixtures("wide")
def test_frontends_side_by_side(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="needs pip install 'minikws[plots]'")
    found = answer(
        capsys, clip, "--compare", "micro,wide", "--hop-ms", "10", "--out", tmp_path / "out"
    )
    assert [settings["kind"] for settings in found["frontends"]] == ["micro", "wide"]
    assert [settings["hop_ms"] for settings in found["frontends"]] == [10.0, 10.0]
    assert found["frontend"] == found["frontends"][0]
    (record,) = found["clips"]
    assert record["shape"] == [16, 40]
    assert record["shapes"] == [[16, 40], [13, 20]]
    assert record["written"] == [str(tmp_path / "out" / "left.png")]
    assert (tmp_path / "out" / "left.png").read_bytes().startswith(b"\x89PNG")
    assert main(["features", str(clip), "--compare", "micro,wide", "--out", str(tmp_path)]) == 0
    assert "left.wav: micro 8 frames of 40, " in (shown := capsys.readouterr().out)
    assert "; wide 7 frames of 20, " in shown


@pytest.mark.parametrize("variant", ["tensorflow", "preprocessor", "pymicro"])
def test_every_stage_as_text(
    variant: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [clip, "--csv", "--stages", "--micro-variant", variant, "--out", tmp_path]
    written = [Path(file) for file in answer(capsys, *argv)["clips"][0]["written"]]
    frontend = Micro(MicroSettings(variant=variant))
    stages = frontend.stages(sound())
    assert written == [tmp_path / "left.csv"] + [tmp_path / f"left.{s}.csv" for s in stages]
    for stage, values in stages.items():
        stored = np.loadtxt(tmp_path / f"left.{stage}.csv", delimiter=",", dtype=np.int64, ndmin=2)
        np.testing.assert_array_equal(stored.reshape(values.shape), values)
    np.testing.assert_array_equal(stages["log"], frontend.extract_raw(sound()))


def test_clips_of_several_lengths_in_several_batches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_batches, "BLOCK_BYTES", 20_000)
    lengths = [3000, 4000, 3000, 480, 4000, 3000, 900]
    for k, n in enumerate(lengths):
        make_wav(tmp_path / "in" / f"{k}.wav", sound(n, seed=k))
    answer(capsys, tmp_path / "in", "--npz", "--out", tmp_path / "out")
    for k, n in enumerate(lengths):
        stored = np.load(tmp_path / "out" / "in" / f"{k}.npz")["features"]
        np.testing.assert_array_equal(stored, Micro().extract(sound(n, seed=k)))


@pytest.mark.slow
def test_many_pictures_are_drawn_by_processes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="needs pip install 'minikws[plots]'")
    pytest.importorskip("joblib", reason="needs pip install 'minikws[scale]'")
    monkeypatch.setattr(feature_batches, "MANY_PICTURES", 3)
    monkeypatch.setattr(feature_batches, "BLOCK_PICTURES", 2)
    monkeypatch.setenv("MINIKWS_JIT", "0")
    # --threads would change this process's own pools, which other tests have started
    monkeypatch.setattr("minikws.cli.main.THREAD_POOLS", ())
    for k in range(3):
        make_wav(tmp_path / "in" / f"{k}.wav", sound(seed=k))
    argv = [tmp_path / "in", "--png", "--threads", "2", "--out"]
    found = answer(capsys, *argv, tmp_path / "out")
    paths = [tmp_path / "out" / "in" / f"{k}.png" for k in range(3)]
    assert [record["written"] for record in found["clips"]] == [[str(path)] for path in paths]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    (tmp_path / "file").write_text("")
    assert "cannot be written" in answer(capsys, *argv, tmp_path / "file", code=1)["error"]


def test_the_bar_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tqdm", reason="needs pip install 'minikws[train]'")
    for k in range(2):
        make_wav(tmp_path / "in" / f"{k}.wav", sound(seed=k))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert main(["features", str(tmp_path / "in")]) == 0
    shown = capsys.readouterr()
    assert "features: 100%" in shown.err and "2/2" in shown.err
    assert [line.partition(":")[0] for line in shown.out.split("\n")[:-1]] == [
        str(tmp_path / "in" / f"{k}.wav") for k in range(2)
    ]
    assert main(["features", str(tmp_path / "in" / "0.wav")]) == 0
    assert "features:" not in capsys.readouterr().err


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


class PlainSettings(MicroSettings):
    kind: ClassVar[str] = "plain"


class Plain:
    """Stands for a frontend without integer stages."""

    settings_class = PlainSettings

    def __init__(self, settings: MicroSettings) -> None:
        self.settings = settings


@pytest.mark.usefixtures("wide")
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
        (["CLIP", "--stages"], "--stages writes CSV files and needs --csv"),
        (["CLIP", "--stages", "--csv", "--frontend", "plain"], "found plain; use --frontend micro"),
        (["CLIP", "--compare", "micro"], "two or more different frontends and no --frontend"),
        (
            ["CLIP", "--compare", "micro,micro"],
            "found --compare micro,micro; known are spectrogram",
        ),
        (["CLIP", "--compare", "micro,wide", "--frontend", "micro"], "found --frontend micro and"),
        (["CLIP", "--compare", "micro,wdie"], "did you mean wide"),
        (["CLIP", "--compare", "micro,wide", "--csv"], "found it together with an option that"),
        (["absent.wav"], "absent.wav"),
        (["CLIP", "--csv", "--out", "CLIP"], "cannot be written"),
    ],
)
def test_bad_requests_are_refused(
    argv: list[str],
    words: str,
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FRONTENDS, "plain", Plain)
    (tmp_path / "empty").mkdir()
    names = {
        "CLIP": str(clip),
        "SHORT": str(make_wav(tmp_path / "short.wav", sound(300))),
        "EMPTY": str(tmp_path / "empty"),
    }
    code = main(["features", *(names.get(word, word) for word in argv)])
    assert code == (1 if argv else 2)
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
