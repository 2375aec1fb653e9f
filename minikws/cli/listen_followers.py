"""What listen does with what it hears: words, and by its options a diary, programs, clips, MQTT."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING

from minikws.cli.listen import clock, command_record
from minikws.cli.output import AnswerLost, Output
from minikws.streaming.follower import Follower

if TYPE_CHECKING:
    from minikws.pipeline import Model
    from minikws.streaming.live import Step
    from minikws.streaming.log import Log
    from minikws.streaming.sources import Source


def make_followers(
    args: argparse.Namespace, model: Model, source: Source, out: Output
) -> list[Follower]:
    """Return what the options ask for, but for the meter.

    Raises
    ------
    RunError : a diary that cannot be written, or is something else.
    SettingsError : a number, a command or a broker's address that cannot work.
    MissingExtraError : MQTT without paho-mqtt.
    """
    followers: list[Follower] = []
    if args.log:
        from minikws.streaming.log import Log

        log = Log(args.log, model.labels, every_s=args.every, warn=out.warn)
        followers.append(Diary(log))
        if not source.is_live:
            out.say(f"{args.log}: times count from now on, at the pace of {source.name}")
    if args.run is not None:
        from minikws.streaming.run_command import CommandRunner

        followers.append(CommandRunner(args.run, warn=out.warn, may_wait=not source.is_live))
    if args.record:
        from minikws.data.slice import source_of
        from minikws.streaming.record import ClipKeeper

        followers.append(
            ClipKeeper(
                args.record,
                None if source.is_live else source_of(source.name),
                clip_samples=model.clip_samples,
                warn=out.warn,
            )
        )
    if args.mqtt:
        from minikws.streaming.mqtt import MqttPublisher

        followers.append(
            MqttPublisher(
                args.mqtt,
                model.labels,
                topic=args.mqtt_topic,
                every_s=args.every,
                user=args.mqtt_user,
                password=os.environ.get("MINIKWS_MQTT_PASSWORD"),
                warn=out.warn,
            )
        )
    return followers


def with_meter(
    args: argparse.Namespace, model: Model, out: Output
) -> tuple[list[Follower], Output]:
    """Return the meter, where one is asked for, and the output that makes room for it."""
    if not args.show:
        return [], out
    if not sys.stderr.isatty():
        out.warn("--show draws on a terminal, and stderr is none; it is left out")
        return [], out
    from minikws.cli.meter import Meter, MeterOutput

    meter = Meter(model.labels)
    return [meter], MeterOutput(out, meter)


class Words(Follower):
    """Prints each word as it comes, and goes on where that fails.

    lost : why the last word could not be printed, None where it was.
    """

    def __init__(self, out: Output) -> None:
        self.count = 0
        self.lost: AnswerLost | None = None
        self._out = out

    def follow(self, step: Step, time_s: float) -> None:
        """Print the step's word if it has one."""
        command = step.command
        if command is None:
            return
        self.count += 1
        try:
            self._out.result(command_record(command, step.window))
            self._out.answer(f"{clock(command.time_ms)}  {command.label} ({command.score:.2f})")
        except AnswerLost as error:
            if self.lost is None:
                self._out.warn(f"{error}; listening goes on")
            self.lost = error
        else:
            self.lost = None


class Diary(Follower):
    """Hands every score to a log."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def follow(self, step: Step, time_s: float) -> None:
        """Log the scores."""
        self._log.add(time_s, step.window.scores)

    def close(self) -> None:
        """Write the last row."""
        self._log.close()


class SoundClock:
    """When something was heard: now, or, in a file, as long after the start as the sound says."""

    def __init__(self, source: Source) -> None:
        self._is_live, self._started_s = source.is_live, time.time()

    def time_s(self, step: Step) -> float:
        """Return when a step's last sample was heard, in seconds since 1970."""
        return time.time() if self._is_live else self._started_s + step.window.end_ms / 1000
