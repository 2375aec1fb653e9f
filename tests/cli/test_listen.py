"""listen: the same words from a file and from a pipe, and what it says when it cannot."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from minikws._typing import Samples
from minikws.audio import wav_bytes
from minikws.cli.listen import clock
from minikws.cli.main import main
from minikws.tflite import attach, write_model
from tests.listening import EAGER, LABELS, noise, write_listening


@pytest.fixture(scope="module")
def sound() -> Samples:
    return noise()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_listening(tmp_path_factory.mktemp("listen"))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def piped(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def lines(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> list[Any]:
    capsys.readouterr()
    assert main(["listen", *map(str, argv), "--json", "--quiet"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def refusal(capsys: pytest.CaptureFixture[str], *argv: str | Path, code: int = 1) -> str:
    capsys.readouterr()
    assert main(["listen", *map(str, argv)]) == code
    (line,) = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("minikws: error: ")
    ]
    return line


def test_a_file_and_a_pipe_give_the_same_words(
    folder: Path, sound: Samples, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    model = folder / "model.tflite"
    from_file = lines(capsys, model, "--input", folder / "sound.wav", *EAGER)
    assert len(from_file) > 3
    assert {"time_ms", "label", "score"} <= set(from_file[0])
    assert {line["label"] for line in from_file} <= {"_unknown_", "low", "high"}
    for line in from_file:
        assert line["end_ms"] == line["time_ms"] + 250
    piped(monkeypatch, sound.astype("<i2").tobytes())
    assert lines(capsys, model, "-", *EAGER) == from_file
    piped(monkeypatch, wav_bytes(sound, 16_000))
    assert lines(capsys, model, "--input", "-", *EAGER) == from_file


def test_a_named_pipe(
    folder: Path, sound: Samples, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fifo = tmp_path / "microphone"
    os.mkfifo(fifo)
    content = sound.astype("<i2").tobytes()
    writer = threading.Thread(target=fifo.write_bytes, args=(content,))
    writer.start()
    found = lines(capsys, folder / "model.tflite", fifo, *EAGER)
    writer.join()
    assert found == lines(capsys, folder / "model.tflite", folder / "sound.wav", *EAGER)


def test_words_as_a_person_reads_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, wav = str(folder / "model.tflite"), str(folder / "sound.wav")
    found = lines(capsys, model, wav, *EAGER)
    assert main(["listen", model, wav, *EAGER]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        f"{clock(line['time_ms'])}  {line['label']} ({line['score']:.2f})" for line in found
    ]
    assert f"{len(found)} words in 0:00:10.0" in shown.err


def test_an_odd_byte_is_warned_of(
    folder: Path, sound: Samples, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    piped(monkeypatch, sound.astype("<i2").tobytes() + b"\1")
    assert main(["listen", str(folder / "model.tflite"), "-", "--quiet"]) == 0
    assert "warning: standard input ended in the middle of a" in capsys.readouterr().err


def test_a_word_comes_before_the_pipe_ends(folder: Path, sound: Samples) -> None:
    argv = [sys.executable, "-m", "minikws", "listen", str(folder / "model.tflite"), "-"]
    with subprocess.Popen(
        [*argv, *EAGER, "--json", "--quiet"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "MINIKWS_JIT": "0"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(sound.astype("<i2").tobytes())
        process.stdin.flush()
        first = json.loads(process.stdout.readline())  # the pipe is still open
        assert first["label"] in LABELS
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.parametrize("module", ["numba", "scipy", "soxr", "matplotlib"])
def test_numpy_alone_is_enough(folder: Path, module: str) -> None:
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from minikws.cli.main import main\n"
        f"sys.exit(main(['listen', {str(folder / 'model.tflite')!r}, "
        f"{str(folder / 'sound.wav')!r}, '--quiet']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_labels_and_frontend_for_a_model_without(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wav = folder / "sound.wav"
    expected = lines(capsys, folder / "model.tflite", wav, *EAGER)
    bare = [folder / "bare.tflite", wav, *EAGER]
    assert "bare.tflite names no labels" in refusal(capsys, *bare)
    bare += ["--labels", ",".join(LABELS)]
    assert "does not say which frontend" in refusal(capsys, *bare)
    bare += ["--frontend", "micro,clip_ms=250,n_mels=16"]
    assert lines(capsys, *bare) == expected


def test_a_model_without_silence_repeats_its_words(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [folder / "bare.tflite", folder / "sound.wav", "--labels", "a,b,c,d"]
    argv += ["--frontend", "micro,clip_ms=250,n_mels=16"]
    assert main(["listen", *map(str, argv)]) == 0
    assert "(device)" in capsys.readouterr().err
    assert main(["listen", *map(str, argv), "--behaviour", "cpp"]) == 0
    assert "(cpp)" in capsys.readouterr().err


def test_what_listen_refuses(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    model, wav = folder / "model.tflite", folder / "sound.wav"
    assert "listen needs a model" in refusal(capsys, code=2)
    assert "there is no file nowhere.wav" in refusal(capsys, model, "nowhere.wav")
    sentence = refusal(capsys, model, wav, "--stride-ms", "50")
    assert "not a multiple of the hop of 20 ms; the nearest is 40" in sentence
    sentence = refusal(capsys, model, wav, "--stride-ms", "400")
    assert "holds 2 results when one comes every 400 ms" in sentence
    assert "is not a number from 0 to 1" in refusal(
        capsys, model, wav, "--detection-threshold", "70"
    )
    assert "invalid choice" in refusal(capsys, model, wav, "--behaviour", "java", code=2)
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert "nothing is piped into standard input" in refusal(capsys, model, "-")
    monkeypatch.setattr(sys, "stdin", None)  # as `listen MODEL - <&-` starts it
    assert "nothing is piped into standard input" in refusal(capsys, model, "-")
    piped(monkeypatch, b"")
    assert "standard input holds no sound" in refusal(capsys, model, "-")


def test_a_models_own_numbers_that_cannot_work(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from minikws.tflite import info_of, read_model

    graph = read_model(folder / "model.tflite")
    info = info_of(graph) or {}
    path = tmp_path / "wrong.tflite"
    for stored, sentence in (
        ({"detection_threshold": "high"}, "detection_threshold='high' is not a number"),
        ({"stride_ms": "fast"}, "gives the stride 'fast'"),
        ({"behaviour": "new"}, "unknown behaviour 'new'"),
    ):
        path.write_bytes(write_model(attach(graph, {**info, "recognizer": stored})))
        assert sentence in refusal(capsys, path, folder / "sound.wav")


def test_the_clock() -> None:
    assert [clock(t) for t in (0, 1234, 59_999, 60_000, 90_061_000)] == [
        "0:00:00.0",
        "0:00:01.2",
        "0:00:59.9",
        "0:01:00.0",
        "25:01:01.0",
    ]
