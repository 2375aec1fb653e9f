"""minikws data record: words from a microphone or a pipe, one after the other, as a corpus."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from minikws.cli.output import Output, draw_over

if TYPE_CHECKING:
    from minikws.streaming.take import SoundReader, Take

HELP = "record words: shows which one, counts down, and repeats what is too loud or too quiet"
EXAMPLE = "minikws data record --words yes,no --count 20 --out my_words"

COUNTDOWN = ("3", "2", "1")
BEAT_MS = 600.0  # of the countdown
LATE_MS = 500.0  # that a word may come later or last longer
MOST_BAD = 5  # takes in a row, then something else is wrong
SPEAKER = re.compile(r"(?!.*_nohash_)[A-Za-z0-9_-]+")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    add = parser.add_argument
    add("--words", "--wanted-words", required=True, metavar="A,B", help="what is spoken")
    add("--count", type=int, default=20, metavar="N", help="takes of each word (default 20)")
    add("--out", default="my_words", metavar="DIR", help="gets a folder a word (default my_words)")
    add(
        "--input",
        metavar="DEVICE|-",
        help="a microphone as listen --list shows it, or raw samples (-) (default: the default "
        "microphone)",
    )
    add("--input-rate", type=int, metavar="HZ", help="of raw samples (default: --sample-rate)")
    add("--speaker", metavar="NAME", help="of the one who speaks (default: 8 random hex digits)")
    add(
        "--sample-rate", type=int, default=16_000, metavar="HZ", help="of the clips (default 16000)"
    )
    add("--clip-duration-ms", type=float, default=1000.0, metavar="MS", help="default 1000")
    add("--no-check", action="store_true", help="keep takes however loud, for noises or silence")


def run(args: argparse.Namespace, out: Output) -> int:
    """Record all words, in turn."""
    from minikws.audio import write_wav
    from minikws.cli.ending import Ending
    from minikws.cli.inputs import open_input
    from minikws.errors import AudioError
    from minikws.labels import parse_words
    from minikws.streaming.record import new_source, next_free
    from minikws.streaming.sources import at_rate
    from minikws.streaming.take import SoundReader

    words = parse_words(args.words)
    speaker = args.speaker or new_source()
    check(args, words, speaker)
    rate = args.sample_rate
    source = open_input(args.input, args.input_rate or rate, out, command="minikws data record …")
    plan = [word for _ in range(args.count) for word in words]
    counts = dict.fromkeys(words, 0)
    n_bad = n_bad_now = 0
    out.say(f"speaker {speaker}; the same person another day: --speaker {speaker}")
    with Ending() as ending:
        try:
            reader = SoundReader(ending.each(at_rate(source, rate).blocks))
            while len(plan) > sum(counts.values()) and not ending.requested():
                n = sum(counts.values())
                take = record(plan[n], f"{n + 1} of {len(plan)}", reader, args, out)
                if take is None:
                    break
                if take.fault and not args.no_check:
                    n_bad, n_bad_now = n_bad + 1, n_bad_now + 1
                    out.say(f"  once more, {take.fault}")
                    if n_bad_now == MOST_BAD:
                        raise AudioError(
                            f"{MOST_BAD} takes in a row were not fit, the last was {take.fault}; "
                            "look at the microphone with minikws listen --show, or give --no-check"
                        )
                    continue
                n_bad_now = 0
                path = next_free(Path(args.out) / plan[n], speaker)
                write_wav(path, take.clip, rate)
                counts[plan[n]] += 1
                out.say(f"  {path}, {take.level_db:.0f} dB")
        finally:
            source.close()
    n = sum(counts.values())
    if n < len(plan) and not ending.requested():
        raise AudioError(
            f"{source.name} ended after {n} of {len(plan)} takes, which are in {args.out}; send "
            "more sound, or name a microphone"
        )
    out.answer(
        f"{args.out}: {n} clip{'' if n == 1 else 's'} by {speaker}, "
        + ", ".join(f"{count} {word}" for word, count in counts.items())
        + f"; {n_bad} takes were repeated"
    )
    out.result({"out": args.out, "speaker": speaker, "words": counts, "repeated": n_bad})
    return ending.exit_code


def check(args: argparse.Namespace, words: tuple[str, ...], speaker: str) -> None:
    """Raise SettingsError for options that cannot work."""
    from minikws.errors import SettingsError

    for word in words:
        if "/" in word or word.startswith("."):
            raise SettingsError(f"the word {word!r} cannot name a folder; leave / and . out")
    if args.count < 1:
        raise SettingsError(f"--count {args.count} records nothing; give 1 or more")
    if not SPEAKER.fullmatch(speaker):
        raise SettingsError(
            f"the speaker {speaker!r} cannot begin a clip's name; use letters, digits, - and _"
        )
    if not 10 <= args.clip_duration_ms <= 60_000:
        raise SettingsError(
            f"clips of {args.clip_duration_ms:g} ms are not between 10 and 60000; 1000 is usual"
        )
    if not 1000 <= args.sample_rate <= 384_000:
        raise SettingsError(
            f"the rate {args.sample_rate} is not a whole number from 1000 to 384000; give it in Hz"
        )


def record(
    word: str, where: str, reader: SoundReader, args: argparse.Namespace, out: Output
) -> Take | None:
    """Count down, listen, and judge; None where the sound ended.

    Time is the sound's own: a beat lasts as long as its samples take to come.
    """
    from minikws.streaming.take import judge

    def samples(ms: float) -> int:
        return round(ms * float(args.sample_rate) / 1000)

    lives = sys.stderr.isatty() and not out.quiet
    if not lives:
        out.say(f"{word} ({where})")
    background = reader.read(0)
    for number in COUNTDOWN:
        if lives:
            draw_over(f"{where}: in {number} say  {word}")
        background = reader.read(samples(BEAT_MS))
    if lives:
        draw_over(f"{where}: >>> say  {word}  <<<")
    n_clip = samples(args.clip_duration_ms)
    n_heard = n_clip + samples(LATE_MS)
    sound = reader.read(n_heard)
    if lives:
        draw_over()
    if len(sound) < n_heard:
        return None
    return judge(sound, background, clip_samples=n_clip, sample_rate_hz=args.sample_rate)
