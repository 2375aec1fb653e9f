"""minikws data noise: background recordings of any color, in a moment."""

from __future__ import annotations

import argparse

from minikws.cli.output import Output

HELP = "make white, pink, brown, blue and violet noise for a folder's _background_noise_"
EXAMPLE = "minikws data noise --out my_words --colors white,brown"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    add = parser.add_argument
    add("--out", required=True, metavar="DIR", help="the data folder, one folder of WAVs a word")
    add("--colors", metavar="A,B", help="default white,pink,brown,blue,violet")
    add("--seconds", type=float, default=60.0, metavar="S", help="of each (default 60)")
    add(
        "--rate",
        "--sample-rate",
        type=int,
        default=16_000,
        metavar="HZ",
        help="the model's (default 16000)",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Write the files."""
    from minikws.data.noise import COLORS, write_noise
    from minikws.errors import SettingsError

    colors = list(COLORS)
    if args.colors is not None:
        colors = [name.strip().lower() for name in args.colors.split(",") if name.strip()]
        if not colors:
            raise SettingsError(
                f"no color in --colors {args.colors!r}; name some of {','.join(COLORS)}"
            )
    files = write_noise(
        args.out, colors, seconds=args.seconds, sample_rate_hz=args.rate, seed=args.seed
    )
    for file in files:
        out.answer(f"{file}: {args.seconds:g} s at {args.rate} Hz")
    out.result(
        {
            "out": str(files[0].parent),
            "files": [file.name for file in files],
            "seconds": args.seconds,
            "sample_rate_hz": args.rate,
        }
    )
    return 0
