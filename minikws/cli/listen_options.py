"""Options of listen for what is done with the sound and the words."""

from __future__ import annotations

import argparse


def add_follower_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument_group("what is done with it").add_argument
    add("--log", metavar="FILE", help="a diary of mean scores, .sqlite or .csv; see minikws plot")
    add(
        "--every",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="a row of the diary, or mean scores for MQTT (default 60)",
    )
    add(
        "--run",
        metavar="COMMAND",
        help="a program for each word, with MINIKWS_LABEL, MINIKWS_SCORE and MINIKWS_TIME_MS set "
        "(since listening began); no shell reads it",
    )
    add("--record", metavar="DIR", help="keep the sound of each word as DIR/LABEL/…_nohash_N.wav")
    add(
        "--mqtt",
        metavar="HOST[:PORT]",
        help="publish words and mean scores; Home Assistant finds them (its password: environment "
        "variable MINIKWS_MQTT_PASSWORD)",
    )
    add("--mqtt-topic", default="minikws", metavar="TOPIC", help="default minikws")
    add("--mqtt-user", metavar="NAME", help="where the broker asks for one")
    add("--show", action="store_true", help="a level meter and running scores in the terminal")
