"""Options that describe a frontend, or name the one of a model file that says nothing of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minikws.frontend import Frontend

# Option -> the field of the frontend's settings that it sets.
FIELDS = {
    "sample_rate": "sample_rate_hz",
    "clip_duration_ms": "clip_ms",
    "window_size_ms": "window_ms",
    "window_stride_ms": "hop_ms",
    "lower_hz": "lower_hz",
    "upper_hz": "upper_hz",
    "micro_variant": "variant",
}


def add_frontend_options(parser: argparse.ArgumentParser, *, clip_help: str) -> None:
    """Add which frontend, and its numbers under the tutorial's names and ours."""
    group = parser.add_argument_group("the frontend")
    add = group.add_argument
    add("--frontend", "--preprocess", metavar="KIND", help="default micro; train: the model's own")
    add("--sample-rate", type=int, metavar="HZ", help="default 16000")
    add("--clip-duration-ms", type=float, metavar="MS", help=clip_help)
    add("--window-size-ms", "--window-ms", type=float, metavar="MS", help="default 30")
    add(
        "--window-stride-ms",
        "--hop-ms",
        type=float,
        metavar="MS",
        help="default 20 for micro, 10 for the others",
    )
    add(
        "--feature-bin-count",
        "--dct-coefficient-count",
        type=int,
        metavar="N",
        help="features of a frame, default 40",
    )
    add("--lower-hz", type=float, metavar="HZ", help="lowest frequency of the mel channels")
    add("--upper-hz", type=float, metavar="HZ", help="highest frequency of the mel channels")
    add("--micro-variant", metavar="NAME", help="tensorflow (default), preprocessor, pymicro")


def add_missing_options(add: Callable[..., Any]) -> None:
    """Add what a model file of others may lack: its labels and its frontend."""
    add("--labels", metavar="FILE_OR_LIST", help="for a model file that holds none")
    add(
        "--frontend",
        "--preprocess",
        metavar="KIND",
        help="for a model file that names none; settings may follow, as average,hop_ms=20",
    )


def given_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that were given on the command line, by their field names."""
    return {
        field: getattr(args, option)
        for option, field in FIELDS.items()
        if getattr(args, option) is not None
    }


def frontend_from(
    args: argparse.Namespace, kind: str, stored: Mapping[str, Any] | None = None
) -> Frontend:
    """Build the frontend that the options describe.

    Parameters
    ----------
    kind : a name of `FRONTENDS`.
    stored : settings in their JSON form that the options override.

    Raises
    ------
    SettingsError : an unknown kind, or settings that cannot work.
    """
    from minikws.frontend import make_frontend

    count = make_frontend(kind).settings.feature_count(args.feature_bin_count)
    return make_frontend({**(stored or {"kind": kind}), **given_settings(args), **count})
