"""minikws service: the systemd unit that keeps listen running."""

from __future__ import annotations

import argparse
import getpass
import sys
from importlib.resources import files
from pathlib import Path

from minikws.cli.output import Output

HELP = "print a systemd unit that keeps listen running, from boot to boot"
EXAMPLE = "minikws service --user yes_no.tflite --log night.sqlite > minikws.service"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options; all from the model on belong to listen."""
    add = parser.add_argument
    add("--user", action="store_true", help="a unit of your own, without root")
    add("--name", default="minikws", metavar="NAME", help="of the unit (default minikws)")
    add(
        "listen",
        nargs=argparse.REMAINDER,
        metavar="MODEL ...",
        help="the model and options of minikws listen; these come last",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Check the words for listen and print the unit."""
    from minikws.cli.main import parse, with_dashes
    from minikws.errors import SettingsError

    words = with_dashes(args.listen)
    if not words:
        raise SettingsError(
            "service needs what listen is to be called with; name a model, as in: minikws service "
            "--user yes_no.tflite --log night.sqlite"
        )
    model = Path(parse(["listen", *words]).model or "")
    if not model.is_file():
        raise SettingsError(
            f"there is no model {model} in {Path.cwd()}; name the file as listen would find it"
        )
    unit = unit_text(words, model.name, user=args.user, folder=Path.cwd())
    if args.user:
        place, begin = f"~/.config/systemd/user/{args.name}.service", "systemctl --user"
    else:
        place, begin = f"/etc/systemd/system/{args.name}.service", "sudo systemctl"
    out.result({"unit": unit, "file": place})
    out.answer(unit.rstrip("\n"))
    out.say(f"save it as {place}, then: {begin} enable --now {args.name}")
    if args.user:
        out.say("to let it run while nobody is logged in: loginctl enable-linger")
    return 0


def unit_text(words: list[str], model: str, *, user: bool, folder: Path) -> str:
    """Return a unit that calls `minikws listen` with these words, in this folder.

    user : of one's own; else of the system, run by whoever asks for it now.
    """
    command = [sys.executable, "-m", "minikws", "listen", *words]
    identity = "" if user else f"User={getpass.getuser()}\nSupplementaryGroups=audio\n"
    template = (files("minikws.cli") / "service_unit.txt").read_text(encoding="utf-8")
    return template.format(
        model=model.replace("%", "%%"),
        identity=identity,
        folder=str(folder).replace("%", "%%"),
        command=" ".join(map(quoted, command)),
        target="default.target" if user else "multi-user.target",
    )


def quoted(word: str) -> str:
    r"""Return a word of a command line as systemd reads it back.

    >>> print(quoted("night.sqlite"), quoted("my model.tflite"), quoted("100%"), quoted("a$b"))
    night.sqlite "my model.tflite" 100%% a$$b
    """
    text = word.replace("%", "%%").replace("$", "$$")
    if text and not set(text) & set(" \t\"'\\;"):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
