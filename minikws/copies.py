"""The copies of a clip that `tta` can make, by name. No NumPy: the command line reads these."""

from __future__ import annotations

from minikws.errors import SettingsError, nearest

COPIES = ("left", "right", "louder", "quieter", "slower", "faster")
GROUPS = {"shift": COPIES[:2], "gain": COPIES[2:4], "stretch": COPIES[4:]}
# With the clip as it is, the three of the Speech Commands challenge: 1,500 samples left, x 1.2.
DEFAULT_COPIES = ("left", "louder")


def parse_copies(text: str) -> tuple[str, ...]:
    """Read a comma list of copies and of groups of them; an empty one means the usual two.

    Raises
    ------
    SettingsError : an unknown name.

    >>> parse_copies("shift,louder")
    ('left', 'right', 'louder')
    """
    copies: dict[str, None] = {}
    for name in (part.strip().lower() for part in text.split(",")):
        if name in GROUPS:
            copies.update(dict.fromkeys(GROUPS[name]))
        elif name in COPIES:
            copies[name] = None
        elif name:
            raise SettingsError(
                f"there is no copy {name!r} to average; {nearest(name, [*GROUPS, *COPIES])}"
            )
    return tuple(copies) or DEFAULT_COPIES
