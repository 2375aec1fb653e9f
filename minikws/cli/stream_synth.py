"""minikws stream synth: a long recording with known words (generate_streaming_test_wav)."""

from __future__ import annotations

import argparse
from pathlib import Path

from minikws.cli.corpus_options import need_data_dir
from minikws.cli.output import Output
from minikws.cli.tutorial import accept, explain

HELP = "make a long recording of a corpus's test clips, and a list of what is said in it"
EXAMPLE = (
    "minikws stream synth --data-dir speech_commands --wanted-words yes,no --out half_an_hour.wav "
    "--seconds 1800"
)

WORDS = "yes,no,up,down,left,right,on,off,stop,go"  # the published tool's default

WITHOUT_MEANING = {
    "data-url": "clips come from --data-dir; minikws data download fetches Speech Commands",
    "background-dir": "noise comes from the data folder's _background_noise_",
    "background-frequency": "noise is everywhere, as in the published tool",
    "silence-percentage": "silence is where no word is",
    "window-size-ms": "the recording does not depend on it",
    "window-stride-ms": "the recording does not depend on it",
    "feature-bin-count": "the recording does not depend on it",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("--data-dir", metavar="DIR", help="one folder of WAV files a word")
    add("--wanted-words", metavar="A,B", default=WORDS, help=f"default {WORDS}")
    add(
        "--out",
        "--output-audio-file",
        metavar="FILE",
        default="streaming_test.wav",
        help="default streaming_test.wav",
    )
    add(
        "--labels-file",
        "--output-labels-file",
        metavar="FILE",
        help="what is said and when (default: beside it, as streaming_test_labels.txt)",
    )
    add(
        "--audacity-file",
        metavar="FILE",
        help="the same for Audacity (default: beside it, as streaming_test_audacity.txt)",
    )
    add(
        "--seconds",
        "--test-duration-seconds",
        type=float,
        default=600.0,
        metavar="S",
        help="length (default 600)",
    )
    add("--word-gap-ms", type=float, default=2000.0, metavar="MS", help="mean (default 2000)")
    add(
        "--unknown-percentage",
        type=float,
        default=30.0,
        metavar="PCT",
        help="words that are not wanted, %% of all (default 30)",
    )
    add(
        "--background-volume",
        type=float,
        default=0.1,
        metavar="V",
        help="of the noise at most, 0 to 1 (default 0.1)",
    )
    add(
        "--partition",
        choices=("training", "validation", "testing"),
        default="testing",
        help="whose clips are used (default testing)",
    )
    add("--validation-percentage", type=float, default=10.0, metavar="PCT", help="default 10")
    add("--testing-percentage", type=float, default=10.0, metavar="PCT", help="default 10")
    add("--sample-rate", type=int, default=16_000, metavar="HZ", help="default 16000")
    add("--clip-duration-ms", type=float, default=1000.0, metavar="MS", help="default 1000")
    accept(parser, WITHOUT_MEANING)


def run(args: argparse.Namespace, out: Output) -> int:
    """Make the recording and its lists."""
    from minikws.data.corpus import Corpus
    from minikws.labels import parse_words
    from minikws.settings import ClipSettings, CorpusSettings
    from minikws.streaming.synth import plan_stream, write_stream
    from minikws.streaming.truth import write_audacity, write_truth

    explain(args, WITHOUT_MEANING, out)
    clip = ClipSettings(sample_rate_hz=args.sample_rate, clip_ms=args.clip_duration_ms)
    corpus = Corpus(
        Path(need_data_dir(args.data_dir)),
        CorpusSettings(
            wanted_words=parse_words(args.wanted_words),
            silence=False,
            unknown_pct=10_000,  # every clip of another word may be said
            validation_pct=args.validation_percentage,
            testing_pct=args.testing_percentage,
        ),
        clip.sample_rate_hz,
        clip.clip_samples,
        out.say,
    )
    if not corpus.background_paths:
        out.warn(f"{corpus.folder} has no background noise; between the words there is nothing")
    plan = plan_stream(
        corpus,
        seconds=args.seconds,
        seed=args.seed,
        word_gap_ms=args.word_gap_ms,
        unknown_pct=args.unknown_percentage,
        background_volume=args.background_volume,
        partition=args.partition,
    )
    wav = Path(args.out)
    labels_file = Path(args.labels_file or beside(wav, "labels"))
    audacity_file = Path(args.audacity_file or beside(wav, "audacity"))
    write_stream(plan, corpus, wav)
    write_truth(labels_file, plan.truth)
    write_audacity(audacity_file, plan.truth, clip_ms=clip.clip_ms)
    out.answer(f"Saved streaming test wav to {wav}")
    out.answer(f"Saved streaming test labels to {labels_file}")
    out.say(
        f"{plan.n_samples / clip.sample_rate_hz:g} s with {len(plan.truth)} words of the "
        f"{args.partition} partition; labels for Audacity in {audacity_file}"
    )
    out.say(f"next: minikws stream eval MODEL {wav}")
    out.result(
        {
            "wav": str(wav),
            "labels_file": str(labels_file),
            "audacity_file": str(audacity_file),
            "seconds": plan.n_samples / clip.sample_rate_hz,
            "words": len(plan.truth),
            "partition": args.partition,
        }
    )
    return 0


def beside(wav: Path, what: str) -> Path:
    """Return the name of a list that belongs to a recording.

    >>> beside(Path("a/streaming_test.wav"), "labels").as_posix()
    'a/streaming_test_labels.txt'
    """
    return wav.with_name(f"{wav.stem}_{what}.txt")
