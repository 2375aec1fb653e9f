"""minikws label: the words in clips, with their scores, as the tutorial prints them."""

from __future__ import annotations

import argparse
from pathlib import Path

from minikws.cli.ensemble import models_and_clips, need_alike, together
from minikws.cli.frontend_options import add_missing_options
from minikws.cli.main import UsageError, whole
from minikws.cli.output import Output
from minikws.cli.tta_option import add_tta_option, copies_from
from minikws.cli.tutorial import accept, explain

HELP = "say which word a clip holds"
EXAMPLE = "minikws label yes_no.tflite clip.wav"

WITHOUT_MEANING = {
    "input-name": "the file names its tensors",
    "output-name": "the file names its tensors",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add(
        "model",
        nargs="?",
        metavar="MODEL",
        help="a .tflite file, or a run's folder; more files may follow",
    )
    add(
        "clips",
        nargs="*",
        metavar="CLIP",
        help="WAV files; a folder means its WAVs; of several models the mean counts",
    )
    add_missing_options(add)
    add("--top", "--how-many-labels", type=whole(1), default=3, metavar="N", help="default 3")
    add("--graph", metavar="FILE", help="the model, as the tutorial spells it")
    add("--wav", "--wav-dir", metavar="CLIP", help="the clip or folder, as the tutorial spells it")
    add_tta_option(parser)
    accept(parser, WITHOUT_MEANING)


def run(args: argparse.Namespace, out: Output) -> int:
    """Label each clip."""
    from minikws.audio import wav_files
    from minikws.classifiers import open_model
    from minikws.labels import read_labels
    from minikws.pipeline import label_clips

    words = [word for word in (args.model, *args.clips) if word]
    if args.graph:
        words.insert(0, args.graph)
    if args.wav:
        words.append(args.wav)
    names, rest = models_and_clips(words)
    if not rest:
        raise UsageError("label needs a model and a clip; see minikws label --help")
    explain(args, WITHOUT_MEANING, out)
    copies = copies_from(args)
    labels = read_labels(args.labels) if args.labels else None
    models = [open_model(Path(name), labels=labels, frontend=args.frontend) for name in names]
    need_alike(names, models)
    clips = [path for word in rest for path in wav_files(word)]
    # What is said of a clip, its length and its rate, is said once.
    says = [out.say, *(lambda text: None for _ in models[1:])]
    answers = [
        label_clips(model, clips, say, tta=copies) for model, say in zip(models, says, strict=True)
    ]
    records = together(answers)
    out.result({"model": names[0], "models": names, "tta": list(copies), "clips": records})
    for record in records:
        if len(records) > 1:
            start = f" from {record['start_ms']} ms" if "start_ms" in record else ""
            out.answer(f"\n{record['file']}{start}")
        for score in record["scores"][: args.top]:
            out.answer(f"{score['label']} (score = {score['score']:.5f})")
    return 0
