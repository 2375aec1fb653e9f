"""minikws data slice: long recordings to clips of one length."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from minikws.cli.output import Output

HELP = "cut long recordings into clips that stay together in one partition"
EXAMPLE = "minikws data slice night.wav --out sounds/crying --clip-duration-ms 5000"

SHOWN = 10  # more recordings than these are not listed one by one


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    add = parser.add_argument
    add("recordings", nargs="+", metavar="WAV", help="recordings, or folders of them")
    add("--out", required=True, metavar="DIR", help="the folder of the word or sound")
    add("--clip-duration-ms", type=float, default=1000.0, metavar="MS", help="default 1000")
    add("--hop-ms", type=float, metavar="MS", help="from clip to clip (default: the clip's length)")
    add(
        "--loudest",
        type=int,
        metavar="N",
        help="of each recording only the N loudest stretches, that do not overlap",
    )
    add("--gain-db", type=float, default=0.0, metavar="DB", help="amplify (6 dB is twice)")
    add("--sample-rate", type=int, metavar="HZ", help="of the clips (default: the recording's)")


def run(args: argparse.Namespace, out: Output) -> int:
    """Write the clips and say where they came from."""
    from minikws.audio import wav_files
    from minikws.data.slice import slice_recordings
    from minikws.data.splits import PARTITIONS, split_of

    sliced = slice_recordings(
        [file for word in args.recordings for file in wav_files(word)],
        args.out,
        clip_ms=args.clip_duration_ms,
        hop_ms=args.hop_ms,
        n_loudest=args.loudest,
        gain_db=args.gain_db,
        sample_rate_hz=args.sample_rate,
    )
    for recording in sliced if len(sliced) <= SHOWN else ():
        out.say(
            f"{recording.recording}: {_clips(len(recording.files))}"
            + (f", {recording.left_over_s:.1f} s left over" if recording.left_over_s else "")
        )
    files = [file for recording in sliced for file in recording.files]
    n_clipped = sum(recording.n_clipped for recording in sliced)
    if n_clipped:
        loud = sum(recording.n_clipped > 0 for recording in sliced)
        out.warn(
            f"{args.gain_db:g} dB push {n_clipped} samples in {loud} of {len(sliced)} recordings "
            "beyond 16 bits, which clips them; give a smaller --gain-db"
        )
    counts = Counter(split_of(file) for file in files)
    partitions = {partition: counts[partition] for partition in PARTITIONS}
    shares = ", ".join(f"{n} {partition}" for partition, n in partitions.items())
    out.answer(
        f"{args.out}: {_clips(len(files))} of {args.clip_duration_ms:g} ms from {len(sliced)} "
        f"recordings ({shares}); {sum(one.left_over_s for one in sliced):.1f} s left over"
    )
    if not partitions["validation"] or not partitions["testing"]:
        out.warn(
            "a partition has no clip of this folder: with few recordings chance decides; cut more "
            "recordings, or give train a larger --validation-percentage and --testing-percentage"
        )
    out.result(
        {
            "out": str(Path(args.out)),
            "count": len(files),
            "partitions": partitions,
            "clipped_samples": n_clipped,
            "recordings": [
                {
                    "file": str(recording.recording),
                    "clips": [file.name for file in recording.files],
                    "starts_s": [round(start, 3) for start in recording.starts_s],
                    "left_over_s": round(recording.left_over_s, 3),
                    "clipped_samples": recording.n_clipped,
                }
                for recording in sliced
            ],
        }
    )
    return 0


def _clips(n: int) -> str:
    return f"{n} clip{'' if n == 1 else 's'}"
