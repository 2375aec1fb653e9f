"""Programs for words: never waited for, bounded, and their failures said once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from minikws.errors import SettingsError
from minikws.streaming.recognize import Command
from minikws.streaming.run_command import CommandRunner

WORD = Command(1200, "yes", 0.875)


def settled(runner: CommandRunner) -> None:
    """Wait for the programs that run."""
    for child in runner._running:
        child.wait(30)
    runner._look_after()


@pytest.fixture
def said() -> Iterator[list[str]]:
    yield []


@pytest.mark.children
def test_the_word_is_in_the_environment(tmp_path: Path, said: list[str]) -> None:
    note = tmp_path / "note"
    runner = CommandRunner(
        f"sh -c 'echo $MINIKWS_LABEL $MINIKWS_SCORE $MINIKWS_TIME_MS >{note}'", warn=said.append
    )
    runner.start(WORD)
    runner.close()
    assert note.read_text() == "yes 0.875000 1200\n"
    assert (said, runner.n_started) == ([], 1)


@pytest.mark.children
def test_hanging_programs_take_no_more_than_their_places(said: list[str]) -> None:
    runner = CommandRunner("sleep 60", warn=said.append, n_running=2, last_wait_s=0.01)
    began = time.monotonic()
    for _ in range(5):
        runner.start(WORD)
    assert time.monotonic() - began < 30  # nobody waited for a minute
    assert (runner.n_started, runner.n_left_out) == (2, 3)
    children = list(runner._running)
    runner.close()
    for child in children:
        child.kill()
        child.wait()
    assert said == [
        "2 commands are still running, so 'yes' starts none; listening goes on",
        "sleep 60 is still running",
        "sleep 60: 2 started, 0 failed, 3 left out",
    ]


@pytest.mark.children
def test_words_of_a_file_wait_for_a_place(tmp_path: Path, said: list[str]) -> None:
    note = tmp_path / "note"
    runner = CommandRunner(
        f"sh -c 'sleep 0.01; echo x >>{note}'", warn=said.append, n_running=1, may_wait=True
    )
    for _ in range(4):
        runner.start(WORD)
    runner.close()
    assert note.read_text() == "x\n" * 4
    assert (said, runner.n_left_out) == ([], 0)


@pytest.mark.children
@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("/no/such/program -x", "/no/such/program cannot be started (No such file or directory)"),
        ("/etc/passwd", "/etc/passwd cannot be started (Permission denied)"),
        ("sh -c 'exit 3'", "sh -c 'exit 3' ended with exit code 3; listening goes on"),
        ("sh -c 'kill -9 $$'", "sh -c 'kill -9 $$' was ended by signal 9; listening goes on"),
    ],
)
def test_a_failure_is_said_once(command: str, sentence: str, said: list[str]) -> None:
    runner = CommandRunner(command, warn=said.append)
    for _ in range(3):
        runner.start(WORD)
        settled(runner)
    runner.close()
    assert len(said) == 2
    assert said[0].startswith(sentence)
    assert said[1].endswith(" 3 failed, 0 left out")


def test_commands_that_are_none() -> None:
    with pytest.raises(SettingsError, match="--run needs a command"):
        CommandRunner("", warn=pytest.fail)
    with pytest.raises(SettingsError, match="close its quotes"):
        CommandRunner("'", warn=pytest.fail)
