"""The command line's manners: help, spellings, exit codes, one sentence an error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minikws.cli import doctor
from minikws.cli.main import COMMANDS, THREAD_POOLS, boolean, main, parse, with_dashes


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert f"minikws {name}" in capsys.readouterr().out


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "COMMAND" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split()[0] == "minikws"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["trian"], "did you mean train"),
        (["train", "--wantd-words", "yes"], "did you mean --wanted-words"),
        (["data", "synth", "--word", "x", "--ouf", "y"], "--out"),
        (["train", "--steps", "many"], "comma list of numbers"),
        (["label", "--threads", "0"], "--threads 0 is below 1"),
        (["data", "synth", "--seed", "-1"], "'-1' is not a whole number of 0 or more"),
        (["label", "m.tflite", "c.wav", "--top", "0"], "'0' is not a whole number of 1 or more"),
    ],
)
def test_usage_errors_offer_the_nearest(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("minikws: error: ")
    assert words in shown


def test_errors_are_one_sentence_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--data-dir", "nowhere", "--wanted-words", "yes", "--json"]) == 1
    shown = capsys.readouterr()
    assert shown.err.count("\n") >= 1
    assert "minikws: error: there is no folder" in shown.err
    answer = json.loads(shown.out)
    assert answer["kind"] == "CorpusError"
    assert "nowhere" in answer["error"]


def test_too_little_memory_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(args: object, out: object) -> int:
        raise MemoryError("Unable to allocate 2.91 TiB")

    monkeypatch.setattr(doctor, "run", run)
    assert main(["doctor"]) == 1
    assert (
        "there is not enough memory (Unable to allocate 2.91 TiB); ask" in capsys.readouterr().err
    )


def test_no_data_dir_names_both_ways_to_get_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--wanted-words", "yes"]) == 1
    shown = capsys.readouterr().err
    assert "data synth" in shown
    assert "data download" in shown


def test_underscores_in_option_names_only() -> None:
    assert with_dashes(["--a_b", "--c_d=e_f", "g_h"]) == ["--a-b", "--c-d=e_f", "g_h"]


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("true", True), ("0", False), ("", False)]
)
def test_booleans_mean_what_they_say(text: str, value: bool) -> None:
    assert boolean(text) is value


def test_threads_are_set_before_numpy_is_loaded() -> None:
    statement = (
        "import sys, os\n"
        "from minikws.cli.main import main\n"
        "main(['label', '--threads', '1', 'a.tflite', 'b.wav'])\n"
        f"assert all(os.environ[p] == '1' for p in {THREAD_POOLS!r})\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in THREAD_POOLS}
    subprocess.run([sys.executable, "-c", statement], check=True, env=environment)


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from minikws.cli.main import main; sys.exit(main())"],
        capture_output=True,
        check=False,
    )
    assert b"Traceback" not in done.stderr


def test_words_may_stand_between_options() -> None:
    args = parse(["label", "a.tflite", "b.wav", "--top", "3", "c.wav"])
    assert (args.model, args.clips, args.top) == ("a.tflite", ["b.wav", "c.wav"], 3)
    args = parse(["listen", "a.tflite", "--stride_ms", "200", "-"])
    assert (args.model, args.sound, args.stride_ms) == ("a.tflite", "-", 200)
