"""A program for each word: started beside the listening, never waited for.

The program is called without a shell; it finds the word in its environment. A few may run at the
same time, more are not started: a program that hangs must not fill the machine.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time

from minikws.errors import SettingsError
from minikws.streaming.follower import Follower
from minikws.streaming.live import Step
from minikws.streaming.recognize import Command
from minikws.streaming.sources import Warn

RUNNING = 4  # programs at the same time
LAST_WAIT_S = 5.0  # for programs that still run at the end


class CommandRunner(Follower):
    """Starts a program for each word, with MINIKWS_LABEL, MINIKWS_SCORE and MINIKWS_TIME_MS set.

    Parameters
    ----------
    command : program and arguments, quoted as for a shell; no shell reads it.
    warn : is told once of each: a program that cannot start, fails, or hangs.
    may_wait : wait for a free place instead of leaving a word out (the sound is a file).

    Raises
    ------
    SettingsError : no program, or a quote that is not closed.
    """

    def __init__(
        self,
        command: str,
        *,
        warn: Warn,
        may_wait: bool = False,
        n_running: int = RUNNING,
        last_wait_s: float = LAST_WAIT_S,
    ) -> None:
        try:
            self._argv = shlex.split(command)
        except ValueError as error:
            raise SettingsError(
                f"the command {command!r} cannot be split into words ({error}); close its quotes"
            ) from error
        if not self._argv:
            raise SettingsError("--run needs a command; name a program, as in: --run 'beep -f 400'")
        self._command, self._warn, self._may_wait = command, warn, may_wait
        self._n_places, self._last_wait_s = n_running, last_wait_s
        self._running: list[subprocess.Popen[bytes]] = []
        self._said: set[str] = set()
        self.n_started = self.n_failed = self.n_left_out = 0

    def follow(self, step: Step, time_s: float) -> None:
        """Start the program if the step has a word."""
        self._look_after()
        if step.command is not None:
            self.start(step.command)

    def start(self, command: Command) -> None:
        """Start the program for a word, if there is a place."""
        if self._may_wait and len(self._running) == self._n_places:
            self._running[0].wait()
        self._look_after()
        if len(self._running) == self._n_places:
            self.n_left_out += 1
            self._say_once(
                "places",
                f"{self._n_places} commands are still running, so {command.label!r} starts none; "
                "listening goes on",
            )
            return
        word = {
            "MINIKWS_LABEL": command.label,
            "MINIKWS_SCORE": f"{command.score:.6f}",
            "MINIKWS_TIME_MS": f"{command.time_ms:.0f}",
        }
        try:
            child = subprocess.Popen(
                self._argv,
                env={**os.environ, **word},
                stdin=subprocess.DEVNULL,  # ours is the sound
                stdout=2,  # ours is for the words
                start_new_session=True,  # Ctrl-C ends the listening, not the work
            )
        except OSError as error:
            self.n_failed += 1
            self._say_once(
                "start",
                f"{self._argv[0]} cannot be started ({error.strerror or error}); listening goes "
                "on, check the command of --run",
            )
            return
        self.n_started += 1
        self._running.append(child)

    def close(self) -> None:
        """Give running programs a little time, and say what was left out or failed."""
        end = time.monotonic() + self._last_wait_s
        for child in self._running:
            try:
                child.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._warn(f"{self._command} is still running")
                break
        self._look_after()
        if self.n_failed or self.n_left_out:
            self._warn(
                f"{self._command}: {self.n_started} started, {self.n_failed} failed, "
                f"{self.n_left_out} left out"
            )

    def _look_after(self) -> None:
        """Forget the programs that are done, and say if one failed."""
        for child in [child for child in self._running if child.poll() is not None]:
            self._running.remove(child)
            if child.returncode:
                self.n_failed += 1
                how = f"ended with exit code {child.returncode}"
                if child.returncode < 0:
                    how = f"was ended by signal {-child.returncode}"
                self._say_once("end", f"{self._command} {how}; listening goes on")

    def _say_once(self, kind: str, sentence: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            self._warn(sentence)
